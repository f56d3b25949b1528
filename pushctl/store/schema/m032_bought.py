"""Messages in whose place the browser thanked for a purchase: neither shown nor clicked."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m032_bought(db: Database) -> None:
    # Not in interactions: a row there says that the message was shown.
    script(
        db,
        """
        CREATE TABLE thanked (
            delivery_id INTEGER NOT NULL PRIMARY KEY REFERENCES deliveries(id)
                        ON DELETE CASCADE,
            at          INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    )
