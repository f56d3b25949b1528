"""
Rows by the million into a new database: for generated histories, never for people's data.

Nothing here is safe against a crash, and no constraint between tables is checked.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pushctl.store import Store

# An index of unordered columns costs more than its table while rows come in.
_SETTINGS = """
    PRAGMA foreign_keys = OFF;
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA secure_delete = OFF;
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA temp_store = FILE;
    PRAGMA cache_size = -131072;
"""


@contextmanager
def fill(store: Store) -> Iterator[None]:
    """
    Write fast in this block; indexes and triggers of the database are made again at its end.

    An error leaves a database that is of no use. Close the store afterwards.
    """
    connection = store.connection
    made = connection.execute(
        "SELECT type, name, sql FROM sqlite_master "
        "WHERE sql IS NOT NULL AND type IN ('index', 'trigger') AND name NOT GLOB 'sqlite_*'"
    ).fetchall()
    made = [one for one in made if not one[1].startswith("idx__")]
    for kind, name, _ in made:
        connection.execute(f'DROP {kind} "{name}"')
    connection.executescript(_SETTINGS)
    connection.execute("BEGIN")
    yield
    for _, _, sql in made:
        connection.execute(sql)
    connection.execute("COMMIT")
    connection.execute("PRAGMA locking_mode = NORMAL")
    connection.execute("PRAGMA journal_mode = WAL")


def insert(
    store: Store, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert *rows* of *columns*; a column that the table does not have is refused."""
    marks = ", ".join("?" * len(columns))
    sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
    store.connection.executemany(sql, rows)


def list_columns(store: Store, table: str) -> set[str]:
    """Return the names of a table's columns."""
    rows = store.connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return {name for (name,) in rows}
