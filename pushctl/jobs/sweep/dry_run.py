"""The campaigns and webhooks that a dry run of a sweep lists beside its triggers' messages."""

from collections.abc import Iterator
from pathlib import Path

from pushctl.model import Millis
from pushctl.rules.wording import counted
from pushctl.store import Store
from pushctl.store.idle import is_drained


def list_campaigns(store: Store, now: Millis) -> list[tuple[str, str]]:
    """Return the campaigns that would go out at *now*, as (to how many, what)."""
    found = []
    for number in _list_due(store, now):
        campaign = store.campaigns.get_by_id(number)
        if count := store.schedules.count_due(number, now):
            people = "1 person" if count == 1 else f"{count:,} people"
            found.append((people, f"campaign {campaign.name}"))
    found += [
        ("whom it means then", f"series {series.name}")
        for series in store.schedules.recurring.list_due(now)
    ]
    return found


def _list_due(store: Store, now: Millis) -> Iterator[int]:
    yield from store.schedules.list_due(now)
    yield from store.deliveries.list_due_campaigns(now)
    yield from store.deliveries.list_due_calls(now)


def list_calls(store: Store, now: Millis) -> list[tuple[str, str]]:
    """Return the webhooks that would be called at *now*, as (which, of how much)."""
    due = store.webhooks.count_due(now)
    return [(f"webhook {name}", counted(count, "event")) for name, count in due.items()]


def has_waiting(store: Store, inbox: Path) -> bool:
    """Return whether the inbox has requests that no sweep has read yet."""
    return not is_drained(store.connection, inbox)
