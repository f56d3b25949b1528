"""
What a dry run of a sweep tells beside its triggers' messages; it only reads.
"""

from pathlib import Path

from pushctl.model import Millis
from pushctl.store import Store
from pushctl.store.idle import drained


def list_campaigns(store: Store, now: Millis) -> list[tuple[str, str]]:
    """Return what else would go out at *now*, as (to how many, what)."""
    found = []
    for number in (*store.schedules.due(now), *store.deliveries.due_campaigns(now)):
        campaign = store.campaigns.by_id(number)
        if count := store.schedules.due_rows(number, now):
            people = "1 person" if count == 1 else f"{count:,} people"
            found.append((people, f"campaign {campaign.name}"))
    found += [
        ("whom it means then", f"series {series.name}")
        for series in store.schedules.recurring.due(now)
    ]
    return found


def has_waiting(store: Store, inbox: Path) -> bool:
    """Say whether the receiver took something that no sweep has read yet."""
    return not drained(store.connection, inbox)
