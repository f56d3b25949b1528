"""
Decides about one enrolment of a person in a trigger: wait, send, end.

``decide`` takes an Enrolment, a Person and *now*, and returns an Intent with its reason;
``after`` returns the enrolment as it is then. The sweep, `triggers test` and `replay` all
decide with these functions.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from enum import StrEnum

from pushctl.model import Cause, Json, Millis
from pushctl.rules import timing, units
from pushctl.rules.amounts import read_number
from pushctl.rules.conditions import unmet
from pushctl.rules.shops.cart import PURCHASE
from pushctl.rules.triggers.arms import Fall, find_fall
from pushctl.rules.triggers.trigger import (
    DEFAULT_SHOWN_WITHIN,
    Frequency,
    From,
    Kind,
    Step,
    Trigger,
)

# A report of "shown" may be late by what a browser keeps it for, offline.
_REPORT_SLACK: Millis = units.HOUR

# Between two steps of an enrolment that are overdue both.
_BREATH: Millis = 5 * units.MINUTE


class State(StrEnum):
    ACTIVE = "active"
    FINISHED = "finished"  # all steps are done, or the goal was reached
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # too late for the message that the rest hangs on
    SUPERSEDED = "superseded"  # a newer enrolment took over
    HOLDOUT = "holdout"  # in the control group: watched, never written to


@dataclass(frozen=True, slots=True)
class Event:
    id: int
    subscription: int
    name: str  # as rules/shops/cart.meaning() reads it
    at: Millis
    properties: Mapping[str, Json] = field(default_factory=dict)
    late: bool = False  # told long after it happened: it begins nothing


@dataclass(frozen=True, slots=True)
class Person:
    subscription: int
    key: str  # the same for all subscriptions of one person and site
    lot: str = ""  # by which all their devices draw the same one
    zone: tzinfo = UTC
    active: bool = True
    in_audience: bool = True
    meant: bool = True  # by ``only`` of the step that is due
    only: str = ""  # what that asks, in words; where they are not meant: why not
    last_seen_at: Millis = 0
    sent: tuple[Millis, ...] = ()  # recent messages, all subscriptions of the person
    written_at: Millis = 0  # when another enrolment of theirs wrote to them last
    refusal: str = ""  # why they want no message now: a pause, or fewer
    paying_until: Millis = 0  # until then a payment of theirs may be on its way
    # why marketing leaves them out: the control group, the sunset rule
    withheld: tuple[str, Cause] | None = None
    fall: Fall | None = None  # the arm of this step; None: by their lot alone


@dataclass(frozen=True, slots=True)
class Enrolment:
    id: int
    trigger: str
    subscription: int
    occurrence: str  # what caused it: unique per trigger and subscription
    entered_at: Millis
    state: State = State.ACTIVE
    step: int = 1  # the next one; beyond the last: only watching for the goal
    sent: int = 0  # the last step that was handed over for sending
    accepted_at: Millis | None = None  # of that step
    shown_at: Millis | None = None
    next_at: Millis | None = None  # when to look again
    context: Mapping[str, Json] = field(default_factory=dict)
    reached: str | None = None  # the event that was its goal, once it came

    @property
    def active(self) -> bool:
        return self.state is State.ACTIVE


@dataclass(frozen=True, slots=True)
class Deliver:
    enrolment: int
    step: int
    template: str
    due: Millis
    reason: str
    expires_at: Millis
    # of a test: the variant, and the probability with which it fell to that
    arm: tuple[str | None, float | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Cancel:
    enrolment: int
    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    enrolment: int
    reason: str
    state: State = State.FINISHED
    goal: str | None = None  # the event, where it ends because that came


@dataclass(frozen=True, slots=True)
class Hold:
    enrolment: int
    step: int
    until: Millis
    reason: str


@dataclass(frozen=True, slots=True)
class Skip:
    """The step is not for this enrolment; the next one may be."""

    enrolment: int
    step: int
    reason: str
    # of a message that all others would get: it is a row of the ledger, with its cause
    cause: Cause | None = None
    template: str = ""


@dataclass(frozen=True, slots=True)
class Expire:
    enrolment: int
    step: int
    reason: str


Intent = Deliver | Cancel | Finish | Hold | Skip | Expire


def base(trigger: Trigger, enrolment: Enrolment) -> Millis | None:
    """Return the time that the next step counts from; None while it is to come."""
    step = trigger.steps[enrolment.step - 1]
    if step.since is From.ENTERED or enrolment.sent == 0:
        return enrolment.entered_at + trigger.wait
    if step.since is From.SHOWN:
        return enrolment.shown_at
    return enrolment.accepted_at or enrolment.shown_at


def due_at(trigger: Trigger, enrolment: Enrolment, zone: tzinfo) -> Millis | None:
    """Return when the next step is due; None while it waits for the one before."""
    if (since := base(trigger, enrolment)) is None:
        return None
    step = trigger.steps[enrolment.step - 1]
    due = since + step.delay(read_number(enrolment.context.get("value")))
    return due if step.at is None else timing.next_local(due, step.at, zone)


def decide(
    trigger: Trigger,
    enrolment: Enrolment,
    seen: Collection[str],
    now: Millis,
    person: Person,
    frequency: Frequency | None = None,
) -> Intent | None:
    """
    Return the intent for *enrolment* at *now*, or None while it waits.

    *seen* holds the names of the person's events since it began. A goal goes before a due
    step: a person who has just bought gets no reminder.
    """
    if not enrolment.active:
        return None
    if (ended := _find_end(trigger, enrolment, seen, person)) is not None:
        return ended
    if enrolment.step > len(trigger.steps):
        over = enrolment.next_at is None or now >= enrolment.next_at
        return Finish(enrolment.id, "all steps are done") if over else None
    due = due_at(trigger, enrolment, person.zone)
    if due is not None:
        if now < due:
            return None
        return _decide_step(trigger, enrolment, due, now, person, frequency or Frequency())
    if enrolment.next_at is not None and now < enrolment.next_at:
        return None
    kind = trigger.steps[enrolment.step - 1].since
    return Finish(enrolment.id, f"step {enrolment.sent} was never {kind}", State.EXPIRED)


def choose(
    due: Iterable[tuple[Trigger, Person, Deliver]],
    frequency: Frequency,
    now: Millis,
    had: Mapping[str, tuple[str, int]] | None = None,
) -> list[Deliver | Hold | Expire | Cancel]:
    """
    Choose one message for each person: the highest priority, then the longest wait.

    The others are held for *frequency*.spacing, or expire when that is too late; the same
    trigger's on another device of the person is cancelled. *had* holds the persons that have
    one already, by Person.key: the trigger's name and the subscription.
    """
    ranked = sorted(due, key=lambda one: (-one[0].priority, one[2].due, one[2].enrolment))
    winners = dict(had or {})
    chosen: list[Deliver | Hold | Expire | Cancel] = []
    for trigger, person, intent in ranked:
        if person.key not in winners:
            winners[person.key] = trigger.name, person.subscription
            chosen.append(intent)
            continue
        winner, device = winners[person.key]
        if winner == trigger.name and device != person.subscription:
            chosen.append(Cancel(intent.enrolment, "another device of theirs gets it"))
            continue
        until, why = now + max(frequency.spacing, units.MINUTE), f"{winner} goes first"
        step = trigger.steps[intent.step - 1]
        latest = _find_latest(trigger, step, intent.due, person)
        chosen.append(_hold(step, intent, until, latest, why))
    return chosen


def after(
    trigger: Trigger, enrolment: Enrolment, intent: Intent, now: Millis, zone: tzinfo
) -> Enrolment:
    """Return *enrolment* as it is once *intent* is carried out at *now*."""
    match intent:
        case Cancel():
            return replace(enrolment, state=State.CANCELLED, next_at=None)
        case Finish():
            return replace(enrolment, state=intent.state, next_at=None, reached=intent.goal)
        case Hold():
            return replace(enrolment, next_at=intent.until)
        case Expire() if _hangs_on_it(trigger, enrolment):
            return replace(enrolment, state=State.EXPIRED, next_at=None)
        case Deliver():
            step = intent.step
            gone = replace(enrolment, step=step + 1, sent=step, accepted_at=None, shown_at=None)
            following = _schedule(trigger, gone, now, zone)
            if following.active and following.next_at is not None and following.next_at <= now:
                # The machine slept through both: one now, the next not in the same minute.
                return replace(following, next_at=now + _BREATH)
            return following
        case _:
            return _schedule(trigger, replace(enrolment, step=intent.step + 1), now, zone)


def observe(
    trigger: Trigger,
    enrolment: Enrolment,
    step: int,
    zone: tzinfo,
    *,
    accepted_at: Millis | None = None,
    shown_at: Millis | None = None,
) -> Enrolment:
    """Return *enrolment* with the first time at which its *step* was accepted or shown."""
    if not enrolment.active or step != enrolment.sent:
        return enrolment
    accepted, shown = enrolment.accepted_at or accepted_at, enrolment.shown_at or shown_at
    seen = replace(enrolment, accepted_at=accepted, shown_at=shown)
    if seen == enrolment or seen.step > len(trigger.steps):
        return seen
    due = due_at(trigger, seen, zone)
    # A hold that was already decided stands: it only ever moves away from due.
    if due is None or due_at(trigger, enrolment, zone) == due:
        return seen
    return replace(seen, next_at=due)


def watched_for(trigger: Trigger) -> Millis:
    """Return how long an enrolment stays open after its last step, for its goal or stops."""
    if trigger.goal is not None:
        return trigger.goal.within
    # A message may still wait for its second try when somebody cancels.
    if not trigger.stops:
        return 0
    return trigger.steps[-1].max_late + (trigger.quiet.length if trigger.quiet else 0)


def _schedule(trigger: Trigger, enrolment: Enrolment, now: Millis, zone: tzinfo) -> Enrolment:
    """Return *enrolment* with the time to look at its next step."""
    if enrolment.step > len(trigger.steps):
        watch = watched_for(trigger)
        if not watch:
            return replace(enrolment, state=State.FINISHED, next_at=None)
        return replace(enrolment, next_at=max(now, enrolment.entered_at) + watch)
    due = due_at(trigger, enrolment, zone)
    if due is not None:
        return replace(enrolment, next_at=due)
    ttl = trigger.steps[enrolment.sent - 1].ttl
    return replace(enrolment, next_at=now + (ttl or DEFAULT_SHOWN_WITHIN) + _REPORT_SLACK)


def _find_end(
    trigger: Trigger, enrolment: Enrolment, seen: Collection[str], person: Person
) -> Cancel | Finish | None:
    if trigger.goal is not None and trigger.goal.event in seen:
        event = trigger.goal.event
        return Finish(enrolment.id, f"goal reached: {event}", goal=event)
    stopped = sorted(trigger.stops.intersection(seen))
    if stopped:
        return Cancel(enrolment.id, f"{stopped[0]} came")
    if not person.active:
        return Cancel(enrolment.id, "the subscription is not active any more")
    if trigger.kind is Kind.INACTIVE and person.last_seen_at > enrolment.entered_at:
        return Cancel(enrolment.id, "came back")
    return None


def _decide_step(
    trigger: Trigger,
    enrolment: Enrolment,
    due: Millis,
    now: Millis,
    person: Person,
    frequency: Frequency,
) -> Intent:
    number = enrolment.step
    step = trigger.steps[number - 1]
    failed = unmet(step.when, enrolment.context)
    if failed is not None:
        return Skip(enrolment.id, number, f"when: not {failed}")
    if not person.meant:
        return Skip(enrolment.id, number, person.only)
    latest = _find_latest(trigger, step, due, person)
    if now > latest:
        late = timing.say((now - due) // units.SECOND * units.SECOND)
        why = f"{late} late, more than {timing.say(step.max_late)}"
        return Expire(enrolment.id, number, why)
    if not person.in_audience:
        return Cancel(enrolment.id, "not in the audience any more")
    if person.refusal and not trigger.transactional:
        return Skip(enrolment.id, number, person.refusal)
    fall = person.fall or find_fall(trigger, number, person.lot, enrolment.occurrence)
    if person.withheld is not None:
        return Skip(enrolment.id, number, *person.withheld, fall.template)
    expires_at = latest if not step.ttl else min(latest, now + step.ttl)
    why = f"step {number} was due" + (f", {person.only}" if person.only else "")
    arm = fall.variant, fall.probability
    intent = Deliver(enrolment.id, number, fall.template, due, why, expires_at, arm)
    if now < person.paying_until and PURCHASE in trigger.stops:
        # Not _hold: if it fails, payment_failed begins the clock anew.
        return Hold(enrolment.id, number, person.paying_until, "their payment is on its way")
    if trigger.quiet is not None and trigger.quiet.holds(now, person.zone):
        until = trigger.quiet.find_end(now, person.zone)
        return _hold(step, intent, until, latest, f"quiet hours {trigger.quiet}")
    free = frequency.find_free(person.sent, now)
    if free is not None and not trigger.transactional:
        return _hold(step, intent, free, latest, frequency.describe())
    apart = person.written_at + frequency.spacing
    if now < apart and not trigger.transactional:
        apart = max(apart, now + units.MINUTE)
        return _hold(step, intent, apart, latest, "another message went out just before")
    return intent


def _find_latest(trigger: Trigger, step: Step, due: Millis, person: Person) -> Millis:
    """Return the last moment of a step that is *due*: waiting in quiet hours is not late."""
    if trigger.quiet is None:
        return due + step.max_late
    return trigger.quiet.add_awake(due, step.max_late, person.zone)


def _hold(
    step: Step, intent: Deliver, until: Millis, latest: Millis, why: str
) -> Hold | Expire:
    if until > latest:
        why += f"; later than {timing.say(step.max_late)} it is of no use"
        return Expire(intent.enrolment, intent.step, why)
    return Hold(intent.enrolment, intent.step, until, why)


def _hangs_on_it(trigger: Trigger, enrolment: Enrolment) -> bool:
    """Return whether nothing can follow the expired step, as the next counts from a message."""
    if enrolment.sent:
        return False
    following = trigger.steps[enrolment.step : enrolment.step + 1]
    return bool(following) and following[0].since is not From.ENTERED
