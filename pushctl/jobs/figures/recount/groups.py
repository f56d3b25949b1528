"""Messages by campaign, by hour on their receivers' clocks and by site, and all of them."""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from pushctl.jobs.figures.recount.shares import (
    Bought,
    Sums,
    describe_bounds,
    describe_money,
    read_order,
    sum_persons,
    sum_strangers,
)
from pushctl.jobs.figures.recount.tries import (
    FLAG_BITS,
    GROUP_BITS,
    PERSON_BITS,
    ByCode,
    Tries,
)
from pushctl.jobs.figures.recount.world import (
    ACCEPTED,
    CLICKED,
    GONE,
    SHOWN,
    THANKED,
    TRIED,
    UNKNOWN,
    UNREPORTED,
    Batch,
    World,
)
from pushctl.rules.figures.figure import Row, Value, read_count
from pushctl.rules.figures.tables.campaigns import hide_unknown
from pushctl.store.orders import Credited

TOTAL = "all messages"
_UNKNOWN = 24  # the hour of messages whose clock or time is unknown
_MARKS = 128
_RATES = ("ctr", "ctr_shown")
# Which messages count as a try of each rate.
_TRIES = (TRIED, [bool(mark & SHOWN) for mark in range(_MARKS)])
# The same as bits, and the bit of a click; nothing where it is no try.
_BITS = (1, 4), (2, 4)
_FLAGS = [
    tried | 2 * shown | 4 * (mark & CLICKED > 0) if tried or shown else 0
    for mark, (tried, shown) in enumerate(zip(*_TRIES, strict=True))
]
_HOUR_OF = [_UNKNOWN if hour == UNKNOWN else hour % 24 for hour in range(UNKNOWN + 1)]


class Groups:
    """Counts of what ``add`` gets; campaigns one after another, each as a whole."""

    def __init__(self, world: World, names: Mapping[int, str], more: Mapping[int, int]) -> None:
        """*names* of campaigns; *more*: clicks besides a message's first, by its number."""
        self._world, self._names, self._more = world, names, more
        # By code * _MARKS + mark.
        self._cells: dict[str, Counter[int]] = {"hour": Counter(), "site": Counter()}
        self._campaigns: dict[int, Counter[int]] = {}
        self._reached: set[tuple[str, int, int]] = set()
        self._clicks: Counter[tuple[str, int]] = Counter()
        self._tries = Tries(_BITS)  # by hour
        self._erased: Counter[int] = Counter()
        # Of the campaign that is counted now.
        self._last: int | None = None
        self._own = [(array("i"), array("i")) for _ in _RATES]
        self._own_erased: Counter[int] = Counter()
        self._bounds: dict[int, list[Sums]] = {}
        self._orders: dict[tuple[str, int], list[Bought]] = {}

    def add(self, batch: Batch) -> None:
        """Count messages; those of a campaign come together."""
        if batch.campaign not in self._campaigns:
            self._finish()
            self._campaigns[batch.campaign] = Counter()
            self._last = batch.campaign
        world, marks = self._world, batch.marks
        hours = [_HOUR_OF[hour] for hour in batch.hours]
        sites = [world.site[place] for place in batch.places]
        alike = Counter(zip(hours, sites, marks, strict=True))
        for (hour, site, mark), count in alike.items():
            self._cells["hour"][hour * _MARKS + mark] += count
            self._cells["site"][site * _MARKS + mark] += count
            self._campaigns[batch.campaign][mark] += count
        self._reached.update(("hour", batch.campaign, code) for code in set(hours))
        self._reached.update(("site", batch.campaign, code) for code in set(sites))
        self._add_persons(batch, hours)
        often = [place for place, row in enumerate(batch.ids) if row in self._more]
        for number in often:
            if marks[number] & CLICKED and (more := self._more[batch.ids[number]]):
                for key in (
                    ("hour", hours[number]), ("site", sites[number]),
                    ("campaign", batch.campaign), ("all", 0),
                ):  # fmt: skip
                    self._clicks[key] += more

    def _add_persons(self, batch: Batch, hours: list[int]) -> None:
        person = self._world.person
        rows = [
            (person[place] << GROUP_BITS | hour) << FLAG_BITS | flags
            for hour, place, mark in zip(hours, batch.places, batch.marks, strict=True)
            if place and (flags := _FLAGS[mark])
        ]
        self._tries.add(rows)
        if 0 in batch.places:
            pairs = zip(batch.marks, batch.places, strict=True)
            self._own_erased.update([mark for mark, place in pairs if not place])
        for (tried, clicked), own in zip(_BITS, self._own, strict=True):
            both = tried | clicked
            own[0].extend([it >> PERSON_BITS for it in rows if it & tried])
            own[1].extend([it >> PERSON_BITS for it in rows if it & both == both])

    def _finish(self) -> None:
        """Take the sums of the last campaign's persons: who they are is not needed any more."""
        if self._last is None:
            return
        self._bounds[self._last] = [
            _sum_own(*own).add(_sum_erased(self._own_erased, tried))
            for own, tried in zip(self._own, _TRIES, strict=True)
        ]
        self._erased += self._own_erased
        self._own = [(array("i"), array("i")) for _ in _RATES]
        self._own_erased = Counter()
        self._last = None

    def add_orders(
        self, brought: Sequence[Credited], messages: Mapping[int, tuple[int, int]]
    ) -> None:
        """Count orders; *messages* has subscription and quarter of those that brought them."""
        for one in brought:
            subscription, quarter = messages[one[1]]
            (place,) = self._world.find_places((subscription,))
            hour = _UNKNOWN
            if place and quarter >= 0:
                hour = self._world.find_hour(place, quarter) % 24
            for key in (
                ("hour", hour), ("site", self._world.site[place]), ("campaign", one[0]),
                ("all", 0),
            ):  # fmt: skip
                self._orders.setdefault(key, []).append(read_order(one))

    def describe(self, by: str) -> dict[str | None, Row]:
        """Return the rows of a group by its word, and that of ``TOTAL``."""
        self._finish()
        rows = dict(self._list_rows(by))
        marks = sum(self._campaigns.values(), Counter[int]())
        if marks:
            reached = sum(map(bool, self._campaigns.values()))
            total = self._describe(marks, self._clicks["all", 0], reached, self._sum_all())
            rows[TOTAL] = {**total, **self._describe_orders(("all", 0), total)}
        return rows

    def _list_rows(self, by: str) -> Iterator[tuple[str | None, Row]]:
        if by == "campaign":
            for campaign, marks in self._campaigns.items():
                if marks:
                    key = by, campaign
                    row = self._describe(marks, self._clicks[key], 1, self._bounds[campaign])
                    yield self._names[campaign], {**row, **self._describe_orders(key, row)}
            return
        cells = self._cells[by]
        for code in sorted({cell // _MARKS for cell in cells}):
            marks = Counter({it % _MARKS: n for it, n in cells.items() if it // _MARKS == code})
            reached = sum(kind == by and it == code for kind, _, it in self._reached)
            sums = self._sum_hour(code) if by == "hour" else self._sum_site(code)
            row = self._describe(marks, self._clicks[by, code], reached, sums)
            orders = self._describe_orders((by, code), row)
            yield self._name(by, code), {**row, **orders}

    def _name(self, by: str, code: int) -> str | None:
        if by == "site":
            return self._world.sites[code]
        return None if code == _UNKNOWN else f"{code:02}"

    def _describe(
        self, marks: Counter[int], more: int, campaigns: int, sums: Sequence[Sums]
    ) -> Row:
        def count(mask: int) -> int:
            return sum(n for mark, n in marks.items() if mark & mask)

        unreported = sum(n for mark, n in marks.items() if UNREPORTED[mark])
        counts: dict[str, Value] = {
            "planned": marks.total(),
            "accepted": count(ACCEPTED),
            "gone": count(GONE),
            "unreported": unreported,
            "bought": count(THANKED),
            "reported": count(ACCEPTED) - unreported,
            "shown": count(SHOWN),
            "clicked": count(CLICKED),
            "clicks": count(CLICKED) + more,
            "campaigns": campaigns,
        }
        for name, each in zip(_RATES, sums, strict=True):
            counts.update(describe_bounds(name, each))
        return hide_unknown(counts)

    def _describe_orders(self, key: tuple[str, int], row: Row) -> Row:
        return describe_money(self._orders.get(key, []), read_count(row, "accepted"))

    def _sum_hour(self, hour: int) -> list[Sums]:
        found = [each.get(hour, Sums()) for each in self._sums[0]]
        return self._add_erased(found) if hour == _UNKNOWN else found

    def _sum_site(self, site: int) -> list[Sums]:
        if not site:
            return self._add_erased([Sums(), Sums()])
        return [each.get(site, Sums()) for each in self._sums[1]]

    def _sum_all(self) -> list[Sums]:
        """Persons are on one site each, so those of the sites add up."""
        everybody = [Sums(), Sums()]
        for site in range(1, len(self._world.sites)):
            each = self._sum_site(site)
            everybody = [one.add(more) for one, more in zip(everybody, each, strict=True)]
        return self._add_erased(everybody)

    @cached_property
    def _sums(self) -> tuple[ByCode, ByCode]:
        """The sums of both rates by hour, and by site."""
        return self._tries.sum_up(self._world.site)

    def _add_erased(self, sums: Sequence[Sums]) -> list[Sums]:
        return [
            each.add(_sum_erased(self._erased, tried))
            for each, tried in zip(sums, _TRIES, strict=True)
        ]


def _sum_own(tried: "array[int]", clicked: "array[int]") -> Sums:
    """Return the sums of one campaign's persons, who stand in *tried* once a message."""
    if len(set(tried)) == len(tried):
        return sum_strangers(len(tried), len(clicked))
    events = Counter(clicked)
    return sum_persons((count, events[person]) for person, count in Counter(tried).items())


def _sum_erased(marks: Counter[int], tried: Sequence[bool]) -> Sums:
    """Return the sums of messages to who was erased: each counts as another person."""
    chosen = {mark: n for mark, n in marks.items() if tried[mark]}
    clicked = sum(n for mark, n in chosen.items() if mark & CLICKED)
    return sum_strangers(sum(chosen.values()), clicked)
