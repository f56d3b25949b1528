"""Kept columns of campaigns, found without reading the columns beside them."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m054_kept_columns(db: Database) -> None:
    script(
        db,
        """
        -- As kept_pages in m048: with large data beside its key each look read all data that
        -- it passed by, half a millisecond a campaign for its counts alone. What was kept is
        -- built anew.
        DELETE FROM kept_campaigns;

        DROP TABLE kept_columns;

        CREATE TABLE kept_columns (
            id          INTEGER PRIMARY KEY AUTOINCREMENT,
            campaign_id INTEGER NOT NULL REFERENCES kept_campaigns(campaign_id)
                        ON DELETE CASCADE,
            name        TEXT NOT NULL,
            about       TEXT NOT NULL, -- JSON: how the data is read
            data        BLOB NOT NULL,
            UNIQUE (campaign_id, name)
        ) STRICT;

        INSERT INTO sqlite_sequence (name, seq) VALUES ('kept_columns', 0);
        """,
    )
