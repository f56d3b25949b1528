"""
The calendar of what goes out: scheduled campaigns, series, holidays, gaps and collisions.

It only reads. What a series will reach is counted by its audience of today.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date as Date
from datetime import time as Time
from datetime import tzinfo

from pushctl.config import Config
from pushctl.errors import NotFoundError, PushctlError
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.campaigns.recipients import find_receivers
from pushctl.jobs.campaigns.unapplied import list_coming
from pushctl.model import Json, Millis
from pushctl.rules import calendars, schedule, timing, units
from pushctl.rules.calendars import Entry, Place, Special
from pushctl.rules.wording import counted
from pushctl.store import Store
from pushctl.store.calendar import Calendar, Planned
from pushctl.store.recurring import Series

MIDNIGHT = Time(0, 0)
_AUDIENCE = ("tags", "segments", "where", "to", "everyone", "limit")


def plan_weeks(
    store: Store,
    config: Config,
    now: Millis,
    weeks: int,
    *,
    site: str | None = None,
    specials: Sequence[Special] = (),
) -> list[Entry]:
    """
    Return what goes out from today on in *weeks* weeks, by day, with what is wrong with it.

    *site*: of this site alone. *specials* are the holidays of the same time. Raises
    NotFoundError for an unknown site.
    """
    if site is not None and site not in config.sites:
        raise NotFoundError(f"no site is called {site!r}; there are {', '.join(config.sites)}")
    first = timing.local(now, config.zone).date()
    last = first + weeks * calendars.SEVEN_DAYS
    until = timing.instant(last, MIDNIGHT, config.zone)
    people = {
        place: count
        for place, count in _count_people(store).items()
        if site in (None, place[0]) and place[0] in config.sites
    }
    planned = Calendar(store).list_planned(now, until)
    planned += _list_series(store, config, now, until)
    planned += _list_drafts(store, config, now, until)
    planned = [one for one in planned if site in (None, one.site) and one.site in config.sites]
    going = list(_join(config, planned))
    found = [*going, *_find_quiet(config, planned), *_find_overload(store, config, going)]
    own = site or config.first_site.name
    found += calendars.describe_holidays(specials, going, own, first)
    greeted = [
        Entry(one.day, "", "holiday", one.name, places={(own, one.country): one.people})
        for one in specials
        if one.greeted
    ]
    found += calendars.find_gaps([*going, *greeted], people, first, weeks)
    return sorted(found, key=lambda one: (one.day, _ORDER.index(one.kind), one.time, one.what))


_ORDER = ("gap", "holiday", "message", "overload", "quiet")


def _count_people(store: Store) -> dict[Place, int]:
    found: defaultdict[Place, int] = defaultdict(int)
    for country, site, count in store.holidays.count_countries():
        found[site, country] += count
    return dict(found)


def _list_series(store: Store, config: Config, now: Millis, until: Millis) -> Iterator[Planned]:
    """Yield the occurrences of all series, each with its audience of today."""
    for series in store.schedules.recurring.list_all():
        times = _list_times(config, series, now, until)
        if not times:
            continue
        try:
            places = _count_places(store, config, series.wish, now)
        except PushctlError:
            places = []  # its template or audience is broken: `schedules list` says it
        for at in times:
            for site, country, zone, people in places:
                due, is_local = at, bool(series.wish.get("local"))
                if is_local:
                    there = timing.zone(zone, config.sites[site].timezone)
                    due = _move(at, there)
                yield Planned(series.name, None, site, country, zone, due, people, is_local)


def _list_drafts(store: Store, config: Config, now: Millis, until: Millis) -> Iterator[Planned]:
    """Yield what files of campaigns/ say that nobody has applied, each with its audience."""
    for one in list_coming(store, config, now, until):
        try:
            places = _count_places(store, config, asdict(one.draft), now)
        except PushctlError:
            continue  # `apply` and `check` say it
        name = f"{one.name} ({'changed' if one.is_change else 'draft'})"
        for site, country, zone, people in places:
            at = one.at
            if one.local:
                at = _move(at, timing.zone(zone, config.sites[site].timezone))
            topic = one.draft.topic
            yield Planned(name, topic, site, country, zone, at, people, one.local)


def _list_times(config: Config, series: Series, now: Millis, until: Millis) -> list[Millis]:
    if series.next_at is None or series.next_at >= until:
        return []
    local = bool(series.wish.get("local"))
    after = max(series.next_at, now) - 1  # that time itself is to come
    found = schedule.iterate_following(
        series.rule, series.starts, config.zone, after, until, local=local
    )
    return list(found)


def _count_places(
    store: Store, config: Config, wish: Mapping[str, Json], now: Millis
) -> list[tuple[str, str, str | None, int]]:
    fields = {key: value for key, value in wish.items() if key in _AUDIENCE}
    _, receivers = find_receivers(store, config, Draft(**fields), now)
    return Calendar(store).count_places(receivers)


def _move(at: Millis, there: tzinfo) -> Millis:
    """Return when the wall clock of *there* shows what the earliest zone's shows *at*."""
    wall = timing.local(at, schedule.FIRST)
    return timing.instant(wall.date(), wall.time(), there)


def _join(config: Config, planned: Sequence[Planned]) -> Iterator[Entry]:
    """Yield each campaign once a day: with all its places."""
    by_name: defaultdict[str, list[Planned]] = defaultdict(list)
    for one in planned:
        by_name[one.campaign].append(one)
    for name, listed in by_name.items():
        is_local = listed[0].is_local
        days: defaultdict[tuple[Date, str], list[Planned]] = defaultdict(list)
        for one in listed:
            there = _find_zone(config, one) if is_local else _find_site_zone(config, one)
            when = timing.local(one.at, there)
            days[when.date(), f"{when:%H:%M}"].append(one)
        yield from _join_times(name, days, " local" if is_local else "")


def _join_times(
    name: str, days: Mapping[tuple[Date, str], Sequence[Planned]], clock: str
) -> Iterator[Entry]:
    times: defaultdict[Date, list[tuple[str, Sequence[Planned]]]] = defaultdict(list)
    for (day, time), listed in sorted(days.items()):
        times[day].append((time, listed))
    for day, found in times.items():
        places: defaultdict[Place, int] = defaultdict(int)
        for _, listed in found:
            for one in listed:
                places[one.site, one.country] += one.people
        ends = sorted({found[0][0], found[-1][0]})
        topic = next((one.topic for _, listed in found for one in listed if one.topic), None)
        people = sum(places.values())
        waits = next((one.waits for _, listed in found for one in listed if one.waits), "")
        note = ", ".join(filter(None, (waits, f"topic {topic}" if topic else "")))
        yield Entry(day, "-".join(ends) + clock, "message", name, people, note, dict(places))


def _find_zone(config: Config, one: Planned) -> tzinfo:
    return timing.zone(one.timezone, config.sites[one.site].timezone)


def _find_site_zone(config: Config, one: Planned) -> tzinfo:
    return timing.zone(config.sites[one.site].timezone)


def _find_quiet(config: Config, planned: Sequence[Planned]) -> Iterator[Entry]:
    """Yield who is to get a message within the quiet hours of their own clock."""
    held: defaultdict[tuple[Date, str], defaultdict[Place, int]] = defaultdict(
        lambda: defaultdict(int)
    )
    for one in planned:
        quiet = config.contact_policy.quiet.get(one.site)
        if quiet and quiet.holds(one.at, _find_zone(config, one)):
            day = timing.local(one.at, _find_site_zone(config, one)).date()
            held[day, one.campaign][one.site, one.country] += one.people
    for (day, name), places in held.items():
        people = sum(places.values())
        note = "held until their quiet hours end"
        yield Entry(day, "", "quiet", name, people, note, dict(places))


def _find_overload(store: Store, config: Config, going: Sequence[Entry]) -> Iterator[Entry]:
    """Yield the times in which people have more messages planned than [frequency] allows."""
    frequency = config.contact_policy.frequency
    if frequency is None or frequency.messages is None:
        return
    days = max(frequency.within // units.DAY, 1)
    for first, until, names in calendars.find_overload(going, frequency.messages, days):
        span = [timing.instant(day, MIDNIGHT, config.zone) for day in (first, until)]
        people = Calendar(store).count_above(span[0], span[1], frequency.messages)
        # Series have no rows yet: for them only the places are known.
        note = f"{', '.join(dict.fromkeys(names))}: the cap leaves some out"
        what = (
            f"{len(names)} messages in {counted(days, 'day')}, the cap is {frequency.messages}"
        )
        yield Entry(first, "", "overload", what, people, note)
