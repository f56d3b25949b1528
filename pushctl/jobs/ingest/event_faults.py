"""Events that can't be meant as they came: counted for `pushctl check`, a day each."""

from collections.abc import Mapping

import orjson

from pushctl.model import Millis
from pushctl.rules.units import DAY
from pushctl.store import Store

_KEY = "ingest.event_faults"
# The reasons hold names that a stranger chose.
_MOST = 20


def record(store: Store, counts: Mapping[str, int], now: Millis) -> None:
    """Add the events that were refused, by reason, to the counts of the day."""
    if not counts:
        return
    total = dict(load(store, now))
    for why, count in counts.items():
        if why not in total and len(total) >= _MOST:
            why = "for other reasons"
        total[why] = total.get(why, 0) + count
    text = orjson.dumps({"day": now // DAY, "counts": total}).decode()
    store.meta.set(_KEY, text)


def load(store: Store, now: Millis) -> Mapping[str, int]:
    """Return the events that were refused today (UTC), by reason."""
    kept = orjson.loads(store.meta.get(_KEY) or "{}")
    counts: Mapping[str, int] = kept.get("counts", {})
    return counts if kept.get("day") == now // DAY else {}
