"""How segments grow, from the sizes that the sweep noted once a day."""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import pairwise

from pushctl.config import Config
from pushctl.errors import NotFoundError
from pushctl.jobs.figures.tables.subscribers import list_starts
from pushctl.model import Millis
from pushctl.rules.figures.figure import Row, Value
from pushctl.rules.figures.tables.segments import SEGMENTS
from pushctl.store import Store
from pushctl.store.segment_sizes import Size

PERIODS = {"day": 7, "week": 8, "month": 12}  # and how many are shown


def load_sizes(
    config: Config,
    store: Store,
    now: Millis,
    *,
    names: Collection[str] = (),
    every: str = "day",
    last: int | None = None,
) -> list[Row]:
    """
    Return the last size of each segment in each of the *last* periods, the newest first.

    *every* is day, week (from Monday) or month. Periods in which nothing was noted are
    unknown. Raises NotFoundError for one of *names* that pushctl.toml doesn't have and nobody
    noted.
    """
    starts = list_starts(now, config.zone, every, (last or PERIODS[every]) + 1)
    newest = _find_newest(store, [at for at, _ in reversed(starts)])
    known = dict.fromkeys([*config.segments, *(name for name, _ in newest)])
    for name in names:
        if name not in known:
            there = f"There are: {', '.join(known)}." if known else "There is none yet."
            raise NotFoundError(f"no segment is called {name!r}. {there}")
    rows = []
    for name in known:
        if names and name not in names:
            continue
        for (at, label), (earlier, _) in pairwise(starts):
            rows.append(_fill(name, label, newest.get((name, at)), newest.get((name, earlier))))
    return rows


def _find_newest(store: Store, edges: Sequence[Millis]) -> dict[tuple[str, Millis], Size]:
    """Return the last size that was noted in each period, by segment and *edges*' start."""
    found: dict[tuple[str, Millis], Size] = {}
    for size in store.segment_sizes.list_since(edges[0]):
        found[size.segment, edges[bisect_right(edges, size.at) - 1]] = size
    return found


def _fill(name: str, label: str, size: Size | None, earlier: Size | None) -> Row:
    row: dict[str, Value] = {"segment": name, "start": label}
    row |= dict.fromkeys(("subscribers", "everybody", "change"))
    if size is not None:
        row |= {"subscribers": size.subscribers, "everybody": size.everybody}
        if earlier is not None:
            row["change"] = size.subscribers - earlier.subscribers
    return SEGMENTS.fill(row)
