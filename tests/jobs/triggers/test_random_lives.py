"""
Lives at random: people with two devices, baskets, purchases, articles, second tries, nights
and a machine that sleeps. Nobody is written to twice, at night, after buying, or too often.

PUSHCTL_LIVES=200 lives longer than CI does.
"""

import math
import os
import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from pushctl.jobs.sweep import sweep
from pushctl.jobs.sweep.dispatch import Dispatch
from pushctl.jobs.triggers import feeds
from pushctl.rules import timing
from pushctl.store import Store
from pushctl.store.ledger_rows import FinishedRow, ReleasedRow
from tests.support import DAY, HOUR, MINUTE, NOON
from tests.support.shop import Sent, Shop

LIVES = int(os.environ.get("PUSHCTL_LIVES", "3"))
NIGHT = timing.window("21:00-08:00")
SPACING = 10 * MINUTE
TRIGGERS = """
[frequency]
messages = 3
within   = "1d"
spacing  = "10m"

[triggers.basket]
on        = "cart_updated"
cancel_on = ["cart_emptied", "checkout_started"]
goal      = { event = "purchase", within = "24h" }
tag       = "Abandoned basket 1"
quiet     = "21:00-08:00"
reentry   = "12h"
steps = [
  { after = "3m", template = "one", max_late = "15m" },
  { after = "90m", template = "two", from = "shown", max_late = "20h" },
]

[triggers.payment]
on        = "checkout_started"
cancel_on = "cart_emptied"
goal      = { event = "purchase", within = "24h" }
priority  = 5
quiet     = "21:00-08:00"
steps = [{ after = "3m", template = "one", max_late = "14h" }]

[triggers.birthday]
date  = { attribute = "birthday", at = "10:00" }
quiet = "21:00-08:00"
steps = [{ template = "two" }]

[triggers.news]
feed     = "https://shop.example/feed.xml"
reentry  = "1d"
priority = -5
quiet    = "21:00-08:00"
steps = [{ template = "three", max_late = "1d" }]
"""
# Who holds which device; two of them have two.
DEVICES = (
    ("ann", "Europe/Berlin"), ("ann", "America/New_York"), ("bob", "Asia/Kathmandu"),
    ("bob", "Pacific/Apia"), ("kim", "Asia/Riyadh"), ("eve", "Europe/Istanbul"),
)  # fmt: skip
DID = ["cart_updated"] * 4 + ["purchase", "cart_emptied", "checkout_started", "page_view"]


class Life:
    """A shop, its people and a web that answers; ``minute`` is one sweep of it."""

    def __init__(self, folder: Path, store: Store, seed: int) -> None:
        self.random = random.Random(seed)
        self.shop, self.store = Shop(folder, store, TRIGGERS), store
        self.holder: dict[int, str] = {}
        self.zones = {}
        self.stops: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
        self.articles = 0
        self.again: set[int] = set()  # what needed a second try
        for number, (name, zone) in enumerate(DEVICES):
            device = self.shop.person(zone)
            store.subscriptions.set_alias(device, name, True)
            born = {"birthday": f"1990-05-0{1 + number // 2}"}
            store.subscriptions.set_attributes(device, born)
            self.holder[device], self.zones[device] = name, timing.zone(zone)

    def feed(self, url: str) -> bytes:
        entries = "".join(
            f"<entry><id>{number}</id><title>{number}</title>"
            f'<link href="https://shop.example/{number}"/></entry>'
            for number in range(self.articles, 0, -1)
        )
        return f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'.encode()

    def act(self, now: int) -> None:
        for device, name in self.holder.items():
            if self.random.random() > 0.03:
                continue
            what, at = (
                self.random.choice(DID),
                now - self.random.choice([0, 0, 20_000, 600_000]),
            )
            if what == "cart_updated":
                self.shop.fill(device, at, price=self.random.choice([5, 500]))
            else:
                self.shop.event(device, what, at, received_at=now)
                self.stops[name].append((what, at, now))
        self.articles += self.random.random() < 0.005

    def minute(self, now: int) -> None:
        """Do what a whole sweep does, with a postman in the place of the push services."""
        one = sweep._Sweep(self.shop.config, self.store, now, sweep.Options())
        one._take_in()
        one._decide_due(("birthday", "news"))
        self.post(one, now)
        one._scan()
        one._decide_due(())
        self.post(one, now)

    def post(self, one: sweep._Sweep, now: int) -> None:
        sender = Dispatch(one._run, self.shop.config, 0.0, math.inf)
        for number, trigger in sender.find_leaders().items():
            sender.postpone_in_quiet_hours(number, self.shop.config.triggers[trigger or ""])
        for number in self.store.deliveries.list_due_campaigns(now):
            name = self.store.campaigns.get_by_id(number).name
            with self.store.write():
                rows, _ = self.store.deliveries.claim_due(number, 1000, now)
                fresh, _ = self.store.deliveries.claim_fresh(number, 0, 1000, now)
            for row in rows + fresh:
                if self.random.random() < 0.1:  # the push service asks for a second try
                    later = now + self.random.choice([2 * MINUTE, 30 * MINUTE, 3 * HOUR])
                    self.store.deliveries.release([ReleasedRow(row.id, later, "HTTP 503")], now)
                    self.again.add(row.id)
                    continue
                self.store.deliveries.finish(
                    [FinishedRow(row.id, "accepted", http_status=201, language="en")], now
                )
                sent = Sent(row.subscription, name, now, row.id, row.enrolment)
                self.judge(sent)
                self.shop.sent.append(sent)
                if self.random.random() < 0.8:
                    self.shop.report(row.id, now + self.random.choice([0, 5 * MINUTE]))

    def judge(self, one: Sent) -> None:
        assert not NIGHT.holds(one.at, self.zones[one.person]), one
        enrolment = self.store.enrolments.get_many([one.enrolment])[one.enrolment]
        ends = {"basket": {"purchase", "cart_emptied"}, "payment": {"purchase", "cart_emptied"}}
        for what, at, heard in self.stops[self.holder[one.person]]:
            if what in ends.get(enrolment.trigger, ()):
                assert at < enrolment.entered_at or heard > one.at, (one, what)


@pytest.fixture(params=range(LIVES))
def life(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Life]:
    made = Life(tmp_path, store, request.param)
    monkeypatch.setattr(feeds, "fetch", made.feed)
    yield made


def test_nobody_twice_at_night_after_buying_or_too_often(life: Life) -> None:
    now = NOON
    while now < NOON + 6 * DAY:
        life.act(now)
        life.minute(now)
        slept = 9 * HOUR if life.random.random() < 0.02 else HOUR
        now += life.random.choice([MINUTE] * 20 + [slept])
    theirs: dict[str, list[Sent]] = defaultdict(list)
    for one in life.shop.sent:
        theirs[life.holder[one.person]].append(one)
    assert len(theirs) == 4
    for name, messages in theirs.items():
        steps = [(one.campaign, one.enrolment) for one in messages]
        assert len(steps) == len(set(steps)), name
        assert sum(one.campaign == "birthday/1" for one in messages) <= 1
        for before, after in pairwise(messages):
            # Two second tries may come at once: when, their push services say.
            free = (
                before.enrolment == after.enrolment
                or {before.delivery, after.delivery} <= life.again
            )
            assert free or after.at - before.at >= SPACING, (before, after)
        for one in messages:
            day = [it for it in messages if one.at - DAY < it.at <= one.at]
            assert len(day) <= 3, name
