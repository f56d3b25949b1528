"""Broadcasts are found by their content, so that nobody gets the same one twice by hand."""

import json

from sqlite_utils import Database

from pushctl.rules.messages.content import hash_content
from pushctl.store.schema.migrations import migrations


def _hash(sources: str, options: str) -> bytes:
    return hash_content(json.loads(sources), json.loads(options).get("extra", {}))


@migrations()
def m008_content(db: Database) -> None:
    # NULL: a step of a trigger, which has rules of its own about when it comes again.
    db.conn.create_function("content_hash_of", 2, _hash, deterministic=True)
    db.execute(
        "ALTER TABLE campaigns ADD COLUMN content_hash BLOB CHECK (length(content_hash) = 16)"
    )
    db.execute(
        "UPDATE campaigns SET content_hash = content_hash_of(sources, options) "
        "WHERE trigger IS NULL"
    )
    db.execute(
        "CREATE INDEX campaigns_content ON campaigns(content_hash) "
        "WHERE content_hash IS NOT NULL"
    )
