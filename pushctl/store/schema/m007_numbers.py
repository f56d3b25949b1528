"""
Numbers of rows are never given a second time (AUTOINCREMENT).

SQLite can't add that to a table. But rows are stored alike with and without it, so only the
text of the schema changes here: a rebuild would copy every row, take minutes, and need the
database's size several times over.
"""

import re

from sqlite_utils import Database

from pushctl.errors import ConfigError
from pushctl.store.schema.migrations import migrations, script

_HEAD = re.compile(r"(CREATE TABLE \w+ \(\s*id +INTEGER PRIMARY KEY)(?= *[,\n])")

# The highest number that was ever given: a row may be gone while something still names it.
_GIVEN = {
    "events": """
        SELECT max(id) FROM events
         UNION ALL SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'sweep.events'
         UNION ALL SELECT max(CAST(substr(occurrence, 7) AS INTEGER)) FROM enrolments
                    WHERE occurrence GLOB 'event:[0-9]*'
    """,
    "interactions": """
        SELECT max(id) FROM interactions
         UNION ALL SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'sweep.shown'
    """,
    "enrolments": """
        SELECT max(id) FROM enrolments
         UNION ALL SELECT max(enrolment_id) FROM deliveries
         UNION ALL SELECT max(enrolment_id) FROM decisions
    """,
    **{
        table: f"SELECT max(id) FROM {table}"  # noqa: S608
        for table in (
            "subscriptions", "deliveries", "subscription_changes", "decisions", "consents",
            "tags", "campaigns", "recurring", "runs", "sites",
        )
    },
}  # fmt: skip


@migrations()
def m007_numbers(db: Database) -> None:
    schema = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
    db.execute("PRAGMA writable_schema = ON")
    try:
        for table in _GIVEN:
            text, count = _HEAD.subn(r"\1 AUTOINCREMENT", schema[table])
            if count != 1:
                raise ConfigError(
                    f"the table {table} is not as pushctl made it, so it can't be upgraded. "
                    "Restore the database from a backup."
                )
            change = "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?"
            db.execute(change, [text, table])
        # The first such table makes sqlite_sequence; it is a change that every connection sees.
        script(
            db,
            """
            CREATE TABLE numbered (id INTEGER PRIMARY KEY AUTOINCREMENT);
            DROP TABLE numbered;
            """,
        )
    finally:
        db.execute("PRAGMA writable_schema = RESET")  # off, and the new text is read
    for table, given in _GIVEN.items():
        seed = f"""
            INSERT INTO sqlite_sequence (name, seq)
            SELECT :table, max(number) FROM (SELECT 0 AS number UNION ALL {given})
        """  # noqa: S608
        db.execute(seed, {"table": table})
