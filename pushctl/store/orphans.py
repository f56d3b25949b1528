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
from typing import NamedTuple

_PAGE_BITS = 16  # of a number that its page of bits does not have
_PAGE_MASK = (1 << _PAGE_BITS) - 1
_PAGE_BYTES = 1 << _PAGE_BITS - 3
_BATCH = 50_000  # rows that are read at a time
_BITS = [1 << place for place in range(8)]

_Rows = list[tuple[int]]


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
    numbers, whose = _Numbers(), ""
    for key in keys:
        values = _read_values(connection, key)
        if (first := next(values, None)) is None:
            continue
        if key.parent != whose:
            numbers, whose = _Numbers(), key.parent
            for rows in _read(connection, f"SELECT {_quote(key.parent_column)}", key.parent):
                numbers.add(rows)
        try:
            if not (numbers.have(first) and all(map(numbers.have, values))):
                return False
        except TypeError:  # no number
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


def _read_values(connection: sqlite3.Connection, key: _Key) -> Iterator[_Rows]:
    """Yield the values of *key*: each once, where that needs no sorting."""
    column = _quote(key.column)
    select = f"SELECT {'DISTINCT ' if key.is_ordered else ''}{column}"
    return _read(connection, select, key.table, f" WHERE {column} IS NOT NULL")


def _read(
    connection: sqlite3.Connection, select: str, table: str, where: str = ""
) -> Iterator[_Rows]:
    found = connection.execute(f"{select} FROM {_quote(table)}{where}")
    while rows := found.fetchmany(_BATCH):
        yield rows


def _quote(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


class _Numbers:
    """A set of whole numbers, a bit each, by pages: after a restore they have large gaps."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def add(self, rows: _Rows) -> None:
        pages = self._pages
        for (number,) in rows:
            page = pages.get(number >> _PAGE_BITS)
            if page is None:
                page = pages[number >> _PAGE_BITS] = bytearray(_PAGE_BYTES)
            page[(number & _PAGE_MASK) >> 3] |= _BITS[number & 7]

    def have(self, rows: _Rows) -> bool:
        """Return whether all of *rows* are there."""
        find, none = self._pages.get, bytes(_PAGE_BYTES)
        return all(
            find(number >> _PAGE_BITS, none)[(number & _PAGE_MASK) >> 3] & _BITS[number & 7]
            for (number,) in rows
        )
