"""Pools of promo codes: what was given out, what was redeemed, and what that is worth."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC

import numpy as np

from pushctl.config import Config
from pushctl.jobs.figures.attribution import load_rates
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.messages import People, load_people, measure_rate
from pushctl.jobs.figures.worth import sum_money
from pushctl.rules import timing
from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.promo import PROMO
from pushctl.rules.money import Money
from pushctl.store import Store
from pushctl.store.promo_uses import GivenCode, Use


def load_pools(store: Store, config: Config, asked: Filter) -> list[Row]:
    """
    Return a row of ``PROMO`` a pool, in order of their names.

    Of *asked* count the site, and the time: that of the first message with a code, and of the
    order that used the code for everybody. The rest is left aside.
    """
    given: dict[int, list[GivenCode]] = defaultdict(list)
    for code in store.promo_uses.list_given():
        if _is_asked(asked, code.site, code.at):
            given[code.pool].append(code)
    uses: dict[int, list[Use]] = defaultdict(list)
    for use in store.promo_uses.list_uses():
        uses[use.pool].append(use)
    people = load_people(store, ["person"])
    rows = []
    for pool in store.promo_codes.list_pools():
        states = store.promo_codes.count_states(pool.id)
        counts: Row = {
            "pool": pool.name,
            "codes": sum(states[name] for name in ("free", "bound", "set_aside")),
            "free": states["free"],
            **_count(given[pool.id], people),
            **_sum_up(config, _choose(uses[pool.id], given[pool.id], asked)),
        }
        rows.append(PROMO.fill(counts))
    return rows


def _is_asked(asked: Filter, site: str | None, at: int) -> bool:
    return (
        asked.site in (None, site)
        and (asked.since is None or at >= asked.since)
        and (asked.until is None or at < asked.until)
    )


def _choose(uses: Iterable[Use], given: Iterable[GivenCode], asked: Filter) -> list[Use]:
    """Return one use an order: of a code that was given out, or of the one for everybody."""
    codes = {one.code for one in given}
    is_all = asked.is_empty
    found: dict[int, Use] = {}
    for use in uses:
        own = use.code in codes or (is_all and use.code is not None)
        shared = use.code is None and _is_asked(asked, use.site, use.at)
        if own or (shared and use.order not in found):
            found[use.order] = use
    return list(found.values())


def _count(given: Sequence[GivenCode], everybody: People) -> Row:
    taken = [one for one in given if one.taken]
    used = np.array([one.used for one in taken], np.bool_)
    subscriptions = np.array([one.subscription for one in taken], np.int64)
    whose = everybody.person[everybody.folding.fold(subscriptions)]
    rate = measure_rate(used, np.ones(len(taken), np.bool_), whose)
    people = len(set(whose.tolist()) - {0}) + whose.tolist().count(0)
    return {
        "bound": len(given),
        "given": len(taken),
        "redeemed": int(used.sum()),
        "rate_low": rate.low,
        "rate_high": rate.high,
        "rate_n": people,
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
