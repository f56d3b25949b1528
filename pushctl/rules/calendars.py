"""
A content plan: what goes out to whom on which day, and what is missing or too much in it.

All times are days and hours by the site's clock, or by each person's own for what is local.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date as Date
from datetime import timedelta

# "Constant communication, at least once a week": a software vendor with pushes to more than
# 40 countries.
SEVEN_DAYS = timedelta(days=7)
_NAMED_COUNTRIES = 4

Place = tuple[str, str]  # site, country ("" is unknown)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing on one day."""

    day: Date
    time: str  # "10:00", "10:00 local"; "": all day
    kind: str  # message, holiday, gap, overload, quiet
    what: str
    people: int = 0
    note: str = ""
    places: Mapping[Place, int] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """Return its countries, the largest first: "TR 9,100, SA 2,000 and 3 more"."""
        found: Counter[str] = Counter()
        for (_, country), people in self.places.items():
            found[country or "unknown"] += people
        named = [f"{name} {people:,}" for name, people in found.most_common(_NAMED_COUNTRIES)]
        more = len(found) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")

    @property
    def sites(self) -> tuple[str, ...]:
        return tuple(sorted({site for site, _ in self.places}))


@dataclass(frozen=True, slots=True)
class Special:
    """A public holiday of a country where people are."""

    day: Date
    country: str
    name: str
    people: int
    estimated: bool
    greeted: bool  # a trigger sends on it


def find_gaps(
    entries: Sequence[Entry], people: Mapping[Place, int], first: Date, weeks: int
) -> Iterator[Entry]:
    """
    Yield the weeks in which nothing goes out to a place, with how many people wait there.

    A place is a site and a country. Weeks of several places are one entry.
    """
    reached = [(entry.day, place) for entry in entries for place in entry.places]
    for number in range(weeks):
        start = first + number * SEVEN_DAYS
        served = {place for day, place in reached if start <= day < start + SEVEN_DAYS}
        lacking = {place: count for place, count in people.items() if place not in served}
        if lacking:
            total = sum(lacking.values())
            whom = "anybody" if len(lacking) == len(people) else "these"
            what = f"nothing goes out to {whom} this week"
            yield Entry(start, "", "gap", what, total, "at least weekly is advised", lacking)


def find_overload(
    entries: Iterable[Entry], most: int, days: int
) -> Iterator[tuple[Date, Date, list[str]]]:
    """
    Yield (first day, day after the last, names) where one place may get more than *most*.

    It is asked of the places of *entries*; whether the same people are meant twice is for
    whoever counts them.
    """
    by_place: defaultdict[Place, list[tuple[Date, str]]] = defaultdict(list)
    for entry in entries:
        for place in entry.places:
            by_place[place].append((entry.day, entry.what))
    seen: set[tuple[Date, tuple[str, ...]]] = set()
    for listed in by_place.values():
        listed.sort()
        for at, (day, _) in enumerate(listed):
            until = day + timedelta(days=days)
            names = [name for other, name in listed[at:] if other < until]
            if len(names) > most and (day, tuple(names)) not in seen:
                seen.add((day, tuple(names)))
                yield day, until, names


def describe_holidays(
    specials: Iterable[Special], entries: Sequence[Entry], site: str, today: Date
) -> Iterator[Entry]:
    """
    Yield one entry a holiday: what goes out then, or a proposal.

    Countries that have a holiday of one name on one day are one entry. *site* stands for the
    site of people by country.
    """
    together: defaultdict[tuple[Date, str], list[Special]] = defaultdict(list)
    for one in specials:
        if one.people:
            together[one.day, one.name].append(one)
    for (day, name), listed in sorted(together.items()):
        places = {(site, one.country): one.people for one in listed}
        countries = {one.country for one in listed}
        planned = [
            entry.what
            for entry in entries
            if entry.day == day and countries & {country for _, country in entry.places}
        ]
        note = _propose(day, listed, planned, today)
        people = sum(places.values())
        yield Entry(day, "", "holiday", name, people, note, places)


def _propose(day: Date, listed: Sequence[Special], planned: Sequence[str], today: Date) -> str:
    if all(one.greeted for one in listed):
        return "a trigger greets them"
    if planned:
        return f"on that day: {', '.join(planned)}"
    if any(one.estimated for one in listed):
        return "the day is estimated: confirm it first (pushctl holidays confirm)"
    names = ", ".join(f"'{one.country}'" for one in listed)
    where = f"country = {names}" if len(listed) == 1 else f"country in ({names})"
    # At ten it may be over there.
    when = f' --at "{day} 10:00" --local' if day > today else ""
    return f'propose: --where "{where}"{when}'
