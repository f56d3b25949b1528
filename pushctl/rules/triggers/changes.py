"""The decisions about a batch, as values; jobs/triggers/apply.py writes them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import NamedTuple

from pushctl.model import Cause, Json, Millis
from pushctl.rules import events, units
from pushctl.rules.triggers.consents import ChannelConsent, Revocation
from pushctl.rules.triggers.enrolment import (
    Cancel,
    Deliver,
    Enrolment,
    Finish,
    Intent,
    Skip,
    State,
    after,
)
from pushctl.rules.triggers.trigger import Trigger, campaign_name
from pushctl.rules.web import fields


class Decision(NamedTuple):
    trigger: str
    subscription: int
    enrolment: int | None
    kind: str  # entered, restarted, refused, deliver, hold, skip, expire, cancel, finish
    step: int | None
    at: Millis
    until: Millis | None
    reason: str


class StepCampaign(NamedTuple):
    name: str
    trigger: str
    step: int
    template: str
    audience: str
    options: Mapping[str, Json]


class Message(NamedTuple):
    """A message of a step that is due; a row of the ledger to be."""

    campaign: str
    subscription: int
    enrolment: int
    expires_at: Millis | None
    variant: str | None = None  # of a test
    probability: float | None = None
    holdout: float | None = None  # the probability of not being held out
    left_out: tuple[str, Cause] | None = None  # why it is skipped; None: it goes out


class Interest(NamedTuple):
    products: Sequence[str]
    subscriptions: Sequence[int]
    at: Millis
    bought: bool


@dataclass(slots=True)
class Changes:
    """The changes to write at *now*; they grow while a batch is decided."""

    now: Millis
    share: float = 0.0  # of the control group over all marketing
    # by row: what it becomes, and why; the rows of new ones are below 0
    enrolments: dict[int, tuple[Enrolment, str]] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    campaigns: dict[str, StepCampaign] = field(default_factory=dict)  # of messages, by name
    # by subscription and folded name: the tag to set; None: to remove
    tags: dict[tuple[int, str], str | None] = field(default_factory=dict)
    withdrawn: dict[int, str] = field(default_factory=dict)  # enrolment, why
    interests: list[Interest] = field(default_factory=list)
    consents: list[ChannelConsent | Revocation] = field(default_factory=list)
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
        self.decisions.append(
            Decision(trigger, subscription, enrolment, kind, step, self.now, until, reason)
        )

    def set_tag(self, subscription: int, tag: str | None, *, on: bool) -> None:
        if tag:
            self.tags[subscription, fields.fold(tag)] = tag if on else None

    def carry_out(
        self, trigger: Trigger, enrolment: Enrolment, intent: Intent, zone: tzinfo
    ) -> Enrolment:
        """Add what *intent* changes; return the enrolment as it is then."""
        changed = after(trigger, enrolment, intent, self.now, zone)
        row, subscription, reason = enrolment.id, enrolment.subscription, intent.reason
        if isinstance(intent, Deliver):
            campaign = self.open_campaign(trigger, intent)
            chances = *intent.arm, self._find_chance(trigger, held_out=False)
            self.messages.append(
                Message(campaign, subscription, row, intent.expires_at, *chances)
            )
        elif isinstance(intent, Skip) and intent.cause is not None:
            campaign = self.open_campaign(trigger, intent)
            chance = self._find_chance(trigger, held_out=intent.cause is Cause.HOLDOUT)
            ended = (reason, intent.cause)
            self.messages.append(
                Message(campaign, subscription, row, None, holdout=chance, left_out=ended)
            )
        self.save(changed, reason)
        kind = type(intent).__name__.lower()
        self.tally[kind] += 1
        step, until = getattr(intent, "step", None), getattr(intent, "until", None)
        self.record(trigger.name, subscription, row, kind, reason, step, until)
        if not changed.active:
            self.set_tag(subscription, trigger.tag, on=False)
        if isinstance(intent, Cancel | Finish) and enrolment.sent:
            self.withdrawn[row] = reason
        return changed

    def _find_chance(self, trigger: Trigger, *, held_out: bool) -> float | None:
        """
        Return the probability of both draws: the trigger's control group, and that over all.

        None: nothing is drawn.
        """
        share = 0.0 if trigger.transactional else self.share
        if not (share or trigger.holdout):
            return None
        return round((1 - trigger.holdout) * (share if held_out else 1 - share), 9)

    def open_campaign(self, trigger: Trigger, intent: Deliver | Skip) -> str:
        """Add the campaign that a step's messages are counted under; return its name."""
        step = trigger.steps[intent.step - 1]
        name = campaign_name(trigger.name, intent.step, step, intent.template)
        options: dict[str, Json] = {}
        if step.channel is not None:
            called = list(step.exec) or step.webhook
            options |= {"channel": step.channel.value, step.channel.value: called}
        if trigger.transactional:
            options["transactional"] = True  # nobody counts it
        if step.ttl is not None:
            options["ttl"] = step.ttl // units.SECOND
        if step.consent:
            options["consent"] = step.consent
        if step.promo:
            options["extra"] = {"promo": step.promo}
        if events.PROMO_EXPIRING in {*trigger.on, *trigger.also_on}:
            options["reminds"] = True
        audience = trigger.audience or "everyone"
        self.campaigns[name] = StepCampaign(
            name, trigger.name, intent.step, intent.template, audience, options
        )
        return name

    def end(
        self, enrolment: Enrolment, state: State, reason: str, tag: str | None
    ) -> Enrolment:
        """End an enrolment outside its steps; withdraw its *tag* and its messages."""
        ended = replace(enrolment, state=state, next_at=None)
        self.save(ended, reason)
        self.withdrawn[enrolment.id] = reason
        self.set_tag(enrolment.subscription, tag, on=False)
        return ended
