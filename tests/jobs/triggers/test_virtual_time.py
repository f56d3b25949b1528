"""
Four hundred days of triggers in eight time zones, with clocks that leap, in virtual time.

Every trigger comes once or its absence is explained, nothing goes out in quiet hours,
and what the database's sweep decides is what the pure rehearsal says it would.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pushctl.model import Millis
from pushctl.rules import timing
from pushctl.rules.triggers.declaration import parse
from pushctl.rules.triggers.enrolment import Event, State
from pushctl.rules.triggers.facts import Device, Facts, People, Settings, Site
from pushctl.rules.triggers.rehearsal import Happening, Rehearsal, play
from pushctl.rules.triggers.trigger import Frequency, Trigger
from pushctl.rules.units import DAY, HOUR, MINUTE
from pushctl.store import Store
from tests.support.shop import BASKET, Shop

ZONES = (
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Dubai",
    "Europe/Istanbul",
    "Asia/Riyadh",
    "Asia/Kathmandu",
)
# Spring 2026 to summer 2027, and Samoa's year without a 30 December.
STARTS = (1_772_323_200_000, 1_309_478_400_000)
DAYS = int(os.environ.get("PUSHCTL_VIRTUAL_DAYS", "400"))


def declared(name: str, **table: Any) -> Trigger:
    trigger, faults = parse(name, table)
    assert trigger is not None, faults
    return trigger


TRIGGERS = {
    trigger.name: trigger
    for trigger in (
        declared(
            "basket",
            on="cart_updated",
            cancel_on=["cart_emptied"],
            goal={"event": "purchase", "within": "24h"},
            quiet="21:00-08:00",
            reentry="1d",
            priority=2,
            steps=[
                {"after": "3m", "template": "one", "ttl": "30m", "max_late": "15m"},
                {"after": "90m", "template": "two", "from": "shown", "max_late": "14h"},
            ],
        ),
        declared(
            "evening",
            on="page_view",
            quiet="22:00-02:30",
            reentry="2d",
            steps=[{"after": "1h", "at": "02:15", "template": "one", "max_late": "3h"}],
        ),
        declared(
            "thanks",
            on="purchase",
            transactional=True,
            steps=[
                {"after": [{"below": 50, "after": "10m"}, {"after": "1d"}], "template": "one"}
            ],
        ),
        declared(
            "trial",
            on="trial_viewed",
            unless="downloaded",
            within="2h",
            steps=[{"template": "one"}],
        ),
    )
}
CAP = Frequency(3, DAY)
NO_CAP = Frequency()


def behaviour(seed: int, start: Millis, days: int) -> list[Event]:
    """Return what a lively visitor does in *days*."""
    chance, events, at = random.Random(seed), [], start
    number = 0
    while at < start + days * DAY:
        at += int(chance.expovariate(1 / (9 * HOUR)))
        name = chance.choice(
            ["cart_updated", "cart_updated", "page_view", "purchase", "cart_updated",
             "trial_viewed", "downloaded", "page_view"]
        )  # fmt: skip
        number += 1
        items = [] if chance.random() < 0.1 else [{"id": "a", "price": chance.randint(5, 200)}]
        events.append(Event(number, 1, name, at, {"items": items} if "cart" in name else {}))
        if name == "cart_updated" and chance.random() < 0.3:
            number += 1
            soon = at + chance.randint(0, 3 * HOUR)
            events.append(Event(number, 1, "purchase", soon, {"total": chance.randint(5, 90)}))
    return events


def rehearse(
    device: Device,
    triggers: Mapping[str, Trigger],
    frequency: Frequency = NO_CAP,
    paused: Mapping[str, Millis] = {},
) -> Rehearsal:
    sites = {"shop": Site("UTC", ())}
    people = People({device.subscription: device}, {device.key: (device.subscription,)})
    settings = Settings(triggers, frequency, sites, {}, {}, {})
    return Rehearsal(device, Facts(settings, 0, people), paused)


@lru_cache
def lived(zone: str, start: Millis, days: int) -> tuple[Rehearsal, Sequence[Happening]]:
    """Return the life of one person, which all tests look at: nobody may change it."""
    rehearsal = rehearse(Device(1, "ann", "shop", zone, True, 0, None, 1), TRIGGERS, CAP)
    events = behaviour(hash_of(zone), start, days)
    return rehearsal, tuple(play(rehearsal, events, start + days * DAY))


def hash_of(text: str) -> int:
    return sum(text.encode())


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("zone", ZONES)
def test_every_enrolment_of_four_hundred_days_ends_with_a_reason(
    zone: str, start: Millis
) -> None:
    rehearsal, happened = lived(zone, start, DAYS)
    kinds = Counter(one.kind for one in happened)
    assert kinds["entered"] > DAYS / 4
    assert kinds["deliver"] > DAYS / 8
    assert all(one.reason for one in happened)
    # Each enrolment has one entry, and an end; the last of each trigger may be on its way.
    ends = ("cancel", "finish", "deliver", "expire")
    for name in TRIGGERS:
        mine = [one for one in happened if one.trigger == name]
        entries = [number for number, one in enumerate(mine) if one.kind == "entered"]
        for begin, end in pairwise(entries):
            enrolment = mine[begin + 1 : end]
            assert any(one.kind in ends for one in enrolment), enrolment
            # Nobody twice: each step at most once an enrolment.
            sent = [one.step for one in enrolment if one.kind == "deliver"]
            assert len(sent) == len(set(sent))
    assert all(enrolment.state in State for enrolment in rehearsal.enrolments.values())


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("zone", ZONES)
def test_nothing_goes_out_in_quiet_hours(zone: str, start: Millis) -> None:
    _, happened = lived(zone, start, DAYS)
    where = timing.zone(zone)
    for one in happened:
        if one.kind == "deliver":
            quiet = TRIGGERS[one.trigger].quiet
            assert quiet is None or not quiet.holds(one.at, where)


@pytest.mark.parametrize("zone", ZONES)
def test_the_cap_holds_in_every_window_of_a_day(zone: str) -> None:
    _, happened = lived(zone, STARTS[0], DAYS)
    sent = [one for one in happened if one.kind == "deliver"]
    for one in sent:
        if one.trigger != "thanks":
            before = [other for other in sent if one.at - DAY < other.at <= one.at]
            # What needs no leave may come on top.
            counted = [other for other in before if other.trigger != "thanks"]
            assert len(counted) <= 3


@pytest.mark.parametrize("zone", ZONES)
def test_nobody_is_reminded_who_has_bought(zone: str) -> None:
    events = behaviour(hash_of(zone), STARTS[0], DAYS)
    bought = [event.at for event in events if event.name == "purchase"]
    filled = [event.at for event in events if event.name == "cart_updated"]
    _, happened = lived(zone, STARTS[0], DAYS)
    for one in happened:
        if one.kind == "deliver" and one.trigger == "basket":
            last = max(at for at in filled if at <= one.at)
            assert not any(last < at <= one.at for at in bought)


def leaps(seed: int) -> Iterator[Millis]:
    """Yield the steps of a clock that mostly ticks, and sometimes leaps either way."""
    chance = random.Random(seed)
    sizes = (1_000, MINUTE, HOUR, DAY, 30 * DAY, 365 * DAY)
    while True:
        if chance.random() < 0.02:
            yield chance.choice(sizes) * chance.choice((1, -1))
        else:
            yield chance.choice((MINUTE, 5 * MINUTE, HOUR))


@pytest.mark.parametrize("seed", range(4))
def test_a_clock_that_leaps_sends_nothing_twice_and_nothing_stale(
    tmp_path: Path, store: Store, seed: int
) -> None:
    shop = Shop(tmp_path, store, BASKET)
    people = [shop.person(zone) for zone in ZONES]
    chance, now = random.Random(seed), STARTS[0]
    for step in leaps(seed):
        now += step
        if chance.random() < 0.3:
            shop.fill(chance.choice(people), now)
        if chance.random() < 0.05:
            shop.event(chance.choice(people), "purchase", now)
        shop.sweep(now)
        if len(shop.sent) > 60:
            break
    assert len({(one.enrolment, one.campaign) for one in shop.sent}) == len(shop.sent)
    for person in people:
        for enrolment in shop.store.enrolments.list_all(person):
            reasons = [
                one
                for one in shop.store.histories.list_decisions(person)
                if one.enrolment == enrolment.id
            ]
            assert reasons
    late = 15 * MINUTE
    for one in shop.sent:
        if one.campaign == "basket/1":
            (enrolment,) = [
                w for w in shop.store.enrolments.list_all(one.person) if w.id == one.enrolment
            ]
            assert one.at - (enrolment.entered_at + 3 * MINUTE) <= late


@pytest.mark.parametrize(("seed", "pause"), [(0, 12), (1, 12), (2, 12), (0, 5), (1, 6)])
def test_the_sweep_decides_as_the_rehearsal_says(
    tmp_path: Path, store: Store, seed: int, pause: int
) -> None:
    """
    The same life, once through the database minute by minute, once in pure values; the
    trigger is paused after *pause* days of twelve.
    """
    shop = Shop(
        tmp_path,
        store,
        BASKET.replace(
            "[triggers.basket]", '[triggers.basket]\nreentry = "1d"\nquiet = "21:00-08:00"'
        ),
    )
    days, start = 12, STARTS[0] + seed * 40 * DAY
    person = shop.person(ZONES[seed])
    events = [
        event
        for event in behaviour(seed + 77, start, days)
        if event.name in ("cart_updated", "purchase")
    ]
    # Sweeps come on whole minutes; let events do so too, each in a minute of its own.
    events = [
        Event(
            number,
            person,
            event.name,
            start + (event.at - start) // MINUTE * MINUTE,
            event.properties,
        )
        for number, event in enumerate(events, 1)
    ]
    (who,) = shop.store.enrolments.list_devices([person])
    who = replace(who, timezone=ZONES[seed])
    paused = {"basket": start + pause * DAY}
    pure = rehearse(who, shop.config.triggers, paused=paused)
    expected = [
        (f"basket/{one.step}", one.at)
        for one in play(pure, events, start + days * DAY)
        if one.kind == "deliver"
    ]
    waiting = list(events)
    for minute in range(days * 24 * 60):
        now, came = start + minute * MINUTE, False
        if now == start + pause * DAY:
            shop.store.triggers.set_paused("basket", now)
        while waiting and waiting[0].at <= now:
            event, came = waiting.pop(0), True
            shop.event(person, event.name, event.at, **event.properties)
        due = shop.store.triggers.find_next_due(())
        if came or (due is not None and due <= now):
            shop.sweep(now)
            # Reports come in with the next sweep: the browser showed it at once.
            shop.sweep(now)
    assert shop.got(person) == expected
    assert len(expected) > (3 if pause == days else 0)
