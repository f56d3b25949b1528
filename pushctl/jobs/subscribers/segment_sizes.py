"""Sizes of segments, counted by the sweep once a day, for `stats segments`."""

import math
from datetime import time as Time

from pushctl.config import Config
from pushctl.errors import PushctlError
from pushctl.jobs.subscribers import audience
from pushctl.model import Millis
from pushctl.rules import timing
from pushctl.rules.audience import parse
from pushctl.store import Store, clocks
from pushctl.store.faults import DATABASE_FAULTS, concerns_one
from pushctl.store.segment_sizes import Size

_NOTED = "segments.noted"  # the last day on which all had their turn


def note_sizes(
    config: Config,
    store: Store,
    now: Millis,
    deadline: float = math.inf,
) -> list[str]:
    """
    Note the size of each segment, once on each day of the first site's clock.

    Returns what is to be said of segments that can't be counted: they have no size on that day,
    and the others have theirs. After *deadline* (of ``clocks.read_seconds``) the next call goes
    on with what is left.
    """
    today = timing.local(now, config.zone).date()
    if not config.segments or store.meta.get(_NOTED) == today.isoformat():
        return []
    since = timing.instant(today, Time(0), config.zone)
    have = {one.segment for one in store.segment_sizes.list_since(since)}
    everybody = store.audience.count(parse.parse("everyone"), now)
    errors: list[str] = []
    for name in config.segments:
        if name in have:
            continue
        if clocks.read_seconds() > deadline:
            return errors
        try:
            count = store.audience.count(audience.load_segment(config, name), now)
        except DATABASE_FAULTS:
            raise
        except Exception as error:
            if not (isinstance(error, PushctlError) or concerns_one(error)):
                raise
            errors.append(f"segments.{name} can't be counted: {error}")
        else:
            store.segment_sizes.note(Size(name, now, count, everybody))
    store.meta.set(_NOTED, today.isoformat())
    return errors
