"""
By what messages are grouped: a code for each message, and the words of the codes.

Hours and weekdays are those of the receiver's own clock, else of the site's; days, weeks and
months are those of the site. Who was erased has no clock, no country and no age any more:
those are unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo

import numpy as np
from numpy.typing import NDArray

from pushctl.config import Config
from pushctl.jobs.figures.breakdown.dimensions import (
    OF_CALENDAR,
    OF_CAMPAIGN,
    OF_MESSAGE,
    OF_PERSON,
    WEEKDAYS,
)
from pushctl.jobs.figures.columns.local_times import find_week_hours, number_zones
from pushctl.jobs.figures.columns.messages import QUARTER, Messages, People, load_people
from pushctl.jobs.figures.columns.row_places import make_folding
from pushctl.jobs.figures.filters import Filter
from pushctl.rules import units
from pushctl.store import Store
from pushctl.store.campaigns import Described

Codes = NDArray[np.int64]

# Up to how many days after somebody subscribed, and what that is called.
_AGES = ((1, "1st day"), (7, "2-7 days"), (30, "8-30 days"), (90, "31-90 days"),
         (365, "91-365 days"), (100_000, "over a year"))  # fmt: skip
_THURSDAY = 3  # 1 January 1970 was one; Monday is 0
_DAY_HOURS, _WEEK_HOURS = units.DAY // units.HOUR, units.WEEK // units.HOUR


@dataclass(frozen=True, slots=True)
class Grouping:
    """*codes*: an index into *words* for each message; the word None is unknown."""

    codes: Codes
    words: Sequence[str | None]


class Grouper:
    """What grouping needs besides messages; *store* is asked for each clock at most once."""

    def __init__(
        self,
        store: Store,
        config: Config,
        asked: Filter,
        people: People,
        campaigns: Sequence[Described],
    ) -> None:
        self._store, self._config, self._asked = store, config, asked
        self._people, self._campaigns = people, campaigns
        self._zones: dict[bool, tuple[NDArray[np.integer], list[tzinfo]]] = {}

    def group(self, by: str, messages: Messages) -> Grouping:
        """Return the groups of *messages* by one of KINDS; KeyError for another."""
        if by in OF_CAMPAIGN:
            return self._group_campaigns(by, messages)
        if by in OF_PERSON:
            codes = getattr(self._people, by)[messages.subscription]
            return Grouping(codes.astype(np.int64), self._people.words[by])
        if by in OF_MESSAGE:
            codes = getattr(messages, by).astype(np.int64)
            return Grouping(codes, getattr(messages, f"{by}s"))
        if by == "age":
            return _group_ages(messages, self._people)
        hours, known = self._find_local_hours(messages, of_site=by in OF_CALENDAR)
        if by in OF_CALENDAR:
            return _group_days(by, hours, known)
        return _GROUP_CLOCK[by](
            hours % _DAY_HOURS, (hours // _DAY_HOURS + _THURSDAY) % 7, known
        )

    def _group_campaigns(self, by: str, messages: Messages) -> Grouping:
        folding = make_folding(one.id for one in self._campaigns)
        codes: list[int] = []
        known: dict[str | None, int] = {None: 0}
        for one in self._campaigns:
            word = one.name if by == "campaign" else one.topic
            codes.append(known.setdefault(word, len(known)))
        places = np.zeros(folding.size, np.int64)
        numbers = np.array([one.id for one in self._campaigns], np.int64)
        places[folding.fold(numbers)] = codes
        return Grouping(places[folding.fold(messages.campaign)], list(known))

    def _find_local_hours(
        self, messages: Messages, *, of_site: bool
    ) -> tuple[Codes, NDArray[np.bool_]]:
        """
        Return the hour since 1970 on the clock that is asked for, and where it is known.

        *of_site*: that of the site; of who was erased, that of the filter's site.
        """
        zones, known = self._load_zones(of_site=of_site)
        places = zones[messages.subscription]
        sure = messages.sent >= 0
        if of_site:
            places, known = np.where(places < 0, len(known), places), [*known, self._asked.zone]
        else:
            sure = sure & (places >= 0)
        quarters = messages.sent[sure].astype(np.int64)
        whose = places[sure].astype(np.int64)
        return _add_clock(quarters, whose, known, len(messages.sent), sure), sure

    def _load_zones(self, *, of_site: bool) -> tuple[NDArray[np.integer], list[tzinfo]]:
        """Return each subscription's place in a list of time zones, -1: unknown; the list."""
        if of_site not in self._zones:
            people = load_people(self._store, ("timezone", "site"), self._people.folding)
            sites = {name: site.timezone for name, site in self._config.sites.items()}
            self._zones[of_site] = number_zones(people, sites, of_site=of_site)
        return self._zones[of_site]


def _add_clock(
    quarters: Codes, places: Codes, known: Sequence[tzinfo], size: int, sure: NDArray[np.bool_]
) -> Codes:
    hours = quarters // 4
    week = (hours + _THURSDAY * _DAY_HOURS) % _WEEK_HOURS
    # No clock is off by half a week, so the hour of the week says by how much it is.
    off = (find_week_hours(quarters, places, known) - week + _WEEK_HOURS // 2) % _WEEK_HOURS
    local = np.zeros(size, np.int64)
    local[sure] = hours + off - _WEEK_HOURS // 2
    return local


def _code(values: Codes, known: NDArray[np.bool_], words: Sequence[str]) -> Grouping:
    return Grouping(np.where(known, values, len(words)), [*words, None])


_GROUP_CLOCK = {
    "hour": lambda hour, day, known: _code(hour, known, [f"{it:02}" for it in range(24)]),
    "weekday": lambda hour, day, known: _code(day, known, WEEKDAYS),
    "cell": lambda hour, day, known: _code(
        day * _DAY_HOURS + hour,
        known,
        [f"{word} {it:02}" for word in WEEKDAYS for it in range(_DAY_HOURS)],
    ),
}


def _group_days(by: str, hours: Codes, known: NDArray[np.bool_]) -> Grouping:
    """Group by the first day of the stretch, oldest first."""
    days, places = np.unique(hours[known] // _DAY_HOURS, return_inverse=True)
    starts = [_find_start(date(1970, 1, 1) + timedelta(days=int(day)), by) for day in days]
    words = sorted({start.isoformat() for start in starts})
    codes = np.full(len(hours), len(words), np.int64)
    index = {word: place for place, word in enumerate(words)}
    codes[known] = np.array([index[it.isoformat()] for it in starts], np.int64)[places]
    return Grouping(codes, [*words, None])


def _find_start(day: date, by: str) -> date:
    if by == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if by == "month" else day


def _group_ages(messages: Messages, people: People) -> Grouping:
    """Group by the time between subscribing and the message."""
    since = people.subscribed_at[messages.subscription]
    sent = messages.sent.astype(np.int64) * QUARTER
    known = (messages.sent >= 0) & (since > 0)
    edges = [days * units.DAY for days, _ in _AGES[:-1]]
    codes = np.searchsorted(edges, np.maximum(sent - since, 0), side="right")
    return _code(codes, known, [word for _, word in _AGES])
