"""
Strangers' shares, on the import's side: who is proved, and what was left out.

The import publishes who is proved, because the receiver opens no database. What it leaves
out beyond a share is counted by day, for ``pushctl check``, and so are wrong signatures of
aliases, which the page can't be told of.
"""

from collections.abc import Mapping

import orjson

from pushctl import status
from pushctl.config import Config
from pushctl.jobs.ingest import publishing
from pushctl.model import Millis
from pushctl.rules.units import DAY
from pushctl.store import Store

_LEFT_OUT = "ingest.left_out"


def publish(store: Store, config: Config, *, anew: bool = False) -> None:
    """Write the list of proved subscriptions where there is none, or *anew*."""
    if anew or not status.is_published(config.status):
        with publishing.tolerate(store):
            status.publish_proved(config.status, store.subscriptions.list_proved())


def record_left_out(store: Store, counts: Mapping[str, int], now: Millis) -> None:
    """Add lines that were left out or lack a part, by reason, to the counts of the day."""
    if not counts:
        return
    known = load_left_out(store, now)
    total = {why: known.get(why, 0) + counts.get(why, 0) for why in {**known, **counts}}
    text = orjson.dumps({"day": now // DAY, "counts": total}).decode()
    store.meta.set(_LEFT_OUT, text)


def load_left_out(store: Store, now: Millis) -> Mapping[str, int]:
    """Return the lines of today (UTC) that were left out or lack a part, by reason."""
    kept = orjson.loads(store.meta.get(_LEFT_OUT) or "{}")
    counts: Mapping[str, int] = kept.get("counts", {})
    return counts if kept.get("day") == now // DAY else {}
