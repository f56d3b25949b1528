"""Who asked not to be tracked, and since when; what ends their reminders all the same."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m021_tracking(db: Database) -> None:
    # NULL: the browser sends no Global Privacy Control; nobody said no.
    script(
        db,
        """
        ALTER TABLE subscriptions ADD COLUMN gpc_at INTEGER;

        ALTER TABLE subscriptions ADD COLUMN tracking_refused_at INTEGER;

        -- what they bought is no event of theirs: the next sweep ends reminders, and deletes
        CREATE TABLE stops (
            subscription_id INTEGER NOT NULL REFERENCES subscriptions(id) ON DELETE CASCADE,
            name            TEXT NOT NULL,
            at              INTEGER NOT NULL,
            PRIMARY KEY (subscription_id, name, at)
        ) STRICT, WITHOUT ROWID;
        """,
    )
