"""Raw rows as all recounts read them: people once, messages a few thousand at a time."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from pushctl.rules import timing, units
from pushctl.store import Store

QUARTER = 15 * units.MINUTE  # messages have their times so
DAY_QUARTERS = units.DAY // QUARTER
_PAGE = 14  # bits of a subscription's number
_CHUNK = 20_000
UNKNOWN = 255  # the hour of the week where it is not known

# What is true of a message, as ``store.recounts.read_messages`` says it.
ACCEPTED, GONE, LEFT, FOREIGN, THANKED, SHOWN, CLICKED = (1 << place for place in range(7))
MARKS = range(128)
UNREPORTED = [
    bool(it & ACCEPTED and it & FOREIGN and not it & SHOWN) for it in MARKS
]  # nobody knows what became of it
TRIED = [bool(it & ACCEPTED) and not UNREPORTED[it] for it in MARKS]


class Batch(NamedTuple):
    """Messages of one campaign, a list each; *places* are those of their people, 0: erased."""

    campaign: int
    ids: tuple[int, ...]
    places: list[int]
    quarters: tuple[int, ...]  # -1: not known, or never sent
    marks: tuple[int, ...]
    languages: tuple[str | None, ...]
    variants: tuple[str | None, ...]
    hours: list[int]  # of the week, on their receivers' clocks; UNKNOWN: no clock, or no time


class World:
    """
    People by their places, which have few gaps: numbers of rows may have gaps of a billion.

    ``person`` has the place of the person's first subscription, ``site`` to ``browser``
    indexes into words, of which the first is None. Place 0 is nobody.
    """

    def __init__(self, store: Store, zones: Mapping[str, str]) -> None:
        self.store = store
        self._shifts = {0: 0}
        self.size = 1 << _PAGE
        self.person, self.subscribed = array("i"), array("q")
        self.site, self.zone, self.browser = array("H"), array("H"), array("H")
        self.active = bytearray()
        self.sites: list[str | None] = [None]
        self.browsers: list[str | None] = [None]
        self.clocks: list[tzinfo] = [UTC]
        self._read(zones)
        self._days = Days(self.clocks)

    def find_hour(self, place: int, quarter: int) -> int:
        """Return the hour of the week of somebody's clock."""
        return self._days[self.zone[place] << 20 | quarter // DAY_QUARTERS][
            quarter % DAY_QUARTERS
        ]

    def find_places(self, subscriptions: tuple[int, ...]) -> list[int]:
        """Return the place of each of *subscriptions*; of number 0 it is 0."""
        if not any(self._shifts.values()):
            return list(subscriptions)
        shifts = self._shifts
        return [one + shifts[one >> _PAGE] for one in subscriptions]

    def read_messages(self, campaign: int) -> Iterator[Batch]:
        """Yield all messages of *campaign* in the order of their numbers."""
        rows = self.store.recounts.read_messages(campaign)
        while some := rows.fetchmany(_CHUNK):
            ids, people, quarters, marks, languages, variants = zip(*some, strict=True)
            places = self.find_places(people)
            hours = self._find_hours(places, quarters)
            yield Batch(campaign, ids, places, quarters, marks, languages, variants, hours)

    def _find_hours(self, places: list[int], quarters: Sequence[int]) -> list[int]:
        zone, days = self.zone, self._days
        return [
            days[zone[place] << 20 | quarter // DAY_QUARTERS][quarter % DAY_QUARTERS]
            if place and quarter >= 0
            else UNKNOWN
            for place, quarter in zip(places, quarters, strict=True)
        ]

    def _read(self, zones: Mapping[str, str]) -> None:
        sites: dict[str | None, int] = {None: 0}
        browsers: dict[str | None, int] = {None: 0}
        clocks: dict[tuple[str, str | None], int] = {}
        firsts: dict[tuple[object, ...], int] = {}
        aliases = self._find_aliases()
        self._grow()
        for (
            row,
            site,
            zone,
            browser,
            at,
            state,
            alias,
            hashed,
        ) in self.store.recounts.read_people():
            place = self._add(row)
            self.site[place] = sites.setdefault(site, len(sites))
            self.browser[place] = browsers.setdefault(browser, len(browsers))
            clock = clocks.setdefault((site, zone), len(clocks) + 1)
            if clock == len(self.clocks):
                self.clocks.append(timing.zone(zone, zones.get(site, "UTC")))
            self.zone[place], self.subscribed[place] = clock, at
            self.active[place] = state == "active"
            alias = aliases.get((site, hashed)) if alias is None else alias
            self.person[place] = place
            if alias is not None or hashed is not None:
                key = (site, "alias", alias) if alias is not None else (site, "hash", hashed)
                self.person[place] = firsts.setdefault(key, place)
        self.sites, self.browsers = list(sites), list(browsers)

    def _find_aliases(self) -> dict[tuple[str, bytes], str]:
        """Return the lowest alias of each address that somebody with an alias has."""
        found: dict[tuple[str, bytes], str] = {}
        for site, hashed, alias in self.store.recounts.read_named_addresses():
            found[site, hashed] = min(alias, found.get((site, hashed), alias))
        return found

    def _add(self, row: int) -> int:
        page = row >> _PAGE
        if page not in self._shifts:
            self._shifts[page] = self.size - (page << _PAGE)
            self.size += 1 << _PAGE
            self._grow()
        return row + self._shifts[page]

    def _grow(self) -> None:
        for column in (self.person, self.subscribed, self.site, self.zone, self.browser):
            column.frombytes(bytes(column.itemsize * (self.size - len(column))))
        self.active.extend(bytes(self.size - len(self.active)))


class Days(dict[int, bytes]):
    """
    The hours of the week of a UTC day's quarters on a clock: 0 is Monday from 0:00.

    By the clock's place << 20 | the day since 1970.
    """

    def __init__(self, clocks: list[tzinfo]) -> None:
        super().__init__()
        self._clocks = clocks

    def __missing__(self, key: int) -> bytes:
        clock, day = self._clocks[key >> 20], key & 0xFFFFF
        times = [
            datetime.fromtimestamp(each * QUARTER / 1000, clock)
            for each in (day * DAY_QUARTERS, (day + 1) * DAY_QUARTERS - 1)
        ]
        offset = times[0].utcoffset()
        assert offset is not None
        begin = times[0].weekday() * DAY_QUARTERS + times[0].hour * 4 + times[0].minute // 15
        if offset == times[1].utcoffset() and not offset % timedelta(minutes=15):
            found = _WEEK[begin : begin + DAY_QUARTERS]
        else:
            found = self._spell_out(clock, day)
        self[key] = found
        return found

    def _spell_out(self, clock: tzinfo, day: int) -> bytes:
        """Return the hours of a day on which the clock is changed."""
        times = (
            datetime.fromtimestamp(each * QUARTER / 1000, clock)
            for each in range(day * DAY_QUARTERS, (day + 1) * DAY_QUARTERS)
        )
        return bytes(at.weekday() * 24 + at.hour for at in times)


# The hours of two weeks' quarters.
_WEEK = bytes(quarter // 4 for quarter in range(7 * DAY_QUARTERS)) * 2
