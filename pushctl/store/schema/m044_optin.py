"""An invitation's stage "visit": a browser came that could be invited, for the first time."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m044_optin(db: Database) -> None:
    # SQLite changes no CHECK in place. The table has 2,000 rows a site and day at most.
    script(
        db,
        """
        CREATE TABLE prompt_counts_new (
            site_id  INTEGER NOT NULL REFERENCES sites(id),
            day      INTEGER NOT NULL,
            variant  TEXT NOT NULL,
            language TEXT NOT NULL,
            browser  TEXT NOT NULL,
            stage    TEXT NOT NULL CHECK (
                stage IN ('visit', 'seen', 'accepted', 'allowed', 'denied', 'dismissed',
                          'failed')
            ),
            count    INTEGER NOT NULL,
            sender   TEXT,
            PRIMARY KEY (site_id, day, variant, language, browser, stage)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO prompt_counts_new
        SELECT site_id, day, variant, language, browser, stage, count, sender
          FROM prompt_counts;
        DROP TABLE prompt_counts;
        ALTER TABLE prompt_counts_new RENAME TO prompt_counts;
        """,
    )
