"""What a sweep deletes once a day: what is older than ``sweep.keep_days``."""

from collections.abc import Iterable

from pushctl.config import Config
from pushctl.jobs.campaigns import api_messages
from pushctl.jobs.ingest import api_log
from pushctl.model import Millis
from pushctl.rules import limits, units
from pushctl.rules.triggers.trigger import Trigger
from pushctl.store import Store

_LAST_KEY = "sweep.pruned"


def is_due(store: Store, now: Millis) -> bool:
    return now - int(store.meta.get(_LAST_KEY) or 0) >= units.DAY


def prune(config: Config, store: Store, triggers: Iterable[Trigger], now: Millis) -> None:
    """Delete old rows and empty the write-ahead log; enrolments stay where they must."""
    kept = config.sweep.keep_days * units.DAY
    once = [one.name for one in triggers if one.reentry is None or one.reentry > kept]
    store.tags.expire(now)
    store.pruning.run(now - kept, once)
    store.runs.prune(now - kept)
    store.attributions.prune(limits.MAX_ATTRIBUTION_ROWS)
    api_messages.prune(store, now)
    api_log.prune(config, store, now)
    store.webhooks.prune(now - units.DAY, now - 30 * units.DAY)
    store.meta.set(_LAST_KEY, str(now))
    store.checkpoint()
