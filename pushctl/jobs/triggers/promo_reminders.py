"""
Tells people whose promo code lapses soon: the event ``promo_expiring``.

A trigger that begins with it sends the reminder; its step with the same pool shows the code
that the person has. Each pool is told of once, at its time, or by hand.
"""

from pushctl import log
from pushctl.config import Config
from pushctl.jobs.ingest import tracking
from pushctl.model import Json, Millis
from pushctl.rules import timing
from pushctl.rules.events import PROMO_EXPIRING
from pushctl.rules.units import DAY
from pushctl.store import Store
from pushctl.store.events import Event
from pushctl.store.promo_bindings import Holder
from pushctl.store.promo_codes import Pool

_BATCH = 2_000


def tell_due(store: Store, config: Config, now: Millis) -> int:
    """Write the events of the pools that lapse soon; return how many."""
    return sum(
        tell(store, config, pool, last, now)
        for pool, last in store.promo_codes.list_to_remind(now)
    )


def tell(store: Store, config: Config, pool: Pool, last: int, now: Millis) -> int:
    """
    Write an event for everybody behind message *last* who has not used their code.

    A batch and the place behind it are one transaction: a kill tells nobody twice.
    """
    properties, told = _describe(config, pool, now), 0
    shared = store.promo_codes.is_static(pool.id)  # a fallback does not lapse with the pool
    while True:
        with store.write():
            holders = store.promo_bindings.list_holders(pool.id, last, _BATCH, shared=shared)
            events = [
                Event(one.subscription, PROMO_EXPIRING, now, now, properties, _key(pool, one))
                for one in holders
            ]
            admitted = tracking.admit_events(store, events) if events else []
            told += store.events.add(admitted) if admitted else 0
            last = holders[-1].delivery if holders else last
            done = len(holders) < _BATCH
            store.promo_codes.note_reminded(pool.id, last, now if done else None)
        if done:
            log.note("promo", "reminded", pool=pool.name, people=told)
            return told


def _key(pool: Pool, holder: Holder) -> str:
    """Return what makes an event one: a code, whichever device has it, and its end."""
    key = f"{PROMO_EXPIRING}:{holder.code}:{pool.expires_at}"
    return f"{key}:{holder.subscription}" if holder.shared else key


def list_triggers(config: Config) -> list[str]:
    """Return the triggers that begin with the event."""
    return [
        one.name
        for one in config.triggers.values()
        if PROMO_EXPIRING in {*one.on, *one.also_on}
    ]


def _describe(config: Config, pool: Pool, now: Millis) -> dict[str, Json]:
    if pool.expires_at is None:
        return {"pool": pool.name}
    day = timing.local(pool.expires_at - 1, config.zone).date()
    days = max((pool.expires_at - now) // DAY, 0)
    return {"pool": pool.name, "expires": day.isoformat(), "days": days}
