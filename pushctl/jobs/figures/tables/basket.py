"""Baskets: loads what befell them, lets the rule follow them, counts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pushctl.config import Config
from pushctl.jobs.figures.attribution.credits import load_rates
from pushctl.jobs.figures.columns import pages
from pushctl.jobs.figures.columns.messages import load_people
from pushctl.jobs.figures.columns.page_cache import Numbers
from pushctl.jobs.figures.effects.purchases import find_orders, price
from pushctl.jobs.figures.filters import Filter
from pushctl.model import Millis
from pushctl.rules import events
from pushctl.rules.figures import basket as rule
from pushctl.rules.figures.basket import Basket, Kind
from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.revenue.exchange_rates import Rates
from pushctl.rules.figures.tables import basket as table
from pushctl.rules.money import Money
from pushctl.rules.shops import cart
from pushctl.rules.units import DAY, HOUR
from pushctl.store import Store

# Told by pushctl itself or by a shop's server: nobody was there.
_NO_VISITS = (
    cart.FAILED, "subscribed", "price_dropped", "back_in_stock", "order_pending",
    "order_cancelled", "refund", events.PROMO_EXPIRING, events.CHANNEL_REVOKED,
)  # fmt: skip
_NEAR: Millis = HOUR  # between an order and the event of its purchase

_KINDS = tuple(Kind)  # by their numbers

Moments = dict[int, list[tuple[Millis, Kind]]]


@dataclass(frozen=True, slots=True)
class Shown:
    """The *rows* of the table, and *remarks* for people."""

    rows: list[Row]
    remarks: list[str] = field(default_factory=list)


class _Order(NamedTuple):
    at: Millis
    worth: Money | None  # less what was given back; None: unknown


class _Devices:
    """The subscriptions of persons; a person is the place of their first one."""

    def __init__(self, store: Store, site: int | None) -> None:
        people = load_people(store, ("person",))
        self._folding = people.folding
        # By the place of a subscription; 0 for who is not asked for.
        self._person = people.person.astype(np.int64)
        if site is not None:
            rows = pages.load_subscriptions(store)
            own = np.zeros(len(self._person), np.bool_)
            own[self._folding.fold(rows["id"])] = rows["site"] == site
            own[0] = False
            self._person[~own] = 0
        self._everybody = people.person

    def find(self, subscriptions: Numbers) -> Numbers:
        """Return the person of each of *subscriptions*, 0 for who is not asked for."""
        found: Numbers = self._person[self._folding.fold(subscriptions)]
        return found

    def list_all(self, persons: Iterable[int]) -> dict[int, list[int]]:
        """Return all subscriptions of each of *persons*."""
        found: dict[int, list[int]] = {one: [] for one in persons}
        rows = np.flatnonzero(np.isin(self._everybody, np.array(list(found), np.int64)))
        owners = self._everybody[rows].tolist()
        subscriptions = self._folding.unfold(rows).tolist()
        for subscription, person in zip(subscriptions, owners, strict=True):
            if subscription:
                found[person].append(subscription)
        return found


def load(store: Store, config: Config, asked: Filter) -> Shown:
    """Return the funnel of the baskets that began in the period of *asked*."""
    since, now = asked.since or 0, asked.now
    until = min(asked.until or now + 1, now + 1)
    last = min(now + 1, until + 2 * DAY)
    devices = _Devices(store, asked.site_id)
    moments = _load_events(store, devices, since - DAY, last)
    orders = _load_orders(store, devices, moments, since - DAY, last)
    owned = devices.list_all(moments)
    reminders = list_reminders(config)
    _add_reminders(store, reminders, owned, moments, since - DAY, last)
    baskets = {
        person: [
            one
            for one in rule.follow(sorted(own), min(now, last))
            if since <= one.began_at < until
        ]
        for person, own in moments.items()
    }
    _find_returns(store, baskets, owned)
    funnels = [rule.count(own) for own in baskets.values() if own]
    amounts = _find_amounts(baskets, orders, load_rates(config))
    baseline = vars(config.baseline)
    total = rule.count([one for own in baskets.values() for one in own])
    rows = table.fill_stages(funnels, amounts, baseline) if total.finished else []
    return Shown(
        rows, table.list_remarks(total, reminders, amounts, baseline.get("cart_email"))
    )


def list_reminders(config: Config) -> list[str]:
    """Return the triggers that remind of baskets: what begins them is a basket's event."""
    found = []
    for name, trigger in config.triggers.items():
        begins = {*trigger.on[-1:], *trigger.also_on}
        if begins.intersection(pages.TOUCHES):
            found.append(name)
    return found


def _load_events(store: Store, devices: _Devices, since: Millis, until: Millis) -> Moments:
    """Return what was done with baskets, by person, of those who had one."""
    rows = pages.load_events(store, pages.BASKET)
    within = (rows["at"] >= since) & (rows["at"] < until)
    person = devices.find(rows["subscription"][within])
    at, kind = rows["at"][within], rows["kind"][within]
    owners = np.unique(person[(kind == Kind.TOUCHED) & (person > 0)])
    mine = np.isin(person, owners)
    found: Moments = {one: [] for one in owners.tolist()}
    for one, when, what in zip(
        person[mine].tolist(), at[mine].tolist(), kind[mine].tolist(), strict=True
    ):
        found[one].append((when, _KINDS[what]))
    return found


def _load_orders(
    store: Store, devices: _Devices, moments: Moments, since: Millis, until: Millis
) -> Mapping[int, Sequence[_Order]]:
    """Add the orders of people with baskets to *moments*; return them by person."""
    found: dict[int, list[_Order]] = defaultdict(list)
    rows, currencies = find_orders(store, since, until)
    person = devices.find(rows["subscription"])
    owners = np.array(list(moments), np.int64)
    kept = (rows["counts"] > 0) & (person > 0) & np.isin(person, owners)
    columns = (rows[name][kept].tolist() for name in ("at", "minor", "exponent", "currency"))
    for one, at, minor, exponent, place in zip(person[kept].tolist(), *columns, strict=True):
        worth = None if exponent < 0 else Money(minor, exponent, currencies[place])
        found[one].append(_Order(at, worth))
        moments[one].append((at, Kind.BOUGHT))
    return found


def _add_reminders(
    store: Store,
    triggers: Sequence[str],
    owned: Mapping[int, Sequence[int]],
    moments: Moments,
    since: Millis,
    until: Millis,
) -> None:
    """Add to *moments* when people were reminded, and when they clicked on that."""
    steps = [one.id for one in store.holdouts.list_steps() if one.trigger in triggers]
    persons = {row: person for person, rows in owned.items() for row in rows}
    for one in store.baskets.list_reminders(steps, persons, since):
        own = moments[persons[one.subscription]]
        if one.sent_at < until:
            own.append((one.sent_at, Kind.REMINDED))
        if one.clicked_at is not None and one.clicked_at < until:
            own.append((one.clicked_at, Kind.VISITED))


def _find_returns(
    store: Store,
    baskets: Mapping[int, Sequence[Basket]],
    owned: Mapping[int, Sequence[int]],
) -> None:
    """Note which abandoned baskets somebody came back to without touching them."""
    asked: list[tuple[Basket, tuple[int, Millis, Millis]]] = []
    for person, own in baskets.items():
        for one in own:
            if one.abandoned_at is None or one.returned:
                continue
            end = one.abandoned_at + rule.WINDOW
            span = one.abandoned_at, min(end, one.ended_at or end)
            asked += [(one, (row, *span)) for row in owned[person]]
    visited = store.baskets.find_visited((span for _, span in asked), _NO_VISITS)
    for (one, _), was_there in zip(asked, visited, strict=True):
        one.returned |= was_there


def _find_amounts(
    baskets: Mapping[int, Sequence[Basket]],
    orders: Mapping[int, Sequence[_Order]],
    rates: Rates | None,
) -> list[Money]:
    """Return what the baskets are worth that were bought after they had been abandoned."""
    found = []
    for person, own in baskets.items():
        ends = [one.ended_at for one in own if one.bought and one.abandoned_at is not None]
        for end in ends:
            near = [one for one in orders.get(person, ()) if abs(one.at - (end or 0)) <= _NEAR]
            one = min(near, key=lambda it: abs(it.at - (end or 0)), default=None)
            if one is not None and one.worth is not None:
                found.append(price(one.at, one.worth, rates))
    return found
