"""
What messages in groups have brought: orders and revenue, direct beside influenced.

Who has brought about an order says ``credits.load_credits``. It counts where its message
does, whenever it was.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from pushctl.config import Config
from pushctl.jobs.figures.breakdown.group_codes import Codes, Grouping
from pushctl.jobs.figures.breakdown.group_counts import Loaded
from pushctl.jobs.figures.columns.messages import Bools, Messages
from pushctl.rules import money
from pushctl.rules.figures.figure import Row, Value, read_count
from pushctl.rules.figures.revenue import per_person
from pushctl.rules.figures.revenue.attribution import Kind
from pushctl.rules.figures.revenue.per_person import Order
from pushctl.rules.money import Money
from pushctl.store import Store
from pushctl.store.orders import Credited

_THOUSAND = 1000


# A currency (None: unknown) and how many digits its amounts have.
_Unit = tuple[str | None, int]


@dataclass(slots=True)
class Amounts:
    """Sums of money: many thousands of orders in a few numbers."""

    minor: dict[_Unit, int] = field(default_factory=dict)
    counts: dict[_Unit, int] = field(default_factory=dict)

    def add(self, unit: _Unit, minor: int) -> None:
        self.minor[unit] = self.minor.get(unit, 0) + minor
        self.counts[unit] = self.counts.get(unit, 0) + 1

    def sum_up(self) -> tuple[Money, ...]:
        """Return a sum for each currency, that of the most orders first."""
        counts: Counter[str | None] = Counter()
        for (currency, _), count in self.counts.items():
            counts[currency] += count
        parts = [Money(minor, digits, code) for (code, digits), minor in self.minor.items()]
        return tuple(sorted(money.sum_up(parts), key=lambda each: -counts[each.currency]))


@dataclass(slots=True)
class Worth:
    """Orders of a group; amounts are those that are known, less what was given back."""

    orders: int = 0
    amounts: Amounts = field(default_factory=Amounts)
    refunds: Amounts = field(default_factory=Amounts)
    influenced: int = 0
    influenced_amounts: Amounts = field(default_factory=Amounts)
    # What each buyer has brought.
    bought: dict[tuple[_Unit, int], int] = field(default_factory=dict)

    def add(self, brought: Credited) -> None:
        _, _, person, kind, minor, exponent, currency, refunded = brought
        is_influenced = kind == Kind.INFLUENCED.value
        if is_influenced:
            self.influenced += 1
        else:
            self.orders += 1
        if minor is None or exponent is None:
            return
        unit = currency, exponent
        left = minor - (refunded or 0)
        if is_influenced:
            self.influenced_amounts.add(unit, left)
            return
        self.amounts.add(unit, left)
        buyer = unit, person
        self.bought[buyer] = self.bought.get(buyer, 0) + left
        if refunded:
            self.refunds.add(unit, refunded)

    def list_orders(self) -> Iterator[Order]:
        """Yield an order a buyer and unit, of the worth of all of theirs."""
        for ((currency, digits), person), minor in self.bought.items():
            yield Order(person, minor, digits, currency, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Credits:
    """Columns, an entry an order: what messages have brought about (``credits.Credit``)."""

    campaign: Codes
    delivery: Codes
    person: Codes
    influenced: Bools
    unit: Codes  # an index into units; -1: the amount is unknown
    left: Codes  # the amount less what was given back
    refunded: Codes
    units: Sequence[_Unit]

    def __len__(self) -> int:
        return len(self.campaign)

    def choose(self, which: Bools | Codes | slice) -> "Credits":
        return Credits(
            self.campaign[which], self.delivery[which], self.person[which],
            self.influenced[which], self.unit[which], self.left[which], self.refunded[which],
            self.units,
        )  # fmt: skip


def join(parts: Sequence[Credits]) -> Credits:
    """Return all credits of *parts*, which share their units."""

    def link(name: str) -> Codes:
        joined: Codes = np.concatenate([getattr(part, name) for part in parts])
        return joined

    return Credits(
        link("campaign"), link("delivery"), link("person"), link("influenced") > 0,
        link("unit"), link("left"), link("refunded"), parts[0].units,
    )  # fmt: skip


class Placed(NamedTuple):
    """Credits whose message is asked for, and its place among all messages."""

    credits: Credits
    places: Codes


def load_credits(store: Store, config: Config, campaigns: Collection[int]) -> Credits:
    """Return who has brought about what of *campaigns*, in their order."""
    from pushctl.jobs.figures.attribution.credits import load_brought

    return make_credits(load_brought(store, config, campaigns))


def make_credits(brought: Sequence[Credited]) -> Credits:
    """Return *brought* as columns, in the order of campaigns."""
    rows = sorted(brought, key=itemgetter(0))
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * 8
    campaign, delivery, person, kinds, minor, exponents, currencies, refunded = columns
    units: dict[_Unit, int] = {}
    unit = [
        -1 if amount is None or digits is None else units.setdefault((code, digits), len(units))
        for amount, digits, code in zip(minor, exponents, currencies, strict=True)
    ]
    influenced = Kind.INFLUENCED.value
    back = np.array([amount or 0 for amount in refunded], np.int64)
    return Credits(
        np.array(campaign, np.int64),
        np.array(delivery, np.int64),
        np.array(person, np.int64),
        np.array([kind == influenced for kind in kinds], np.bool_),
        np.array(unit, np.int64),
        np.array([amount or 0 for amount in minor], np.int64) - back,
        back,
        list(units),
    )


def place(credits: Credits, loaded: Loaded) -> Placed:
    """Return those of *credits* whose message is asked for."""
    places = _find_messages(credits, loaded.messages)
    kept = np.flatnonzero(places >= 0)
    kept = kept[loaded.kept[places[kept]]]
    return Placed(credits.choose(kept), places[kept])


def _find_messages(credits: Credits, messages: Messages) -> Codes:
    """Return the place of each credit's message; -1 where it is none of *messages*."""
    found = np.full(len(credits), -1, np.int64)
    if not len(credits):
        return found
    order = np.argsort(credits.campaign, kind="stable")
    names, starts = np.unique(credits.campaign[order], return_index=True)
    # Messages stand by campaign, and in a campaign by number.
    firsts = np.searchsorted(messages.campaign, names)
    lasts = np.searchsorted(messages.campaign, names, side="right")
    for mine, first, last in zip(np.split(order, starts[1:]), firsts, lasts, strict=True):
        known, wanted = messages.delivery[first:last], credits.delivery[mine]
        places = np.searchsorted(known, wanted)
        inside = places < len(known)
        same = np.zeros(len(mine), np.bool_)
        same[inside] = known[places[inside]] == wanted[inside]
        found[mine[same]] = first + places[same]
    return found


def sum_groups(credits: Credits, groups: Codes, size: int) -> list[Worth]:
    """Return what each of *size* groups has brought; *groups*: an entry a credit."""
    found = [Worth() for _ in range(size)]
    direct, other = ~credits.influenced, credits.influenced
    orders = np.bincount(groups[direct], minlength=size).tolist()
    influenced = np.bincount(groups[other], minlength=size).tolist()
    for worth, count, more in zip(found, orders, influenced, strict=True):
        worth.orders, worth.influenced = count, more
    known = credits.unit >= 0
    back = direct & (credits.refunded != 0)
    for kind, which, values in (
        ("amounts", direct & known, credits.left),
        ("influenced_amounts", other & known, credits.left),
        ("refunds", back & known, credits.refunded),
    ):
        _sum_amounts(found, kind, credits.choose(which), groups[which], values[which])
    which = direct & known
    _sum_buyers(found, credits.choose(which), groups[which])
    return found


def _sum_amounts(
    found: Sequence[Worth], kind: str, credits: Credits, groups: Codes, values: Codes
) -> None:
    width = max(len(credits.units), 1)
    cells, sums, counts = _sum_cells(groups * width + credits.unit, values)
    for cell, minor, count in zip(cells, sums, counts, strict=True):
        amounts: Amounts = getattr(found[cell // width], kind)
        unit = credits.units[cell % width]
        amounts.minor[unit], amounts.counts[unit] = minor, count


def _sum_buyers(found: Sequence[Worth], credits: Credits, groups: Codes) -> None:
    width, people = max(len(credits.units), 1), int(credits.person.max(initial=0)) + 1
    keys = (groups * width + credits.unit) * people + credits.person
    cells, sums, _ = _sum_cells(keys, credits.left)
    for cell, minor in zip(cells, sums, strict=True):
        place, person = divmod(cell, people)
        found[place // width].bought[credits.units[place % width], person] = minor


def _sum_cells(keys: Codes, values: Codes) -> tuple[list[int], list[int], list[int]]:
    """Return the different *keys*, the sum of each one's values, and how many there are."""
    cells, places = np.unique(keys, return_inverse=True)
    sums = np.zeros(len(cells), np.int64)
    np.add.at(sums, places, values)
    return cells.tolist(), sums.tolist(), np.bincount(places).tolist()


def describe_all(
    rows: Sequence[Row], loaded: Loaded, grouping: Grouping, placed: Placed
) -> list[Row]:
    """Return *rows* of *grouping*, which have ``value`` and ``accepted``, with their worth."""
    sums = sum_groups(placed.credits, grouping.codes[placed.places], len(grouping.words))
    found: dict[Value, Worth] = dict(zip(grouping.words, sums, strict=True))
    return [describe_worth(row, found[row["value"]]) for row in rows]


def describe_worth(row: Row, worth: Worth) -> Row:
    """Return *row*, which has ``accepted``, with orders and revenue."""
    sums = worth.amounts.sum_up()
    accepted = read_count(row, "accepted")
    return {
        **row,
        "orders": worth.orders,
        "revenue": sums,
        "refunded": worth.refunds.sum_up(),
        "influenced": worth.influenced,
        "influenced_revenue": worth.influenced_amounts.sum_up(),
        "per_thousand": tuple(_divide(each, accepted) for each in sums) if accepted else None,
        **_bound(worth, accepted),
    }


def sum_money(amounts: Iterable[Money]) -> tuple[Money, ...]:
    """Return a sum for each currency, that of the most orders first."""
    found = Amounts()
    for one in amounts:
        found.add((one.currency, one.exponent), one.minor)
    return found.sum_up()


def _divide(amount: Money, messages: int) -> Money:
    return amount._replace(minor=round(amount.minor * _THOUSAND / messages))


def _bound(worth: Worth, accepted: int) -> Row:
    """
    Return the interval of what a thousand messages bring (Fay and Feuer), in minor units.

    Only in one currency, and only where enough people have bought.
    """
    if len({currency for currency, _ in worth.amounts.minor}) != 1:
        return {}
    if len(worth.amounts.minor) == 1:
        (((currency, digits), _),) = worth.amounts.minor.items()
        bought = [minor / 10**digits for minor in worth.bought.values() if minor > 0]
    else:
        ((currency, bought),) = per_person.sum_by_person(worth.list_orders()).items()
    found = per_person.measure_revenue(bought, accepted)
    if found is None:
        return {}
    coin = 10 ** max(digits for code, digits in worth.amounts.minor if code == currency)
    low, high = (round(bound * _THOUSAND * coin) for bound in (found.low, found.high))
    return {
        "per_thousand_low": low, "per_thousand_high": high, "per_thousand_n": len(bought),
    }  # fmt: skip
