"""Whose service worker a subscription runs, and which messages went out in another's form."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m023_adopted(db: Database) -> None:
    # NULL: ours. Else as model.Worker.
    script(
        db,
        """
        ALTER TABLE subscriptions ADD COLUMN worker TEXT;

        -- whether these were shown is unknown: that worker does not report to us
        CREATE TABLE foreign_deliveries (
            delivery_id INTEGER NOT NULL PRIMARY KEY REFERENCES deliveries(id) ON DELETE CASCADE
        ) STRICT, WITHOUT ROWID;
        """,
    )
