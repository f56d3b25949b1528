"""What all nouns of the store have in common: statements of SQL, read or written."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

import orjson

from pushctl.states import Json

if TYPE_CHECKING:
    from pushctl.store import Store

Values = Sequence[Json] | Mapping[str, Json]

# SQLite before 3.32 takes 999 values in a statement.
_AT_ONCE = 900


class Noun:
    """The rows of one noun, as ``Store`` offers them. Keyword arguments are SQL's values."""

    def __init__(self, store: "Store") -> None:
        self._store = store

    def _read(self, sql: str, /, **values: Json) -> sqlite3.Cursor:
        return self._store.connection.execute(sql, values)

    def _read_value(self, sql: str, /, **values: Json) -> Json:
        """Return the first column of the first row, None where there is no row."""
        row = self._read(sql, **values).fetchone()
        return None if row is None else row[0]

    def _read_dicts(self, sql: str, /, **values: Json) -> Iterator[dict[str, Json]]:
        """Yield the rows by the names of their columns."""
        rows = self._read(sql, **values)
        names = [column[0] for column in rows.description]
        for row in rows:
            yield dict(zip(names, row, strict=True))

    def _write(self, sql: str, /, **values: Json) -> int:
        """Run one statement in ``Store.write``; return how many rows it changed."""
        with self._store.write() as connection:
            return connection.execute(sql, values).rowcount

    def _insert(self, sql: str, /, **values: Json) -> int:
        """Run an INSERT that returns the row's id, as ``_write``; return that id."""
        with self._store.write():
            return int(self._read_value(sql, **values))

    def _write_each(self, sql: str, rows: Iterable[Values]) -> int:
        """Run a statement for each of *rows*, as ``_write``; return the changes of all."""
        with self._store.write() as connection:
            return connection.executemany(sql, rows).rowcount

    def _insert_many(self, sql: str, rows: Iterable[Sequence[Json]]) -> None:
        """
        Insert *rows*, many by a statement; *sql* has ``VALUES {rows}`` for them.

        As ``_write_each``, where SQL's triggers follow. In a savepoint SQLite keeps each page
        that changes, and at the end of every statement with triggers walks through all of
        them: in a large database, where each row has pages of its own, 400 us.
        """
        waiting = iter(rows)
        with self._store.write() as connection:
            while first := next(waiting, None):
                some = [first, *islice(waiting, _AT_ONCE // len(first) - 1)]
                marks = f"({', '.join('?' * len(first))})"
                values = list(chain.from_iterable(some))
                connection.execute(sql.format(rows=", ".join([marks] * len(some))), values)


def as_json(values: Iterable[Json]) -> str:
    """Return *values* as a JSON list: SQL's ``json_each`` takes many values as one."""
    return orjson.dumps(list(values)).decode()
