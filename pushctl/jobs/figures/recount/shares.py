"""Rates by person and money by buyer, from plain sums."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.revenue import per_person
from pushctl.rules.figures.revenue.attribution import Kind
from pushctl.rules.figures.statistics.intervals import Interval, Z, measure_share
from pushctl.rules.money import Money, sum_up
from pushctl.store.orders import Credited


class Sums(NamedTuple):
    """Over persons: how many, tries, events, and the sums of their products."""

    people: int = 0
    tries: int = 0
    events: int = 0
    tries_tries: int = 0
    tries_events: int = 0
    events_events: int = 0

    def add(self, other: "Sums") -> "Sums":
        return Sums(*map(sum, zip(self, other, strict=True)))


def sum_persons(persons: Iterable[tuple[int, int]]) -> Sums:
    """Return the sums of *persons*, who have (tries, events) each."""
    people = tries = events = squares = products = more = 0
    for x, y in persons:
        if x:
            people += 1
            tries += x
            squares += x * x
            if y:
                events += y
                products += x * y
                more += y * y
    return Sums(people, tries, events, squares, products, more)


def sum_strangers(tries: int, events: int) -> Sums:
    """Return the sums of messages of which each is somebody else's."""
    return Sums(tries, tries, events, tries, events, events)


def bound(sums: Sums) -> Interval:
    """Return events / tries with its interval, whose unit is the person."""
    if not sums.tries:
        return Interval(None, 0.0, 1.0)
    if sums.tries == sums.people:
        return measure_share(sums.events, sums.tries)
    rate = sums.events / sums.tries
    if sums.people < 2:
        return Interval(rate, 0.0, 1.0)
    if rate in (0.0, 1.0):
        return measure_share(sums.people if rate else 0, sums.people)
    off = sums.events_events - 2 * rate * sums.tries_events + rate * rate * sums.tries_tries
    error = math.sqrt(sums.people / (sums.people - 1) * max(off, 0.0)) / sums.tries
    return Interval(rate, max(0.0, rate - Z * error), min(1.0, rate + Z * error))


def describe_bounds(name: str, sums: Sums) -> Row:
    found = bound(sums)
    return {f"{name}_low": found.low, f"{name}_high": found.high, f"{name}_n": sums.people}


class Bought(NamedTuple):
    """One order: whose it is, whether its message was clicked or only shown, its amounts."""

    person: int
    influenced: bool
    left: Money | None  # less what was given back; None: nobody knows
    refunded: int


def read_order(brought: Credited) -> Bought:
    _, _, person, kind, minor, exponent, currency, refunded = brought
    left = None
    if minor is not None and exponent is not None:
        left = Money(minor - (refunded or 0), exponent, currency)
    return Bought(person, kind == Kind.INFLUENCED.value, left, refunded or 0)


def describe_money(orders: Sequence[Bought], accepted: int) -> Row:
    """Return the columns of money of a group with *accepted* messages."""
    direct = [one for one in orders if not one.influenced]
    known = [(one, one.left) for one in direct if one.left is not None]
    back = [left._replace(minor=one.refunded) for one, left in known if one.refunded]
    sums = _order([left for _, left in known])
    return {
        "orders": len(direct),
        "revenue": sums,
        "refunded": _order(back),
        "influenced": len(orders) - len(direct),
        "influenced_revenue": _order(
            [one.left for one in orders if one.influenced and one.left is not None]
        ),
        "per_thousand": tuple(
            one._replace(minor=round(one.minor * 1000 / accepted)) for one in sums
        )
        if accepted
        else None,
        **_bound_money(known, accepted),
    }


def _order(amounts: Sequence[Money]) -> tuple[Money, ...]:
    """Return a sum for each currency, that of the most orders first."""
    counts: dict[str | None, int] = {}
    for one in amounts:
        counts[one.currency] = counts.get(one.currency, 0) + 1
    return tuple(sorted(sum_up(amounts), key=lambda one: -counts[one.currency]))


def _bound_money(known: Sequence[tuple[Bought, Money]], accepted: int) -> Row:
    """Return the interval of what a thousand messages bring, where there is one currency."""
    if len({left.currency for _, left in known}) != 1:
        return {}
    digits = max(left.exponent for _, left in known)
    buyers: dict[int, int] = {}
    for one, left in known:
        minor = left.minor * 10 ** (digits - left.exponent)
        buyers[one.person] = buyers.get(one.person, 0) + minor
    bought = [minor / 10**digits for minor in buyers.values() if minor > 0]
    found = per_person.measure_revenue(bought, accepted)
    if found is None:
        return {}
    low, high = (round(each * 1000 * 10**digits) for each in (found.low, found.high))
    return {"per_thousand_low": low, "per_thousand_high": high, "per_thousand_n": len(bought)}
