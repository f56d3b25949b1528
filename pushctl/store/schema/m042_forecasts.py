"""What was forecast of a campaign when it was sent, to be scored afterwards."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m042_forecasts(db: Database) -> None:
    script(
        db,
        """
        CREATE TABLE forecasts (
            campaign_id INTEGER NOT NULL PRIMARY KEY REFERENCES campaigns(id),
            at          INTEGER NOT NULL,
            people      INTEGER NOT NULL,
            -- what its campaign was compared by
            topic       TEXT NOT NULL,
            -- of each: name, p10, p50, p90, last_three, source, currency, exponent
            figures     TEXT NOT NULL,
            -- the campaigns that it was built from: [id, messages, shown, clicked]
            built_from  TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    )
