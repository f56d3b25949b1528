"""
What is sent again and again: `send --every`, carried out by the sweeps.

Audience and texts are those of each occurrence's own time: a campaign is frozen when it
is due, in the transaction that moves the series on, so that no kill makes it two.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime, tzinfo

from pushctl.config import Config
from pushctl.errors import InputError, PushctlError, UsageError
from pushctl.jobs.campaigns import broadcast
from pushctl.jobs.campaigns.broadcast import Wish
from pushctl.model import CampaignStatus, Json, Millis
from pushctl.rules import schedule, timing, units
from pushctl.rules.schedule import Passed
from pushctl.store import Store
from pushctl.store.recurring import Series

# A machine that was off for longer sends the next one, not this one late.
MAX_LATE: Millis = 12 * units.HOUR


def begin(store: Store, config: Config, wish: Wish, now: Millis) -> Series:
    """Write a wish with ``every`` down; InputError for a rule that says nothing."""
    if wish.every is None:
        raise InputError("--every: when?")
    if wish.at:
        raise UsageError("--at and --every don't go together: once, or again and again?")
    if wish.local and wish.over:
        raise UsageError("--local and --over don't go together")
    rule = schedule.rule(wish.every)
    zone = _zone(config)
    starts = timing.local(now, zone).replace(tzinfo=None, second=0, microsecond=0)
    found = schedule.following(rule, starts, zone, now, local=wish.local)
    if found is None:
        raise InputError(f"{wish.every!r} never comes again")
    name = wish.name or f"{broadcast.subject(wish)} every {wish.every}"
    told = asdict(replace(wish, every=None, name=None))
    store.schedules.recurring.add(
        name, wish.every, rule, starts, told, now=now, next_at=found[1]
    )
    return store.schedules.recurring.get(name)


def upcoming(config: Config, wish: Wish, now: Millis, count: int = 3) -> list[datetime]:
    """Return the next times on the wall at which *wish* would be carried out."""
    rule = schedule.rule(wish.every or "")
    zone = _zone(config)
    starts = timing.local(now, zone).replace(tzinfo=None, second=0, microsecond=0)
    times: list[datetime] = []
    at = now
    while len(times) < count:
        found = schedule.following(rule, starts, zone, at, local=wish.local)
        if found is None:
            break
        times.append(found[0])
        at = found[1]
    return times


def carry_out(store: Store, config: Config, now: Millis) -> Iterator[str]:
    """Freeze a campaign for each series that is due; yield what went wrong."""
    for series in store.schedules.recurring.list_due(now):
        try:
            _occur(store, config, series, now)
        except PushctlError as error:
            # A template that is mended within the hours still goes out.
            if now - (series.next_at or now) > MAX_LATE:
                _move_on(store, config, series, now, str(error))
            yield f"{series.name}: {error}"


def rows(store: Store, config: Config) -> list[dict[str, Json]]:
    """
    Return what is to come: series and campaigns with a date, the next first.

    *there* is the next time by the clock that --at and --every speak of.
    """
    zone = _zone(config)
    found: list[dict[str, Json]] = [
        {
            "name": series.name,
            "when": "every " + series.said.removeprefix("every "),
            "next_at": series.next_at,
            "whom": _whom(series.wish),
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
    ]
    for row in found:
        at = row["next_at"]
        row["there"] = f"{timing.local(at, zone):%a %Y-%m-%d %H:%M} {zone}" if at else None
    return sorted(found, key=lambda row: row["next_at"] or 0)


def cancel(store: Store, name: str) -> None:
    """End a series; campaigns that it has made stay. NotFoundError for an unknown one."""
    series = store.schedules.recurring.get(name)
    store.schedules.recurring.reschedule(series.id, None, "cancelled")


def skip_due(store: Store, config: Config, now: Millis) -> None:
    """Go on with what comes after *now*; what is due may have gone out already."""
    for series in store.schedules.recurring.list_due(now):
        _move_on(store, config, series, now, "left out: the database was restored")


def _occur(store: Store, config: Config, series: Series, now: Millis) -> None:
    due = series.next_at or now
    if now - due > MAX_LATE:
        late = timing.say((now - due) // units.MINUTE * units.MINUTE)
        _move_on(store, config, series, now, f"left out: {late} late")
        return
    told = dict(series.wish)
    local = bool(told.get("local"))
    where = schedule.FIRST if local else _zone(config)
    moment = timing.local(due, where)
    told |= {
        "passed": Passed(told["passed"]),
        "name": store.campaigns.find_free_name(f"{series.name} {moment:%Y-%m-%d %H:%M}"),
        "at": f"{moment:%Y-%m-%d %H:%M}" if local else None,
    }
    made = broadcast.plan(store, config, Wish(**told), now)
    with store.write():
        if made.count:
            broadcast.freeze(store, made, now)
        _move_on(store, config, series, now, None if made.count else "nobody was meant")


def _move_on(
    store: Store, config: Config, series: Series, now: Millis, note: str | None
) -> None:
    local = bool(series.wish.get("local"))
    zone = _zone(config)
    found = schedule.following(series.rule, series.starts, zone, now, local=local)
    store.schedules.recurring.reschedule(series.id, found[1] if found else None, note)


def _whom(wish: Mapping[str, Json]) -> str:
    parts = [f"tag('{tag}')" for tag in wish["tags"]]
    parts += [f"segment('{name}')" for name in wish["segments"]]
    parts += list(wish["where"]) + list(wish["to"])
    return " and ".join(parts) or "everyone"


def _zone(config: Config) -> tzinfo:
    return timing.zone(next(iter(config.sites.values())).timezone)
