"""Decides whether an event begins an enrolment, restarts one, or is refused, and why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta, tzinfo

from pushctl.model import Json, Millis
from pushctl.rules import timing, units
from pushctl.rules.conditions import unmet
from pushctl.rules.triggers.enrolment import Enrolment, Event, State, due_at
from pushctl.rules.triggers.trigger import DateRule, Trigger, held_out


@dataclass(frozen=True, slots=True)
class Enter:
    """A new enrolment; *ends* is an older one that it takes over from."""

    enrolment: Enrolment
    reason: str
    ends: int | None = None


@dataclass(frozen=True, slots=True)
class Restart:
    """The enrolment goes on with the clock or the basket of the newer event."""

    enrolment: Enrolment
    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    reason: str


Entry = Enter | Restart | Refuse


def enter(
    trigger: Trigger,
    event: Event,
    latest: Enrolment | None,
    *,
    lot: str,
    zone: tzinfo,
    context: Mapping[str, Json],
    history: Sequence[Event] = (),
    seen: Collection[str] = (),
    site: str = "",
) -> Entry | None:
    """
    Return what *event* does to the enrolment of one subscription; None: it does not match.

    *latest* is the person's newest enrolment of this trigger, *history* the events
    named in trigger.on, *seen* the names of its events after this one (they may
    arrive out of order). The caller checks the audience, for Enter alone.
    """
    if find_mismatch(trigger, event.properties, context.get("value"), site):
        return None
    alone = len(trigger.on) < 2 or event.name in trigger.also_on
    if not alone and not in_sequence(trigger, event, history):
        return None
    stopped = sorted(trigger.stops.intersection(seen))
    if stopped:
        return Refuse(f"{stopped[0]} came after it")
    if latest is not None and event.at < latest.entered_at:
        return Refuse("older than the event that began the enrolment")
    fresh = begin(trigger, event, lot, zone, context)
    return join(trigger, fresh, latest, event.name)


def find_mismatch(
    trigger: Trigger, properties: Mapping[str, Json], value: Json, site: str
) -> str | None:
    """
    Return why an event with a right name does not match; None: it matches.

    *value* is the event's worth, the basket's where the event has none of its own.
    """
    if trigger.sites and site not in trigger.sites:
        return f"not for the site {site}"
    failed = unmet(trigger.where, {"value": value, **properties})
    return f"where: not {failed}" if failed else None


def join(trigger: Trigger, fresh: Enrolment, latest: Enrolment | None, cause: str) -> Entry:
    """
    Return what becomes of the enrolment *fresh* beside the person's *latest* one.

    *cause* is a text for people. The latest may be another device's: a person has one
    enrolment of a trigger at a time, on the device that they used last.
    """
    if latest is None:
        return Enter(fresh, f"{cause} came")
    if latest.active and not trigger.restart:
        return Refuse("already on its way")
    if latest.active and latest.sent == 0:
        return _restart(latest, fresh, cause)
    return _again(trigger, latest, fresh, cause)


def begin(
    trigger: Trigger, event: Event, lot: str, zone: tzinfo, context: Mapping[str, Json]
) -> Enrolment:
    """Return an enrolment that begins with *event*; in the control group it only watches."""
    fresh = Enrolment(
        id=0,
        trigger=trigger.name,
        subscription=event.subscription,
        occurrence=f"event:{event.id}",
        entered_at=event.at,
        state=State.HOLDOUT if held_out(trigger, lot) else State.ACTIVE,
        context=context,
    )
    return replace(fresh, next_at=due_at(trigger, fresh, zone) if fresh.active else None)


def in_sequence(trigger: Trigger, event: Event, history: Sequence[Event]) -> bool:
    """Return whether *event* ends the trigger's sequence, begun within trigger.within."""
    wanted, at = list(trigger.on[:-1]), event.at - (trigger.within or 0)
    others = (one for one in history if one.id != event.id)
    for past in sorted(others, key=lambda one: (one.at, one.id)):
        if wanted and past.name == wanted[0] and at <= past.at <= event.at:
            wanted.pop(0)
            at = past.at
    return not wanted


def date_occurrence(
    rule: DateRule, value: object, zone: tzinfo, since: Millis, until: Millis
) -> tuple[str, Millis] | None:
    """
    Return the occurrence of a date attribute that falls into [since, until), if one does:
    its key ("date:2026-11-22", the day of sending) and the instant in *zone*.
    """
    day = timing.calendar_day(value)
    if day is None:
        return None
    days = [day]
    if rule.yearly:
        first = timing.local(since, zone).year
        days = [timing.in_year(day, year) for year in range(first - 1, first + 3)]
    for one in days:
        if one < day:  # a year before the first
            continue
        try:
            sending = one + timedelta(days=rule.days)
            at = timing.instant(sending, rule.at, zone)
        except (OverflowError, ValueError):  # the years 1 and 9999: a browser says anything
            continue
        if since <= at < until:
            return f"date:{sending.isoformat()}", at
    return None


def _restart(latest: Enrolment, fresh: Enrolment, cause: str) -> Enter | Restart:
    if fresh.active and fresh.subscription != latest.subscription:
        return Enter(fresh, f"{cause} again, on this device now", latest.id)
    again = replace(
        latest,
        occurrence=fresh.occurrence,
        entered_at=fresh.entered_at,
        step=1,
        next_at=fresh.next_at if fresh.active else latest.next_at,
        context=fresh.context,
    )
    return Restart(again, f"{cause} again: the clock starts anew")


def _again(trigger: Trigger, latest: Enrolment, fresh: Enrolment, cause: str) -> Entry:
    pause = trigger.reentry
    if latest.state is State.HOLDOUT and pause is not None:
        # Else each page view of the control group would be a row.
        pause = max(pause, units.DAY)
    if pause is None or fresh.entered_at - latest.entered_at < pause:
        why = "once only"
        if pause is not None:
            why = f"again after {timing.say(pause)} at the earliest"
        if latest.active:
            return Restart(replace(latest, context=fresh.context), f"{why}: context renewed")
        return Refuse(why)
    ends = latest.id if latest.active else None
    return Enter(fresh, f"{cause} came again", ends)
