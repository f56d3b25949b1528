"""What each alert of pushctl.toml found, and what of that somebody was told."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m043_alerts(db: Database) -> None:
    script(
        db,
        """
        CREATE TABLE alerts (
            name      TEXT NOT NULL PRIMARY KEY,
            state     TEXT NOT NULL CHECK (state IN ('learning', 'quiet', 'on')),
            text      TEXT NOT NULL,
            -- when that state began
            since     INTEGER NOT NULL,
            -- the last that was told: 1 that it began, 0 that it ended, or nothing yet
            told      INTEGER NOT NULL DEFAULT 0,
            told_at   INTEGER,
            -- why telling failed
            failure   TEXT,
            looked_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    )
