"""Growth, losses and cohorts of subscribers, counted from their lives (numpy)."""

from collections.abc import Sequence
from datetime import date, timedelta, tzinfo
from datetime import time as Time

import numpy as np
from numpy.typing import NDArray

from pushctl.jobs.figures import lives as living
from pushctl.jobs.figures.filters import Filter, find_site
from pushctl.jobs.figures.lives import KINDS, Bools, Ints, Lives
from pushctl.jobs.figures.messages import People, measure_rate
from pushctl.model import Millis
from pushctl.rules import timing, units
from pushctl.rules.figures import subscribers
from pushctl.rules.figures.figure import Row, Value
from pushctl.rules.figures.intervals import Interval, measure_share
from pushctl.rules.figures.survival import estimate
from pushctl.store import Store

Persons = NDArray[np.integer]


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
        reached = int(own.count_active(asked.now + 1).sum())
        row = {"value": value, "reached": reached, **counts}
        if asked.since is None:  # nobody was there before everything
            row |= {"active": None, **dict.fromkeys(subscribers.CHURN.bound_names)}
        rows.append(subscribers.SPLIT.fill(row))
    if by == "month":
        return sorted(rows, key=lambda row: str(row["value"]), reverse=True)
    return sorted(rows, key=lambda row: (-int(str(row["reached"])), str(row["value"])))


def _load(store: Store, site: str | None, columns: tuple[str, ...]) -> tuple[People, Lives]:
    people, lives = living.load_all(store, columns)
    if site is not None:
        names = people.words["site"]
        code = names.index(site) if site in names else -1
        lives = lives.choose(people.site[lives.subscription] == code)
    return people, lives


def _count(
    lives: Lives, people: People, since: Millis, until: Millis | None
) -> dict[str, Value]:
    """Return the counts of growth in [since, until)."""
    end = np.iinfo(np.int64).max if until is None else until
    begun = (lives.start >= since) & (lives.start < end)
    over = (lives.end >= since) & (lives.end < end)
    new = begun & lives.is_first
    active = lives.count_active(since)
    churned = active & over
    losses = {kind: int((over & (lives.kind == code)).sum()) for code, kind in enumerate(KINDS)}
    counts: dict[str, Value] = {
        "active": int(active.sum()),
        "new": int(new.sum()),
        "shown": int(people.verified[lives.subscription[new]].sum()),
        "back": int((begun & ~lives.is_first).sum()),
        **losses,
        "lost": sum(losses.values()),
        "net": int(begun.sum()) - sum(losses.values()),
        "churned": int(churned.sum()),
    }
    persons = people.person[lives.subscription[active]]
    found = measure_rate(churned[active], active[active], persons)
    return counts | _bound(subscribers.CHURN.bound_names, found, persons)


def _bound(names: tuple[str, str, str], found: Interval, persons: Persons) -> dict[str, Value]:
    if found.value is None:
        return dict.fromkeys(names)
    # By counts: np.unique takes ten times as long.
    known = np.bincount(persons[persons > 0])
    count = int(np.count_nonzero(known)) + int((persons == 0).sum())
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
    people: People, lives: Lives, by: str, zone: tzinfo
) -> list[tuple[str | None, Bools]]:
    """Return each value of *by* and which lives are of it."""
    if by == "month":
        codes, words = _find_months(people.subscribed_at[lives.subscription], zone)
    else:
        codes = getattr(people, by)[lives.subscription].astype(np.int64)
        words = people.words[by]
    return [(words[code], codes == code) for code in np.unique(codes).tolist()]


def _find_months(at: Ints, zone: tzinfo) -> tuple[Ints, Sequence[str | None]]:
    """Return the local month of each moment as a code, and the months' names."""
    if not len(at):
        return at, []
    starts = [(int(at.min()), "")]
    moments = list_starts(int(at.max()), zone, "month", 1)
    while moments[-1][0] > starts[0][0]:
        before = list_starts(moments[-1][0] - 1, zone, "month", 1)
        moments += before
    moments.reverse()
    edges = np.array([moment for moment, _ in moments], np.int64)
    return np.searchsorted(edges, at, side="right") - 1, [name[:7] for _, name in moments]


def load_cohorts(store: Store, asked: Filter, by: str = "month") -> list[Row]:
    """
    Return who is still there after days, by the month of subscribing or another *by*.

    Lives that begin with the registration count. With a filter's time only what happened in it
    is used: who came before is watched from the age they had then.
    """
    people, lives = _load(store, asked.site, _name_columns(by))
    lives = lives.choose(lives.is_first)
    until = min(asked.now, asked.until if asked.until is not None else asked.now)
    since = asked.since if asked.since is not None else 0
    rows = []
    for value, chosen in _group(people, lives, by, asked.zone):
        own = lives.choose(chosen & (lives.start < until) & (lives.end >= since))
        if len(own.start):
            rows.append(_follow(own, value, since, until))
    if by == "month":
        return sorted(rows, key=lambda row: str(row["cohort"]), reverse=True)
    return sorted(rows, key=lambda row: (-int(str(row["joined"])), str(row["cohort"])))


def _follow(own: Lives, value: str | None, since: Millis, until: Millis) -> Row:
    entry = np.maximum(0, since - own.start)
    left = np.minimum(own.end, until) - own.start
    curve = estimate(entry, left, own.end < until)
    row: dict[str, Value] = {"cohort": value, "joined": len(own.start)}
    row["from_days"] = None if curve.start is None else -(-curve.start // units.DAY)
    for days in subscribers.HORIZONS:
        found = curve.read(days * units.DAY)
        names = (f"day_{days}", f"day_{days}_low", f"day_{days}_high", f"day_{days}_n")
        known = (found.value, found.low, found.high, len(own.start))
        row |= dict(zip(names, known if found.value is not None else [None] * 4, strict=True))
    return subscribers.COHORTS.fill(row)
