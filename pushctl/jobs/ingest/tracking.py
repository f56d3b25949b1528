"""
Somebody's no to tracking, as a state of the subscription: every door asks here.

It stands while the browser sends Global Privacy Control (the newest request's word holds),
and from ``consent({ tracking: false })`` until the same person says true. Nothing of what
they do is kept meanwhile; what they buy ends their reminders and counts in totals.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from pushctl.errors import InputError
from pushctl.model import InboxRecord, Json
from pushctl.rules.shops import cart
from pushctl.store import Store
from pushctl.store.events import Event
from pushctl.store.subscriptions import KnownSubscription
from pushctl.store.tracking import Stop

NOT_KEPT = "not kept: they asked not to be tracked"


def find_untracked(store: Store, subscriptions: Collection[int]) -> frozenset[int]:
    """Return those of *subscriptions* of which nothing may be kept: no event, no attribute."""
    return store.tracking.list_untracked(subscriptions)


def admit_events(store: Store, events: Sequence[Event]) -> list[Event]:
    """
    Return which of *events* may be kept. Call it before ``store.events.add``.

    A purchase of somebody who must not be tracked is noted until the next sweep has ended
    their reminders, and then deleted; of anything else nothing is written.
    """
    untracked = find_untracked(store, {one.subscription for one in events})
    if not untracked:
        return list(events)
    end_reminders(store, (one for one in events if one.subscription in untracked))
    return [one for one in events if one.subscription not in untracked]


def end_reminders(store: Store, events: Iterable[Event]) -> None:
    """Let the purchases among *events* end reminders; the events themselves are not kept."""
    store.tracking.add_stops(
        Stop(one.subscription, one.name, one.at) for one in events if one.name == cart.PURCHASE
    )


# --- what browsers say -------------------------------------------------------------------


def asks_for_privacy(record: InboxRecord) -> bool:
    """Return whether the browser sent Global Privacy Control with this request."""
    return record.hints.get("gpc") == "1"


def read_wish(body: Mapping[str, Json]) -> bool | None:
    """Return whether the person allows tracking; None: the request does not say."""
    wish = body.get("tracking")
    if wish is not None and type(wish) is not bool:
        raise InputError("tracking is neither true nor false")
    return wish


def is_private(record: InboxRecord, wish: bool | None, known: KnownSubscription | None) -> bool:
    """Return whether nothing may be kept of what this request of *known* tells."""
    refused = known is not None and known.tracking_refused_at is not None
    return asks_for_privacy(record) or (refused if wish is None else not wish)


def note_gpc(store: Store, record: InboxRecord, known: KnownSubscription) -> None:
    """Note whether the browser of *known* sends Global Privacy Control, where that is new."""
    if asks_for_privacy(record):
        if known.gpc_at is None:
            store.tracking.set_gpc(known.id, record.at)
    elif known.gpc_at is not None and record.at >= known.gpc_at:
        store.tracking.set_gpc(known.id, None)


def note(
    store: Store,
    record: InboxRecord,
    wish: bool | None,
    subscription: int,
    before: KnownSubscription | None,
) -> None:
    """Note what a registration says about tracking; *before*: as it was known, if it was."""
    if before is not None:
        note_gpc(store, record, before)
        note_wish(store, record, wish, before)
        return
    if asks_for_privacy(record):
        store.tracking.set_gpc(subscription, record.at)
    if wish is False:
        store.tracking.set_refused(subscription, record.at)


def note_wish(
    store: Store, record: InboxRecord, wish: bool | None, known: KnownSubscription
) -> None:
    """Note a no to tracking, or that it was taken back."""
    refused_at = known.tracking_refused_at
    if wish is False and refused_at is None:
        store.tracking.set_refused(known.id, record.at)
    elif wish is True and refused_at is not None and record.at >= refused_at:
        store.tracking.set_refused(known.id, None)
