"""Databases as each earlier schema wrote them, with rows in every table that it had."""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from sqlite_utils import Database

from pushctl.store import KNOWN_MIGRATIONS
from pushctl.store.schema import migrations
from tests.support import older

# From here on rows have what `older` fills in; before it there was no release to upgrade from.
FIRST = KNOWN_MIGRATIONS.index("m007_numbers")
# What is computed from other rows, and is built anew where it is missing.
_DERIVED = ("kept_", "attribution", "_sqlite_migrations", "sqlite_sequence")


def make(path: Path, count: int) -> Path:
    """Make a database with the first *count* migrations at *path*, rows of all kinds in it."""
    older.make(path)
    with closing(Database(path)) as database:
        if count < len(KNOWN_MIGRATIONS):
            migrations.apply(database, stop_before=KNOWN_MIGRATIONS[count])
        else:
            migrations.apply(database)
        for table in database.table_names():
            if not table.startswith(_DERIVED) and not database[table].count:
                fill(database, table)
    path.chmod(0o600)
    return path


def fill(database: Database, table: str) -> None:
    """Add a row to *table* where its rules allow plain values; else leave it empty."""
    about = database.execute(f"PRAGMA table_info({table})").fetchall()
    keys = {row[3]: row[2] for row in database.execute(f"PRAGMA foreign_key_list({table})")}
    names, values = [], []
    for _, name, kind, required, default, _ in about:
        if not required or default is not None:
            continue
        names.append(name)
        if name in keys:
            key = database[keys[name]].pks[0]
            sql = f"SELECT min({key}) FROM {keys[name]}"
            values.append(database.execute(sql).fetchone()[0])
        else:
            values.append({"INTEGER": 1, "TEXT": "{}", "BLOB": bytes(16), "REAL": 0.5}[kind])
    marks = ", ".join("?" * len(names))
    sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
    try:
        with database.atomic():
            database.execute(sql if names else f"INSERT INTO {table} DEFAULT VALUES", values)
    except sqlite3.IntegrityError:
        return  # one of a list of words, or a rule over several columns


class Table(NamedTuple):
    """A table's columns and rows."""

    columns: tuple[str, ...]
    rows: list[tuple[object, ...]]


def read(path: Path) -> dict[str, Table]:
    """Return all rows but what is computed from them."""
    with closing(sqlite3.connect(path)) as database:
        found = {}
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            if not name.startswith(_DERIVED):
                rows = database.execute(f"SELECT * FROM {name}")
                columns = tuple(one[0] for one in rows.description)
                found[name] = Table(columns, rows.fetchall())
        return found


def find_lost(before: Mapping[str, Table], after: Mapping[str, Table]) -> list[str]:
    """Return the tables whose rows differ, in the columns that both have."""
    lost = []
    for name, table in before.items():
        if name not in after:
            lost.append(f"{name} is gone")
            continue
        both = [column for column in table.columns if column in after[name].columns]
        if _take(table, both) != _take(after[name], both):
            lost.append(f"{name}: {table.rows[:2]} became {after[name].rows[:2]}")
    return lost


def _take(table: Table, columns: Sequence[str]) -> Counter[tuple[object, ...]]:
    places = [table.columns.index(column) for column in columns]
    return Counter(tuple(row[place] for place in places) for row in table.rows)


def count_applied(path: Path) -> int:
    """Return how many migrations a database has; AssertionError where it is damaged."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        sql = "SELECT name FROM _sqlite_migrations ORDER BY rowid"
        names = [name for (name,) in database.execute(sql)]
    assert names == list(KNOWN_MIGRATIONS[: len(names)])
    return len(names)
