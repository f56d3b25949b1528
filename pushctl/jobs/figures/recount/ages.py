"""Messages by the age of the subscription when each left."""

from array import array
from bisect import bisect_right
from collections import Counter

from pushctl.jobs.figures.recount.shares import bound, sum_persons, sum_strangers
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

_DAY = 96 * QUARTER
_AGES = ("below 1 d", "1-7 d", "7-30 d", "30-90 d", "90-180 d", "180-365 d", "above 365 d")
_EDGES = [_DAY * days for days in (1, 7, 30, 90, 180, 365)]
_ERASED = len(_AGES)


class Ages:
    """Counts by age; tries and events of both rates by person, too."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._cells: Counter[int] = Counter()  # by age * 128 + mark
        # Shown and clicked, each beside the messages that could be.
        size = 2 * _ERASED * world.size
        self._reported, self._shown, self._accepted, self._clicked = (
            array("H", bytes(size)) for _ in range(4)
        )

    def add(self, batch: Batch) -> None:
        world = self._world
        size, person, since = world.size, world.person, world.subscribed
        rows = [
            (bisect_right(_EDGES, quarter * QUARTER - since[place]) if place else _ERASED,
             place, mark)
            for place, quarter, mark in zip(
                batch.places, batch.quarters, batch.marks, strict=True
            )
            if quarter >= 0 and mark & LEFT
        ]  # fmt: skip
        self._cells.update([age * 128 + mark for age, _, mark in rows])
        for age, place, mark in rows:
            if mark & ACCEPTED and place:
                cell = age * size + person[place]
                self._accepted[cell] += 1
                if mark & CLICKED:
                    self._clicked[cell] += 1
                if TRIED[mark]:
                    self._reported[cell] += 1
                    if mark & SHOWN:
                        self._shown[cell] += 1

    def describe(self) -> dict[str | None, Row]:
        """Return the rows by their ages; None is who was erased."""
        found: dict[str | None, Row] = {}
        for number in sorted({cell // 128 for cell in self._cells}):
            marks = {it % 128: n for it, n in self._cells.items() if it // 128 == number}
            name = None if number == _ERASED else _AGES[number]
            found[name] = self._describe(number, marks)
        return found

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
        for name, tries, events, totals in (
            ("shown_rate", self._reported, self._shown, (reported, shown)),
            ("click_rate", self._accepted, self._clicked, (count(ACCEPTED), clicked)),
        ):
            if number == _ERASED:
                sums = sum_strangers(*totals)
            else:
                own = slice(number * self._world.size, (number + 1) * self._world.size)
                sums = sum_persons(zip(tries[own], events[own], strict=True))
            it = bound(sums)
            row[name] = it.value
            known = it.value is not None
            row |= zip(
                (f"{name}_low", f"{name}_high", f"{name}_n"),
                (it.low, it.high, sums.people) if known else (None,) * 3,
                strict=True,
            )
        return row
