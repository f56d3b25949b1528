"""After which messages people leave: person by person, and message by message."""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from pushctl.jobs.figures.recount.titles import Kinds
from pushctl.jobs.figures.recount.world import ACCEPTED, QUARTER, Batch, World
from pushctl.rules.figures import leaving as rules
from pushctl.rules.figures.figure import Row

_DAY = 96  # quarters of an hour
_WINDOW = rules.WINDOW_DAYS * _DAY
_KINDS = 1 << 20  # fewer than kinds of messages
_TIMES = 1 << 23  # fewer than quarters until 2100
_SHARE = 1 << 14  # places of people whose messages are looked at at once

# From when to before when somebody was a subscriber.
Stretch = tuple[int, int]


class Leaving:
    """Keeps each message that may answer for something; *span*: the quarters asked for."""

    def __init__(self, world: World, kinds: Kinds, span: tuple[int, int]) -> None:
        self._world, self._kinds, (self._first, self._last) = world, kinds, span
        # By person; losses by who unsubscribed, and by subscription that was found gone.
        self._stretches: dict[int, list[Stretch]] = {}
        self._left: dict[int, list[int]] = {}
        self._gone: dict[int, list[int]] = {}
        self._quarters: Counter[tuple[str, str | None]] = Counter()
        self._counts: dict[str, Counter[tuple[str, str | None]]] = {
            name: Counter() for name in ("unsubscribed", "gone", "people")
        }
        self._changed: set[int] = set()
        self._lives: dict[int, list[Stretch]] = {}
        self._untimed = 0
        self._read_losses()
        self._lost_browsers = {world.person[place] for place in self._gone}
        shares = range(0, world.size, _SHARE)
        self._when = [array("q") for _ in shares]
        self._what = [array("q") for _ in shares]

    def _read_losses(self) -> None:
        world = self._world
        for row, changes in groupby(world.store.recounts.read_losses(), key=itemgetter(0)):
            (place,) = world.find_places((row,))
            self._changed.add(place)
            begin: int | None = world.subscribed[place] // QUARTER
            for number, (_, kind, cause, at) in enumerate(changes):
                time = at // QUARTER
                if kind == "revived":
                    begin = time if begin is None or number == 0 else begin
                elif begin is not None:
                    self._live(place, begin, time + 1)
                    begin = None
                    if self._first <= time < self._last:
                        self._lose(place, kind, cause, time)
            if begin is not None:
                self._live(place, begin, self._last)

    def _lose(self, place: int, kind: str, cause: str | None, time: int) -> None:
        if kind == "unsubscribed":
            self._left.setdefault(self._world.person[place], []).append(time)
        elif kind == "gone" and cause != "key_lost":
            self._gone.setdefault(place, []).append(time)

    def _live(self, place: int, begin: int, end: int) -> None:
        begin, end = max(begin, self._first), min(end, self._last)
        if begin < end:
            self._stretches.setdefault(self._world.person[place], []).append((begin, end))

    def add(self, batch: Batch) -> None:
        world, find = self._world, self._kinds.find
        # A message counts for the week after it, and answers for what follows that.
        oldest = self._first - _WINDOW - 7 * _DAY
        for row in zip(
            batch.places, batch.quarters, batch.marks, batch.languages, batch.variants,
            strict=True,
        ):  # fmt: skip
            place, quarter, mark, language, variant = row
            if not mark & ACCEPTED:
                continue
            self._untimed += quarter < 0
            if not place or quarter < 0:
                continue
            person = world.person[place]
            if quarter >= oldest or person in self._lost_browsers:
                kind = find(batch.campaign, language, variant, place, quarter)
                self._when[person // _SHARE].append(person * _TIMES + quarter)
                self._what[person // _SHARE].append(place * _KINDS + kind)

    def describe(self) -> dict[tuple[str, str | None], Row]:
        """Return the rows by kind and word."""
        lives = self._lives = self._join_lives()
        for when, what in zip(self._when, self._what, strict=True):
            order = sorted(range(len(when)), key=when.__getitem__)
            for person, own in groupby(order, key=lambda at: when[at] // _TIMES):
                rows = [(when[at] % _TIMES, *divmod(what[at], _KINDS)) for at in own]
                self._look_at(person, rows, lives.get(person, []))
        everything = self.sum_up()
        return dict(self._list_rows(everything["left"], everything["quarters"]))

    def sum_up(self) -> dict[str, int]:
        """Return what all days come to, once they are described."""
        return {
            "left": sum(map(len, self._left.values())),
            "quarters": sum(end - begin for own in self._lives.values() for begin, end in own),
            "people": len(self._lives),
            "untimed": self._untimed,
        }

    def _join_lives(self) -> dict[int, list[Stretch]]:
        """Return when each person was a subscriber, with whichever device."""
        world = self._world
        for place, is_active in enumerate(world.active):
            if is_active and place not in self._changed:
                self._live(place, world.subscribed[place] // QUARTER, self._last)
        found: dict[int, list[Stretch]] = {}
        for person, stretches in self._stretches.items():
            joined: list[Stretch] = []
            for begin, end in sorted(stretches):
                if joined and begin <= joined[-1][1]:
                    joined[-1] = joined[-1][0], max(end, joined[-1][1])
                else:
                    joined.append((begin, end))
            found[person] = joined
        return found

    def _look_at(
        self, person: int, rows: Sequence[tuple[int, int, int]], life: Sequence[Stretch]
    ) -> None:
        """Count what a person's messages, (quarter, place, kind) in order, answer for."""
        times = [time for time, *_ in rows]
        lost = self._left.get(person, [])
        gone = self._book_gone(rows)
        used: set[tuple[str, str | None]] = set()
        ends = [*times[1:], self._last + _WINDOW]
        for number, ((time, _, kind), following) in enumerate(zip(rows, ends, strict=True)):
            end = min(time + _WINDOW, following)
            here = sum(max(min(end, stop) - max(time, go), 0) for go, stop in life)
            left = sum(time <= at < end for at in lost)
            if not (here or left or gone[number]):
                continue
            week = number + 1 - bisect_right(times, time - 7 * _DAY, 0, number + 1)
            for group in self._kinds.list_groups(kind, week):
                self._quarters[group] += here
                self._counts["unsubscribed"][group] += left
                self._counts["gone"][group] += gone[number]
                used.add(group)
        self._counts["people"].update(used)

    def _book_gone(self, rows: Sequence[tuple[int, int, int]]) -> list[int]:
        """Return how many browsers were found gone after each message: their last before."""
        booked = [0] * len(rows)
        for place in {place for _, place, _ in rows} & self._gone.keys():
            own = [number for number, row in enumerate(rows) if row[1] == place]
            for at in self._gone[place]:
                earlier = [number for number in own if rows[number][0] <= at]
                if earlier:
                    booked[earlier[-1]] += 1
        return booked

    def _list_rows(
        self, left: int, quarters: int
    ) -> Iterator[tuple[tuple[str, str | None], Row]]:
        for group in self._counts["people"]:
            kind, word = group
            lost, own = self._counts["unsubscribed"][group], self._quarters[group]
            people = self._counts["people"][group]
            yield group, rules.describe(
                {
                    "by": kind, "value": word, "gone": self._counts["gone"][group],
                    "ratio_n": people, "excess_n": people,
                },
                lost, own / _DAY, left - lost, (quarters - own) / _DAY,
            )  # fmt: skip
