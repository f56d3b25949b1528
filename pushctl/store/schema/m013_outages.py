"""Outages: since when no connection to a push service has come about."""

from sqlite_utils.db import Database

from pushctl.store.schema.migrations import migrations


@migrations()
def m013_outages(db: Database) -> None:
    db.execute("ALTER TABLE origins ADD COLUMN unreached_since INTEGER")
