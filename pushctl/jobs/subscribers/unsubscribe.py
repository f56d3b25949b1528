"""
Unsubscribe people by hand, who asked for it by mail or phone.

Their browsers still hold the subscription and register it again at each visit: only a
person who asks for messages anew is subscribed again (jobs/ingest/requests.py).
"""

from collections.abc import Sequence

from pushctl.model import Cause, Millis, SubscriptionState
from pushctl.store import Store


def find_people(store: Store, refs: Sequence[str]) -> list[int]:
    """Return the rows of *refs*, each once; see ``store.subscriptions.find``."""
    return list(dict.fromkeys(one.id for ref in refs for one in store.subscriptions.find(ref)))


def unsubscribe(store: Store, rows: Sequence[int], now: Millis) -> int:
    """Unsubscribe; return how many were not unsubscribed before."""
    state = SubscriptionState.UNSUBSCRIBED
    return store.subscriptions.mark(rows, state, "by hand", now, Cause.BY_HAND)
