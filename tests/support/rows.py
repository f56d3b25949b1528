"""What tests ask the database, and the program never does."""

from collections.abc import Iterable
from typing import Any

from pushctl.model import Millis, Subscription, SubscriptionState
from pushctl.store import Store
from pushctl.store.health import Answered


def everybody(store: Store, now: Millis | None = None) -> list[Subscription]:
    """Return all subscriptions, in order of rows."""
    rows = store.connection.execute("SELECT id FROM subscriptions").fetchall()
    return store.subscriptions.get_many([row for (row,) in rows], now)


def by_endpoint_hash(
    store: Store, endpoint_hash: bytes, now: Millis | None = None
) -> Subscription | None:
    sql = "SELECT id FROM subscriptions WHERE endpoint_hash = ?"
    rows = store.connection.execute(sql, (endpoint_hash,)).fetchall()
    found = store.subscriptions.get_many([row for (row,) in rows], now)
    return found[0] if found else None


def answers_about(store: Store, rows: Iterable[int], reason: str) -> list[Answered]:
    """Return what a push service has answered about these subscriptions, as they are now."""
    found = store.subscriptions.get_many(list(rows))
    return [Answered(one.id, one.endpoint, reason) for one in found]


def counts_by_state(store: Store) -> dict[SubscriptionState, int]:
    """Return how many subscriptions are in each state, zeros included."""
    sql = "SELECT state, count(*) FROM subscriptions GROUP BY state"
    counts = dict(store.connection.execute(sql).fetchall())
    return {state: counts.get(state.value, 0) for state in SubscriptionState}


def consents(store: Store, subscription: int) -> list[dict[str, Any]]:
    """Return text, at, page of everything that a subscription agreed to, oldest first."""
    sql = "SELECT text, at, page FROM consents WHERE subscription_id = ? ORDER BY at, id"
    rows = store.connection.execute(sql, (subscription,))
    return [dict(zip(("text", "at", "page"), row, strict=True)) for row in rows]


def deliveries(store: Store, campaign: int) -> dict[str, int]:
    """Return the number of a campaign's rows in each status that occurs."""
    sql = "SELECT status, count(*) FROM deliveries WHERE campaign_id = ? GROUP BY status"
    return dict(store.connection.execute(sql, (campaign,)).fetchall())


def last_event(store: Store) -> int:
    """Return the newest event's row, 0 where there is none."""
    sql = "SELECT coalesce(max(id), 0) FROM events"
    return int(store.connection.execute(sql).fetchone()[0])
