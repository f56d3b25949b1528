"""Answers of tables are kept, and never shown once anything that they came of has changed."""

import sqlite3
import zoneinfo
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pushctl.jobs.figures import answers, best_time, breakdowns, checking, reach
from pushctl.jobs.figures.answers import Sources
from pushctl.jobs.figures.filters import Filter
from pushctl.rules import timing
from pushctl.store import Store
from tests.jobs.figures.test_performance import ZONES, make

NAMES = {"messages by campaign", "messages by hour", "messages by site", "best time", "reach"}
ASKED = Filter(zone=timing.zone(ZONES["shop"]))


@pytest.fixture
def world(tmp_path: Path) -> Any:
    store, config = make(tmp_path, 4)
    yield store, config
    store.close()


def ask(world: Any) -> dict[str, Any]:
    """Return what all tables say whose answers are kept."""
    store, config = world
    return {
        **{
            f"messages by {by}": breakdowns.compare(store, config, ASKED, by)
            for by in ("campaign", "hour")
        },
        "messages by site": breakdowns.compare_sites(store, config, ASKED),
        "best time": best_time.find_best_time(store, config, ASKED),
        "reach": reach.load_reach(store, ASKED),
    }


def test_what_is_kept_says_the_same_and_is_not_counted_again(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = world
    counted = ask(world)
    assert set(answers.list_kept(store)) == {*NAMES, breakdowns.ACTIVE}
    # Were anything counted now, it would be by another version, and kept as that.
    before = answers.list_kept(store)
    assert ask(world) == counted
    assert answers.list_kept(store) == before
    store.kept_pages.drop("answers")
    assert ask(world) == counted


# A change, and a table that must notice it.
CHANGES = {
    "a click": ("UPDATE deliveries SET clicked_at = 1 WHERE sent_at", "messages by campaign"),
    "a time": ("UPDATE deliveries SET sent_at = sent_at + 9000000", "best time"),
    "a state": ("UPDATE deliveries SET status = 'rejected' WHERE id < 40", "reach"),
    "a clock": ("UPDATE subscriptions SET timezone = 'Asia/Tokyo'", "messages by hour"),
    "a site": ("UPDATE subscriptions SET site_id = 1", "messages by site"),
    "who is there": ("UPDATE subscriptions SET state = 'gone'", "messages by site"),
    "since when": ("UPDATE subscriptions SET subscribed_at = subscribed_at - 9e9", "reach"),
    "who is one person": (
        "UPDATE subscriptions SET alias = 'one', alias_trusted = 1", "messages by campaign"
    ),
    "a topic": ("UPDATE campaigns SET topic = 'other'", "messages by campaign"),
    "a refund": ("UPDATE orders SET refunded_minor = 1", "messages by campaign"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_after_a_change_it_is_counted_anew(world: Any, change: str) -> None:
    store, _ = world
    before = ask(world)
    sql, name = CHANGES[change]
    with store.write() as connection:
        connection.execute(sql)
    after = ask(world)
    assert after[name] != before[name]
    assert ask(world) == after
    store.kept_pages.drop()
    store.kept_columns.drop()
    assert ask(world) == after


def test_another_zone_of_a_site_is_another_answer(world: Any) -> None:
    store, config = world
    before = ask(world)
    sites = {
        name: replace(site, timezone="Pacific/Kiritimati")
        for name, site in config.sites.items()
    }
    other = replace(config, sites=sites)
    assert ask((store, other))["messages by hour"] != before["messages by hour"]


@pytest.mark.parametrize("has_system", [True, False])
def test_other_time_zones_are_other_answers(
    world: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, has_system: bool
) -> None:
    if not has_system:  # only the package's then
        monkeypatch.setattr("zoneinfo.TZPATH", ())
    answers._find_release.cache_clear()
    assert answers._find_release()
    ask(world)
    before = answers.list_kept(world[0])
    (tmp_path / "tzdata.zi").write_text("# version another\n")
    monkeypatch.setattr("zoneinfo.TZPATH", (str(tmp_path), *zoneinfo.TZPATH))
    answers._find_release.cache_clear()
    ask(world)
    after = answers.list_kept(world[0])
    answers._find_release.cache_clear()
    assert all(after[name][0] != stamp for name, (stamp, _) in before.items())


def test_what_changes_while_it_is_counted_is_not_kept(world: Any) -> None:
    store: Store = world[0]
    sources = Sources(store.message_rows.list_campaigns(), ("site",))

    def count() -> int:
        with store.write() as connection:
            connection.execute("UPDATE deliveries SET clicked_at = 1 WHERE id = 3")
        return 7

    assert answers.load(store, "seven", sources, count) == 7
    assert "seven" not in answers.list_kept(store)
    # Nor where somebody else writes.
    with closing(sqlite3.connect(store.path)) as other:
        answers.load(store, "eight", sources, lambda: 8)  # builds what is missing
        store.kept_pages.drop("answers")
        other.execute("BEGIN IMMEDIATE")
        assert answers.load(store, "eight", sources, lambda: 8) == 8
    assert answers.list_kept(store) == {}


def test_check_counts_answers_again(world: Any) -> None:
    store, config = world
    ask(world)
    kept = answers.list_kept(store)
    assert checking.check(store, config)[1] == []
    assert answers.list_kept(store) == kept
    sql = "UPDATE kept_pages SET data = ? WHERE source = 'answers' AND name = 'reach'"
    with store.write() as connection:
        connection.execute(sql, (b"[]",))
    (found,) = checking.check(store, config)[1]
    assert str(found).startswith("reach: cells that are right: ")
    assert checking.check(store, config)[1] == []
