"""Figures of messages in groups: every cell equals a slow recount over raw rows."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pushctl.config import Config
from pushctl.jobs.figures.breakdown import dimensions, person_rates
from pushctl.jobs.figures.columns import messages
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables import breakdowns, promo
from pushctl.rules import timing
from pushctl.store import Store
from tests.support import sending
from tests.support.recount import performance as recount
from tests.support.recount import promo as promo_recount
from tests.support.sales import DAY, START, RandomSales

ZONES = {"shop": "Europe/Berlin", "souk": "Asia/Kolkata"}


def scatter(store: Store, seed: int) -> None:
    """Give the rows of a random world states, times, sites, languages and clocks."""
    chance = random.Random(seed)
    store.sites.sync(dict.fromkeys(ZONES, "https://shop.example"))
    two = store.sites.load_ids()["souk"]
    with store.write() as connection:
        for (row,) in list(connection.execute("SELECT id FROM subscriptions")):
            values = (
                chance.choice([1, two]), chance.choice(["DE", "TR", None]),
                chance.choice(["Chrome", "Firefox"]), chance.choice(["Android", None]),
                chance.choice(["America/St_Johns", "Europe/Istanbul", None]),
                START - chance.choice([0, 3, 20, 60, 200, 500]) * DAY,
                chance.choice(['{"device": "phone"}', "{}"]), row,
            )  # fmt: skip
            connection.execute(
                "UPDATE subscriptions SET site_id = ?, country = ?, browser = ?, os = ?, "
                "timezone = ?, subscribed_at = ?, attributes = ? WHERE id = ?",
                values,
            )
        for (row,) in list(connection.execute("SELECT id FROM deliveries")):
            status = chance.choice(["accepted"] * 6 + ["gone", "skipped", "in_doubt"])
            sent = None if status == "skipped" else START + chance.randrange(90 * DAY)
            if chance.random() < 0.1:
                sent = None  # of before times were kept
            values = (status, sent, chance.choice(["en", "tr", None]), chance.choice("ab"), row)
            connection.execute(
                "UPDATE deliveries SET status = ?, sent_at = ?, language = ?, variant = ? "
                "WHERE id = ?",
                values,
            )
            if status == "accepted" and chance.random() < 0.2:
                connection.execute("INSERT INTO foreign_deliveries VALUES (?)", (row,))
        for kind, condition in (("shown", "true"), ("clicked", "kind = 'clicked'")):
            connection.execute(
                f"UPDATE deliveries SET {kind}_at = (SELECT min(at) FROM interactions "
                f"WHERE delivery_id = deliveries.id AND {condition})"
            )
        connection.execute("UPDATE campaigns SET topic = iif(id % 3, 'sale', 'news')")


def make(folder: Path, seed: int) -> tuple[Store, Config]:
    made = sending.field(folder)
    sales = RandomSales(made.store, seed)
    with made.store.write():
        for _ in range(400):
            sales.step()
    scatter(made.store, seed)
    sites = {
        name: replace(made.config.first_site, name=name, timezone=zone)
        for name, zone in ZONES.items()
    }
    return made.store, replace(made.config, sites=sites)


@pytest.fixture(scope="module", params=[1, 2, 3])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Store, Config]:
    return make(tmp_path_factory.mktemp("world"), request.param)


@pytest.mark.parametrize("by", [kind for kind in dimensions.KINDS if kind != "reason"])
def test_every_cell_equals_the_recount(world: tuple[Store, Config], by: str) -> None:
    store, config = world
    asked = Filter(zone=timing.zone(ZONES["shop"]))
    found = breakdowns.compare(store, config, asked, by)
    recount.compare(found.rows, recount.recount(store, ZONES, by))


@pytest.mark.parametrize("by", ["campaign", "topic", "country", "variant", "hour", "day"])
def test_messages_that_are_read_a_few_at_a_time_come_to_the_same(
    world: tuple[Store, Config], by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, config = world
    asked = Filter(zone=timing.zone(ZONES["shop"]))
    at_once = breakdowns.compare(store, config, asked, by)
    store.kept_pages.drop("answers")
    monkeypatch.setattr(messages, "_BATCH", 1)  # a campaign
    monkeypatch.setattr(person_rates, "_SLICE", 3)
    assert breakdowns.compare(store, config, asked, by) == at_once


@pytest.mark.parametrize(
    "chosen",
    [
        {"site": "souk"},
        {"since": START + 30 * DAY},
        {"until": START + 30 * DAY + 60_000},
        {"topic": "sale"},
        {"last": 2},
        {"site": "shop", "since": START + 10 * DAY, "until": START + 80 * DAY, "last": 3},
    ],
    ids=str,
)
def test_filters_leave_out_what_the_recount_does(
    world: tuple[Store, Config], chosen: dict[str, Any]
) -> None:
    store, config = world
    zone = timing.zone(ZONES[chosen.get("site", "shop")])
    for by in ("campaign", "month"):
        found = breakdowns.compare(store, config, Filter(**chosen, zone=zone), by)
        recount.compare(found.rows, recount.recount(store, ZONES, by, **chosen))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pools_of_codes_equal_the_recount(tmp_path: Path, seed: int) -> None:
    store, config = make(tmp_path, seed)
    promo_recount.compare(promo.load_pools(store, config, Filter()), store)
