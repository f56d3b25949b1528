"""Every schema upgrades to the newest, with its rows; killed, it is the old one or new."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pushctl.store import KNOWN_MIGRATIONS, Store, upgrade
from tests.faults import kill_schemas
from tests.support import database, older, schemas

ALL = len(KNOWN_MIGRATIONS)


@pytest.fixture(scope="module")
def newest(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, ...]]:
    path = tmp_path_factory.mktemp("newest") / "pushctl.db"
    database.create(path).close()
    return older.read_schema(path)


@pytest.mark.parametrize(
    "count", range(schemas.FIRST, ALL), ids=lambda it: KNOWN_MIGRATIONS[it]
)
def test_a_schema_upgrades_with_its_rows(
    tmp_path: Path, newest: list[tuple[str, ...]], count: int
) -> None:
    path = schemas.make(tmp_path / "pushctl.db", count)
    before = schemas.read(path)
    assert schemas.count_applied(path) == count
    Store(path).close()
    assert schemas.count_applied(path) == ALL
    assert schemas.find_lost(before, schemas.read(path)) == []
    assert older.read_schema(path) == newest
    (copy,) = tmp_path.glob("*.before-*")
    assert schemas.read(copy) == before, "the copy is what was there"


def test_most_tables_have_a_row_to_lose(tmp_path: Path) -> None:
    found = schemas.read(schemas.make(tmp_path / "pushctl.db", ALL))
    empty = [name for name, table in found.items() if not table.rows]
    assert len(empty) < len(found) / 4, empty


@pytest.mark.parametrize("seed", range(6))
def test_a_kill_leaves_the_old_schema_or_the_newest_and_all_rows(
    tmp_path: Path, seed: int
) -> None:
    """`-m tests.faults.kill_schemas --kills 200` is the long form."""
    chance = random.Random(seed)
    count = chance.randrange(schemas.FIRST, ALL)
    path = schemas.make(tmp_path / "pushctl.db", count)
    found = kill_schemas.kill_once(path, count, chance, at_line=True)
    assert not found["lost"] and not found["between"]


def test_a_full_disk_anywhere_leaves_the_old_schema(tmp_path: Path) -> None:
    """SQLite itself reports it: the database may not grow beyond so many pages."""
    path = schemas.make(tmp_path / "pushctl.db", schemas.FIRST)
    before, told = schemas.read(path), 0
    for more in (*range(0, 200, 8), 10_000):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages + more}")
            try:
                upgrade.run(connection, path, KNOWN_MIGRATIONS)
            except sqlite3.OperationalError as error:
                assert "full" in str(error)
                assert not connection.in_transaction
                assert schemas.count_applied(path) == schemas.FIRST
                assert schemas.find_lost(before, schemas.read(path)) == []
                told += 1
            else:
                break
    assert told >= 3
    assert schemas.count_applied(path) == ALL
    assert schemas.find_lost(before, schemas.read(path)) == []


def test_a_reader_sees_the_old_schema_until_the_newest_is_whole(tmp_path: Path) -> None:
    path = schemas.make(tmp_path / "pushctl.db", schemas.FIRST)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("PRAGMA journal_mode = WAL")
        reader.execute("BEGIN")
        seen = reader.execute("SELECT name FROM _sqlite_migrations ORDER BY id").fetchall()
        people = reader.execute("SELECT * FROM subscriptions").fetchall()
        assert len(seen) == schemas.FIRST
        Store(path).close()
        assert reader.execute("SELECT * FROM subscriptions").fetchall() == people
        assert schemas.count_applied(path) == ALL
        reader.execute("COMMIT")
        seen = reader.execute("SELECT name FROM _sqlite_migrations").fetchall()
        assert len(seen) == ALL
