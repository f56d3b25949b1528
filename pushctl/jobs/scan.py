"""
What no event begins: dates that come, people who stay away, new items of a feed.

A scan looks at everybody who could be meant, so it runs now and then, ahead of time, and
says when it wants to run again. Looking twice at the same stretch does no harm: each
day, absence and item begins one walk at most.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from pushctl.jobs import feeds
from pushctl.jobs.enrol import begin
from pushctl.jobs.walks import Walks
from pushctl.model import Json, Millis
from pushctl.rules import entering, timing
from pushctl.rules.enrolment import Event
from pushctl.rules.entering import Enter
from pushctl.rules.triggers import Kind, Trigger
from pushctl.store.enrolments import Who
from pushctl.store.triggers import Candidate, Standing

# How often, and how far ahead dates are looked at: a scan of 300,000 takes a second.
DATES_EVERY: Millis = 6 * timing.HOUR
OFTEN: Millis = 15 * timing.MINUTE

# The first scan of a new trigger looks back this far, so that it greets today's people
# and not everybody who has stayed away for years.
_FIRST_LOOK_BACK: Millis = timing.DAY
_BATCH = 2_000

Found = Iterator[tuple[Candidate, str, Millis, Mapping[str, Json]]]


def scan(walks: Walks) -> Millis | None:
    """Begin the walks that are due or soon will be; return when to scan again, if ever."""
    wanted: list[Millis] = []
    standings = walks.store.triggers.standings()
    for trigger in walks.triggers.values():
        if trigger.kind is Kind.EVENT:
            continue
        standing = standings.get(trigger.name)
        if standing is None or standing.paused_at is not None:
            continue
        wanted.append(walks.now + (DATES_EVERY if trigger.kind is Kind.DATE else OFTEN))
        try:
            _begin_all(walks, trigger, _LOOK[trigger.kind](walks, trigger, standing))
        except feeds.FeedError as error:
            walks.notes.append(f"{trigger.name}: {error}")
            continue
        walks.store.triggers.scanned(trigger.name, walks.now)
    return min(wanted, default=None)


def _begin_all(walks: Walks, trigger: Trigger, found: Found) -> None:
    batch = []
    for one in found:
        batch.append(one)
        if len(batch) == _BATCH:
            _begin_some(walks, trigger, batch)
            batch.clear()
    _begin_some(walks, trigger, batch)


def _begin_some(
    walks: Walks,
    trigger: Trigger,
    batch: Iterable[tuple[Candidate, str, Millis, Mapping[str, Json]]],
) -> None:
    with walks.store.write():
        listed = {one[0].subscription: one for one in batch}
        meant = walks.in_audience(trigger.name, listed)
        for subscription in sorted(meant):
            candidate, occurrence, at, context = listed[subscription]
            if trigger.sites and candidate.site not in trigger.sites:
                continue
            who = walks.store.enrolments.who(subscription)
            if who is not None:
                entry = _entry(walks, trigger, who, occurrence, at, context)
                begin(walks, trigger, entry, who)


def _entry(
    walks: Walks,
    trigger: Trigger,
    who: Who,
    occurrence: str,
    at: Millis,
    context: Mapping[str, Json],
) -> Enter:
    event = Event(0, who.subscription, trigger.kind, at)
    fresh = entering.begin(trigger, event, who.public_id, walks.zone(who), context)
    return Enter(replace(fresh, occurrence=occurrence), occurrence.replace(":", " ", 1))


def _dates(walks: Walks, trigger: Trigger, standing: Standing) -> Found:
    rule = trigger.date
    if rule is None:
        return
    since = min(standing.scanned_at or walks.now, walks.now) - trigger.steps[0].max_late
    until = walks.now + DATES_EVERY + timing.HOUR
    for candidate in walks.store.triggers.with_date(
        rule.attribute, _days(since, until, rule.days)
    ):
        site = walks.config.sites.get(candidate.site)
        zone = timing.zone(candidate.timezone, site.timezone if site else "UTC")
        found = entering.date_occurrence(rule, candidate.value, zone, since, until)
        if found is not None:
            occurrence, at = found
            yield candidate, occurrence, at, {"event": {"date": candidate.value}}


def _days(since: Millis, until: Millis, shift: int) -> set[str] | None:
    """Return the days of the year ("04-28") that could be meant; None: all."""
    zone = timing.zone("UTC")
    day = timing.local(since, zone).date() - timedelta(days=shift + 2)
    last = timing.local(until, zone).date() - timedelta(days=shift - 2)
    if (last - day).days > 300:
        return None
    days = set()
    while day <= last:
        days.add(f"{day:%m-%d}")
        day += timedelta(days=1)
    if "02-28" in days:
        days.add("02-29")
    return days


def _absent(walks: Walks, trigger: Trigger, standing: Standing) -> Found:
    length = trigger.inactive or 0
    first = walks.now - _FIRST_LOOK_BACK
    since = min(standing.scanned_at or first, walks.now) - length
    for candidate in walks.store.triggers.last_seen_between(since, walks.now - length):
        context = {"event": {"days": length // timing.DAY}}
        yield candidate, f"seen:{candidate.value}", candidate.value + length, context


def _feed(walks: Walks, trigger: Trigger, standing: Standing) -> Found:
    for item in feeds.new_items(walks, trigger):
        for candidate in walks.store.triggers.everybody():
            yield candidate, f"item:{item.key}", walks.now, {"event": item.values}


_LOOK = {Kind.DATE: _dates, Kind.INACTIVE: _absent, Kind.FEED: _feed}
