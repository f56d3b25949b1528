"""
Public holidays of the people's countries: whom a trigger greets, and what has to be confirmed.

A country's calendar is looked at once a scan, whatever its people. A day that is only estimated
brings no message until the owner has confirmed it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date as Date
from datetime import timedelta

from pushctl.config import Config
from pushctl.errors import InputError, NotFoundError
from pushctl.jobs.triggers.types import Run
from pushctl.model import Json, Millis, Subscription
from pushctl.rules import holidays, timing, units
from pushctl.rules.folding import fold
from pushctl.rules.holidays import Holiday, HolidayRule
from pushctl.rules.triggers.trigger import Trigger
from pushctl.store import Store
from pushctl.store.holidays import Key
from pushctl.store.idle import NEXT_SCAN_KEY
from pushctl.store.triggers import Candidate

# A sweep reminds of days to confirm so long before the message would go out.
_ASK_BEFORE: Millis = 3 * units.DAY
# The moon moves an estimated day by one or two.
_NEAR = timedelta(days=3)

# A candidate, the occurrence, its time, and the values for its messages.
Found = tuple[Candidate, str, Millis, Mapping[str, Json]]


@dataclass(frozen=True, slots=True)
class Line:
    """One coming holiday of a country that has people."""

    day: str
    country: str
    holiday: str
    people: int
    state: str  # known, confirmed; estimated: nothing is sent before it is confirmed
    triggers: str


@dataclass(frozen=True, slots=True)
class Days:
    """What greets people of a country on one day; *names* are in English."""

    holidays: tuple[Holiday, ...]
    day: Date

    @property
    def occurrence(self) -> str:
        """Return the name of the cause: once a year, also for who has moved."""
        return f"holiday:{self.holidays[0].key}"

    def describe(self, language: str | None) -> dict[str, Json]:
        """Return the values for a message in *language*."""
        names = (holidays.name_in(one, language) for one in self.holidays)
        country = self.holidays[0].country
        said = ", ".join(dict.fromkeys(names))
        return {"holiday": said, "date": self.day.isoformat(), "country": country}


def find_people(run: Run, trigger: Trigger, since: Millis, until: Millis) -> Iterator[Found]:
    """Yield whom *trigger* greets in [since, until), each at their own local time."""
    rule = trigger.holiday
    assert rule is not None
    holidays.check_installed()
    defaults = {name: one.country for name, one in run.settings.sites.items() if one.country}
    people = count_people(run.store, defaults)
    confirmed = run.store.holidays.load_confirmed()
    _ask(run, trigger, people, confirmed)
    first, last = _find_days(rule, since, until)
    due = {
        country: found
        for country in people
        if (found := list_days(rule, country, first, last, confirmed))
    }
    asked = {
        (country, one.occurrence): one for country, listed in due.items() for one in listed
    }
    listed = run.store.holidays.list_people(asked, defaults, trigger.name) if asked else ()
    for candidate in listed:
        country, language, occurrence = candidate.value
        days = asked[country, occurrence]
        zone = run.settings.zone(candidate.timezone, candidate.site)
        at = timing.instant(days.day + timedelta(days=rule.days), rule.at, zone)
        if since <= at < until:
            yield candidate, occurrence, at, {"event": days.describe(language)}


def count_people(store: Store, defaults: Mapping[str, str]) -> dict[str, int]:
    """Return how many active subscriptions each country has; a site's own for unknown ones."""
    found: dict[str, int] = defaultdict(int)
    for country, site, count in store.holidays.count_countries():
        if known := country or defaults.get(site, ""):
            found[known] += count
    return dict(found)


def list_defaults(config: Config) -> dict[str, str]:
    """Return the countries of sites for subscribers whose own is not known."""
    return {name: site.country for name, site in config.sites.items() if site.country}


def find_today(config: Config, now: Millis) -> Date:
    """Return the day by the first site's clock."""
    zones = [timing.zone(one.timezone) for one in config.sites.values()]
    return timing.local(now, (zones or [timing.zone("UTC")])[0]).date()


def list_days(
    rule: HolidayRule, country: str, first: Date, last: Date, confirmed: Mapping[Key, Date]
) -> list[Days]:
    """Return the days from *first* to *last* on which *rule* greets people of *country*."""
    found: dict[Date, list[Holiday]] = {}
    for holiday in _list_meant(rule, country, first, last):
        day = confirmed.get((country, holiday.key), None if holiday.estimated else holiday.day)
        if day is not None and first <= day <= last:
            found.setdefault(day, []).append(holiday)
    return [Days(tuple(found[day]), day) for day in sorted(found)]


def find_next(
    config: Config, store: Store, trigger: Trigger, who: Subscription, now: Millis
) -> tuple[Days, Millis]:
    """Return the next holiday of one person, and the time of its message; for a test."""
    rule = trigger.holiday
    assert rule is not None
    holidays.check_installed()
    site = config.sites[who.site]
    country = (who.country or site.country or "").upper()
    if not country:
        raise InputError(
            f"the country of {who.public_id} is not known, so it has no holidays. Choose "
            f'somebody else, or set country = "TR" in [sites.{who.site}].'
        )
    zone = timing.zone(who.timezone, site.timezone)
    today = timing.local(now, zone).date() - timedelta(days=rule.days)
    confirmed = store.holidays.load_confirmed()
    for days in list_days(rule, country, today, today + timedelta(days=400), confirmed):
        at = timing.instant(days.day + timedelta(days=rule.days), rule.at, zone)
        if at >= now:
            return days, at
    raise InputError(
        f"{country} has no coming holiday that {trigger.name} means and whose day is known. "
        f"pushctl holidays list --country {country} shows all."
    )


def list_coming(
    config: Config, store: Store, today: Date, days: int, countries: Collection[str] = ()
) -> list[Line]:
    """Return the holidays of the next *days* where people are, or of *countries*, by day."""
    holidays.check_installed()
    people = count_people(store, list_defaults(config))
    confirmed, last = store.holidays.load_confirmed(), today + timedelta(days=days)
    rules = {one.name: one.holiday for one in config.triggers.values() if one.holiday}
    everything = HolidayRule()
    found = []
    for country in [one.upper() for one in countries] or sorted(people):
        if countries and (fault := holidays.find_fault(country)):
            raise NotFoundError(f"{fault}. Write two letters: TR.")
        for one in _list_meant(everything, country, today, last):
            day = confirmed.get((country, one.key), one.day)
            if not today <= day <= last:
                continue
            state = "estimated" if one.estimated else "known"
            state = "confirmed" if (country, one.key) in confirmed else state
            meant = ", ".join(name for name, rule in rules.items() if rule.means(one))
            count = people.get(country, 0)
            found.append(Line(day.isoformat(), country, one.name, count, state, meant))
    return sorted(found, key=lambda one: (one.day, one.country, one.holiday))


def confirm(
    config: Config,
    store: Store,
    name: str,
    day: Date,
    countries: Collection[str],
    now: Millis,
    *,
    withdraw: bool = False,
) -> list[str]:
    """
    Confirm that the holiday *name* is on *day* in *countries* (none: all that have people).

    The next sweep looks at it. *withdraw* takes the word back. Returns the countries.
    """
    holidays.check_installed()
    asked = [one.upper() for one in countries] or sorted(
        count_people(store, list_defaults(config))
    )
    keys = [
        (country, one.key)
        for country in asked
        for one in _list_meant(HolidayRule(), country, day - _NEAR, day + _NEAR)
        if fold(name) == fold(one.name)
    ]
    if not keys:
        raise NotFoundError(
            f"no country of your subscribers has a holiday called {name!r} within three days "
            f"of {day}. pushctl holidays list shows their names."
        )
    with store.write():
        if withdraw:
            store.holidays.withdraw(keys)
        else:
            store.holidays.confirm(keys, day, now)
        store.meta.remove(NEXT_SCAN_KEY)
    return [country for country, _ in keys]


def list_unconfirmed(
    rule: HolidayRule,
    people: Mapping[str, int],
    confirmed: Mapping[Key, Date],
    first: Date,
    last: Date,
) -> Iterator[tuple[Holiday, int]]:
    """Yield the holidays that wait for the owner's word, with how many people they concern."""
    for country, count in people.items():
        for one in _list_meant(rule, country, first, last):
            if one.estimated and (country, one.key) not in confirmed and one.day >= first:
                yield one, count


def _ask(
    run: Run, trigger: Trigger, people: Mapping[str, int], confirmed: Mapping[Key, Date]
) -> None:
    """Warn of days that have to be confirmed soon."""
    rule = trigger.holiday
    assert rule is not None
    first, last = _find_days(rule, run.now, run.now + _ASK_BEFORE)
    waiting: dict[tuple[str, Date], list[tuple[str, int]]] = defaultdict(list)
    for one, count in list_unconfirmed(rule, people, confirmed, first, last):
        waiting[one.name, one.day].append((one.country, count))
    for (name, day), where in waiting.items():
        said = ", ".join(f"{country} ({count})" for country, count in sorted(where))
        run.warn(
            f"{trigger.name}: the day of {name}, {day}, is estimated in {said}. Nothing is "
            f'sent until: pushctl holidays confirm "{name}" {day}',
            "holiday to confirm",
            trigger=trigger.name,
            day=str(day),
        )


def _list_meant(rule: HolidayRule, country: str, first: Date, last: Date) -> Iterator[Holiday]:
    """Yield the holidays near [first, last] that *rule* means: a confirmed day may differ."""
    region = rule.region(country)
    for year in range((first - _NEAR).year, (last + _NEAR).year + 1):
        for one in holidays.list_year(country, year, region):
            if first - _NEAR <= one.day <= last + _NEAR and rule.means(one):
                yield one


def _find_days(rule: HolidayRule, since: Millis, until: Millis) -> tuple[Date, Date]:
    """Return the first and the last day on which a holiday may lead to [since, until)."""
    utc = timing.zone("UTC")
    shift = timedelta(days=rule.days)
    day = timedelta(days=1)  # east and west of UTC
    return (
        timing.local(since, utc).date() - shift - day,
        timing.local(until, utc).date() - shift + day,
    )
