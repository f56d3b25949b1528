"""Rows that point to nothing: found as SQLite finds them, in few reads."""

import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pushctl.store import KNOWN_MIGRATIONS, Store, orphans
from tests.support import schemas
from tests.support.database import create

FAR = 1_000_000_000  # as numbers after a restore


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with rows of many kinds."""
    return schemas.make(tmp_path_factory.mktemp("orphans") / "full.db", len(KNOWN_MIGRATIONS))


@pytest.fixture
def connection(full: Path) -> Iterator[sqlite3.Connection]:
    """A copy of it in memory, whose rows may point to nothing."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        with closing(sqlite3.connect(full)) as database:
            database.backup(made)
        triggers = made.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            made.execute(f"DROP TRIGGER {name}")
        yield made


def list_keys(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Return (table, column, parent) of each foreign key whose table has a row."""
    sql = """
        SELECT t.name, k."from", k."table"
          FROM sqlite_master AS t JOIN pragma_foreign_key_list(t.name) AS k
    """
    return [
        key
        for key in connection.execute(sql).fetchall()
        if connection.execute(f"SELECT {key[1]} FROM {key[0]} LIMIT 1").fetchone()
    ]


def ask_sqlite(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return [row[:3] for row in connection.execute("PRAGMA foreign_key_check")]


def test_a_sound_database_has_none(connection: sqlite3.Connection) -> None:
    assert len(list_keys(connection)) > 15
    assert orphans.find(connection, 10) == ask_sqlite(connection) == []


@pytest.mark.parametrize("number", [FAR, 0, -5])
def test_each_key_that_points_to_nothing_is_found(
    connection: sqlite3.Connection, number: int
) -> None:
    for table, column, parent in list_keys(connection):
        connection.execute("BEGIN")
        connection.execute(f"UPDATE OR IGNORE {table} SET {column} = {number}")
        found = orphans.find(connection, 1_000)
        assert found == ask_sqlite(connection)
        assert (table, parent) in {(one.table, one.parent) for one in found}
        connection.execute("ROLLBACK")


def test_what_points_to_a_number_after_a_gap_is_no_orphan(
    connection: sqlite3.Connection,
) -> None:
    connection.execute(f"UPDATE campaigns SET id = id + {FAR}")
    for table, column, parent in list_keys(connection):
        if parent == "campaigns":
            connection.execute(f"UPDATE {table} SET {column} = {column} + {FAR}")
    assert ask_sqlite(connection) == [
        ("kept_columns", row, "kept_campaigns")
        for (row,) in connection.execute("SELECT rowid FROM kept_columns")
    ]
    connection.execute("DELETE FROM kept_columns")
    assert not orphans.find(connection, 10)


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE TABLE a (id TEXT PRIMARY KEY); CREATE TABLE b (a REFERENCES a)",
        "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a REFERENCES a)",
        "CREATE TABLE a (x, y, PRIMARY KEY (x, y));"
        "CREATE TABLE b (a, z, FOREIGN KEY (a, z) REFERENCES a)",
        'CREATE TABLE "a""; --" (id INTEGER PRIMARY KEY);'
        'CREATE TABLE b (a REFERENCES "a""; --")',
    ],
)
def test_another_programs_keys_are_left_to_sqlite(schema: str) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(schema)
        assert orphans.find(database, 10) == []
        database.execute("INSERT INTO b (a) VALUES ('nowhere')")
        assert orphans.find(database, 10) == ask_sqlite(database)


def test_numbers_far_from_each_other_are_left_to_sqlite() -> None:
    """A page of bits for each of them would fill the memory: a backup may be anybody's."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(
            """
            CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a REFERENCES a);
            WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 70000)
            INSERT INTO a SELECT i << 40 FROM n; INSERT INTO b SELECT id FROM a;
            """
        )
        tracemalloc.start()
        assert orphans.find(database, 10) == []
        assert tracemalloc.get_traced_memory()[1] < 200_000_000
        tracemalloc.stop()


def test_the_check_names_the_row(tmp_path: Path) -> None:
    path = tmp_path / "pushctl.db"
    with create(path):
        pass
    with closing(sqlite3.connect(path)) as database:
        database.execute("INSERT INTO tags (id, name, folded) VALUES (1, 'a', 'a')")
        database.execute(
            "INSERT INTO subscription_tags (tag_id, subscription_id, set_at) VALUES (1, 7, 1)"
        )
        database.commit()
    with Store(path) as store:
        (said,) = store.soundness.find_damage()
    assert said == "row None of subscription_tags points to a subscriptions that is gone"
