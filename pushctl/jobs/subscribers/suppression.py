"""
What people asked for on the preference page, as far as sending respects it.

A pause and "fewer" are reserved tags (jobs/ingest/preferences sets them). Broadcasts leave such
people out, triggers skip their steps; transactional triggers write to everybody.
"""

from collections.abc import Collection

from pushctl.model import Millis
from pushctl.rules.audience.expression import And, Expression, Tag
from pushctl.rules.units import WEEK
from pushctl.rules.web.reserved_tags import FEWER, PAUSED
from pushctl.store import Store

# What "fewer" means: one message in so long.
FEWER_WITHIN: Millis = WEEK

PAUSE = "asked for a pause"
ENOUGH = "asked for fewer messages, and had one within a week"


def left_out(store: Store, expression: Expression, now: Millis) -> Collection[int]:
    """Return those of an audience who want nothing now."""
    paused = store.audience.ids(And((expression, Tag(PAUSED))), now)
    fewer = store.audience.ids(And((expression, Tag(FEWER))), now)
    return {*paused, *(one for one in fewer if _had_one(store, one, now))}


def refusal(store: Store, subscription: int, now: Millis) -> str:
    """Return why somebody wants no message now, or "" when they may have it."""
    if store.tags.holds(PAUSED, subscription, now):
        return PAUSE
    if store.tags.holds(FEWER, subscription, now) and _had_one(store, subscription, now):
        return ENOUGH
    return ""


def _had_one(store: Store, subscription: int, now: Millis) -> bool:
    return bool(store.histories.messages_since([subscription], now - FEWER_WITHIN))
