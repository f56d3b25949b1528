"""Campaigns that are not over are found by an index: a message of the API is one, too."""

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script


@migrations()
def m026_open_campaigns(db: Database) -> None:
    script(db, "CREATE INDEX campaigns_status ON campaigns(status)")
