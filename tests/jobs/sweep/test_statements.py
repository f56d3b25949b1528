"""A batch asks the database once for each kind of fact, however many it decides about."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pushctl.jobs.sweep import sweep
from pushctl.rules.web.reserved_tags import FEWER, PAUSED
from pushctl.store import Store
from tests.support import DAY, HOUR, MINUTE, NOON
from tests.support.rows import last_event
from tests.support.shop import BASKET, Shop

MOST = 15
SIZES = (1, 50, 500)
TRIGGERS = (
    """
[sites.blog]
origin = "https://blog.example"
timezone = "Asia/Kathmandu"
[frequency]
messages = 3
within = "1d"
[segments]
regulars = "tag('regular') or event('visit') >= 2"
"""
    + BASKET.replace("[triggers.basket]", "[triggers.basket]\naudience = \"not tag('staff')\"")
    + """
[triggers.checkout]
on        = ["cart_updated", "checkout_started"]
within    = "1h"
cancel_on = "purchase"
audience  = "segment('regulars') or not tag('Abandoned basket 1')"
tag       = "At the till"
priority  = 2
steps = [{ after = "3m", template = "three" }]
[triggers.receipt]
on    = "checkout_started"
transactional = true
steps = [{ after = "3m", template = "two" }]
[triggers.birthday]
date  = { attribute = "birthday", at = "12:00" }
audience = "not tag('staff')"
steps = [{ template = "one" }]
[triggers.away]
inactive = "30d"
tag = "Away"
steps = [{ template = "two" }]
"""
)


@pytest.fixture
def shop(tmp_path: Path, store: Store) -> Iterator[Shop]:
    store.sites.sync({"shop": "https://shop.example", "blog": "https://blog.example"})
    yield Shop(tmp_path, store, TRIGGERS)


def people(shop: Shop, count: int) -> list[int]:
    """Add people: some have two devices, some are staff, some want fewer or nothing."""
    added = [shop.person() for _ in range(count)]
    with shop.store.write() as connection:
        for number, one in enumerate(added):
            shop.store.subscriptions.set_attributes(one, {"birthday": "1990-04-29"})
            site = 1 + number // 10 % 2
            connection.execute("UPDATE subscriptions SET site_id = ? WHERE id = ?", (site, one))
            if number % 10 < 4:
                shop.store.subscriptions.set_alias(one, f"ann{number // 2}", True)
        for rest, tag in ((4, PAUSED), (5, FEWER), (6, "staff"), (7, "regular")):
            shop.store.tags.add(added[rest::10], tag, NOON - DAY)
    return added


def fill(shop: Shop, persons: list[int]) -> None:
    with shop.store.write():
        for one in persons:
            shop.fill(one, NOON)
            shop.fill(one, NOON)
            shop.event(one, "checkout_started", NOON + 1)
            if one % 7 == 0:
                shop.event(one, "purchase", NOON + 2)


def count_selects(shop: Shop, work: Callable[[], object]) -> int:
    said: list[str] = []
    shop.store.connection.set_trace_callback(said.append)
    try:
        work()
    finally:
        shop.store.connection.set_trace_callback(None)
    return sum(one.lstrip().upper().startswith(("SELECT", "WITH")) for one in said)


def start(shop: Shop, at: int) -> sweep._Sweep:
    return sweep._Sweep(shop.config, shop.store, at, sweep.Options())


@pytest.mark.parametrize("size", SIZES)
def test_what_is_due_takes_fifteen_selects(shop: Shop, size: int) -> None:
    persons = people(shop, size)
    fill(shop, persons)
    shop.sweep(NOON + 3)
    shop.store.tags.add(persons[8::10], "staff", NOON)
    due = shop.store.enrolments.list_due(NOON + 4 * MINUTE, 10_000)
    assert len(due) >= size and {one.trigger for one in due} >= {"basket", "receipt"}
    now = start(shop, NOON + 4 * MINUTE)
    assert count_selects(shop, lambda: now._decide_batch(())) <= MOST
    left = len(shop.store.enrolments.list_due(NOON + 4 * MINUTE, 10_000))
    assert left == max(0, len(due) - 500)
    kinds = now._run.tally
    if size > 1:
        assert all(kinds[kind] for kind in ("deliver", "cancel", "skip", "hold")), kinds


@pytest.mark.parametrize("size", SIZES)
def test_what_begins_takes_fifteen_selects(shop: Shop, size: int) -> None:
    persons = people(shop, size)
    shop.sweep(NOON)
    fill(shop, persons)
    batches = -(-last_event(shop.store) // 500)
    now = start(shop, NOON + MINUTE)
    # The file, the cursor, the end, and what was shown are asked for once a sweep.
    once = 10
    assert count_selects(shop, now._take_in) <= MOST * batches + once
    kinds = now._run.tally
    assert kinds["entered"] >= size
    if size > 1:
        assert all(kinds[kind] for kind in ("restarted", "refused")), kinds


@pytest.mark.parametrize("size", SIZES)
def test_days_and_absences_take_fifteen_selects_each(shop: Shop, size: int) -> None:
    people(shop, size)
    shop.sweep(NOON)
    at = NOON + DAY - HOUR
    once = 10  # which triggers there are, and whom they may concern
    now = start(shop, at)
    assert count_selects(shop, now._scan) <= MOST + once
    assert now._run.tally["entered"] + now._run.tally["refused"] >= size
    away = start(shop, NOON + 30 * DAY + HOUR)
    assert count_selects(shop, away._scan) <= 2 * MOST + once
    assert away._run.tally["entered"] > 0
