"""Gives each claimed row of a campaign a promo code, in the transaction that claims it."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence

from pushctl.jobs.messages import promo_pools
from pushctl.model import Campaign, Json, Millis
from pushctl.rules.shops.promo_codes import POOL, mask, sample
from pushctl.rules.wording import counted, moment
from pushctl.store import Store
from pushctl.store.ledger_rows import ClaimedRow
from pushctl.store.promo_codes import Pool


class Binder:
    """Binds the codes of one campaign."""

    def __init__(self, store: Store, pool: Pool, campaign: Campaign) -> None:
        self._store, self.pool = store, pool
        self.reminds = bool(campaign.options.get("reminds"))
        self._began_low = (
            promo_pools.find_shortage(store, pool, campaign.created_at) is not None
        )
        self._scope = store.promo_bindings.find_scope(campaign.id, reminds=self.reminds)

    def bind(
        self, rows: Sequence[ClaimedRow], now: Millis
    ) -> tuple[list[ClaimedRow], list[ClaimedRow]]:
        """Return the rows that have a code now, and those for whom there is none."""
        without = self._store.promo_bindings.bind(rows, self.pool, self._scope, now)
        if not without:
            return list(rows), []
        return (
            [row for row in rows if row.id not in without],
            [row for row in rows if row.id in without],
        )

    def find_shortage(self, now: Millis) -> str | None:
        """Return that few codes are left, where this run has brought it about."""
        if self._began_low or self.pool.has_lapsed(now):
            return None
        return promo_pools.find_shortage(self._store, self.pool, now)

    def explain_end(self, now: Millis) -> str:
        """Return why nobody gets a code any more."""
        name = self.pool.name
        if self.pool.has_lapsed(now):
            return f"the promo codes of {name} have lapsed"
        return (
            f"no promo code of {name} is left; add some (pushctl promo import {name} FILE), "
            "then resume"
        )


def make_binder(store: Store, campaign: Campaign) -> Binder | None:
    """Return what binds codes to a campaign's rows; None: it has no pool."""
    pool = find_pool(store, campaign.options)
    return None if pool is None else Binder(store, pool, campaign)


def find_pool(store: Store, options: Mapping[str, Json]) -> Pool | None:
    """Return the pool that a campaign's options name."""
    name = options.get(POOL)
    return None if name is None else store.promo_codes.get(name)


def name_pool(store: Store, name: str | None) -> dict[str, Json]:
    """Return the option that names a campaign's pool; raises NotFoundError."""
    return {} if name is None else {POOL: store.promo_codes.get(name).name}


def choose_pool(
    store: Store, options: Mapping[str, Json], otherwise: str | None
) -> Mapping[str, Json]:
    """
    Return a step's options with the pool of its promo codes, if it has one.

    A step's ``promo`` is the name of a pool, spelled as it is, or else a code; without it the
    pool of the template, *otherwise*, counts.
    """
    extra = dict(options.get("extra") or {})
    named = extra.get("promo") or otherwise
    pool = None if named is None else store.promo_codes.find(named)
    if pool is None or pool.name != named:
        return options
    extra.pop("promo", None)
    kept = {key: value for key, value in options.items() if key != "extra"}
    return {**kept, **({"extra": extra} if extra else {}), POOL: pool.name}


def read_pool(sources: Mapping[str, str]) -> str | None:
    """Return the pool that a template's message.toml names."""
    text = sources.get("message.toml", "")
    return tomllib.loads(text).get("promo") if "promo" in text else None


def collect_samples(store: Store, options: Mapping[str, Json]) -> dict[str, Json]:
    """Return what stands for a code where a message is rendered before it is claimed."""
    pool = find_pool(store, options)
    return {} if pool is None else {"promo": sample(pool.longest)}


def describe_need(
    store: Store, options: Mapping[str, Json], subscriptions: Iterable[int], now: Millis
) -> str | None:
    """Return how many codes a broadcast to *subscriptions* needs and finds; None: no pool."""
    pool = find_pool(store, options)
    if pool is None:
        return None
    shared = store.promo_codes.find_shared(pool.id)
    static, lapsed = store.promo_codes.is_static(pool.id), pool.has_lapsed(now)
    free = 0 if lapsed else store.promo_codes.count_free(pool.id)
    people = store.promo_codes.count_people(subscriptions)
    if shared is not None and static and not lapsed:
        return f"promo code: everybody gets {mask(shared[1])} of {pool.name}"
    if people <= free:
        said = f"promo codes: {people:,} of the {free:,} that are left in {pool.name}"
        return (
            said if pool.expires_at is None else f"{said}, good until {moment(pool.expires_at)}"
        )
    left = f"promo codes: {free:,} of {pool.name} for {counted(people, 'person', 'people')}"
    if lapsed:
        left = f"promo codes: those of {pool.name} have lapsed"
    if shared is None or static:
        return f"{left}: it stops then, and {people - free:,} wait for more"
    return f"{left}: {people - free:,} get the fallback {mask(shared[1])}"
