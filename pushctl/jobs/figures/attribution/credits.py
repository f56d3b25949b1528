"""
Which message has brought about which order: computed, kept, and read.

The rule is ``rules/figures/revenue/attribution.py``. What it found is kept
(``attributions``) with the rule's settings; of a goal whose settings have changed all is
computed anew. Between two reads
only that changes whose raw rows have: orders, codes and persons are noted by the database's
triggers, reports and events have numbers behind the last one that was looked at.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import NamedTuple

import orjson

from pushctl.config import Config, Goal
from pushctl.errors import (
    ConfigError,
    DatabaseBusyError,
    InputError,
    NotFoundError,
    describe_unread,
)
from pushctl.jobs.figures.attribution import updates as changes
from pushctl.jobs.figures.attribution.full_build import count_reports
from pushctl.jobs.figures.attribution.updates import Found
from pushctl.jobs.figures.columns.campaign_counts import Progress, no_progress
from pushctl.model import Json, Millis
from pushctl.rules import amounts, money, timing
from pushctl.rules.config.goals import PURCHASE
from pushctl.rules.figures.revenue import exchange_rates
from pushctl.rules.figures.revenue.attribution import Kind
from pushctl.rules.figures.revenue.exchange_rates import Rates
from pushctl.rules.figures.revenue.per_person import Order
from pushctl.rules.money import Money
from pushctl.store import Store
from pushctl.store.attributions import Kept, State
from pushctl.store.orders import Credited

# Another number where the rule itself is another: what was kept by an earlier one is not used.
_VERSION = 1
_KINDS = {kind.value: kind for kind in Kind}  # a look-up costs less than a call
# A database of somebody else, a full disk, or another run that writes for long.
_UNWRITABLE = (DatabaseBusyError, ConfigError, OSError)


class Credit(NamedTuple):
    """An order, or an event of a goal, and the message that has brought it about."""

    goal: str
    order: int  # orders.id, of other goals events.id
    kind: Kind
    delivery: int
    campaign: int
    subscription: int | None  # the buyer's; None: only a promo code says whose it is
    person_key: int  # the lowest subscription of the person
    at: Millis
    minor: int | None  # None: the amount is unknown, or the goal has none
    exponent: int | None
    currency: str | None
    refunded_minor: int  # of that, in the same units
    basis: str  # "click", "code", "shown"
    touched_at: Millis

    def to_order(self) -> Order:
        """Return it as sums need it."""
        worth = self.minor, self.exponent, self.currency
        return Order(self.person_key, *worth, self.refunded_minor)


def list_goals(config: Config) -> dict[str, Goal]:
    """Return all goals by their names, the purchase first."""
    return {PURCHASE: Goal(PURCHASE), **config.goals}


def load_credits(
    store: Store,
    config: Config,
    goal: str = PURCHASE,
    *,
    campaigns: Collection[int] | None = None,
    since: Millis | None = None,
    until: Millis | None = None,
) -> list[Credit]:
    """
    Return who brought about what of *goal*: one credit an order, none where it was nobody.

    *campaigns* are rows of those whose credits are wanted; *since* and *until* (not included)
    bound the time of the order. Orders that are cancelled, not paid yet, or tests, have none.
    Amounts are in ``figures.currency`` where a rate is known. Raises NotFoundError for an
    unknown goal, InputError for a faulty file of rates.
    """
    goals = list_goals(config)
    if goal not in goals:
        raise NotFoundError(f"no goal is called {goal!r}. In pushctl.toml: {', '.join(goals)}.")
    table = load_rates(config)
    found = _refresh(store, goals, no_progress)
    return [
        one
        for one in _read(store, config, goals[goal], found, table, campaigns)
        if (campaigns is None or one.campaign in campaigns)
        and (since is None or one.at >= since)
        and (until is None or one.at < until)
    ]


def load_brought(
    store: Store, config: Config, campaigns: Collection[int]
) -> Sequence[Credited]:
    """Return what sums of the purchases of *campaigns* need: of many it is much faster."""
    table = load_rates(config)
    goals = list_goals(config)
    found = _refresh(store, goals, no_progress)
    if found is None and table is None:
        return store.orders.list_credited(campaigns)
    return [
        (one.campaign, one.delivery, one.person_key, one.kind.value, one.minor, one.exponent,
         one.currency, one.refunded_minor)
        for one in _read(store, config, goals[PURCHASE], found, table, campaigns)
        if one.campaign in campaigns
    ]  # fmt: skip


def _read(
    store: Store, config: Config, goal: Goal, found: Mapping[str, Found] | None,
    table: Rates | None, campaigns: Collection[int] | None,
) -> list[Credit]:  # fmt: skip
    """Return the credits of *goal*, with *found* where it could not be kept."""
    with store.attributions.snapshot():
        given = None if found is None else _overlay(store, goal.name, found[goal.name])
        if goal.name == PURCHASE:
            return _read_orders(store, given, table, campaigns)
        return _read_events(store, config, goal, given, table)


def load_rates(config: Config) -> Rates | None:
    """Return the rates to the currency of all figures; None where none is set."""
    settings = config.figures
    if settings.currency is None:
        return None
    if settings.rates.exists() and not settings.rates.is_file():
        # A pipe would be waited for, for ever.
        raise InputError(f"{settings.rates} can't be read: it is no plain file")
    try:
        with settings.rates.open(encoding="utf-8-sig", newline="") as lines:
            return exchange_rates.read(lines, settings.currency, settings.rates.name)
    except FileNotFoundError:
        raise ConfigError(
            f"{settings.rates} does not exist, and [figures] has a currency. Write the file, "
            "its first line date,from,to,rate; see docs/attribution.md."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        fault, remedy = describe_unread(error, "Save it as UTF-8 text.")
        raise InputError(f"{settings.rates} {fault}. {remedy}") from error


def refresh(store: Store, config: Config, progress: Progress) -> None:
    """
    Bring what is kept up to date, with *progress* where all of a goal is to be computed.

    Nobody needs to call it: it is for commands that want to tell how far it is.
    """
    _refresh(store, list_goals(config), progress)


def _refresh(
    store: Store, goals: Mapping[str, Goal], progress: Progress
) -> dict[str, Found] | None:
    """
    Bring what is kept up to date; return None, or where it can't be kept what is different.
    """
    kept = store.attributions
    writable = _begin(store, goals)
    with kept.snapshot():
        seen = kept.load_states()
        last = kept.find_last()
        states = {name: State(_name_rule(goal), *last) for name, goal in goals.items()}
        if seen == states:
            return None
        found = _find(store, goals, states, seen, progress)
    if writable:
        # Where it fails the figures are right all the same; the next one computes it again.
        with suppress(*_UNWRITABLE):
            if kept.keep(seen, states, found):
                return None
    return found


def _find(
    store: Store, goals: Mapping[str, Goal], states: Mapping[str, State],
    seen: Mapping[str, State], progress: Progress,
) -> dict[str, Found]:  # fmt: skip
    """Return for each goal what is different since *seen*."""
    new = [one for one in goals if one not in seen or seen[one].rule != states[one].rule]
    total = len(new) * count_reports(store) if new else 0
    with progress(total) if total else no_progress(0) as advance:
        return {
            name: changes.find(store, goal, states[name], seen.get(name), advance)
            for name, goal in goals.items()
        }


def _begin(store: Store, goals: Mapping[str, Goal]) -> bool:
    """
    Have changes noted, before anything is read; return whether the database can be written.
    """
    if store.attributions.load_states():
        return True
    try:
        store.attributions.begin(goals)
    except _UNWRITABLE:
        return False
    return True


def _name_rule(goal: Goal) -> str:
    return f"{_VERSION} {goal.counted} {timing.duration(goal.window)}"


def _overlay(store: Store, goal: str, found: Found) -> list[Kept]:
    """Return what was computed, and of what is kept all that was not."""
    looked_at, computed = found
    if looked_at is None:
        return [*computed]
    known = set(looked_at)
    return [
        *(one for one in store.attributions.list_kept(goal) if one.source not in known),
        *computed,
    ]


def _read_orders(
    store: Store,
    given: Iterable[Kept] | None,
    table: Rates | None,
    campaigns: Collection[int] | None,
) -> list[Credit]:
    credits = []
    for row in store.attributions.load_orders(given, campaigns):
        order, delivery, campaign, person, kind, basis, touched, buyer, at, *worth = row
        minor, exponent, currency, refunded = worth
        if table is not None and minor is not None:
            minor, exponent, currency, refunded = _convert(table, at, *worth)
        credits.append(
            Credit(PURCHASE, order, _KINDS[kind], delivery, campaign, buyer, person, at, minor,
                   exponent, currency, refunded or 0, basis, touched)
        )  # fmt: skip
    return credits


def _read_events(
    store: Store, config: Config, goal: Goal, given: Iterable[Kept] | None, table: Rates | None
) -> list[Credit]:
    credits = []
    for row in store.attributions.load_events(goal.name, given):
        event, delivery, campaign, person, kind, basis, touched, whose, at, told, site = row
        here = config.sites.get(site)
        worth = _read_value(goal, told, here.currency if here else None)
        if worth is not None and table is not None:
            worth = table.convert(worth, _find_day(at))
        minor, exponent, currency = worth or (None, None, None)
        credits.append(
            Credit(goal.name, event, Kind(kind), delivery, campaign, whose, person, at, minor,
                   exponent, currency, 0, basis, touched)
        )  # fmt: skip
    return credits


def _read_value(goal: Goal, told: str, currency: str | None) -> Money | None:
    """Return what an event is worth, None where its goal has no value or it is unknown."""
    if goal.value is None:
        return None
    currency = goal.currency or currency
    if not isinstance(goal.value, str):
        return money.of(float(goal.value), currency)
    properties: Mapping[str, Json] = orjson.loads(told)
    named = properties.get("currency")
    if named is not None:
        currency = amounts.read_currency(named)
    return money.of(amounts.read_number(properties.get(goal.value)), currency)


def _convert(
    table: Rates, at: Millis, minor: int, exponent: int, currency: str | None,
    refunded: int | None,
) -> tuple[int, int, str | None, int]:  # fmt: skip
    """Return minor, exponent, currency and what was refunded, at the rate of the order."""
    day = _find_day(at)
    total = table.convert(Money(minor, exponent, currency), day)
    back = table.convert(Money(refunded or 0, exponent, currency), day)
    return (*total, back.minor)


def _find_day(at: Millis) -> date:
    return datetime.fromtimestamp(at / 1000, UTC).date()
