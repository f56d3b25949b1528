"""Growth, losses and cohorts of subscribers, counted from their lives (numpy)."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta, tzinfo
from datetime import time as Time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pushctl.jobs.figures.churn import lifetimes as living
from pushctl.jobs.figures.churn.lifetimes import KINDS, AllLives, Bools, Ints, Lives
from pushctl.jobs.figures.columns.messages import People, measure_people
from pushctl.jobs.figures.filters import Filter, find_site
from pushctl.model import Millis
from pushctl.rules import timing, units
from pushctl.rules.figures.figure import Row, Value
from pushctl.rules.figures.statistics.intervals import measure_share
from pushctl.rules.figures.statistics.survival import estimate
from pushctl.rules.figures.tables import subscribers
from pushctl.store import Store

Persons = NDArray[np.integer]
_ONE = np.int32(1)
_SLICE = 1 << 18  # moments whose months are found at a time


def load_growth(
    store: Store,
    now: Millis,
    zone: tzinfo,
    *,
    every: str = "day",
    last: int | None = None,
    site: str | None = None,
) -> list[Row]:
    """
    Count new and lost subscribers in each of the *last* periods, the newest first.

    *every* is hour, day, week (from Monday) or month, in *zone*. ``active`` is the number at
    the period's start. ``shown`` counts new subscribers that have shown a message since:
    others may be made up. Raises NotFoundError for an unknown site.
    """
    find_site(store, site)
    people, lives = _load(store, site, ())
    starts = list_starts(now, zone, every, last or subscribers.PERIODS[every])
    rows = []
    for place, (since, label) in enumerate(starts):
        until = starts[place - 1][0] if place else None
        counts = _count(lives, people, since, until)
        rows.append(subscribers.GROWTH.fill({"start": label, **counts}))
    return rows


def load_split(store: Store, asked: Filter, by: str) -> list[Row]:
    """Count the same over the filter's time for each value of *by*, the largest first."""
    people, lives = _load(store, asked.site, _name_columns(by))
    since = asked.since if asked.since is not None else 0
    rows = []
    for value, chosen in _group(people, lives, by, asked.zone):
        own = lives.choose(chosen)
        counts = _count(own, people, since, asked.until)
        reached = sum(int(part.count_active(asked.now + 1).sum()) for part in own)
        row = {"value": value, "reached": reached, **counts}
        if asked.since is None:  # nobody was there before everything
            row |= {"active": None, **dict.fromkeys(subscribers.CHURN.bound_names)}
        rows.append(subscribers.SPLIT.fill(row))
    if by == "month":
        return sorted(rows, key=lambda row: str(row["value"]), reverse=True)
    return sorted(rows, key=lambda row: (-int(str(row["reached"])), str(row["value"])))


def _load(store: Store, site: str | None, columns: tuple[str, ...]) -> tuple[People, AllLives]:
    people, lives = living.load_all(store, columns)
    if site is not None:
        names = people.words["site"]
        code = names.index(site) if site in names else -1
        lives = lives.choose(people.site == code)
    return people, lives


_SUMMED = ("active", "new", "shown", "back", *KINDS, "begun", "churned")


def _count(
    lives: AllLives, people: People, since: Millis, until: Millis | None
) -> dict[str, Value]:
    """Return the counts of growth in [since, until)."""
    end = np.iinfo(np.int64).max if until is None else until
    sums = dict.fromkeys(_SUMMED, 0)
    # By person: subscriptions that were active, and those of them that were lost.
    tries, losses = (np.zeros(len(people.person), np.int32) for _ in range(2))
    for part in lives.list_changed():
        begun = (part.start >= since) & (part.start < end)
        over = (part.end >= since) & (part.end < end)
        new = begun & part.is_first
        active = part.count_active(since)
        churned = active & over
        found = (
            active, new, people.verified[part.subscription[new]], begun & ~part.is_first,
            *(over & (part.kind == code) for code in range(len(KINDS))), begun, churned,
        )  # fmt: skip
        for name, which in zip(_SUMMED, found, strict=True):
            sums[name] += int(np.count_nonzero(which))
        np.add.at(tries, people.person[part.subscription[active]], _ONE)
        np.add.at(losses, people.person[part.subscription[churned]], _ONE)
    for places, starts in lives.list_stayed():
        active = starts < since
        np.add.at(tries, people.person[places[active]], _ONE)
        begun = (starts >= since) & (starts < end)
        count = int(np.count_nonzero(begun))
        sums["active"] += int(np.count_nonzero(active))
        sums["new"] += count
        sums["begun"] += count
        sums["shown"] += int(np.count_nonzero(people.verified[places[begun]]))
    lost = sum(sums[kind] for kind in KINDS)
    counts: dict[str, Value] = {**sums, "lost": lost, "net": sums["begun"] - lost}
    del counts["begun"]
    return counts | _bound(subscribers.CHURN.bound_names, tries, losses)


def _bound(names: tuple[str, str, str], tries: Persons, losses: Persons) -> dict[str, Value]:
    """Return the bounds of the rate of *losses*; both are by person."""
    found = measure_people(tries, losses)
    if found.value is None:
        return dict.fromkeys(names)
    count = int(np.count_nonzero(tries))
    if found.value in (0.0, 1.0):  # nothing varies: the persons' own formula has no width
        found = measure_share(found.value * count, count)
    return dict(zip(names, (found.low, found.high, count), strict=True))


def list_starts(now: Millis, zone: tzinfo, every: str, count: int) -> list[tuple[Millis, str]]:
    """Return when each of *count* periods begins and its name, the newest first."""
    if every == "hour":
        moment = timing.local(now, zone)
        first = now - (moment.minute * 60 + moment.second) * 1000 - moment.microsecond // 1000
        hours = (first - place * units.HOUR for place in range(count))
        return [(at, timing.local(at, zone).strftime("%Y-%m-%d %H:%M")) for at in hours]
    days = [_find_start(timing.local(now, zone).date(), every)]
    while len(days) < count:
        days.append(_find_start(days[-1] - timedelta(days=1), every))
    return [(timing.instant(day, Time(0), zone), day.isoformat()) for day in days]


def _find_start(day: date, every: str) -> date:
    if every == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if every == "month" else day


def _name_columns(by: str) -> tuple[str, ...]:
    return () if by == "month" else (by,)


def _group(
    people: People, lives: AllLives, by: str, zone: tzinfo
) -> Iterator[tuple[str | None, Bools]]:
    """Yield each value of *by* that has a life, and which places are of it."""
    there = lives.find_subscriptions()
    codes: Persons
    if by == "month":
        codes, words = _find_months(people.subscribed_at, there, zone)
    else:
        codes, words = getattr(people, by), people.words[by]
    used = np.zeros(len(words), np.bool_)
    used[codes[there]] = True
    for code in np.flatnonzero(used).tolist():
        yield words[code], codes == code


def _find_months(at: Ints, there: Bools, zone: tzinfo) -> tuple[Persons, Sequence[str | None]]:
    """Return the local month of each moment that is *there* as a code; the months' names."""
    if not there.any():
        return np.zeros(len(at), np.uint8), []
    known = at[there]
    first, last = int(known.min()), int(known.max())
    moments = list_starts(last, zone, "month", 1)
    while moments[-1][0] > first:
        before = list_starts(moments[-1][0] - 1, zone, "month", 1)
        moments += before
    moments.reverse()
    edges = np.array([moment for moment, _ in moments], np.int64)
    codes = np.zeros(len(at), np.min_scalar_type(len(moments)))
    for start in range(0, len(at), _SLICE):
        some = slice(start, start + _SLICE)
        # Who has no life may have come before all, or at an unknown time.
        places = np.searchsorted(edges, at[some], side="right") - 1
        codes[some] = np.maximum(places, 0)
    return codes, [name[:7] for _, name in moments]


def load_cohorts(store: Store, asked: Filter, by: str = "month") -> list[Row]:
    """
    Return who is still there after days, by the month of subscribing or another *by*.

    Lives that begin with the registration count. With a filter's time only what happened in it
    is used: who came before is watched from the age they had then.
    """
    people, lives = _load(store, asked.site, _name_columns(by))
    lives = lives.choose_first()
    until = min(asked.now, asked.until if asked.until is not None else asked.now)
    since = asked.since if asked.since is not None else 0
    rows = []
    for value, chosen in _group(people, lives, by, asked.zone):
        parts = [_watch(part, since, until) for part in lives.choose(chosen)]
        if any(len(part.lost) for part in parts):
            rows.append(_follow(parts, value))
    if by == "month":
        return sorted(rows, key=lambda row: str(row["cohort"]), reverse=True)
    return sorted(rows, key=lambda row: (-int(str(row["joined"])), str(row["cohort"])))


class _Watched(NamedTuple):
    """Ages of subscriptions: from when to when each was watched, and whether it left then."""

    entry: Ints
    exit: Ints
    lost: Bools


def _watch(part: Lives, since: Millis, until: Millis) -> _Watched:
    own = part.choose((part.start < until) & (part.end >= since))
    entry = np.maximum(0, since - own.start)
    return _Watched(entry, np.minimum(own.end, until) - own.start, own.end < until)


def _follow(parts: Sequence[_Watched], value: str | None) -> Row:
    entry, left, lost = (np.concatenate(column) for column in zip(*parts, strict=True))
    curve = estimate(entry, left, lost)
    joined = len(lost)
    row: dict[str, Value] = {"cohort": value, "joined": joined}
    row["from_days"] = None if curve.start is None else -(-curve.start // units.DAY)
    for days in subscribers.HORIZONS:
        found = curve.read(days * units.DAY)
        names = (f"day_{days}", f"day_{days}_low", f"day_{days}_high", f"day_{days}_n")
        known = (found.value, found.low, found.high, joined)
        row |= dict(zip(names, known if found.value is not None else [None] * 4, strict=True))
    return subscribers.COHORTS.fill(row)
