"""Which campaign or series each file of campaigns/ has become."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m037_applied(db: Database) -> None:
    script(
        db,
        """
        CREATE TABLE applied (
            id            INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
            -- without folder and ".toml"
            file          TEXT NOT NULL,
            settings_hash TEXT NOT NULL,
            -- of the texts; a series reads them each time
            sources_hash  TEXT NOT NULL,
            campaign_id   INTEGER REFERENCES campaigns(id),
            series_id     INTEGER REFERENCES recurring(id),
            did           TEXT NOT NULL CHECK (did IN ('new', 'changed', 'renamed')),
            -- what the plan said of it: how many people, and which time
            people        INTEGER NOT NULL,
            phase         TEXT NOT NULL,
            plan          TEXT NOT NULL,
            at            INTEGER NOT NULL,
            by            TEXT,
            -- when another row took its place
            ended_at      INTEGER,
            CHECK ((campaign_id IS NULL) <> (series_id IS NULL))
        ) STRICT;

        CREATE UNIQUE INDEX applied_file ON applied(file) WHERE ended_at IS NULL;

        CREATE INDEX applied_campaign ON applied(campaign_id) WHERE campaign_id IS NOT NULL;

        CREATE INDEX applied_series ON applied(series_id) WHERE series_id IS NOT NULL;
        """,
    )
