"""Upgrades: as a new database, old or new after a kill, and room is looked at first."""

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlite_utils.migrations
from sqlite_utils import Database

from pushctl.errors import ConfigError
from pushctl.store import KNOWN_MIGRATIONS, Store, upgrade
from pushctl.store.migrated import is_due
from pushctl.store.schema import m007_numbers, m038_times, migrations
from tests.support import database, killed, older

# What follows the commit is the end of Store: it closes the database.
TRACED = killed.files_of(
    upgrade, m007_numbers, sqlite_utils.migrations, sys.modules[Store.__module__]
)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "old").mkdir()
    yield older.make(tmp_path / "old" / "pushctl.db", more=500)


def open_and_close(path: Path) -> None:
    Store(path).close()


def test_an_upgraded_database_is_like_a_new_one_and_keeps_its_rows(
    old: Path, tmp_path: Path
) -> None:
    before = older.read_rows(old)
    open_and_close(old)
    database.create(tmp_path / "new.db").close()
    assert older.read_schema(old) == older.read_schema(tmp_path / "new.db")
    assert older.read_rows(old) == before
    assert older.read_state(old) == "new"
    copy = old.with_name("pushctl.db.before-007")
    assert (older.read_state(copy), older.read_rows(copy)) == ("old", before)
    assert copy.stat().st_mode & 0o777 == 0o600


def test_numbers_go_on_behind_all_that_were_ever_given(tmp_path: Path) -> None:
    """Also behind those whose rows are gone: a cursor or a message still names them."""
    path = older.make(tmp_path / "pushctl.db")
    with Store(path) as store:
        given = dict(store.connection.execute("SELECT name, seq FROM sqlite_sequence"))
    assert {name: given[name] for name in older.GIVEN} == older.GIVEN


def test_a_connection_from_before_the_upgrade_gives_new_numbers_too(tmp_path: Path) -> None:
    path = older.make(tmp_path / "pushctl.db")
    with closing(sqlite3.connect(path)) as earlier:
        insert = """
            INSERT INTO events (subscription_id, name, at, received_at, dedupe_key)
            VALUES (1, 'x', 1, 1, ?) RETURNING id
        """
        assert earlier.execute(insert, ["a"]).fetchall() == [(13,)]
        earlier.rollback()
        open_and_close(path)
        assert earlier.execute(insert, ["a"]).fetchall() == [(61,)]


def test_a_kill_at_any_line_leaves_the_old_database_or_the_new_one(
    old: Path, tmp_path: Path
) -> None:
    """`tests/faults/kill_upgrade.py --kills 200` is the long form, with kills at any time."""
    path, before = killed.copy_database(old, tmp_path / "whole" / "a.db"), older.read_rows(old)
    points = killed.find_points(lambda: open_and_close(path), TRACED, [path.parent])
    seen = []
    for at in points.first:
        path = killed.copy_database(old, tmp_path / f"{at}" / "pushctl.db")
        assert killed.run(lambda path=path: open_and_close(path), at, TRACED)  # type: ignore[misc]
        seen.append(older.read_state(path))
        assert older.read_rows(path) == before
        open_and_close(path)
        assert older.read_state(path) == "new"
        assert list(path.parent.glob("*.new*")) == []
    assert set(seen) == {"old", "new"}
    assert points.lines > 1_000


def test_a_kill_while_times_are_written_leaves_none_or_all(tmp_path: Path) -> None:
    """m038 writes all messages anew: killed in between, the next start does it as a whole."""
    (tmp_path / "old").mkdir()
    old = older.make(tmp_path / "old" / "pushctl.db")
    with closing(Database(old)) as earlier:
        migrations.apply(earlier, stop_before="m038_times")
    statements = sys.modules["pushctl.store.schema.migrations"]  # which runs them one by one
    traced = killed.files_of(m038_times, statements)
    whole = killed.copy_database(old, tmp_path / "whole" / "a.db")
    points = killed.find_points(lambda: open_and_close(whole), traced, [whole.parent])
    seen = set()
    for at in points.first:
        path = killed.copy_database(old, tmp_path / f"{at}" / "pushctl.db")
        assert killed.run(lambda path=path: open_and_close(path), at, traced)  # type: ignore[misc]
        with closing(sqlite3.connect(path)) as killed_one:
            columns = {row[1] for row in killed_one.execute("PRAGMA table_info(deliveries)")}
            sql = "SELECT 1 FROM _sqlite_migrations WHERE name = 'm038_times'"
            noted = killed_one.execute(sql).fetchone() is not None
        assert ("sent_at" in columns) == noted
        seen.add(noted)
        open_and_close(path)
        with closing(sqlite3.connect(path)) as upgraded:
            sql = "SELECT id, sent_at, shown_at FROM deliveries ORDER BY id"
            assert upgraded.execute(sql).fetchall() == [(40, 1, 1), (41, 1, None)]
        assert older.read_schema(path) == older.read_schema(whole)
    assert False in seen


def test_too_little_room_is_said_before_anything_is_written(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = old.stat().st_size
    before = old.read_bytes()
    real = os.statvfs(old.parent)
    free = (size + 40_000_000) // real.f_frsize

    def statvfs(_: object) -> os.statvfs_result:
        return os.statvfs_result((*real[:4], free, *real[5:]))

    monkeypatch.setattr(os, "statvfs", statvfs)
    with pytest.raises(
        ConfigError, match=rf"needs 65 MB free in {old.parent}.*25 MB are missing"
    ):
        Store(old)
    assert old.read_bytes() == before
    assert {file.name for file in old.parent.iterdir()} <= {
        "pushctl.db", "pushctl.db.lock", "pushctl.db-wal", "pushctl.db-shm",
    }  # fmt: skip
    monkeypatch.undo()
    open_and_close(old)
    assert older.read_state(old) == "new"


def test_an_upgrade_that_writes_all_rows_anew_needs_the_room_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pushctl.db"
    with closing(Database(path)) as ancient:
        migrations.apply(ancient, stop_before="m006_causes")
        ancient.execute("INSERT INTO meta VALUES ('much', ?)", ["x" * 30_000_000])
    real = os.statvfs(tmp_path)
    monkeypatch.setattr(
        os,
        "statvfs",
        lambda _: os.statvfs_result((*real[:4], 100_000_000 // real.f_frsize, *real[5:])),
    )
    with pytest.raises(ConfigError, match="needs 125 MB free"):
        Store(path)


def test_a_folder_that_takes_no_copy_is_named(tmp_path: Path) -> None:
    path = older.make(tmp_path / "pushctl.db")
    (tmp_path / "pushctl.db.before-007").mkdir()
    with pytest.raises(ConfigError, match=r"before-007 can't be written: Is a directory"):
        Store(path)
    assert older.read_state(path) == "old"


def test_who_comes_second_makes_no_second_copy(old: Path) -> None:
    """Both have seen that an upgrade is due; the second has waited for the lock."""
    with closing(sqlite3.connect(old, isolation_level=None)) as second:
        assert is_due(second, old, KNOWN_MIGRATIONS)
        open_and_close(old)
        upgrade.run(second, old, KNOWN_MIGRATIONS)
    copies = [file.name for file in old.parent.glob("*.before-*")]
    assert copies == ["pushctl.db.before-007"]
