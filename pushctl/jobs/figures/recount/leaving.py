"""After which messages people leave: person by person, and message by message."""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from pushctl.jobs.figures.recount.titles import Group, Kind, Kinds
from pushctl.jobs.figures.recount.world import ACCEPTED, QUARTER, Batch, World
from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.tables import leaving as rules

_DAY = 96  # quarters of an hour
_WINDOW = rules.WINDOW_DAYS * _DAY
_FREQUENCIES = [most for most, _ in rules.FREQUENCIES]
_KINDS = 1 << 20  # fewer than kinds of messages
_TIMES = 1 << 23  # fewer than quarters until 2100
_SHARE = 1 << 12  # places of people whose messages are looked at at once

# Language, variant, hour of the week and browser of a message.
_Key = tuple[str | None, str | None, int, int]
# From when to before when somebody was a subscriber.
Stretch = tuple[int, int]


class _Share:
    """Columns of some people, an entry a message or a stretch: *when* is by person and time."""

    def __init__(self) -> None:
        self.when, self.what = array("q"), array("q")
        self.begins, self.ends = array("q"), array("q")


class Leaving:
    """Keeps each message that may answer for something; *span*: the quarters asked for."""

    def __init__(self, world: World, kinds: Kinds, span: tuple[int, int]) -> None:
        self._world, self._kinds, (self._first, self._last) = world, kinds, span
        self._shares = [_Share() for _ in range(0, world.size, _SHARE)]
        # By who unsubscribed, and by subscription that was found gone.
        self._left: dict[int, list[int]] = {}
        self._gone: dict[int, list[int]] = {}
        self._read_lives()
        self._lost_browsers = {world.person[place] for place in self._gone}
        # What messages of a kind answer for: quarters, who left, browsers that were gone.
        self._sums: dict[Kind, list[int]] = {}
        self._people: Counter[Group] = Counter()
        self._quarters = self._alive = self._untimed = 0

    def _read_lives(self) -> None:
        world, changed = self._world, bytearray(self._world.size)
        for row, changes in groupby(world.store.recounts.read_losses(), key=itemgetter(0)):
            (place,) = world.find_places((row,))
            changed[place] = True
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
        for place, is_active in enumerate(world.active):
            if is_active and not changed[place]:
                self._live(place, world.subscribed[place] // QUARTER, self._last)

    def _lose(self, place: int, kind: str, cause: str | None, time: int) -> None:
        if kind == "unsubscribed":
            self._left.setdefault(self._world.person[place], []).append(time)
        elif kind == "gone" and cause != "key_lost":
            self._gone.setdefault(place, []).append(time)

    def _live(self, place: int, begin: int, end: int) -> None:
        begin, end = max(begin, self._first), min(end, self._last)
        if begin < end:
            person = self._world.person[place]
            share = self._shares[person // _SHARE]
            share.begins.append(person * _TIMES + begin)
            share.ends.append(person * _TIMES + end)

    def add(self, batch: Batch) -> None:
        world, known = self._world, dict[_Key, int]()
        # A message counts for the week after it, and answers for what follows that.
        oldest = self._first - _WINDOW - 7 * _DAY
        for number, (place, quarter, mark) in enumerate(
            zip(batch.places, batch.quarters, batch.marks, strict=True)
        ):
            if not mark & ACCEPTED:
                continue
            if quarter < 0:
                self._untimed += 1
            elif place and (quarter >= oldest or world.person[place] in self._lost_browsers):
                key = (
                    batch.languages[number], batch.variants[number], batch.hours[number],
                    world.browser[place],
                )  # fmt: skip
                kind = known.get(key, -1)
                if kind < 0:
                    kind = known[key] = self._kinds.find(batch.campaign, *key)
                person = world.person[place]
                share = self._shares[person // _SHARE]
                share.when.append(person * _TIMES + quarter)
                share.what.append(place * _KINDS + kind)

    def describe(self) -> dict[Group, Row]:
        """Return the rows by kind and word."""
        for share in self._shares:
            self._count(share)
        return dict(self._list_rows())

    def sum_up(self) -> dict[str, int]:
        """Return what all days come to, once they are described."""
        return {
            "left": sum(map(len, self._left.values())),
            "quarters": self._quarters,
            "people": self._alive,
            "untimed": self._untimed,
        }

    def _count(self, share: _Share) -> None:
        lives = _join(share)
        self._alive += len(lives)
        self._quarters += sum(end - begin for own in lives.values() for begin, end in own)
        order = sorted(range(len(share.when)), key=share.when.__getitem__)
        for person, own in groupby(order, key=lambda at: share.when[at] // _TIMES):
            rows = [(share.when[at] % _TIMES, *divmod(share.what[at], _KINDS)) for at in own]
            self._look_at(person, rows, lives.get(person, ()))

    def _look_at(
        self, person: int, rows: Sequence[tuple[int, int, int]], life: Sequence[Stretch]
    ) -> None:
        """Count what a person's messages, (quarter, place, kind) in order, answer for."""
        times = [time for time, *_ in rows]
        lost = self._left.get(person, ())
        gone = self._book_gone(rows) if person in self._lost_browsers else {}
        used: set[Kind] = set()
        ends = [*times[1:], self._last + _WINDOW]
        for number, ((time, _, kind), following) in enumerate(zip(rows, ends, strict=True)):
            end, here = min(time + _WINDOW, following), 0
            if end <= self._first and number not in gone:
                continue  # it answers for nothing in the time asked for
            for begin, stop in life:
                if begin < end and time < stop:
                    here += min(end, stop) - max(time, begin)
            left = sum([time <= at < end for at in lost]) if lost else 0
            if here or left or gone.get(number):
                week = number + 1 - bisect_right(times, time - 7 * _DAY, 0, number + 1)
                key = kind, bisect_left(_FREQUENCIES, week)
                used.add(key)
                sums = self._sums.setdefault(key, [0, 0, 0])
                sums[0] += here
                sums[1] += left
                sums[2] += gone.get(number, 0)
        if used:
            self._people.update({group for it in used for group in self._kinds.find_groups(it)})

    def _book_gone(self, rows: Sequence[tuple[int, int, int]]) -> dict[int, int]:
        """Return how many browsers were found gone after which message: their last before."""
        booked: dict[int, int] = {}
        for place in {place for _, place, _ in rows} & self._gone.keys():
            own = [number for number, row in enumerate(rows) if row[1] == place]
            for at in self._gone[place]:
                earlier = [number for number in own if rows[number][0] <= at]
                if earlier:
                    booked[earlier[-1]] = booked.get(earlier[-1], 0) + 1
        return booked

    def _list_rows(self) -> Iterator[tuple[Group, Row]]:
        sums: dict[Group, list[int]] = {}
        for key, own in self._sums.items():
            for group in self._kinds.find_groups(key):
                known = sums.setdefault(group, [0, 0, 0])
                known[:] = map(sum, zip(known, own, strict=True))
        everything = self.sum_up()
        for group, (here, lost, gone) in sums.items():
            kind, word = group
            people = self._people[group]
            yield group, rules.describe(
                {"by": kind, "value": word, "gone": gone, "ratio_n": people,
                 "excess_n": people},
                lost, here / _DAY,
                everything["left"] - lost, (everything["quarters"] - here) / _DAY,
            )  # fmt: skip


def _join(share: _Share) -> dict[int, list[Stretch]]:
    """Return when each person was a subscriber, with whichever device."""
    found: dict[int, list[Stretch]] = {}
    for key, stop in sorted(zip(share.begins, share.ends, strict=True)):
        (person, begin), end = divmod(key, _TIMES), stop % _TIMES
        own = found.setdefault(person, [])
        if own and begin <= own[-1][1]:
            own[-1] = own[-1][0], max(end, own[-1][1])
        else:
            own.append((begin, end))
    return found
