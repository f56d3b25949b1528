"""
Recurring campaigns: `send --every`, carried out by the sweeps.

An occurrence is frozen when it is due, with its audience and texts of that time, in the
transaction that moves the series on: no kill makes it two campaigns.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime

from pushctl.approval_files import list_own_uids
from pushctl.config import Config
from pushctl.errors import InputError, PushctlError, UsageError
from pushctl.jobs.campaigns import broadcast
from pushctl.jobs.campaigns.draft import Draft, find_template_name
from pushctl.jobs.campaigns.forecast import foresee
from pushctl.model import CampaignStatus, Cause, Json, Millis
from pushctl.rules import schedule, timing, units
from pushctl.rules.schedule import Passed
from pushctl.store import Store
from pushctl.store.faults import DATABASE_FAULTS, concerns_one
from pushctl.store.recurring import Series

# After a longer outage the next occurrence is sent, not this one late.
MAX_LATE: Millis = 12 * units.HOUR


def add_series(store: Store, config: Config, draft: Draft, now: Millis) -> Series:
    """Add the series of a draft with ``every``; raises InputError for a bad rule."""
    if draft.at:
        raise UsageError("--at and --every don't go together: once, or again and again?")
    if draft.local and draft.over:
        raise UsageError("--local and --over don't go together")
    every = draft.every or ""
    zone = config.zone
    starts = timing.local(now, zone).replace(tzinfo=None, second=0, microsecond=0)
    rule = schedule.rule(every, starts, zone)
    found = schedule.following(rule, starts, zone, now, local=draft.local)
    if found is None:
        raise _never_again(draft)
    name = draft.name or f"{find_template_name(draft)} every {every}"
    uids = sorted(list_own_uids())  # the sweeps of another user may carry it out
    options = asdict(replace(draft, every=None, name=None, uids=uids))
    store.schedules.recurring.add(name, every, rule, starts, options, now=now, next_at=found[1])
    return store.schedules.recurring.get(name)


def read_draft(series: Series) -> Draft:
    """Return the draft of *series*; its occurrences also have a name and a time."""
    fields = {**series.wish, "passed": Passed(series.wish["passed"])}
    return Draft(**fields)


def find_next_times(
    config: Config, draft: Draft, now: Millis, count: int = 3
) -> list[datetime]:
    """
    Return the next local times of *draft*, one to *count*.

    Raises InputError for a bad rule, and for one that comes now and never again.
    """
    zone = config.zone
    starts = timing.local(now, zone).replace(tzinfo=None, second=0, microsecond=0)
    rule = schedule.rule(draft.every or "", starts, zone)
    times: list[datetime] = []
    while len(times) < count and (
        found := schedule.following(rule, starts, zone, now, local=draft.local)
    ):
        times.append(found[0])
        now = found[1]
    if not times:
        raise _never_again(draft)
    return times


def _never_again(draft: Draft) -> InputError:
    return InputError(f"{draft.every!r} never comes again: its only time is now.")


def carry_out(store: Store, config: Config, now: Millis) -> Iterator[str]:
    """
    Freeze a campaign for each series that is due; yield errors.

    Raises what concerns all of them, such as DatabaseBusyError and DamagedError.
    """
    for series in store.schedules.recurring.list_due(now):
        try:
            _freeze_occurrence(store, config, series, now)
        except DATABASE_FAULTS:
            raise  # the occurrence is still due when the database is free again
        except Exception as error:
            if not (isinstance(error, PushctlError) or concerns_one(error)):
                raise
            # A template that is repaired in time still goes out.
            if now - (series.next_at or now) > MAX_LATE:
                _move_on(store, config, series, now, str(error))
            kind = "" if isinstance(error, PushctlError) else f"{type(error).__name__}: "
            yield f"{series.name}: {kind}{error}"


def list_scheduled(store: Store, config: Config) -> list[dict[str, Json]]:
    """
    Return series and scheduled campaigns, the next first.

    *there* is the next time in the time zone of --at and --every.
    """
    found: list[dict[str, Json]] = [
        {
            "name": series.name,
            "when": f"every {series.said.removeprefix('every ')}",
            "next_at": series.next_at,
            "whom": _describe_audience(series.wish),
            "note": series.note,
        }
        for series in store.schedules.recurring.list_all()
    ]
    found += [
        {
            "name": campaign.name,
            "when": "once",
            "next_at": store.deliveries.count_waiting(campaign.id, 0)[1],
            "whom": campaign.audience,
            "note": campaign.note,
        }
        for campaign in store.campaigns.list_newest()
        if campaign.status is CampaignStatus.SCHEDULED
        or (campaign.cause is Cause.NEEDS_APPROVAL and "at" in campaign.options)
    ]
    for row in found:
        at = row["next_at"]
        row["there"] = (
            f"{timing.local(at, config.zone):%a %Y-%m-%d %H:%M} {config.zone}" if at else None
        )
    return sorted(found, key=lambda row: row["next_at"] or 0)


def cancel(store: Store, name: str) -> None:
    """End a series; its campaigns stay. Raises NotFoundError."""
    series = store.schedules.recurring.get(name)
    store.schedules.recurring.reschedule(series.id, None, "cancelled")


def skip_due(store: Store, config: Config, now: Millis) -> None:
    """
    Skip due occurrences: before a restore they may have gone out.

    One on each person's own clock still goes to those whose time is to come.
    """
    for series in store.schedules.recurring.list_due(now):
        try:
            if series.wish.get("local"):
                _freeze(store, config, series, now, Passed.SKIP)
        except DATABASE_FAULTS:
            raise
        except PushctlError:
            pass  # its template or audience is broken
        _move_on(store, config, series, now, "left out: the database was restored")


def find_following(config: Config, series: Series, now: Millis) -> Millis | None:
    """Return the time of the first occurrence of *series* after *now*; None: it is over."""
    local = bool(series.wish.get("local"))
    found = schedule.following(series.rule, series.starts, config.zone, now, local=local)
    return found[1] if found else None


def _freeze_occurrence(store: Store, config: Config, series: Series, now: Millis) -> None:
    due = series.next_at or now
    if now - due > MAX_LATE:
        late = timing.say((now - due) // units.MINUTE * units.MINUTE)
        _move_on(store, config, series, now, f"left out: {late} late")
        return
    _freeze(store, config, series, now, Passed(series.wish["passed"]))


def _freeze(store: Store, config: Config, series: Series, now: Millis, passed: Passed) -> None:
    """Make the campaign of the occurrence that is due, and move the series on."""
    local = bool(series.wish.get("local"))
    due = series.next_at or now
    moment = f"{timing.local(due, schedule.FIRST if local else config.zone):%Y-%m-%d %H:%M}"
    options = {
        **series.wish,
        "passed": passed,
        "name": store.campaigns.find_free_name(f"{series.name} {moment}"),
        "at": moment if local else None,
        "again": True,
        "series": series.name,
    }
    made = broadcast.plan(store, config, Draft(**options), now)
    made, _ = foresee(store, config, made, now)
    with store.write():
        if not store.schedules.recurring.is_current(series):
            return  # cancelled while this was planned
        if made.count:
            broadcast.freeze(store, made, now)
        _move_on(store, config, series, now, None if made.count else "nobody was meant")


def _move_on(
    store: Store, config: Config, series: Series, now: Millis, note: str | None
) -> None:
    following = find_following(config, series, now)
    store.schedules.recurring.reschedule(series.id, following, note)


def _describe_audience(draft: Mapping[str, Json]) -> str:
    parts = [f"tag('{tag}')" for tag in draft["tags"]]
    parts += [f"segment('{name}')" for name in draft["segments"]]
    parts += list(draft["where"]) + list(draft["to"])
    return " and ".join(parts) or "everyone"
