"""
Triggers over virtual time: what one person would get, minute by minute, and why.

It decides as a sweep does, without a database, for `triggers test` and `replay`. Messages
count as accepted and shown in the minute in which they are sent.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from pushctl.model import Json, Millis
from pushctl.rules import units
from pushctl.rules.shops import cart
from pushctl.rules.triggers.changes import Changes
from pushctl.rules.triggers.due import decide_due
from pushctl.rules.triggers.enrolling import Enrolling
from pushctl.rules.triggers.enrolment import Enrolment, Event, observe
from pushctl.rules.triggers.entry import find_mismatch
from pushctl.rules.triggers.facts import Device, Facts, Sent
from pushctl.rules.triggers.only import Reacted
from pushctl.rules.triggers.trigger import Trigger, by_event


class PastReaction(NamedTuple):
    """Somebody clicked or closed a step's message."""

    trigger: str
    step: int
    kind: str
    at: Millis


@dataclass(frozen=True, slots=True)
class Happening:
    at: Millis
    trigger: str
    kind: str
    reason: str
    step: int | None = None
    template: str | None = None
    context: Mapping[str, Json] = field(default_factory=dict)


@dataclass
class Rehearsal:
    """
    One person's enrolments. Feed events with ``take``, let time pass with ``sweep``; both
    return what happens.

    *facts* hold the device and its audiences. *paused* holds since when triggers are: events
    begin and end enrolments all the same, but from then on nothing of theirs is decided.
    *clicked* are the steps whose messages are clicked as they come, *reacted* says what is
    known otherwise: when which message was clicked or closed. *unshown* is when messages went
    out that their browser has not shown, for the sunset rule.
    """

    device: Device
    facts: Facts
    paused: Mapping[str, Millis] = field(default_factory=dict)
    clicked: Collection[int] = ()
    reacted: Sequence[PastReaction] = ()
    unshown: Sequence[Millis] = ()
    enrolments: dict[str, Enrolment] = field(default_factory=dict)  # the latest of each trigger
    events: list[Event] = field(default_factory=list)
    _basket: tuple[str, Mapping[str, Json]] | None = None  # the last event that has it
    _sent: list[Sent] = field(default_factory=list)
    _messages: list[tuple[Enrolment, str, Millis]] = field(default_factory=list)
    _number: int = 0

    def take(self, event: Event, now: Millis) -> list[Happening]:
        event = replace(
            event,
            name=cart.meaning(event.name, event.properties),
            properties=self.facts.settings.complete(event.properties, self.device.site),
        )
        self.events.append(event)
        baskets = {event.id: self._basket} if self._basket else {}
        enrolling = Enrolling(self._load_facts(now, baskets=baskets))
        enrolling.take(event)
        found = [Happening(event.at, "", "event", event.name)]
        found += self._keep(enrolling.changes)
        basket = cart.at(event.name, event.properties, self._basket, ())
        value = cart.value(event.properties, basket)
        begins = by_event(list(self.facts.settings.triggers.values()))
        for trigger in begins.get(event.name, ()):
            why = find_mismatch(trigger, event.properties, value, self.device.site)
            if why is not None:
                found.append(Happening(now, trigger.name, "not meant", why))
        if cart.has_basket(event.name, event.properties):
            self._basket = event.name, event.properties
        return found

    def begin(self, trigger: Trigger, enrolment: Enrolment) -> None:
        """Add an enrolment that no event began: a date's, an absence's."""
        self._number += 1
        self.enrolments[trigger.name] = replace(enrolment, id=self._number)

    def next_at(self) -> Millis | None:
        """Return the minute in which a sweep has something to decide."""
        minutes = (
            (name, -(-one.next_at // units.MINUTE) * units.MINUTE)
            for name, one in self.enrolments.items()
            if one.active and one.next_at is not None
        )
        return min((at for name, at in minutes if at < self._end(name)), default=None)

    def sweep(self, now: Millis) -> list[Happening]:
        due = [
            one
            for name, one in self.enrolments.items()
            if one.active and one.next_at is not None and one.next_at <= now
            if now < self._end(name)
        ]
        sent = {self.device.subscription: self._sent}
        reactions = {one.id: self._list_reactions(one, now) for one in due}
        sunset = self._find_sunset(now)
        facts = self._load_facts(
            now, sent=sent, written=sent, reactions=reactions, sunset=sunset
        )
        return self._keep(decide_due(facts, due, {}))

    def _find_sunset(self, now: Millis) -> dict[int, str]:
        """Return why the sunset rule leaves the device out; empty: it does not."""
        sunset = self.facts.settings.contact_policy.sunset
        if sunset is None or self._sent:
            return {}  # what was shown has ended it
        why = sunset.refuse([at for at in self.unshown if at <= now], now)
        return {self.device.subscription: why} if why else {}

    def _list_reactions(self, enrolment: Enrolment, now: Millis) -> list[Reacted]:
        """Return what became of an enrolment's messages by *now*."""
        found = []
        for sent, campaign, at in self._messages:
            if sent.id != enrolment.id:
                continue
            kinds = ["sent", "accepted", "shown"]
            if sent.sent in self.clicked:
                kinds.append("clicked")
            kinds += [
                one.kind
                for one in self.reacted
                if (one.trigger, one.step) == (sent.trigger, sent.sent) and at <= one.at <= now
            ]
            found += [Reacted(sent.sent, campaign, kind) for kind in kinds]
        return found

    def _load_facts(self, now: Millis, **more: Any) -> Facts:
        events = {self.device.subscription: self.events}
        enrolments = list(self.enrolments.values())
        return replace(self.facts, now=now, events=events, enrolments=enrolments, **more)

    def _keep(self, changes: Changes) -> list[Happening]:
        """Carry out *changes* and return them. Messages are shown at once."""
        zone = self.facts.zone(self.device)
        # Who is left out has a row, and no message.
        campaigns: dict[int | None, str] = {
            one.enrolment: one.campaign for one in changes.messages if one.left_out is None
        }
        templates = {row: changes.campaigns[name].template for row, name in campaigns.items()}
        found = []
        for one in changes.decisions:
            happened = Happening(one.at, one.trigger, one.kind, one.reason, one.step)
            known = changes.enrolments.get(one.enrolment or 0)
            template, context = templates.get(one.enrolment), known[0].context if known else {}
            found.append(replace(happened, template=template, context=context))
        for row, (enrolment, _) in changes.enrolments.items():
            trigger, now = self.facts.settings.triggers[enrolment.trigger], changes.now
            if row in templates:
                times = {"accepted_at": now, "shown_at": now}
                enrolment = observe(trigger, enrolment, enrolment.sent, zone, **times)
                self._sent.append(Sent(enrolment.subscription, row, now, planned=False))
                self._messages.append((enrolment, campaigns[row], now))
            if row < 0:
                self.begin(trigger, enrolment)
            else:
                self.enrolments[trigger.name] = enrolment
        return found

    def _end(self, trigger: str) -> float:
        return self.paused.get(trigger, math.inf)


def play(rehearsal: Rehearsal, events: Sequence[Event], until: Millis) -> Iterator[Happening]:
    """Let *events* come at their times and a sweep run every minute that matters."""
    waiting = sorted(events, key=lambda event: (event.at, event.id))
    while True:
        due = rehearsal.next_at()
        if waiting and (due is None or waiting[0].at <= due):
            event = waiting.pop(0)
            yield from rehearsal.take(event, event.at)
        elif due is not None and due <= until:
            yield from rehearsal.sweep(due)
        else:
            return
