"""
A column's permitted words are compared one by one.

SQLite makes a table of a list of three words or more, anew for each row that is checked: a
quarter of what claiming a message or writing its outcome costs. Rows are stored alike, so
only the text of the schema changes, as in m007.
"""

import re

from sqlite_utils import Database

from pushctl.store.schema.migrations import migrations, script

_WORD = r"'[^']*'"
LIST = re.compile(rf"(\w+)\s+IN\s+\(\s*({_WORD}(?:\s*,\s*{_WORD}){{2,}})\s*\)")


@migrations()
def m055_checks(db: Database) -> None:
    sql = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql LIKE '%CHECK%'"
    tables = db.execute(sql).fetchall()
    db.execute("PRAGMA writable_schema = ON")
    try:
        for table, text in tables:
            change = "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?"
            db.execute(change, [LIST.sub(_compare, text), table])
        # A change that every connection sees: each reads the schema anew.
        script(
            db,
            """
            CREATE TABLE checked (id INTEGER PRIMARY KEY);
            DROP TABLE checked;
            """,
        )
    finally:
        db.execute("PRAGMA writable_schema = RESET")  # off, and the new text is read


def _compare(found: re.Match[str]) -> str:
    column, words = found[1], re.findall(_WORD, found[2])
    return "(" + " OR ".join(f"{column} = {word}" for word in words) + ")"
