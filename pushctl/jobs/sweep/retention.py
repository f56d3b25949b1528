"""
Deletes rows whose time is over: what a sweep does once a day, and `pushctl db prune` now.

How long each kind is kept stands in [retention] (``rules.retention``). Orders, subscriptions
and messages are no such kind.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pushctl.config import Config
from pushctl.jobs.ingest import api_log
from pushctl.model import Millis
from pushctl.rules import limits, retention, units
from pushctl.rules.triggers.trigger import Trigger
from pushctl.store import Store


@dataclass(frozen=True)
class Pruned:
    name: str  # in [retention]
    what: str
    days: int  # that it is kept
    rows: int  # that were deleted, or would be


def prune(
    store: Store, config: Config, triggers: Collection[Trigger], now: Millis
) -> list[Pruned]:
    """Delete what is over at *now*, in small transactions; return the rows of each kind."""
    store.tags.expire(now)
    found = [
        Pruned(
            kind.name,
            kind.what,
            kept // units.DAY,
            store.pruning.prune(kind.name, now - kept, once),
        )
        for kind, kept, once in _list_kinds(config, triggers)
    ]
    store.pruning.drop_unused()
    store.runs.drop_surplus()
    store.attributions.prune(limits.MAX_ATTRIBUTION_ROWS)
    api_log.prune(config, store, now)
    store.webhooks.drop_delivered(now - units.DAY)
    return found


def count(
    store: Store, config: Config, triggers: Collection[Trigger], now: Millis
) -> list[Pruned]:
    """Return what ``prune`` would delete of each kind."""
    return [
        Pruned(
            kind.name,
            kind.what,
            kept // units.DAY,
            store.pruning.count(kind.name, now - kept, once),
        )
        for kind, kept, once in _list_kinds(config, triggers)
    ]


def _list_kinds(
    config: Config, triggers: Collection[Trigger]
) -> Iterator[tuple[retention.Kind, Millis, list[str]]]:
    """Yield each kind, how long it is kept, and the triggers whose enrolments stay."""
    lengths = config.retention.find_lengths(config.sweep.keep_days)
    kept = lengths["enrolments"]
    once = [it.name for it in triggers if it.reentry is None or it.reentry > kept]
    for kind in retention.KINDS:
        yield kind, lengths[kind.name], once
