"""Messages by the age of the subscription when each left."""

from bisect import bisect_right
from collections import Counter
from functools import cached_property

from pushctl.jobs.figures.recount.shares import Sums, bound, sum_strangers
from pushctl.jobs.figures.recount.tries import FLAG_BITS, GROUP_BITS, ByCode, Tries
from pushctl.jobs.figures.recount.world import (
    ACCEPTED,
    CLICKED,
    GONE,
    LEFT,
    QUARTER,
    SHOWN,
    TRIED,
    Batch,
    World,
)
from pushctl.rules.figures.figure import Row, Value
from pushctl.rules.figures.statistics.intervals import measure_share

_DAY = 96 * QUARTER
_AGES = ("below 1 d", "1-7 d", "7-30 d", "30-90 d", "90-180 d", "180-365 d", "above 365 d")
_EDGES = [_DAY * days for days in (1, 7, 30, 90, 180, 365)]
_ERASED = len(_AGES)
_RATES = ("shown_rate", "click_rate")
# A try of each, and what makes it an event.
_BITS = (1, 2), (4, 8)
_FLAGS = [
    TRIED[mark] + 2 * (mark & SHOWN > 0) + 4 * (mark & ACCEPTED > 0) + 8 * (mark & CLICKED > 0)
    for mark in range(128)
]


class Ages:
    """Counts by age; tries and events of both rates by person, too."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._cells: Counter[int] = Counter()  # by age * 128 + mark
        self._tries = Tries(_BITS)

    def add(self, batch: Batch) -> None:
        world = self._world
        person, since = world.person, world.subscribed
        rows = [
            (bisect_right(_EDGES, quarter * QUARTER - since[place]) if place else _ERASED,
             place, mark)
            for place, quarter, mark in zip(
                batch.places, batch.quarters, batch.marks, strict=True
            )
            if quarter >= 0 and mark & LEFT
        ]  # fmt: skip
        self._cells.update([age * 128 + mark for age, _, mark in rows])
        self._tries.add(
            (person[place] << GROUP_BITS | age) << FLAG_BITS | _FLAGS[mark]
            for age, place, mark in rows
            if mark & ACCEPTED and place
        )

    def describe(self) -> dict[str | None, Row]:
        """Return the rows by their ages; None is who was erased."""
        found: dict[str | None, Row] = {}
        for number in sorted({cell // 128 for cell in self._cells}):
            marks = {it % 128: n for it, n in self._cells.items() if it // 128 == number}
            name = None if number == _ERASED else _AGES[number]
            found[name] = self._describe(number, marks)
        return found

    @cached_property
    def _sums(self) -> ByCode:
        return self._tries.sum_up(self._world.site)[0]

    def _describe(self, number: int, marks: dict[int, int]) -> Row:
        def count(*masks: int) -> int:
            return sum(n for mark, n in marks.items() if all(mark & it for it in masks))

        reported = sum(n for mark, n in marks.items() if TRIED[mark])
        shown = sum(n for mark, n in marks.items() if TRIED[mark] and mark & SHOWN)
        clicked = count(ACCEPTED, CLICKED)
        row: dict[str, Value] = {
            "sent": sum(marks.values()), "accepted": count(ACCEPTED), "gone": count(GONE),
            "reported": reported, "shown": shown, "clicked": clicked,
        }  # fmt: skip
        totals = (reported, shown), (count(ACCEPTED), clicked)
        for name, own, strangers in zip(_RATES, self._sums, totals, strict=True):
            sums = own.get(number, Sums())
            if number == _ERASED:
                sums = sum_strangers(*strangers)
            it = bound(sums)
            if it.value in (0.0, 1.0):  # Wilson's, also of one person
                it = measure_share(it.value * sums.people, sums.people)
            row[name] = it.value
            known = it.value is not None
            row |= zip(
                (f"{name}_low", f"{name}_high", f"{name}_n"),
                (it.low, it.high, sums.people) if known else (None,) * 3,
                strict=True,
            )
        return row
