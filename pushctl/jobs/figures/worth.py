"""
What messages in groups have brought: orders and revenue, direct beside influenced.

Who has brought about an order says ``attribution.load_credits``. It counts where its message
does, whenever it was.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pushctl.config import Config
from pushctl.jobs.figures.grouping import Codes, Grouping
from pushctl.jobs.figures.messages import Messages
from pushctl.jobs.figures.performance import Loaded
from pushctl.rules import money
from pushctl.rules.figures import revenue
from pushctl.rules.figures.attribution import Kind
from pushctl.rules.figures.figure import Row, Value, read_count
from pushctl.rules.figures.revenue import Order
from pushctl.rules.money import Money
from pushctl.store import Store

if TYPE_CHECKING:
    from pushctl.jobs.figures.attribution import Credit

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

    def merge(self, other: "Amounts") -> None:
        for mine, theirs in ((self.minor, other.minor), (self.counts, other.counts)):
            for unit, number in theirs.items():
                mine[unit] = mine.get(unit, 0) + number

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

    def add(self, credit: "Credit") -> None:
        is_influenced = credit.kind is Kind.INFLUENCED
        if is_influenced:
            self.influenced += 1
        else:
            self.orders += 1
        if credit.minor is None or credit.exponent is None:
            return
        unit = credit.currency, credit.exponent
        left = credit.minor - credit.refunded_minor
        if is_influenced:
            self.influenced_amounts.add(unit, left)
            return
        self.amounts.add(unit, left)
        buyer = unit, credit.person_key
        self.bought[buyer] = self.bought.get(buyer, 0) + left
        if credit.refunded_minor:
            self.refunds.add(unit, credit.refunded_minor)

    def merge(self, other: "Worth") -> None:
        self.orders += other.orders
        self.influenced += other.influenced
        self.amounts.merge(other.amounts)
        self.refunds.merge(other.refunds)
        self.influenced_amounts.merge(other.influenced_amounts)
        mine = self.bought
        for buyer, minor in other.bought.items():
            mine[buyer] = mine.get(buyer, 0) + minor

    def list_orders(self) -> Iterator[Order]:
        """Yield an order a buyer and unit, of the worth of all of theirs."""
        for ((currency, digits), person), minor in self.bought.items():
            yield Order(person, minor, digits, currency, 0)


def find_messages(credits: Sequence["Credit"], messages: Messages) -> Codes:
    """Return the place of each credit's message; -1 where it is none of *messages*."""
    found = np.full(len(credits), -1, np.int64)
    if not credits:
        return found
    wanted = np.array([one.delivery for one in credits], np.int64)
    campaigns = np.array([one.campaign for one in credits], np.int64)
    order = np.argsort(campaigns, kind="stable")
    names, starts = np.unique(campaigns[order], return_index=True)
    # Messages stand by campaign, and in a campaign by number.
    firsts = np.searchsorted(messages.campaign, names)
    lasts = np.searchsorted(messages.campaign, names, side="right")
    for mine, first, last in zip(np.split(order, starts[1:]), firsts, lasts, strict=True):
        known = messages.delivery[first:last]
        places = np.searchsorted(known, wanted[mine])
        inside = places < len(known)
        same = np.zeros(len(mine), np.bool_)
        same[inside] = known[places[inside]] == wanted[mine[inside]]
        found[mine[same]] = first + places[same]
    return found


class Placed(NamedTuple):
    """Credits whose message is asked for, and its place among all messages."""

    credits: Sequence["Credit"]
    places: Sequence[int]


def load_by_campaign(
    store: Store, config: Config, campaigns: Collection[int]
) -> dict[int, list["Credit"]]:
    """Return who has brought about what of *campaigns*, by campaign."""
    from pushctl.jobs.figures.attribution import load_credits

    found: dict[int, list[Credit]] = {}
    for one in load_credits(store, config, campaigns=campaigns):
        found.setdefault(one.campaign, []).append(one)
    return found


def place(credits: Sequence["Credit"], loaded: Loaded) -> Placed:
    """Return those of *credits* whose message is asked for."""
    places = find_messages(credits, loaded.messages)
    kept = np.flatnonzero(places >= 0)
    kept = kept[loaded.kept[places[kept]]]
    return Placed([credits[one] for one in kept.tolist()], places[kept].tolist())


def describe_all(
    rows: Sequence[Row], loaded: Loaded, grouping: Grouping, placed: Placed
) -> list[Row]:
    """Return *rows* of *grouping*, which have ``value`` and ``accepted``, with their worth."""
    found: dict[Value, Worth] = defaultdict(Worth)
    codes = grouping.codes[placed.places].tolist() if placed.places else []
    for code, credit in zip(codes, placed.credits, strict=True):
        found[grouping.words[code]].add(credit)
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
    by_currency = revenue.sum_by_person(worth.list_orders())
    if len(by_currency) != 1:
        return {}
    ((currency, bought),) = by_currency.items()
    found = revenue.measure_revenue(bought, accepted)
    if found is None:
        return {}
    coin = 10 ** max(digits for code, digits in worth.amounts.minor if code == currency)
    low, high = (round(bound * _THOUSAND * coin) for bound in (found.low, found.high))
    return {
        "per_thousand_low": low, "per_thousand_high": high, "per_thousand_n": len(bought),
    }  # fmt: skip
