"""
Rows that point to a row that is gone, of whole tables of millions.

SQLite's own ``foreign_key_check`` looks each of them up in the order of the table that points:
of ten million people that reads a page of the subscriptions for nearly every tag. Here numbers
are read once, from the smallest index that has them, and noted in a bit each. SQLite's own
check names the rows where something is missing, and does all of it in a file whose keys are
not as ours: whole numbers that point to a primary key.
"""

import sqlite3
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import NamedTuple

from pushctl.rules.compact_numbers import NumberSet

_BATCH = 50_000  # rows that are read at a time
_PAGES = 1 << 16  # of numbers: 128 MB, for a billion of them; another's may be anywhere


class Orphan(NamedTuple):
    table: str
    row: int | None  # its number; None: its table has none
    parent: str


class _Key(NamedTuple):
    """A column that points to a row of another table, or of its own."""

    parent: str
    parent_column: str  # empty: it is no whole number that is a primary key
    table: str
    column: str
    is_ordered: bool  # an index has its values in order


def find(connection: sqlite3.Connection, limit: int) -> list[Orphan]:
    """
    Return up to *limit* rows whose foreign key points to nothing.

    The caller holds one transaction: rows that come meanwhile would point to nothing.
    """
    if _is_sound(connection):
        return []
    rows = connection.execute("PRAGMA foreign_key_check").fetchmany(limit)
    return [Orphan(*row[:3]) for row in rows]


def _is_sound(connection: sqlite3.Connection) -> bool:
    """Return whether it is sure that no row is an orphan."""
    keys = _list_keys(connection)
    if not all(key.parent_column for key in keys):
        return False
    numbers, whose = NumberSet(), ""
    try:
        for key in keys:
            values = _read_values(connection, key)
            if (first := next(values, None)) is None:
                continue
            if key.parent != whose:
                numbers, whose = NumberSet(_PAGES), key.parent
                rows = _read(connection, f"SELECT {_quote(key.parent_column)}", key.parent)
                numbers.add(rows)
            if not numbers.has_all(chain([first], values)):
                return False
    except (TypeError, OverflowError):  # no number, or numbers far from each other
        return False
    return True


def _list_keys(connection: sqlite3.Connection) -> list[_Key]:
    sql = """
        SELECT k."table", coalesce((SELECT p.name FROM pragma_table_info(k."table") AS p
                                     WHERE p.pk = 1 AND p.type = 'INTEGER'
                                       AND p.name = coalesce(k."to", p.name)), ''),
               t.name, k."from",
               EXISTS (SELECT 1 FROM pragma_index_list(t.name) AS i
                         JOIN pragma_index_info(i.name) AS c
                        WHERE NOT i.partial AND c.seqno = 0 AND c.name = k."from")
          FROM sqlite_master AS t JOIN pragma_foreign_key_list(t.name) AS k
         WHERE t.type = 'table' ORDER BY 1, 3, 4
    """
    return [_Key._make(row) for row in connection.execute(sql)]


def _read_values(connection: sqlite3.Connection, key: _Key) -> Iterator[int]:
    """Yield the values of *key*: each once, where that needs no sorting."""
    column = _quote(key.column)
    select = f"SELECT {'DISTINCT ' if key.is_ordered else ''}{column}"
    return _read(connection, select, key.table, f" WHERE {column} IS NOT NULL")


def _read(
    connection: sqlite3.Connection, select: str, table: str, where: str = ""
) -> Iterator[int]:
    found = connection.execute(f"{select} FROM {_quote(table)}{where}")
    batches = iter(partial(found.fetchmany, _BATCH), [])
    # All of it in C: ten million rows.
    return chain.from_iterable(chain.from_iterable(batches))


def _quote(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
