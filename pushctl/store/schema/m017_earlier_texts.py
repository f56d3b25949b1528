"""A message whose campaign got other texts afterwards keeps the hash of those it had."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m017_earlier_texts(db: Database) -> None:
    # NULL: the campaign's own hash is the message's. Without a CHECK, which would read every
    # row; the index reads them once, and holds next to none.
    script(
        db,
        """
        ALTER TABLE deliveries ADD COLUMN content_hash BLOB;

        CREATE INDEX deliveries_content ON deliveries(content_hash)
            WHERE content_hash IS NOT NULL;
        """,
    )
