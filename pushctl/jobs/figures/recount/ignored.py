"""Browsers whose messages of the last month are ignored, browser by browser."""

from collections import Counter
from collections.abc import Collection

from pushctl.jobs.figures.recount.world import (
    ACCEPTED,
    CLICKED,
    SHOWN,
    UNREPORTED,
    Batch,
    World,
)
from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.tables.leaving import MANY, PENALTIES, UNSHOWN

_DAY = 96  # quarters of an hour
_MONTH = 30 * _DAY


class Ignored:
    """Counts what the browsers got; *now*: the quarter of the question."""

    def __init__(
        self, world: World, campaigns: Collection[int], now: int, site: str | None
    ) -> None:
        self._world, self._campaigns, self._now = world, set(campaigns), now
        self._site = site
        self._closed = set(world.store.recounts.read_closed())
        self._got: Counter[int] = Counter()
        self._reacted: set[int] = set()
        # The newest of each Safari that are a day old: when, number, whether it was shown.
        self._last: dict[int, list[tuple[int, int, bool]]] = {}

    def add(self, batch: Batch) -> None:
        if batch.campaign not in self._campaigns:
            return
        world = self._world
        for row, place, quarter, mark in zip(
            batch.ids, batch.places, batch.quarters, batch.marks, strict=True
        ):
            if quarter < self._now - _MONTH or not mark & ACCEPTED or UNREPORTED[mark]:
                continue
            if not world.active[place]:
                continue
            if self._site is not None and world.sites[world.site[place]] != self._site:
                continue
            self._got[place] += 1
            if mark & CLICKED or row in self._closed:
                self._reacted.add(place)
            browser = world.browsers[world.browser[place]]
            if browser == "Safari" and quarter <= self._now - _DAY:
                own = [*self._last.get(place, ()), (quarter, row, mark & SHOWN > 0)]
                self._last[place] = sorted(own)[-UNSHOWN:]

    def describe(self) -> dict[str, Row]:
        """Return the rows by browser."""
        world = self._world
        found: dict[str, Row] = {}
        for browser in ("Chrome", "Safari"):
            own = {
                place: count
                for place, count in self._got.items()
                if world.browsers[world.browser[place]] == browser
            }
            near = self._count_ignoring(own) if browser == "Chrome" else self._count_unshown()
            if own:
                found[browser] = PENALTIES.fill(
                    {
                        "browser": browser,
                        "browsers": len(own),
                        "messages": sum(own.values()),
                        "ignored": near,
                    }
                )
        return found

    def _count_ignoring(self, got: dict[int, int]) -> int:
        return sum(count >= MANY and it not in self._reacted for it, count in got.items())

    def _count_unshown(self) -> int:
        return sum(
            len(own) == UNSHOWN and not any(shown for *_, shown in own)
            for own in self._last.values()
        )
