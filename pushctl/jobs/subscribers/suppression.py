"""
Suppress messages to people who asked for a pause or for fewer messages.

Both are reserved tags, set by jobs/ingest/preferences. Broadcasts leave these people out,
triggers skip their steps; transactional triggers ignore the tags.
"""

from collections.abc import Collection

from pushctl.model import Millis
from pushctl.rules.audience.expression import And, Expression, Tag
from pushctl.rules.web.reserved_tags import FEWER, FEWER_WITHIN, PAUSED
from pushctl.store import Store


def find_suppressed(store: Store, expression: Expression, now: Millis) -> Collection[int]:
    """Return the subscriptions of an audience that get no broadcast now."""
    paused = store.audience.list_ids(And((expression, Tag(PAUSED))), now)
    fewer = store.audience.list_ids(And((expression, Tag(FEWER))), now)
    sent = store.histories.list_messages(fewer, now - FEWER_WITHIN) if fewer else ()
    return {*paused, *(message.subscription for message in sent)}
