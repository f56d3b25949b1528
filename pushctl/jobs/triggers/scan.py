"""
What no event begins: dates that come, people who stay away, new items of a feed.

A scan looks at everybody who could be meant, so it runs now and then, ahead of time, and
says when it wants to run again. Looking twice at the same stretch does no harm: each
day, absence and item begins one walk at most.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from pushctl.jobs.triggers import feeds
from pushctl.jobs.triggers.enrol import write
from pushctl.jobs.triggers.enrolments import Walks
from pushctl.model import Json, Millis
from pushctl.rules import timing, units
from pushctl.rules.triggers import entry
from pushctl.rules.triggers.enrolment import Event
from pushctl.rules.triggers.trigger import Kind, Trigger
from pushctl.store.enrolments import Who
from pushctl.store.triggers import Candidate, Standing
from pushctl.web import WebError

# How often, and how far ahead dates are looked at: a scan of 300,000 takes a second.
DATES_EVERY: Millis = 6 * units.HOUR
OFTEN: Millis = 15 * units.MINUTE

# The first scan of a new trigger looks back this far, so that it greets today's people
# and not everybody who has stayed away for years.
_FIRST_LOOK_BACK: Millis = units.DAY
_BATCH = 2_000

Found = Iterator[tuple[Candidate, str, Millis, Mapping[str, Json]]]


# What each feed's address answered, or why it did not, by trigger.
Answers = Mapping[str, bytes | WebError]


def ask(walks: Walks) -> Answers:
    """Fetch the feeds that ``scan`` will look at: over the network, so never in its midst."""
    paused = walks.store.triggers.paused()
    wanted = {
        trigger.name: trigger.feed
        for trigger in walks.triggers.values()
        if trigger.feed is not None and trigger.name not in paused
    }
    if not wanted:
        return {}
    # All at once: one slow server must not keep the minute's reminders waiting for each.
    with ThreadPoolExecutor(max_workers=8) as pool:
        return dict(zip(wanted, pool.map(_fetched, wanted.values()), strict=True))


def _fetched(url: str) -> bytes | WebError:
    try:
        return feeds.fetch(url)
    except WebError as error:
        return error


def scan(walks: Walks, answers: Answers) -> Millis | None:
    """
    Begin the walks that are due or soon will be; return when to scan again, if ever.

    *answers* comes from ``ask``; a feed that isn't among them waits for the next scan.
    """
    wanted: list[Millis] = []
    standings = walks.store.triggers.standings()
    for trigger in walks.triggers.values():
        if trigger.kind is Kind.EVENT:
            continue
        standing = standings.get(trigger.name)
        if standing is None or standing.paused_at is not None:
            continue
        if trigger.name in walks.unreadable:
            continue
        wanted.append(walks.now + (DATES_EVERY if trigger.kind is Kind.DATE else OFTEN))
        if trigger.kind is Kind.FEED:
            _announce(walks, trigger, standing, answers.get(trigger.name))
            continue
        _begin_all(walks, trigger, _LOOK[trigger.kind](walks, trigger, standing))
        walks.store.triggers.scanned(trigger.name, walks.now)
    return min(wanted, default=None)


def _announce(
    walks: Walks, trigger: Trigger, standing: Standing, answer: bytes | WebError | None
) -> None:
    """Begin the walks of a feed's new item; only then is it old."""
    if answer is None:
        return
    try:
        if isinstance(answer, WebError):
            raise answer
        since = standing.scanned_at
        items, keys = feeds.new_items(walks, trigger, answer, since=since)
    except WebError as error:
        walks.notes.append(f"{trigger.name}: {error}. The next scan tries again.")
        return
    for item in items:
        _begin_all(walks, trigger, _everybody(walks, item))
    with walks.store.write():
        feeds.remember(walks, trigger, keys)
        walks.store.triggers.scanned(trigger.name, walks.now)


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
        known = filter(None, map(walks.store.enrolments.who, listed))
        # Of a person's devices the one that was used last comes first, and gets it.
        for who in sorted(known, key=lambda one: (-one.last_seen_at, one.subscription)):
            candidate, occurrence, at, context = listed[who.subscription]
            if trigger.sites and candidate.site not in trigger.sites:
                continue
            if who.subscription in meant:
                _begin_one(walks, trigger, who, occurrence, at, context)
            elif trigger.feed is None:  # whom an article isn't for has lost nothing
                said = _said(trigger, occurrence, context)
                write(walks, trigger, entry.Refuse("not in the audience"), who, said)


def _begin_one(
    walks: Walks,
    trigger: Trigger,
    who: Who,
    occurrence: str,
    at: Millis,
    context: Mapping[str, Json],
) -> None:
    knows, people = walks.store.enrolments.knows, walks.store.enrolments.same_person(who)
    if knows(trigger.name, [who.subscription], occurrence):
        return  # a scan looks at the same stretch more than once
    said = _said(trigger, occurrence, context)
    if len(people) > 1 and knows(trigger.name, people, occurrence):
        elsewhere = entry.Refuse("it began on another device of theirs")
        write(walks, trigger, elsewhere, who, said)
        return
    if trigger.inactive and walks.store.enrolments.last_seen(people) + trigger.inactive > at:
        return  # another device of theirs was here since
    event = Event(0, who.subscription, trigger.kind, at)
    fresh = entry.begin(trigger, event, who.public_id, walks.zone(who), context)
    latest = walks.store.enrolments.latest(trigger.name, people)
    begun = entry.join(trigger, replace(fresh, occurrence=occurrence), latest, said)
    write(walks, trigger, begun, who, said)


def _said(trigger: Trigger, occurrence: str, context: Mapping[str, Json]) -> str:
    """Return what began a walk, for people."""
    if trigger.inactive is not None:
        return f"an absence of {timing.say(trigger.inactive)}"
    if trigger.feed is not None:
        return f"the article “{context['event']['title']}”"
    return f"the day {occurrence.removeprefix('date:')}"


def _dates(walks: Walks, trigger: Trigger, standing: Standing) -> Found:
    rule = trigger.date
    if rule is None:
        return
    since = min(standing.scanned_at or walks.now, walks.now) - trigger.steps[0].max_late
    until = walks.now + DATES_EVERY + units.HOUR
    for candidate in walks.store.triggers.with_date(
        rule.attribute, _days(since, until, rule.days)
    ):
        site = walks.config.sites.get(candidate.site)
        zone = timing.zone(candidate.timezone, site.timezone if site else "UTC")
        found = entry.date_occurrence(rule, candidate.value, zone, since, until)
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
        context = {"event": {"days": length // units.DAY}}
        yield candidate, f"seen:{candidate.value}", candidate.value + length, context


def _everybody(walks: Walks, item: feeds.Item) -> Found:
    for candidate in walks.store.triggers.everybody():
        yield candidate, f"item:{item.key}", walks.now, {"event": item.values}


_LOOK = {Kind.DATE: _dates, Kind.INACTIVE: _absent}
