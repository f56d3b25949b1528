"""A generated history is a sound project, and the same for the same seed."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.demo.history import planted
from pushctl.demo.history.generate import make
from pushctl.errors import UsageError
from pushctl.jobs.subscribers.person_lots import find_lots
from pushctl.rules.lots import lot
from pushctl.store import Store

UNTIL = datetime(2026, 11, 30, tzinfo=UTC)
SIZE = {
    "people": 400,
    "deliveries": 4_000,
    "events": 2_000,
    "orders": 200,
    "campaigns": 20,
    "days": 30,
}


def build(folder: Path, seed: int) -> sqlite3.Connection:
    make(folder, **SIZE, seed=seed, until=UNTIL)
    return sqlite3.connect(folder / "pushctl.db")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    connection = build(tmp_path_factory.mktemp("history") / "a", seed=3)
    yield connection
    connection.close()


def dump(connection: sqlite3.Connection) -> list[str]:
    """Return all rows; the project's own key differs each time."""
    (key,) = connection.execute("SELECT key_id FROM subscriptions LIMIT 1").fetchone()
    lines = connection.iterdump()
    return [one.replace(key, "KEY") for one in lines if "_sqlite_migrations" not in one]


def test_the_same_seed_makes_the_same_rows(made: sqlite3.Connection, tmp_path: Path) -> None:
    again = build(tmp_path / "b", seed=3)
    assert dump(again) == dump(made)
    again.close()


def test_it_is_a_sound_database_with_its_indexes(made: sqlite3.Connection) -> None:
    assert made.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert made.execute("PRAGMA foreign_key_check").fetchall() == []
    with Store(Path(made.execute("PRAGMA database_list").fetchone()[2])) as store:
        new = store.path.with_name("new.db")
    listed = "SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2"
    with Store(new, create=True) as empty:
        assert empty.connection.execute(listed).fetchall() == made.execute(listed).fetchall()


def test_nothing_happens_after_the_year_and_no_number_is_given_twice(
    made: sqlite3.Connection,
) -> None:
    end = UNTIL.timestamp() * 1000
    for table in ("events", "interactions", "orders", "subscription_changes"):
        last, rows = made.execute(f"SELECT max(at), max(id) FROM {table}").fetchone()
        given = "SELECT seq FROM sqlite_sequence WHERE name = ?"
        assert last < end
        assert made.execute(given, (table,)).fetchone() == (rows,)


def test_who_is_in_a_control_group_is_the_programs_own_choice(
    made: sqlite3.Connection,
) -> None:
    path = Path(made.execute("PRAGMA database_list").fetchone()[2])
    with Store(path) as store:
        rows = [row for (row,) in made.execute("SELECT id FROM subscriptions")]
        words = dict(zip(rows, find_lots(store, rows), strict=True))
    held = {row for row in rows if lot("holdout", "2026", words[row]) < planted.HOLDOUT}
    sql = (
        "SELECT subscription_id, d.cause, holdout_probability FROM deliveries AS d JOIN "
        "campaigns AS c ON c.id = d.campaign_id WHERE subscription_id NOT NULL "
        "AND c.is_test IS NULL"
    )
    for row, cause, chance in made.execute(sql):
        assert (cause == "holdout") == (row in held)
        assert chance is not None
    sql = "SELECT subscription_id, state FROM enrolments WHERE trigger = 'basket'"
    for row, state in made.execute(sql):
        out = lot("holdout", "basket", words[row]) < planted.BASKET_HOLDOUT
        assert (state == "holdout") == out


def test_reports_fit_their_messages(made: sqlite3.Connection) -> None:
    sql = """
        SELECT count(*) FROM interactions AS i JOIN deliveries AS d ON d.id = i.delivery_id
         WHERE d.status <> 'accepted' OR i.at < d.changed_at
    """
    assert made.execute(sql).fetchone() == (0,)
    gone = """
        SELECT count(*) FROM deliveries AS d JOIN subscriptions AS s ON s.id = d.subscription_id
         WHERE d.status = 'gone' AND s.state = 'active' AND NOT EXISTS
               (SELECT 1 FROM subscription_changes AS c
                 WHERE c.subscription_id = s.id AND c.kind = 'revived')
    """
    assert made.execute(gone).fetchone() == (0,)


def test_it_can_be_used_as_a_project(made: sqlite3.Connection) -> None:
    folder = Path(made.execute("PRAGMA database_list").fetchone()[2]).parent
    config = configs.load(folder / configs.FILE, {})
    assert [one.language for one in config.sites.values()] == ["en", "tr", "ar", "en"]
    assert set(config.triggers) == {"welcome", "basket", "win_back"}


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        build(tmp_path, seed=1)


def test_age_takes_half_of_what_it_takes_in_ninety_days() -> None:
    assert planted.find_age_factor(0) == 1.0
    assert planted.find_age_factor(planted.AGE_HALF) == pytest.approx(
        (1 + planted.AGE_FLOOR) / 2
    )
