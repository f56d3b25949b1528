"""Messages by campaign, by hour on their receivers' clocks and by site, and all of them."""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pushctl.jobs.figures.recount.shares import (
    Bought,
    Sums,
    describe_bounds,
    describe_money,
    read_order,
    sum_persons,
    sum_strangers,
)
from pushctl.jobs.figures.recount.world import (
    ACCEPTED,
    CLICKED,
    GONE,
    SHOWN,
    THANKED,
    TRIED,
    UNREPORTED,
    Batch,
    Hours,
    World,
)
from pushctl.rules.figures.campaigns import hide_unknown
from pushctl.rules.figures.figure import Row, Value, read_count
from pushctl.store.orders import Credited

TOTAL = "all messages"
_UNKNOWN = 24  # the hour of messages whose clock or time is unknown
_MARKS = 128
_RATES = ("ctr", "ctr_shown")
# Which messages count as a try of each rate.
_TRIES = (TRIED, [bool(mark & SHOWN) for mark in range(_MARKS)])
_Cells = Counter[tuple[int, int]]


class Groups:
    """Counts of what ``add`` gets; campaigns one after another, each as a whole."""

    def __init__(self, world: World, names: Mapping[int, str], more: Mapping[int, int]) -> None:
        """*names* of campaigns; *more*: clicks besides a message's first, by its number."""
        self._world, self._names, self._more = world, names, more
        self._hours = Hours(world.clocks)
        self._by_hour: _Cells = Counter()
        self._by_site: _Cells = Counter()
        self._campaigns: dict[int, Counter[int]] = {}
        self._reached: set[tuple[str, int, int]] = set()
        self._clicks: Counter[tuple[str, int]] = Counter()
        # Tries and events of each rate, by hour and person.
        size = (_UNKNOWN + 1) * world.size
        self._sums = [[array("H", bytes(2 * size)) for _ in range(2)] for _ in _RATES]
        self._erased: Counter[int] = Counter()
        # Of the campaign that is counted now.
        self._last: int | None = None
        self._own = [(Counter[int](), Counter[int]()) for _ in _RATES]
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
        hours = self.find_hours(batch)
        sites = [world.site[place] for place in batch.places]
        persons = [world.person[place] for place in batch.places]
        self._by_hour.update(zip(hours, marks, strict=True))
        self._by_site.update(zip(sites, marks, strict=True))
        self._campaigns[batch.campaign].update(marks)
        self._reached.update(("hour", batch.campaign, hour) for hour in set(hours))
        self._reached.update(("site", batch.campaign, site) for site in set(sites))
        self._own_erased.update(
            mark for mark, place in zip(marks, batch.places, strict=True) if not place
        )
        self._add_persons(hours, persons, marks)
        for row, hour, site in zip(batch.ids, hours, sites, strict=True):
            if row in self._more:
                for key in (
                    ("hour", hour), ("site", site), ("campaign", batch.campaign), ("all", 0),
                ):  # fmt: skip
                    self._clicks[key] += self._more[row]

    def find_hours(self, batch: Batch) -> list[int]:
        zones, hours = [self._world.zone[place] for place in batch.places], self._hours
        return [
            hours[zone, quarter] % 24 if zone and quarter >= 0 else _UNKNOWN
            for zone, quarter in zip(zones, batch.quarters, strict=True)
        ]

    def _add_persons(self, hours: list[int], persons: list[int], marks: Sequence[int]) -> None:
        size = self._world.size
        for (tries, events), (own, own_events), tried in zip(
            self._sums, self._own, _TRIES, strict=True
        ):
            chosen = [
                (hour * size + person, person, mark)
                for hour, person, mark in zip(hours, persons, marks, strict=True)
                if tried[mark] and person
            ]
            own.update([person for _, person, _ in chosen])
            for cell, _, _ in chosen:
                tries[cell] += 1
            clicked = [each for each in chosen if each[2] & CLICKED]
            own_events.update([person for _, person, _ in clicked])
            for cell, _, _ in clicked:
                events[cell] += 1

    def _finish(self) -> None:
        """Take the sums of the last campaign's persons: who they are is not needed any more."""
        if self._last is None:
            return
        self._bounds[self._last] = [
            sum_persons((count, events[person]) for person, count in own.items()).add(
                _sum_erased(self._own_erased, tried)
            )
            for (own, events), tried in zip(self._own, _TRIES, strict=True)
        ]
        self._erased += self._own_erased
        self._own = [(Counter(), Counter()) for _ in _RATES]
        self._own_erased = Counter()
        self._last = None

    def add_orders(
        self, brought: Sequence[Credited], messages: Mapping[int, tuple[int, int]]
    ) -> None:
        """Count orders; *messages* has subscription and quarter of those that brought them."""
        for one in brought:
            subscription, quarter = messages[one[1]]
            (place,) = self._world.find_places((subscription,))
            zone = self._world.zone[place]
            hour = self._hours[zone, quarter] % 24 if zone and quarter >= 0 else _UNKNOWN
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
        cells = self._by_hour if by == "hour" else self._by_site
        for code in sorted({code for code, _ in cells}):
            marks = Counter({mark: n for (it, mark), n in cells.items() if it == code})
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
        part = slice(hour * self._world.size, (hour + 1) * self._world.size)
        found = [
            sum_persons(zip(tries[part], events[part], strict=True))
            for tries, events in self._sums
        ]
        if hour == _UNKNOWN:
            found = self._add_erased(found)
        return found

    def _sum_site(self, site: int) -> list[Sums]:
        """Persons are on one site each, so their hours add up."""
        if not site:
            return self._add_erased([Sums(), Sums()])
        places = [place for place, it in enumerate(self._world.site) if it == site]
        return [sum_persons(self._add_hours(places, *pair)) for pair in self._sums]

    def _sum_all(self) -> list[Sums]:
        everybody = range(1, self._world.size)
        return self._add_erased(
            [sum_persons(self._add_hours(everybody, *pair)) for pair in self._sums]
        )

    def _add_hours(
        self, places: Sequence[int], tries: "array[int]", events: "array[int]"
    ) -> Iterator[tuple[int, int]]:
        size = self._world.size
        for place in places:
            if self._world.person[place] == place:
                yield sum(tries[place::size]), sum(events[place::size])

    def _add_erased(self, sums: Sequence[Sums]) -> list[Sums]:
        return [
            each.add(_sum_erased(self._erased, tried))
            for each, tried in zip(sums, _TRIES, strict=True)
        ]


def _sum_erased(marks: Counter[int], tried: Sequence[bool]) -> Sums:
    """Return the sums of messages to who was erased: each counts as another person."""
    chosen = {mark: n for mark, n in marks.items() if tried[mark]}
    clicked = sum(n for mark, n in chosen.items() if mark & CLICKED)
    return sum_strangers(sum(chosen.values()), clicked)
