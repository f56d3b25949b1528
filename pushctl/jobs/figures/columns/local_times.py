"""The receiver's own clock, for many messages at once."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING

from pushctl.model import Millis
from pushctl.rules import timing, units

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pushctl.jobs.figures.columns.people import People

    Whole = NDArray[np.integer]

QUARTER: Millis = 15 * units.MINUTE
_HOURS_OF_WEEK = units.WEEK // units.HOUR
# 1 January 1970 was a Thursday.
_FIRST_WEEKDAY = 3
# Offsets are listed for stretches of about a year, so that they can be kept.
_SPAN = 400 * units.DAY // QUARTER
_KEPT = 4000  # 400 zones in some years


def find_first(since: Millis | None) -> int:
    """
    Return the first quarter of an hour since 1970 of a time that begins at *since*.

    What is asked for in part counts as a whole: nothing of that time is left out.
    """
    return 0 if since is None else since // QUARTER


def find_end(until: Millis) -> int:
    """Return the quarter behind the last one that has a moment before *until*."""
    return -(-until // QUARTER)


def is_within(
    quarters: "Whole", since: Millis | None, until: Millis | None
) -> "NDArray[np.bool_]":
    """
    Return which *quarters* have a moment from *since* to before *until*; None: any.

    Those below 0 are not known: they are in no time.
    """
    found: NDArray[np.bool_] = quarters >= find_first(since)
    if until is not None:
        found &= quarters < find_end(until)
    return found


def find_week_hours(quarters: "Whole", zones: "Whole", known: Sequence[tzinfo]) -> "Whole":
    """
    Return the hour of the week on each one's clock: 0 is Monday from 0:00, 167 Sunday, 23:00.

    *quarters* are quarters of an hour since 1970 in UTC, *zones* places in *known*. Every
    zone of today is off UTC by whole quarters.
    """
    import numpy as np

    found = np.zeros(len(quarters), np.int64)
    if not len(quarters):
        return found
    first = int(quarters.min()) // _SPAN * _SPAN
    last = (int(quarters.max()) // _SPAN + 1) * _SPAN
    # Sorted by zone once: a look at all messages for each of 400 zones takes seconds.
    order = np.argsort(zones.astype(np.int16), kind="stable")
    edges = np.searchsorted(zones[order], np.arange(len(known) + 1))
    for place, zone in enumerate(known):
        mine = order[edges[place] : edges[place + 1]]
        if not len(mine):
            continue
        at = quarters[mine]
        starts, offsets = _list_offsets(zone, first, last)
        local = at + offsets[np.searchsorted(starts, at, side="right") - 1]
        found[mine] = (local // 4 + _FIRST_WEEKDAY * 24) % _HOURS_OF_WEEK
    return found


@lru_cache(_KEPT)
def _list_offsets(zone: tzinfo, first: int, last: int) -> tuple["Whole", "Whole"]:
    """Return the quarters from which each offset of *zone* holds; offsets are quarters, too."""
    import numpy as np

    day = units.DAY // QUARTER
    starts, offsets = [first], [_find_offset(zone, first)]
    at = first
    while at < last:
        after = min(at + day, last)
        if _find_offset(zone, after) != offsets[-1]:
            low, high = at, after  # the change is in between
            while high - low > 1:
                middle = (low + high) // 2
                if _find_offset(zone, middle) == offsets[-1]:
                    low = middle
                else:
                    high = middle
            starts.append(high)
            offsets.append(_find_offset(zone, high))
        at = after
    return np.array(starts, np.int64), np.array(offsets, np.int64)


def _find_offset(zone: tzinfo, quarter: int) -> int:
    offset = timing.local(quarter * QUARTER, zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds()) * units.SECOND // QUARTER


def number_zones(
    people: "People",
    sites: Mapping[str, str],
    *,
    site: str | None = None,
    of_site: bool = False,
) -> tuple["Whole", list[tzinfo]]:
    """
    Return each subscription's place in a list of time zones, and that list; -1: unknown.

    *people* have timezone and site, *sites* the zones of those who have none. *site*: only
    those who are there. *of_site*: the clock of their site.
    """
    import numpy as np

    names, theirs = people.words["site"], people.words["timezone"]
    # In as few bytes as they need: of ten million people each column of eight takes 80 MB.
    count = len(names) * len(theirs)
    pairs = people.site.astype(np.min_scalar_type(count))
    if not of_site:
        pairs += people.timezone.astype(pairs.dtype) * pairs.dtype.type(len(names))
    places = np.full(count, -1, np.min_scalar_type(-(count + 1)))
    known: dict[tzinfo, int] = {}
    for pair in np.flatnonzero(np.bincount(pairs, minlength=1)).tolist():
        name = names[pair % len(names)]
        if name is not None and site in (None, name):
            zone = timing.zone(theirs[pair // len(names)], sites.get(name, "UTC"))
            places[pair] = known.setdefault(zone, len(known))
    return places[pairs], list(known)
