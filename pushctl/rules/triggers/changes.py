"""
What a batch decided, as values: jobs/triggers/apply.py writes them, nothing else does.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import NamedTuple

from pushctl.model import Json, Millis
from pushctl.rules import units
from pushctl.rules.triggers.enrolment import (
    Cancel,
    Deliver,
    Enrolment,
    Finish,
    Hold,
    Intent,
    State,
    after,
)
from pushctl.rules.triggers.trigger import Trigger, campaign_name
from pushctl.rules.web import fields


class Decision(NamedTuple):
    """One thing that was decided about a subscription, and why."""

    trigger: str
    subscription: int
    enrolment: int | None
    kind: str  # entered, restarted, refused, deliver, hold, skip, expire, cancel, finish
    step: int | None
    at: Millis
    until: Millis | None
    reason: str


class StepCampaign(NamedTuple):
    """The campaign that the messages of a trigger's step are counted under."""

    name: str
    trigger: str
    step: int
    template: str
    audience: str
    options: Mapping[str, Json]


class Message(NamedTuple):
    """A message of a step that is due: becomes a row of the ledger."""

    campaign: str
    subscription: int
    enrolment: int
    expires_at: Millis


class Interest(NamedTuple):
    """Products that people looked at; *bought*: they have them now."""

    products: Sequence[str]
    subscriptions: Sequence[int]
    at: Millis
    bought: bool


@dataclass(slots=True)
class Changes:
    """What is to be written at *now*; grows while a batch is decided."""

    now: Millis
    # by row: what it becomes, and why; the rows of new ones are below 0
    enrolments: dict[int, tuple[Enrolment, str]] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    campaigns: dict[str, StepCampaign] = field(default_factory=dict)  # of messages, by name
    # by subscription and folded name: the tag to set; None: to remove
    tags: dict[tuple[int, str], str | None] = field(default_factory=dict)
    withdrawn: dict[int, str] = field(default_factory=dict)  # enrolment, why
    interests: list[Interest] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)  # for the owner of the shop

    def save(self, enrolment: Enrolment, reason: str) -> None:
        self.enrolments[enrolment.id] = enrolment, reason

    def record(
        self,
        trigger: str,
        subscription: int,
        enrolment: int | None,
        kind: str,
        reason: str,
        step: int | None = None,
        until: Millis | None = None,
    ) -> None:
        """Add a decision to the history."""
        self.decisions.append(
            Decision(trigger, subscription, enrolment, kind, step, self.now, until, reason)
        )

    def set_tag(self, subscription: int, tag: str | None, *, on: bool) -> None:
        if tag:
            self.tags[subscription, fields.fold(tag)] = tag if on else None

    def carry_out(
        self, trigger: Trigger, enrolment: Enrolment, intent: Intent, zone: tzinfo
    ) -> Enrolment:
        """Add what *intent* makes of an enrolment; return what that is then."""
        changed = after(trigger, enrolment, intent, self.now, zone)
        step: int | None = getattr(intent, "step", None)
        if isinstance(intent, Deliver):
            campaign = self.open_campaign(trigger, intent)
            message = Message(campaign, enrolment.subscription, enrolment.id, intent.expires_at)
            self.messages.append(message)
        self.save(changed, intent.reason)
        kind = type(intent).__name__.lower()
        self.tally[kind] += 1
        until = intent.until if isinstance(intent, Hold) else None
        self.record(
            trigger.name, enrolment.subscription, enrolment.id, kind, intent.reason, step, until
        )
        if not changed.active:
            self.set_tag(enrolment.subscription, trigger.tag, on=False)
        if isinstance(intent, Cancel | Finish) and enrolment.sent:
            self.withdrawn[enrolment.id] = intent.reason
        return changed

    def open_campaign(self, trigger: Trigger, intent: Deliver) -> str:
        """Add the campaign that a step's messages are counted under; return its name."""
        step = trigger.steps[intent.step - 1]
        name = campaign_name(trigger.name, intent.step, intent.template, step.templates)
        options: dict[str, Json] = {}
        if step.ttl is not None:
            options["ttl"] = step.ttl // units.SECOND
        if step.promo:
            options["extra"] = {"promo": step.promo}
        audience = trigger.audience or "everyone"
        self.campaigns[name] = StepCampaign(
            name, trigger.name, intent.step, intent.template, audience, options
        )
        return name

    def end(
        self, enrolment: Enrolment, state: State, reason: str, tag: str | None
    ) -> Enrolment:
        """End an enrolment without a step's decision, take its *tag* and its messages back."""
        ended = replace(enrolment, state=state, next_at=None)
        self.save(ended, reason)
        self.withdrawn[enrolment.id] = reason
        self.set_tag(enrolment.subscription, tag, on=False)
        return ended
