"""Every schema upgrades to the newest, with its rows; killed, it is an old one or new."""

import random
from pathlib import Path

import pytest

from pushctl.store import KNOWN_MIGRATIONS, Store
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
def test_a_kill_leaves_one_of_the_schemas_and_all_rows(tmp_path: Path, seed: int) -> None:
    """`-m tests.faults.kill_schemas --kills 200` is the long form."""
    chance = random.Random(seed)
    count = chance.randrange(schemas.FIRST, ALL)
    path = schemas.make(tmp_path / "pushctl.db", count)
    found = kill_schemas.kill_once(path, count, chance, at_line=True)
    assert not found["lost"]
