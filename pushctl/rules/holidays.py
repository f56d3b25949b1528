"""
Public holidays of countries, by the package holidays (the extra ``pushctl[holidays]``).

A holiday of several days is one, on its first day. Days that hang on a moon that nobody has
seen yet are ``estimated``: whoever sends on them asks the owner first.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date as Date
from datetime import time as Time
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pushctl.errors import ConfigError
from pushctl.rules.folding import fold

if TYPE_CHECKING:
    from holidays import HolidayBase

# Days of one name so close together are one holiday: the Russian New Year has six of eight.
_ONE_HOLIDAY = timedelta(days=10)

# By these labels the package marks days, in English and translated for other languages.
_SUBSTITUTED = "substituted_label"
_LABELS = ("estimated_label", "observed_estimated_label", "observed_label", _SUBSTITUTED)
_ENGLISH = "en_US"


@dataclass(frozen=True, slots=True)
class Holiday:
    """One holiday of one year in a country, or in a region of it."""

    country: str  # "TR"
    region: str | None  # ISO 3166-2 without the country: "BY"
    name: str  # in English, else as the country has it
    day: Date  # the first; where a weekend moves it, the holiday itself
    key: str  # "2027:Eid al-Fitr": the same when the package corrects its day
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class HolidayRule:
    """So many days after (before: negative) a public holiday, at a local time."""

    at: Time = Time(10, 0)
    days: int = 0
    names: tuple[str, ...] = ()  # only these, with * for any letters; none: all
    besides: tuple[str, ...] = ()  # not these
    regions: Mapping[str, str] | None = None  # by country

    def means(self, holiday: Holiday) -> bool:
        """Return whether the rule sends for *holiday*, by its English or its own name."""
        known = {fold(holiday.name), *map(fold, _list_own_names(holiday))}
        return (not self.names or _match(self.names, known)) and not _match(self.besides, known)

    def region(self, country: str) -> str | None:
        return (self.regions or {}).get(country)


def is_installed() -> bool:
    from importlib.util import find_spec

    return find_spec("holidays") is not None


def check_installed() -> None:
    """Raise ConfigError where the package is missing, with the command that adds it."""
    if not is_installed():
        raise ConfigError("holidays need the package holidays: pip install 'pushctl[holidays]'")


def find_fault(country: str, region: str | None = None) -> str | None:
    """Return why a country's holidays can't be known; None: they are."""
    entity = _find_entity(country)
    if entity is None:
        return f"the package holidays knows no country {country!r}"
    if region is not None and region not in entity.subdivisions:
        known = ", ".join(entity.subdivisions) or "none"
        return f"{country} has no region {region!r}; there are: {known}"
    return None


@lru_cache(maxsize=512)
def list_year(country: str, year: int, region: str | None = None) -> tuple[Holiday, ...]:
    """Return the public holidays of *year*, by day; none for a country that is not known."""
    if find_fault(country, region) is not None:
        return ()
    known = _open(country, year, region, _ENGLISH)
    days: dict[str, list[tuple[Date, bool, bool]]] = {}
    for day in sorted(known):
        for said in known.get_list(day):
            name, labels = _strip_labels(known, said)
            if _SUBSTITUTED in labels:
                continue  # a free day for one that was worked: nothing to wish for
            estimated = any("estimated" in one for one in labels)
            observed = any("observed" in one for one in labels)
            days.setdefault(name, []).append((day, observed, estimated))
    found = [
        one
        for name, listed in days.items()
        for one in _join_days(country, region, year, name, listed)
    ]
    return tuple(sorted(found, key=lambda one: (one.day, one.name)))


def name_in(holiday: Holiday, language: str | None) -> str:
    """Return a holiday's name in *language* if the package has it, else the country's own."""
    entity = _find_entity(holiday.country)
    if entity is None:
        return holiday.name
    listed = tuple(entity.supported_languages)
    wanted = (language or "").replace("-", "_").casefold()
    base = wanted.partition("_")[0]
    near = [one for one in listed if one.casefold() == wanted]
    near += [one for one in listed if one.casefold().partition("_")[0] == base]
    return _name_day(holiday, near[0] if near else None)


def _list_own_names(holiday: Holiday) -> set[str]:
    return {_name_day(holiday, None)}


@lru_cache(maxsize=1024)
def _name_day(holiday: Holiday, language: str | None) -> str:
    """Return how the package calls the day of *holiday*, as far as it can be told apart."""
    english = _open(holiday.country, holiday.day.year, holiday.region, _ENGLISH)
    own = _open(holiday.country, holiday.day.year, holiday.region, language)
    for day in sorted(english):
        names = [_strip_labels(english, one)[0] for one in english.get_list(day)]
        theirs = [_strip_labels(own, one)[0] for one in own.get_list(day)]
        if holiday.name in names and len(theirs) == len(names):
            # Those of one day are sorted by their names, so by language: all are named.
            return theirs[names.index(holiday.name)] if len(names) == 1 else ", ".join(theirs)
    return holiday.name


def _join_days(
    country: str,
    region: str | None,
    year: int,
    name: str,
    days: Iterable[tuple[Date, bool, bool]],
) -> list[Holiday]:
    """Return the holidays called *name*: a lunar one may come twice in a year."""
    runs: list[list[tuple[Date, bool, bool]]] = []
    for one in days:
        if not runs or one[0] - runs[-1][-1][0] > _ONE_HOLIDAY:
            runs.append([])
        runs[-1].append(one)
    found = []
    for number, run in enumerate(runs, 1):
        proper = [one for one in run if not one[1]] or run
        again = f":{number}" if number > 1 else ""
        estimated = any(one[2] for one in run)
        key = f"{year}:{name}{again}"
        found.append(Holiday(country, region, name, proper[0][0], key, estimated))
    return found


def _match(patterns: Iterable[str], names: Iterable[str]) -> bool:
    return any(fnmatchcase(name, fold(pattern)) for pattern in patterns for name in names)


def _find_entity(country: str) -> Any:
    import holidays

    if country not in _list_countries():
        return None
    return getattr(holidays, country)


@lru_cache(maxsize=1)
def _list_countries() -> frozenset[str]:
    import holidays

    return frozenset(holidays.list_supported_countries(include_aliases=False))


@lru_cache(maxsize=512)
def _open(country: str, year: int, region: str | None, language: str | None) -> "HolidayBase":
    """Return the package's calendar; *language* None, or one it lacks: the country's own."""
    entity = _find_entity(country)
    known = language if language in entity.supported_languages else None
    asked = {"years": year, "subdiv": region, "language": known or entity.default_language}
    try:
        # Of three countries it would keep to itself that a day is estimated.
        found: HolidayBase = entity(**asked, islamic_show_estimated=True)
    except TypeError:
        found = entity(**asked)
    return found


def _strip_labels(known: "HolidayBase", said: str) -> tuple[str, list[str]]:
    """Return a day's name without its labels, and which of them it had."""
    had = []
    for label in _LABELS:
        written = getattr(known, label, None)
        if written is None:
            continue
        for form in {known.tr(written), written}:
            before, _, after = form.partition("%s")
            match = re.fullmatch(re.escape(before) + "(.+)" + re.escape(after), said)
            if match:
                said = match[1]
                had.append(label)
                break
    return said, had
