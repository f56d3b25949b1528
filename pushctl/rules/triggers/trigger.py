"""
A trigger: a declared reaction to what people do, as frozen values.

declaration.py reads it from pushctl.toml, enrolment.py decides with it.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import time as Time
from enum import StrEnum

from pushctl.model import Millis
from pushctl.rules.conditions import Condition
from pushctl.rules.timing import QuietHours
from pushctl.rules.units import DAY, HOUR, MINUTE

# A step without max_late: a quiet night passes, a weekend does not.
DEFAULT_MAX_LATE: Millis = 12 * HOUR

# How long after a message was taken its "shown" may come when the step says no ttl.
DEFAULT_SHOWN_WITHIN: Millis = DAY


class Kind(StrEnum):
    EVENT = "event"
    DATE = "date"
    INACTIVE = "inactive"
    FEED = "feed"


class From(StrEnum):
    """The start of a step's *after*."""

    ENTERED = "entered"  # the event itself
    ACCEPTED = "accepted"  # when the push service took the step before
    SHOWN = "shown"  # when the browser showed the step before


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
class Step:
    after: tuple[Tier, ...]
    templates: tuple[str, ...]  # several: a test, each person always gets the same one
    since: From = From.ENTERED
    at: Time | None = None
    promo: str | None = None
    ttl: Millis | None = None
    max_late: Millis = DEFAULT_MAX_LATE
    when: tuple[Condition, ...] = ()

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
    transactional: bool = False  # outside the frequency cap
    date: DateRule | None = None
    inactive: Millis | None = None
    feed: str | None = None

    @property
    def stops(self) -> frozenset[str]:
        """Return the events that end an enrolment: cancels, "and not", and the goal."""
        return self.cancel_on | self.unless | ({self.goal.event} if self.goal else set())

    @property
    def wait(self) -> Millis:
        """Return how long "and not" watches before an enrolment begins."""
        return (self.within or 0) if self.unless else 0


@dataclass(frozen=True, slots=True)
class Frequency:
    """At most *messages* in any stretch of *within*, per person and site; *spacing* apart."""

    messages: int | None = None
    within: Millis = DAY
    spacing: Millis = 5 * MINUTE


def lot(*words: str) -> float:
    """Return a number in [0, 1) that is always the same for the same words."""
    digest = hashlib.sha256("\n".join(words).encode()).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)


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


def campaign_name(trigger: str, step: int, template: str, templates: Collection[str]) -> str:
    """Return the campaign of a step's deliveries: "basket/1", "basket/1/b"."""
    return f"{trigger}/{step}" if len(templates) == 1 else f"{trigger}/{step}/{template}"


def list_campaigns(triggers: Iterable[Trigger]) -> set[str]:
    """Return the campaigns of all steps; each begins with its first message."""
    return {
        campaign_name(one.name, number, template, step.templates)
        for one in triggers
        for number, step in enumerate(one.steps, 1)
        for template in step.templates
    }


def by_event(triggers: Collection[Trigger]) -> dict[str, list[Trigger]]:
    """Return which triggers begin with which event (of a sequence: its last)."""
    begins: dict[str, list[Trigger]] = {}
    for trigger in triggers:
        if trigger.on:
            begins.setdefault(trigger.on[-1], []).append(trigger)
    return begins
