"""Answers of tables are kept, and never shown once anything that they came of has changed."""

import sqlite3
import zoneinfo
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from pushctl.jobs.figures import kept_answers
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.kept_answers import Sources
from pushctl.jobs.figures.recount import check_kept
from pushctl.jobs.figures.send_times import best_time
from pushctl.jobs.figures.tables import ab, breakdowns, leaving, penalties, reach
from pushctl.rules import timing
from pushctl.rules.figures.tables.leaving import USUAL
from pushctl.rules.messages.arms import Arm, Differ
from pushctl.store import Store
from tests.jobs.figures.breakdown.test_group_counts import ZONES, make
from tests.support.sales import DAY, START

NAMES = {
    "messages by campaign", "messages by hour", "messages by site", "best time", "reach",
    "leaving", "penalties", "tests",
}  # fmt: skip
ASKED = Filter(zone=timing.zone(ZONES["shop"]))
QUARTER = 900_000
SINCE, NOW = START + 5 * DAY, START + 80 * DAY + QUARTER // 2


@pytest.fixture
def world(tmp_path: Path) -> Any:
    store, config = make(tmp_path, 4)
    with store.write() as connection:
        # Every third person left a day after one of their messages, some for good.
        connection.execute("""
            INSERT INTO subscription_changes (subscription_id, kind, at)
            SELECT subscription_id, iif(subscription_id % 2, 'unsubscribed', 'gone'),
                   max(sent_at) + 86400000
              FROM deliveries WHERE sent_at AND subscription_id % 3 = 0 GROUP BY 1
        """)
        connection.execute("""
            UPDATE subscriptions SET state = 'unsubscribed'
             WHERE id IN (SELECT subscription_id FROM subscription_changes WHERE id % 4)
        """)
        # Everybody gets five more in the last month.
        connection.execute(
            "INSERT INTO deliveries (campaign_id, subscription_id, enrolment_id, status, "
            "sent_at, changed_at, language) "
            "SELECT 2, subscriptions.id, 800 + value, 'accepted', ? - value * 86400000, 1, "
            "'en' FROM subscriptions, json_each('[2, 4, 6, 8, 10]')",
            [NOW],
        )
        connection.execute("UPDATE campaigns SET created_at = ?", [NOW - 50 * DAY])
        titles = (
            """json_object('en.toml', 'title = "New lamps"', 'tr.toml', 'title = "Yeni"')"""
        )
        connection.execute(f"UPDATE campaigns SET sources = {titles}")
    arms = [Arm("a", 0.5), Arm("b", 0.5)]
    for name, campaign in (("one", 2), ("two", 3)):
        store.experiments.add(
            name=name, arms=arms, differ=Differ.TEXT, rule="fixed", seed="s", now=NOW,
            campaign=campaign,
        )  # fmt: skip
    with store.write() as connection:
        connection.execute(
            "UPDATE deliveries SET variant_probability = 0.5, "
            "variant = iif(subscription_id % 2, 'a', 'b') WHERE campaign_id IN (2, 3)"
        )
    yield store, config
    store.close()


def ask_leaving(world: Any, now: int = NOW) -> Any:
    asked = replace(ASKED, since=now - NOW + SINCE, now=now)
    return leaving.load(*world, asked, USUAL)


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
        "leaving": ask_leaving(world),
        "penalties": penalties.load(store, replace(ASKED, now=NOW)),
        "tests": ab.list_arms(store, config, ASKED),
    }


def test_what_is_kept_says_the_same_and_is_not_counted_again(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = world
    counted = ask(world)
    assert set(kept_answers.list_kept(store)) == {*NAMES, breakdowns.ACTIVE}
    # Were anything counted now, it would be by another version, and kept as that.
    before = kept_answers.list_kept(store)
    assert ask(world) == counted
    assert kept_answers.list_kept(store) == before
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
    "a loss": (
        "INSERT INTO subscription_changes (subscription_id, kind, at) "
        f"SELECT id, 'unsubscribed', {NOW - DAY} FROM subscriptions WHERE state = 'active'",
        "leaving",
    ),
    "when it was": ("UPDATE subscription_changes SET at = at - 864000000", "leaving"),
    "what it was": ("UPDATE subscription_changes SET kind = 'quarantined'", "leaving"),
    "whose it was": (
        "UPDATE subscription_changes SET subscription_id = "
        "(SELECT id FROM subscriptions WHERE id % 3 = 1 LIMIT 1)",
        "leaving",
    ),
    "why it was": ("UPDATE subscription_changes SET cause = 'key_lost'", "leaving"),
    "a loss that is forgotten": ("DELETE FROM subscription_changes", "leaving"),
    "who left": ("UPDATE subscriptions SET state = 'gone'", "leaving"),
    "since when somebody was here": (
        f"UPDATE subscriptions SET subscribed_at = {SINCE + 40 * DAY}", "leaving"
    ),
    "whose device": (
        "UPDATE subscriptions SET alias = 'one', alias_trusted = 1 WHERE id < 8", "leaving"
    ),
    "a browser": ("UPDATE subscriptions SET browser = 'Opera'", "leaving"),
    "a receiver's clock": ("UPDATE subscriptions SET timezone = 'Asia/Tokyo'", "leaving"),
    "when a message left": ("UPDATE deliveries SET sent_at = sent_at - 43200000", "leaving"),
    "what became of it": ("UPDATE deliveries SET status = 'gone' WHERE id % 2", "leaving"),
    "a language": ("UPDATE deliveries SET language = 'fr'", "leaving"),
    "whose a message is": ("UPDATE deliveries SET subscription_id = NULL", "leaving"),
    "a message": (
        "INSERT INTO deliveries (campaign_id, subscription_id, enrolment_id, status, sent_at, "
        f"changed_at) SELECT 1, id, 900, 'accepted', {NOW - 3 * DAY}, 1 FROM subscriptions",
        "leaving",
    ),
    "a message that is forgotten": ("DELETE FROM deliveries WHERE id % 2", "leaving"),
    "a title": (
        """UPDATE campaigns SET sources = json_object('en.toml', 'title = "New?"')""", "leaving"
    ),
    "who is known": ("DELETE FROM subscriptions WHERE id % 2", "leaving"),
    "somebody's site": (
        "UPDATE subscriptions SET timezone = NULL, site_id = 3 - site_id", "leaving"
    ),
    "a click on one": ("UPDATE deliveries SET clicked_at = 1, shown_at = 1", "penalties"),
    "what was shown": ("UPDATE deliveries SET shown_at = 1", "penalties"),
    "a browser near to it": (
        "UPDATE subscriptions SET browser = 'Safari' WHERE id % 3", "penalties"
    ),
    "who is near to it": ("UPDATE subscriptions SET state = 'gone'", "penalties"),
    "a message near to it": (
        f"UPDATE deliveries SET sent_at = {NOW - 40 * DAY} WHERE enrolment_id > 803",
        "penalties",
    ),
    "one closed by hand": (
        "INSERT INTO interactions (delivery_id, kind, at, dedupe_key) "
        f"SELECT id, 'closed', {NOW}, 'x' || id FROM deliveries WHERE enrolment_id > 800",
        "penalties",
    ),
    "a person of a test": (
        "UPDATE subscriptions SET alias = 'one', alias_trusted = 1 WHERE id < 8", "tests"
    ),
    "an address of a test": (
        "UPDATE subscriptions SET email_hash = x'0102' WHERE id < 8", "tests"
    ),
    "who left after it": (
        f"UPDATE subscriptions SET state = 'gone', state_at = {NOW} WHERE id % 2", "tests"
    ),
    "when they left": ("UPDATE subscriptions SET state_at = 9e12", "tests"),
    "a text": ("UPDATE deliveries SET variant = 'a' WHERE id % 3", "tests"),
    "who is compared": (
        "UPDATE deliveries SET variant_probability = 1 WHERE id % 3 = 0", "tests"
    ),
    "a forgotten report": ("DELETE FROM interactions", "tests"),
    "a report": (
        "INSERT INTO interactions (delivery_id, kind, at, dedupe_key) "
        "SELECT id, 'clicked', 1, 'x' || id FROM deliveries WHERE variant = 'b'",
        "tests",
    ),
    "another service's": (
        "INSERT OR IGNORE INTO foreign_deliveries SELECT id FROM deliveries "
        "WHERE enrolment_id > 800",
        "tests",
    ),
    "what it became": ("UPDATE deliveries SET status = 'gone' WHERE id % 2", "tests"),
    "its message": (
        "INSERT INTO deliveries (campaign_id, enrolment_id, status, changed_at, variant, "
        "variant_probability) VALUES (2, 901, 'accepted', 1, 'a', 0.5)",
        "tests",
    ),
    "its lost message": ("DELETE FROM deliveries WHERE id % 2", "tests"),
    "its choice": ("UPDATE experiments SET winner = 'b', state = 'decided'", "tests"),
    "its weights": (
        """UPDATE experiments SET arms = replace(arms, '0.5', '0.25')""", "tests"
    ),
    "its order": ("UPDATE orders SET minor = minor + 5", "tests"),
    "its buyer": ("DELETE FROM subscriptions WHERE id % 2", "tests"),
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


def test_the_clock_goes_on(world: Any) -> None:
    same = ask_leaving(world)
    kept = kept_answers.list_kept(world[0])
    assert ask_leaving(world, NOW + QUARTER // 2 - 1) == same
    assert kept_answers.list_kept(world[0]) == kept
    for now in (NOW + QUARTER, NOW + 2 * DAY):
        later = ask_leaving(world, now)
        assert later != same
        world[0].kept_pages.drop("answers")
        assert ask_leaving(world, now) == later


def test_an_erasure_leaves_nothing_that_is_counted_each_time(world: Any) -> None:
    store: Store = world[0]
    ask(world)
    store.erasure.erase([3], NOW)
    after = ask(world)
    kept = kept_answers.list_kept(store)
    assert {*NAMES, breakdowns.ACTIVE} == set(kept)
    assert ask(world) == after
    assert kept_answers.list_kept(store) == kept


def test_another_zone_of_a_site_is_another_answer(world: Any) -> None:
    store, config = world
    before = ask(world)
    sites = {
        name: replace(site, timezone="Pacific/Kiritimati")
        for name, site in config.sites.items()
    }
    other = replace(config, sites=sites)
    after = ask((store, other))
    assert after["messages by hour"] != before["messages by hour"]
    assert after["leaving"] != before["leaving"]


@pytest.mark.parametrize("has_system", [True, False])
def test_other_time_zones_are_other_answers(
    world: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, has_system: bool
) -> None:
    if not has_system:  # only the package's then
        monkeypatch.setattr("zoneinfo.TZPATH", ())
    kept_answers._find_release.cache_clear()
    assert kept_answers._find_release()
    ask(world)
    before = kept_answers.list_kept(world[0])
    (tmp_path / "tzdata.zi").write_text("# version another\n")
    monkeypatch.setattr("zoneinfo.TZPATH", (str(tmp_path), *zoneinfo.TZPATH))
    kept_answers._find_release.cache_clear()
    ask(world)
    after = kept_answers.list_kept(world[0])
    kept_answers._find_release.cache_clear()
    assert all(after[name][0] != stamp for name, (stamp, _) in before.items())


def test_what_changes_while_it_is_counted_is_not_kept(world: Any) -> None:
    store: Store = world[0]
    sources = Sources(store.message_rows.list_campaigns(), ("site",))

    def count() -> int:
        with store.write() as connection:
            connection.execute("UPDATE deliveries SET clicked_at = 1 WHERE id = 3")
        return 7

    assert kept_answers.load(store, "seven", sources, count) == 7
    assert "seven" not in kept_answers.list_kept(store)
    # Nor where somebody else writes.
    with closing(sqlite3.connect(store.path)) as other:
        kept_answers.load(store, "eight", sources, lambda: 8)  # builds what is missing
        store.kept_pages.drop("answers")
        other.execute("BEGIN IMMEDIATE")
        assert kept_answers.load(store, "eight", sources, lambda: 8) == 8
    assert kept_answers.list_kept(store) == {}


def test_check_counts_answers_again(world: Any) -> None:
    store, config = world
    ask(world)
    kept = kept_answers.list_kept(store)
    assert set(kept) == {*NAMES, breakdowns.ACTIVE}
    assert check_kept.check(store, config)[1] == []
    assert kept_answers.list_kept(store) == kept


# What says which question an answer is about, and words by which its rows are found.
QUESTIONS = ("span", "campaigns", "now", "site", "value", "by", "age", "browser")


def spoil(value: Any) -> tuple[Any, int]:
    """Return *value* with all that is in it changed, and how many values that were."""
    if isinstance(value, dict):
        made = {name: (it, 0) if name in QUESTIONS else spoil(it) for name, it in value.items()}
        return {name: it for name, (it, _) in made.items()}, sum(n for _, n in made.values())
    if isinstance(value, list):
        parts = [spoil(it) for it in value]
        return [it for it, _ in parts], sum(n for _, n in parts)
    if isinstance(value, bool):
        return not value, 1
    if isinstance(value, int | float):
        return value + 1e-3 * (1 + abs(value)), 1
    return "nothing" if value is None else f"{value}x", 1


@pytest.mark.parametrize("name", sorted({*NAMES, breakdowns.ACTIVE}))
def test_check_finds_every_value_that_was_spoiled(world: Any, name: str) -> None:
    """By a recount of raw rows, so it finds what columns and pages would not tell."""
    store, config = world
    ask(world)
    value = kept_answers.list_kept(store)[name][1]
    if isinstance(value, dict) and "tests" in value:
        rows, size = spoil(value["rows"])
        spoiled: Any = {**value, "rows": rows}
    elif name == breakdowns.ACTIVE:
        spoiled, size = {site: count + 1 for site, count in value.items()}, len(value)
    else:
        spoiled, size = spoil(value)
    sql = "UPDATE kept_pages SET data = ? WHERE source = 'answers' AND name = ?"
    with store.write() as connection:
        connection.execute(sql, (orjson.dumps(spoiled), name))
    found = check_kept.check(store, config)[1]
    assert {each.campaign for each in found} == {name}
    assert len(found) == size > 1
    assert check_kept.check(store, config)[1] == []
    assert ask(world) == ask(world)
    assert kept_answers.list_kept(store)[name][1] == value


@pytest.mark.parametrize("name", ["messages by campaign", "leaving", "tests", "reach"])
def test_check_finds_rows_that_are_there_or_not(world: Any, name: str) -> None:
    store, config = world
    ask(world)
    value = kept_answers.list_kept(store)[name][1]
    rows = value["rows"] if isinstance(value, dict) else value
    rows.pop()
    with store.write() as connection:
        connection.execute(
            "UPDATE kept_pages SET data = ? WHERE source = 'answers' AND name = ?",
            (orjson.dumps(value), name),
        )
    assert {each.campaign for each in check_kept.check(store, config)[1]} == {name}


def test_check_says_nothing_of_an_answer_in_an_earlier_form(world: Any) -> None:
    store, config = world
    ask(world)
    with store.write() as connection:
        connection.execute(
            "UPDATE kept_pages SET data = x'5b5d', about = '1-x' WHERE source = 'answers'"
        )
    assert kept_answers.list_kept(store) == {}
    assert check_kept.check(store, config)[1] == []
