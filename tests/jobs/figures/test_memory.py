"""Figures of many people: few bytes each, and the same a part at a time as at once."""

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pushctl.config import Config
from pushctl.jobs.figures.breakdown import person_rates
from pushctl.jobs.figures.churn import lifetimes
from pushctl.jobs.figures.columns import messages, page_cache
from pushctl.jobs.figures.columns.messages import load_people
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables import breakdowns, subscribers
from pushctl.model import Millis
from pushctl.store import Store
from pushctl.store.kept_pages import BITS
from tests.support import sending
from tests.support.histories import make_random_history

PEOPLE = 40_000
NOW = 1_700_000_000_000
UTC = ZoneInfo("UTC")
# What is read, made or summed at a time: of PEOPLE as small a part as of ten million.
PARTS = (
    (lifetimes, "_PART"),
    (subscribers, "_SLICE"),
    (messages, "_BATCH"),
    (person_rates, "_SLICE"),
)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Config]]:
    """PEOPLE, every third of them with two browsers, and a campaign to all."""
    made = sending.field(tmp_path_factory.mktemp("crowd"))
    people = """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :people)
        INSERT INTO subscriptions (public_id, site_id, endpoint_hash, endpoint, p256dh, auth,
                                   key_id, state_at, subscribed_at, last_seen_at, country,
                                   alias, alias_trusted)
        SELECT 'public-' || i, 1, randomblob(16), 'https://x.example/' || i, randomblob(65),
               randomblob(16), 'key', i, :now - i * 800000, i, char(65 + i % 26) || 'A',
               iif(i % 3 = 0, NULL, i / 3), i % 3 <> 0
          FROM n
    """
    campaign = """
        INSERT INTO campaigns (id, name, status, template, audience, sources, created_at)
        VALUES (1, 'all', 'finished', 'sale', 'all', '{}', :now)
    """
    sent = """
        INSERT INTO deliveries (campaign_id, subscription_id, status, sent_at, shown_at,
                                clicked_at, changed_at)
        SELECT 1, id, 'accepted', :now, iif(id % 2, :now, NULL), iif(id % 9, NULL, :now), :now
          FROM subscriptions
    """
    with made.store.write() as connection:
        connection.execute(people, {"people": PEOPLE, "now": NOW})
        connection.execute(campaign, {"now": NOW})
        connection.execute(sent, {"now": NOW})
    yield made.store, made.config


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in PARTS:
        monkeypatch.setattr(module, name, PEOPLE // 20)
    # Nothing is changed here: what triggers delete does not matter.
    monkeypatch.setattr(page_cache, "BITS", dict.fromkeys(BITS, 9))


def measure(work: Callable[[], object]) -> float:
    """Return the most bytes that *work* has at once, for each of PEOPLE."""
    work()  # keeps what can be kept
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / PEOPLE


def ask(store: Store, at: Millis) -> list[object]:
    """Return all tables of subscribers."""
    asked = Filter(zone=UTC, now=at, since=at - 300 * 86_400_000, until=at)
    found: list[object] = []
    for by in ("month", "country", "site"):
        found += [subscribers.load_split(store, asked, by)]
        found += [subscribers.load_cohorts(store, asked, by)]
    return [*found, subscribers.load_growth(store, at, UTC, every="month")]


def test_people_take_few_bytes_each(crowd: tuple[Store, Config], small_parts: None) -> None:
    names = ("subscribed_at", "active", "verified", "site", "country", "person")
    assert measure(lambda: load_people(crowd[0], names)) < 24


@pytest.mark.parametrize("table", ["growth", "country", "month", "cohorts"])
def test_figures_of_subscribers_take_few_bytes_each(
    crowd: tuple[Store, Config], small_parts: None, table: str
) -> None:
    store, asked = crowd[0], Filter(zone=UTC, now=NOW)
    work: Callable[[], object]
    if table == "growth":
        work = lambda: subscribers.load_growth(store, NOW, UTC, last=3)  # noqa: E731
    elif table == "cohorts":
        work = lambda: subscribers.load_cohorts(store, asked)  # noqa: E731
    else:
        work = lambda: subscribers.load_split(store, asked, table)  # noqa: E731
    assert measure(work) < 40


@pytest.mark.parametrize("by", ["campaign", "country"])
def test_figures_of_a_campaign_to_all_take_few_bytes_each(
    crowd: tuple[Store, Config], small_parts: None, by: str
) -> None:
    store, config = crowd
    asked = Filter(zone=UTC, now=NOW, since=0)  # no answer is kept
    assert measure(lambda: breakdowns.compare(store, config, asked, by)) < 40


@pytest.mark.parametrize("seed", [1, 2])
def test_parts_of_people_come_to_the_same_as_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    history = make_random_history(seed, tmp_path / "history")
    at_once = ask(history.store, history.now)
    for module, name in PARTS:
        monkeypatch.setattr(module, name, 3)
    assert ask(history.store, history.now) == at_once
    history.close()
