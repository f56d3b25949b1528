"""The messages that a browser got, the last ones first: whether it shows any of them."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m036_accepted(db: Database) -> None:
    # Two seconds for five million messages.
    script(
        db,
        """
        CREATE INDEX deliveries_accepted ON deliveries(subscription_id)
            WHERE status = 'accepted'
        """,
    )
