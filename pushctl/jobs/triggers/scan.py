"""
Enrolments that no event begins: by dates, absences, and new items of a feed.

A scan reads many subscriptions, so it runs now and then, ahead of time, and returns the
time of the next one. Scanning a stretch of time twice does no harm: each day, absence and
item begins one enrolment at most.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import islice

from pushctl.errors import ConfigError, name_shortage
from pushctl.jobs.triggers import announce_feeds, feeds, holidays, load_facts
from pushctl.jobs.triggers.announce_feeds import Answers as Answers
from pushctl.jobs.triggers.apply import apply
from pushctl.jobs.triggers.isolate_faults import do_each
from pushctl.jobs.triggers.types import Run
from pushctl.model import Json, Millis
from pushctl.rules import timing, units
from pushctl.rules.triggers import entry
from pushctl.rules.triggers.enrolling import Enrolling
from pushctl.rules.triggers.trigger import Kind, Trigger
from pushctl.store.faults import concerns_one
from pushctl.store.triggers import Candidate, TriggerState
from pushctl.web import WebError

# How often, and how far ahead for dates: a scan of 300,000 people takes a second.
DATES_EVERY: Millis = 6 * units.HOUR
OFTEN: Millis = 15 * units.MINUTE

_BY_DAY = (Kind.DATE, Kind.HOLIDAY)

# The first scan of a new trigger looks back this far, so that it greets today's people
# and not everybody who has stayed away for years.
_FIRST_LOOK_BACK: Millis = units.DAY
_BATCH = 2_000

# A candidate, the occurrence, its time, and the values for its messages.
Found = tuple[Candidate, str, Millis, Mapping[str, Json]]


def fetch_feeds(run: Run) -> Answers:
    """Fetch the feeds for ``scan``, before its transactions: networks are slow."""
    wanted = announce_feeds.list_wanted(run)
    if not wanted:
        return {}
    # All at once: one slow server must not keep the minute's reminders waiting for each.
    try:
        with ThreadPoolExecutor(max_workers=8) as pool:
            return dict(zip(wanted, pool.map(_fetch, wanted.values()), strict=True))
    except RuntimeError as error:
        if (shortage := name_shortage(error)) is None:
            raise
        return dict.fromkeys(wanted, WebError(str(shortage)))


def _fetch(url: str) -> bytes | Exception:
    try:
        return feeds.fetch(url)
    except Exception as error:  # raised again where the feed is read
        return error


def scan(run: Run, answers: Answers) -> Millis | None:
    """
    Begin the enrolments that are due or soon will be; return when to scan again, if ever.

    *answers* comes from ``fetch_feeds``; a feed that isn't among them waits for the next scan.
    """
    wanted: list[Millis] = []
    standings = run.store.triggers.load_states()
    for trigger in run.settings.triggers.values():
        standing = standings.get(trigger.name)
        if trigger.kind is Kind.EVENT or standing is None or standing.paused_at is not None:
            continue
        if trigger.name in run.settings.unreadable:
            continue
        often = DATES_EVERY if trigger.kind in _BY_DAY else OFTEN
        wanted.append(announce_feeds.find_next(run, trigger, often))
        try:
            _scan_trigger(run, trigger, standing, answers)
        except Exception as error:
            if not concerns_one(error):
                raise
            run.leave_out(f"trigger {trigger.name}", error)
    return min(wanted, default=None)


def _scan_trigger(run: Run, trigger: Trigger, standing: TriggerState, answers: Answers) -> None:
    if trigger.kind is Kind.FEED:
        announce_feeds.announce(run, trigger, standing, answers, _begin_all)
        return
    find = _FINDERS[trigger.kind]
    try:
        _begin_all(run, trigger, find(run, trigger, standing))
    except ConfigError as error:  # a package is missing
        run.warn(f"{trigger.name}: {error}", "scan failed", trigger=trigger.name)
        return
    run.store.triggers.mark_scanned(trigger.name, run.now)


def _begin_all(run: Run, trigger: Trigger, found: Iterator[Found]) -> None:
    while listed := {one[0].subscription: one for one in islice(found, _BATCH)}:
        with run.store.write():
            do_each(
                run.store,
                list(listed.values()),
                lambda some: _begin_batch(run, trigger, some),
                lambda one, error: run.leave_out(
                    f"{one[0].public_id} in {trigger.name}", error
                ),
            )


def _begin_batch(run: Run, trigger: Trigger, found: Sequence[Found]) -> None:
    listed = {one[0].subscription: one for one in found}
    occurrences = {number: one[1] for number, one in listed.items()}
    known = load_facts.load_candidates(run, trigger, occurrences)
    enrolling, devices = Enrolling(known), known.people.devices
    # Of a person's devices the one that was used last comes first, and gets it.
    theirs = (devices[one] for one in listed if one in devices)
    for device in sorted(theirs, key=lambda one: (-one.last_seen_at, one.subscription)):
        if not trigger.sites or device.site in trigger.sites:
            _, occurrence, at, context = listed[device.subscription]
            enrolling.begin(trigger, device, occurrence, at, context)
    apply(run, enrolling.changes)


def _find_dates(run: Run, trigger: Trigger, standing: TriggerState) -> Iterator[Found]:
    rule = trigger.date
    assert rule is not None
    since, until = _find_stretch(run, trigger, standing)
    days = _list_days(since, until, rule.days)
    for candidate in run.store.triggers.list_with_date(rule.attribute, days):
        zone = run.settings.zone(candidate.timezone, candidate.site)
        found = entry.date_occurrence(rule, candidate.value, zone, since, until)
        if found is not None:
            occurrence, at = found
            yield candidate, occurrence, at, {"event": {"date": candidate.value}}


def _find_holidays(run: Run, trigger: Trigger, standing: TriggerState) -> Iterator[Found]:
    yield from holidays.find_people(run, trigger, *_find_stretch(run, trigger, standing))


def _find_stretch(run: Run, trigger: Trigger, standing: TriggerState) -> tuple[Millis, Millis]:
    """Return the time in which days are looked for, up to after the next scan."""
    since = min(standing.scanned_at or run.now, run.now) - trigger.steps[0].max_late
    since = max(since, _find_earliest(run, trigger))
    return since, run.now + DATES_EVERY + units.HOUR


def _find_earliest(run: Run, trigger: Trigger) -> Millis:
    """
    Return the time of the first enrolments that may still bring a message.

    Nothing scans while cron stands still: what is past then begins nothing. Quiet hours are
    no part of being late, so it is twice that and a little more.
    """
    step = trigger.steps[0]
    return run.now - trigger.wait - step.delay(None) - 2 * step.max_late - 2 * units.DAY


def _list_days(since: Millis, until: Millis, shift: int) -> set[str] | None:
    """Return the days of the year ("04-28") that could be meant; None: all."""
    zone = timing.zone("UTC")
    day = timing.local(since, zone).date() - timedelta(days=shift + 2)
    last = timing.local(until, zone).date() - timedelta(days=shift - 2)
    if (count := (last - day).days) > 300:
        return None
    days = {f"{day + timedelta(days=step):%m-%d}" for step in range(count + 1)}
    if "02-28" in days:
        days.add("02-29")
    return days


def _find_absent(run: Run, trigger: Trigger, standing: TriggerState) -> Iterator[Found]:
    length = trigger.inactive or 0
    first = run.now - _FIRST_LOOK_BACK
    since = min(standing.scanned_at or first, run.now)
    since = max(since, _find_earliest(run, trigger)) - length
    for candidate in run.store.triggers.list_last_seen(since, run.now - length):
        context = {"event": {"days": length // units.DAY}}
        yield candidate, f"seen:{candidate.value}", candidate.value + length, context


_FINDERS = {
    Kind.DATE: _find_dates,
    Kind.HOLIDAY: _find_holidays,
    Kind.INACTIVE: _find_absent,
}
