"""
A trigger: a declared reaction to what people do, as frozen values.

declaration.py reads it from pushctl.toml, enrolment.py decides with it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import time as Time
from enum import StrEnum

from pushctl.model import Millis
from pushctl.rules.conditions import Condition
from pushctl.rules.contact_policy import Frequency as Frequency
from pushctl.rules.figures.experiments.decision import OnTie
from pushctl.rules.holidays import HolidayRule
from pushctl.rules.lots import lot
from pushctl.rules.timing import QuietHours
from pushctl.rules.triggers.feed import Feed
from pushctl.rules.units import DAY, HOUR

# A step without max_late: a quiet night passes, a weekend does not.
DEFAULT_MAX_LATE: Millis = 12 * HOUR

# How long after a message was taken its "shown" may come when the step says no ttl.
DEFAULT_SHOWN_WITHIN: Millis = DAY


class Kind(StrEnum):
    EVENT = "event"
    DATE = "date"
    HOLIDAY = "holiday"
    INACTIVE = "inactive"
    FEED = "feed"


class From(StrEnum):
    """The start of a step's *after*."""

    ENTERED = "entered"  # the event itself
    ACCEPTED = "accepted"  # when the push service took the step before
    SHOWN = "shown"  # when the browser showed the step before


class Channel(StrEnum):
    """The other ways to reach people: a shop's own SMS, e-mail or chat."""

    EXEC = "exec"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Tier:
    """One line of a price table: *after* for values below *below*; None: for the rest."""

    after: Millis
    below: float | None = None


@dataclass(frozen=True, slots=True)
class Goal:
    event: str
    within: Millis


@dataclass(frozen=True, slots=True)
class DateRule:
    """So many days after (before: negative) the date in an attribute, at a local time."""

    attribute: str
    days: int = 0
    at: Time = Time(10, 0)
    yearly: bool = True


@dataclass(frozen=True, slots=True)
class StepTest:
    """
    How a step's arms are tested.

    *variants* are files of its one template ("a", "b"); a step with several templates has
    those as arms. *weights* make 1; none: equal ones. Without *decide_after* it goes on.
    """

    variants: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    bandit: bool = False  # the better an arm does, the more people get it
    decide_after: Millis | None = None
    on_tie: OnTie = OnTie.BEST
    daily_look: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    after: tuple[Tier, ...]
    # several: a test, each person always gets the same one; of a channel: what it calls
    templates: tuple[str, ...]
    since: From = From.ENTERED
    at: Time | None = None
    promo: str | None = None
    ttl: Millis | None = None
    max_late: Millis = DEFAULT_MAX_LATE
    when: tuple[Condition, ...] = ()
    only: str | None = None  # an audience; rules/triggers/only.py reads it
    consent: str | None = None  # the channel that the person has agreed to in a form
    # instead of a message: a program with its arguments, or a webhook by its name
    exec: tuple[str, ...] = ()
    webhook: str | None = None
    test: StepTest = StepTest()

    @property
    def channel(self) -> Channel | None:
        """Return how the step reaches people; None: by a message of a template."""
        if self.exec:
            return Channel.EXEC
        return Channel.WEBHOOK if self.webhook else None

    def delay(self, value: float | None) -> Millis:
        """Return *after* for a basket worth *value*; unknown counts as the dearest."""
        for tier in self.after:
            if tier.below is None or (value is not None and value < tier.below):
                return tier.after
        return self.after[-1].after


@dataclass(frozen=True, slots=True)
class Trigger:
    name: str
    steps: tuple[Step, ...]
    kind: Kind = Kind.EVENT
    on: tuple[str, ...] = ()  # several: all of them, in this order, within *within*
    also_on: frozenset[str] = frozenset()  # each of these begins it, too, by itself
    where: tuple[Condition, ...] = ()  # of the last of them
    unless: frozenset[str] = frozenset()
    within: Millis | None = None
    cancel_on: frozenset[str] = frozenset()
    restart: bool = True
    reentry: Millis | None = 0  # at least so long after the last entry; None: never again
    audience: str | None = None
    sites: frozenset[str] = frozenset()  # none named: all
    tag: str | None = None
    goal: Goal | None = None
    holdout: float = 0.0
    priority: int = 0  # the higher goes first
    quiet: QuietHours | None = None
    awake: bool = False  # the site's quiet hours don't hold either
    transactional: bool = False  # outside the frequency cap
    date: DateRule | None = None
    holiday: HolidayRule | None = None
    inactive: Millis | None = None
    feed: Feed | None = None

    @property
    def stops(self) -> frozenset[str]:
        """Return the events that end an enrolment: cancels, "and not", and the goal."""
        return self.cancel_on | self.unless | ({self.goal.event} if self.goal else set())

    @property
    def wait(self) -> Millis:
        """Return how long "and not" watches before an enrolment begins."""
        return (self.within or 0) if self.unless else 0


def held_out(trigger: Trigger, person: str) -> bool:
    """
    Return whether *person* is, for good, in the control group of *trigger*.

    *person* is the public id of their first subscription: all their devices share one lot,
    and a person with one device keeps the lot of before.
    """
    return trigger.holdout > 0 and lot("holdout", trigger.name, person) < trigger.holdout


def template_for(trigger: Trigger, step: int, person: str) -> str:
    """Return which of the step's templates *person* gets; *step* counts from 1."""
    templates = trigger.steps[step - 1].templates
    if len(templates) == 1:
        return templates[0]
    return templates[int(lot("template", trigger.name, str(step), person) * len(templates))]


def campaign_name(trigger: str, number: int, step: Step, template: str) -> str:
    """
    Return the campaign of a step's deliveries: "basket/1", "basket/1/b", "basket/1:exec".

    A step that changes its channel goes on under another name: no campaign mixes them.
    """
    if step.channel is not None:
        return f"{trigger}/{number}:{step.channel}"
    return f"{trigger}/{number}" + (f"/{template}" if len(step.templates) > 1 else "")


def list_campaigns(triggers: Iterable[Trigger]) -> set[str]:
    """Return the campaigns of all steps; each begins with its first message."""
    return {
        campaign_name(one.name, number, step, template)
        for one in triggers
        for number, step in enumerate(one.steps, 1)
        for template in step.templates
    }


def by_event(triggers: Collection[Trigger]) -> dict[str, list[Trigger]]:
    """Return which triggers begin with which event (of a sequence: its last)."""
    begins: dict[str, list[Trigger]] = {}
    for trigger in triggers:
        if trigger.on:
            for name in {trigger.on[-1], *trigger.also_on}:
                begins.setdefault(name, []).append(trigger)
    return begins
