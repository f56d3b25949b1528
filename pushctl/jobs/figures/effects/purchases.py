"""
What people bought: orders, and purchases that a page told of without an order's number.

Orders go first, because they tell what was a test and what was paid: a purchase that has no
order counts only where its person has no order within an hour of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from pushctl.jobs.figures.columns import pages
from pushctl.jobs.figures.columns.page_cache import Columns
from pushctl.jobs.figures.columns.pages import load_orders
from pushctl.jobs.figures.effects.assigned_people import Flags, Numbers, Persons
from pushctl.model import Millis
from pushctl.rules import money
from pushctl.rules.figures.revenue.exchange_rates import Rates
from pushctl.rules.money import Money
from pushctl.rules.units import HOUR, SECOND
from pushctl.store import Store

PURCHASE = "purchase"
_NEAR: Millis = HOUR
_BITS = 42  # of a time in milliseconds, until the year 2109


@dataclass(frozen=True, slots=True)
class Purchases:
    """
    Purchases of persons in order of person and time.

    *order* says which are orders. What they are worth, less refunds, is *minor* units of
    ``kinds[kind]``, which has exponent and currency; *kind* is -1 where that is unknown.
    """

    person: Numbers
    at: Numbers
    order: Flags
    minor: Numbers
    kind: Numbers
    kinds: Sequence[tuple[int, str | None]]

    def keep(self, kept: Flags) -> "Purchases":
        """Return those of *kept*."""
        return Purchases(
            self.person[kept],
            self.at[kept],
            self.order[kept],
            self.minor[kept],
            self.kind[kept],
            self.kinds,
        )

    @property
    def revenue(self) -> tuple[Money, ...]:
        """The exact sum of each currency."""
        sums = [
            Money(int(self.minor[own].sum()), *self.kinds[code])
            for code in range(len(self.kinds))
            if (own := self.kind == code).any()
        ]
        return tuple(money.sum_up(sums))

    @property
    def orders(self) -> int:
        return int(self.order.sum())


def load_purchases(
    store: Store,
    persons: Persons,
    since: Millis,
    until: Millis,
    rates: Rates | None = None,
) -> Purchases:
    """
    Load everything that *persons* bought from *since* to before *until*.

    Amounts are converted where *rates* know how.
    """
    orders, currencies = find_orders(store, since - _NEAR, until + _NEAR)
    owner, times = persons.find(orders["subscription"]), orders["at"]
    counts = orders["counts"] > 0
    minor, kind, kinds = _encode(orders, currencies, rates)
    within = counts & (owner >= 0) & (times >= since) & (times < until)
    events = load_events(store, persons, PURCHASE, since, until)
    alone = ~_are_near(events.person, events.at, owner, times)
    told = events.keep(alone)
    person = np.concatenate((owner[within], told.person))
    at = np.concatenate((times[within], told.at))
    places = np.lexsort((at, person))
    return Purchases(
        person[places],
        at[places],
        np.concatenate((np.ones(within.sum(), np.bool_), told.order))[places],
        np.concatenate((minor[within], told.minor))[places],
        np.concatenate((kind[within], told.kind))[places],
        kinds,
    )


def find_orders(store: Store, since: Millis, until: Millis) -> tuple[Columns, list[str | None]]:
    """Return the orders of a period as ``pages.load_orders`` does, by their time."""
    orders, currencies = load_orders(store)
    first, last = np.searchsorted(orders["at"], (since, until))
    return {name: column[first:last] for name, column in orders.items()}, currencies


def _encode(
    orders: Columns, currencies: Sequence[str | None], rates: Rates | None
) -> tuple[Numbers, Numbers, list[tuple[int, str | None]]]:
    """Return what orders are worth: minor units, the place of their kind, and all kinds."""
    minor, exponent, currency = orders["minor"], orders["exponent"], orders["currency"]
    known = exponent >= 0
    if rates is not None:
        return _convert(orders, currencies, rates)
    keys = (exponent * len(currencies) + currency)[known]
    values, firsts, codes = np.unique(keys, return_index=True, return_inverse=True)
    # Numbered as they come: the first currency of a table is that of the first order.
    order = np.argsort(firsts)
    kind = np.full(len(minor), -1, np.int64)
    kind[known] = np.argsort(order)[codes]
    kinds = [divmod(int(key), len(currencies)) for key in values[order].tolist()]
    return (
        np.where(known, minor, 0),
        kind,
        [(exponent_, currencies[place]) for exponent_, place in kinds],
    )


def _convert(
    orders: Columns, currencies: Sequence[str | None], rates: Rates
) -> tuple[Numbers, Numbers, list[tuple[int, str | None]]]:
    codes: dict[tuple[int, str | None], int] = {}
    minors, kinds = [], []
    columns = (orders[name].tolist() for name in ("at", "minor", "exponent", "currency"))
    for at, minor, exponent, place in zip(*columns, strict=True):
        if exponent < 0:
            minors.append(0)
            kinds.append(-1)
            continue
        worth = price(at, Money(minor, exponent, currencies[place]), rates)
        minors.append(worth.minor)
        kinds.append(codes.setdefault((worth.exponent, worth.currency), len(codes)))
    return np.array(minors, np.int64), np.array(kinds, np.int64), list(codes)


def price(at: Millis, worth: Money, rates: Rates | None) -> Money:
    """Return *worth* by the rate of the day of *at*, itself where there is none."""
    if rates is None:
        return worth
    return rates.convert(worth, datetime.fromtimestamp(at / SECOND, UTC).date())


def load_events(
    store: Store, persons: Persons, name: str, since: Millis, until: Millis
) -> Purchases:
    """Load the events *name* of *persons* as purchases without orders, one for all devices."""
    found = pages.load_events(store, [name])
    within = (found["at"] >= since) & (found["at"] < until)
    person, at = persons.find(found["subscription"][within]), found["at"][within]
    # A shop's own word about an order is an event of each device of its buyer.
    keys = sort_out(join(person[person >= 0], at[person >= 0]))
    none = np.zeros(len(keys), np.int64)
    at = keys & ((1 << _BITS) - 1)
    return Purchases(keys >> _BITS, at, none > 0, none, none - 1, ())


def sort_out(values: Numbers) -> Numbers:
    """Return each of *values* once, in order: ``np.unique`` takes ten times as long."""
    found = np.sort(values)
    kept = np.ones(len(found), np.bool_)
    kept[1:] = found[1:] != found[:-1]
    return found[kept]


def join(person: Numbers, at: Numbers) -> Numbers:
    """Return one number for each person and time, in whose order both are sorted."""
    return (person << _BITS) | np.clip(at, 0, (1 << _BITS) - 1)


def _are_near(person: Numbers, at: Numbers, owner: Numbers, times: Numbers) -> Flags:
    """Return which of the first have one of the second within an hour."""
    keys = np.sort(join(owner[owner >= 0], times[owner >= 0]))
    first = np.searchsorted(keys, join(person, at - _NEAR), "left")
    last = np.searchsorted(keys, join(person, at + _NEAR), "right")
    return first < last
