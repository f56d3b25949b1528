"""Pools of promo codes: what was given out, what was redeemed, and what that is worth."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC

import numpy as np
from numpy.typing import NDArray

from pushctl.config import Config
from pushctl.jobs.figures.attribution.credits import load_rates
from pushctl.jobs.figures.breakdown.group_revenue import sum_money
from pushctl.jobs.figures.columns.messages import People, load_people, measure_rate
from pushctl.jobs.figures.filters import Filter
from pushctl.rules import timing
from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.tables.promo import PROMO
from pushctl.rules.money import Money
from pushctl.store import Store
from pushctl.store.promo_uses import Use

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Given:
    """Codes that were given out, an entry each; a code is one person's."""

    pool: Numbers
    code: Numbers
    subscription: Numbers  # its place in People; 0: the person was erased
    at: Numbers  # when it was bound first
    taken: Flags  # a push service may have taken one of its messages

    def keep(self, kept: Flags) -> "_Given":
        return _Given(
            self.pool[kept], self.code[kept], self.subscription[kept], self.at[kept],
            self.taken[kept],
        )  # fmt: skip


def load_pools(store: Store, config: Config, asked: Filter) -> list[Row]:
    """
    Return a row of ``PROMO`` a pool, in order of their names.

    Of *asked* count the site, and the time: that of the first message with a code, and of the
    order that used the code for everybody. The rest is left aside.
    """
    people = load_people(store, ["person", "site"])
    given = _load_given(store, people)
    given = given.keep(_find_asked(asked, given, people))
    uses: dict[int, list[Use]] = defaultdict(list)
    for use in store.promo_uses.list_uses():
        uses[use.pool].append(use)
    all_states = store.promo_codes.count_all_states()
    rows = []
    for pool in store.promo_codes.list_pools():
        states, own = all_states.get(pool.id, {}), given.keep(given.pool == pool.id)
        counts: Row = {
            "pool": pool.name,
            "codes": sum(states.get(name, 0) for name in ("free", "bound", "set_aside")),
            "free": states.get("free", 0),
            **_count(own, uses[pool.id], people),
            **_sum_up(config, _choose(uses[pool.id], own, asked)),
        }
        rows.append(PROMO.fill(counts))
    return rows


def _load_given(store: Store, people: People) -> _Given:
    """Return the codes of all bindings, each once: a trigger's steps have the same."""
    columns = [
        np.fromstring(text, np.int64, sep=",") for text in store.promo_uses.load_bindings()
    ]
    pool, code, subscription, at, taken = columns
    order = np.argsort(code, kind="stable")
    first = np.flatnonzero(np.diff(code[order], prepend=-1))
    if not len(first):
        return _Given(pool, code, subscription, at, taken > 0)
    newest = np.maximum.reduceat(subscription[order], first)
    return _Given(
        pool[order][first],
        code[order][first],
        people.folding.fold(newest).astype(np.int64),
        np.minimum.reduceat(at[order], first),
        np.maximum.reduceat(taken[order], first) > 0,
    )


def _find_asked(asked: Filter, given: _Given, people: People) -> Flags:
    found = np.ones(len(given.code), np.bool_)
    if asked.site is not None:
        words = people.words["site"]
        place = words.index(asked.site) if asked.site in words else -1
        found &= people.site[given.subscription] == place
    if asked.since is not None:
        found &= given.at >= asked.since
    if asked.until is not None:
        found &= given.at < asked.until
    return found


def _is_asked(asked: Filter, site: str | None, at: int) -> bool:
    return (
        asked.site in (None, site)
        and (asked.since is None or at >= asked.since)
        and (asked.until is None or at < asked.until)
    )


def _choose(uses: Iterable[Use], given: _Given, asked: Filter) -> list[Use]:
    """Return one use an order: of a code that was given out, or of the one for everybody."""
    codes = set(given.code.tolist())
    is_all = asked.is_empty
    found: dict[int, Use] = {}
    for use in uses:
        own = use.code in codes or (is_all and use.code is not None)
        shared = use.code is None and _is_asked(asked, use.site, use.at)
        if own or (shared and use.order not in found):
            found[use.order] = use
    return list(found.values())


def _count(given: _Given, uses: Iterable[Use], everybody: People) -> Row:
    taken = given.keep(given.taken)
    redeemed = [use.code for use in uses if use.code is not None]
    used = np.isin(taken.code, np.array(redeemed, np.int64))
    whose = everybody.person[taken.subscription]
    rate = measure_rate(used, np.ones(len(whose), np.bool_), whose)
    known = np.count_nonzero(np.bincount(whose[whose > 0]))
    return {
        "bound": len(given.code),
        "given": len(whose),
        "redeemed": int(used.sum()),
        "rate_low": rate.low,
        "rate_high": rate.high,
        "rate_n": int(known + np.count_nonzero(whose == 0)),
    }


def _sum_up(config: Config, uses: Sequence[Use]) -> Row:
    table = load_rates(config)
    paid, back = [], []
    for use in uses:
        if use.minor is None or use.exponent is None:
            continue
        refund = use.refunded_minor or 0
        worth = Money(use.minor - refund, use.exponent, use.currency)
        refunded = Money(refund, use.exponent, use.currency)
        if table is not None:
            day = timing.local(use.at, UTC).date()
            worth, refunded = table.convert(worth, day), table.convert(refunded, day)
        paid.append(worth)
        back += [refunded] if refunded.minor else []
    return {
        "orders": len(uses),
        "shared": sum(use.code is None for use in uses),
        "revenue": sum_money(paid),
        "refunded": sum_money(back),
    }
