"""
What people asked for on the preference page, as far as sending respects it.

A pause and "fewer" are reserved tags (jobs/ingest/preferences sets them). Broadcasts leave such
people out, triggers skip their steps; transactional triggers write to everybody.
"""

from collections.abc import Collection

from pushctl.model import Millis
from pushctl.rules.audience.expression import And, Expression, Tag
from pushctl.rules.web.reserved_tags import FEWER, FEWER_WITHIN, PAUSED
from pushctl.store import Store


def left_out(store: Store, expression: Expression, now: Millis) -> Collection[int]:
    """Return those of an audience who want nothing now."""
    paused = store.audience.list_ids(And((expression, Tag(PAUSED))), now)
    fewer = store.audience.list_ids(And((expression, Tag(FEWER))), now)
    sent = store.histories.list_messages(fewer, now - FEWER_WITHIN) if fewer else ()
    return {*paused, *(message.subscription for message in sent)}
