"""
Triggers over virtual time: what one person would get, minute by minute, and why.

The same decisions as a sweep's, without a database: `triggers test` and `replay` run on
it. Messages count as accepted and shown in the minute in which they are sent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pushctl.model import Json, Millis
from pushctl.rules.shops import cart
from pushctl.rules.triggers.enrolment import (
    Deliver,
    Enrolment,
    Event,
    Intent,
    Person,
    after,
    choose,
    decide,
    observe,
)
from pushctl.rules.triggers.entry import Enter, Refuse, Restart, enter, not_meant
from pushctl.rules.triggers.trigger import Frequency, Trigger, by_event
from pushctl.rules.units import MINUTE

_KEEP_SENT = 50


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that would happen: an event, an entry, a message, a hold, an end."""

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
    One person's walks through *triggers*. Feed events with ``take``, let time pass with
    ``sweep``; both yield what happens.

    *paused* holds since when triggers are: events begin and end their walks all the same,
    but from then on nothing of theirs is decided.
    """

    triggers: Mapping[str, Trigger]
    person: Person
    site: str = ""
    origins: Sequence[str] = ()
    frequency: Frequency = field(default_factory=Frequency)
    in_audience: Callable[[str], bool] = lambda trigger: True
    paused: Mapping[str, Millis] = field(default_factory=dict)
    walks: dict[str, Enrolment] = field(default_factory=dict)  # the latest of each trigger
    events: list[Event] = field(default_factory=list)
    basket: Mapping[str, Json] | None = None
    _wrote: dict[int, Millis] = field(default_factory=dict)  # walk -> its last message
    _number: int = 0

    def take(self, event: Event, now: Millis) -> Iterator[Happening]:
        """Let *event* come in at *now*."""
        event = replace(event, name=cart.meaning(event.name, event.properties))
        self.events.append(event)
        yield Happening(event.at, "", "event", event.name)
        basket = self._fill(event)
        for name, walk in list(self.walks.items()):
            trigger = self.triggers[name]
            if walk.active and event.name in trigger.stops and event.at >= walk.entered_at:
                intent = decide(trigger, walk, [event.name], now, self.person)
                if intent is not None:
                    yield from self._carry_out(trigger, walk, intent, now)
        for trigger in by_event(list(self.triggers.values())).get(event.name, ()):
            yield from self._enter(trigger, event, now, basket)

    def begin(self, trigger: Trigger, walk: Enrolment) -> None:
        """Put a walk in that no event began: a date's, an absence's."""
        self._number += 1
        self.walks[trigger.name] = replace(walk, id=self._number)

    def next_at(self) -> Millis | None:
        """Return the minute in which a sweep has something to decide."""
        minutes = (
            (name, -(-walk.next_at // MINUTE) * MINUTE)
            for name, walk in self.walks.items()
            if walk.active and walk.next_at is not None
        )
        return min((at for name, at in minutes if not self._held(name, at)), default=None)

    def sweep(self, now: Millis) -> Iterator[Happening]:
        """Decide what is due at *now*."""
        person, due = self.person, []
        for name, walk in list(self.walks.items()):
            if not walk.active or walk.next_at is None or walk.next_at > now:
                continue
            if self._held(name, now):
                continue
            trigger = self.triggers[name]
            others = (at for one, at in self._wrote.items() if one != walk.id)
            person = replace(
                self.person,
                in_audience=self.in_audience(name),
                written_at=max(others, default=0),
            )
            seen = self._seen(trigger, walk.entered_at, walk.occurrence)
            intent = decide(trigger, walk, seen, now, person, self.frequency)
            if isinstance(intent, Deliver):
                due.append((trigger, person, intent))
            elif intent is not None:
                yield from self._carry_out(trigger, walk, intent, now)
            else:
                self.walks[name] = replace(walk, next_at=now + MINUTE)
        for chosen in choose(due, self.frequency, now):
            walk = next(one for one in self.walks.values() if one.id == chosen.enrolment)
            yield from self._carry_out(self.triggers[walk.trigger], walk, chosen, now)

    def _enter(
        self,
        trigger: Trigger,
        event: Event,
        now: Millis,
        basket: Mapping[str, Json] | None,
    ) -> Iterator[Happening]:
        entry = enter(
            trigger,
            event,
            self.walks.get(trigger.name),
            public_id=self.person.public_id,
            zone=self.person.zone,
            context=context(event, basket),
            history=self.events,
            seen=self._seen(trigger, event.at, f"event:{event.id}"),
            site=self.site,
        )
        if isinstance(entry, Enter) and not self.in_audience(trigger.name):
            entry = Refuse("not in the audience")
        if isinstance(entry, Enter):
            self.begin(trigger, entry.enrolment)
            held = not entry.enrolment.active
            reason = "in the control group: no messages" if held else entry.reason
            kind = entry.enrolment.state.value if held else "entered"
            yield Happening(now, trigger.name, kind, reason)
        elif isinstance(entry, Restart):
            self.walks[trigger.name] = entry.enrolment
            yield Happening(now, trigger.name, "restarted", entry.reason)
        elif isinstance(entry, Refuse):
            yield Happening(now, trigger.name, "refused", f"{event.name}: {entry.reason}")
        else:
            value = cart.value(event.properties, basket)
            why = not_meant(trigger, event.properties, value, self.site)
            if why is not None:
                yield Happening(now, trigger.name, "not meant", why)

    def _carry_out(
        self, trigger: Trigger, walk: Enrolment, intent: Intent, now: Millis
    ) -> Iterator[Happening]:
        zone = self.person.zone
        gone = after(trigger, walk, intent, now, zone)
        template, step = None, getattr(intent, "step", None)
        if isinstance(intent, Deliver):
            template = intent.template
            gone = observe(trigger, gone, intent.step, zone, accepted_at=now, shown_at=now)
            sent = (*self.person.sent, now)[-_KEEP_SENT:]
            self.person = replace(self.person, sent=sent)
            self._wrote[walk.id] = now
        self.walks[trigger.name] = gone
        kind = type(intent).__name__.lower()
        yield Happening(now, trigger.name, kind, intent.reason, step, template, walk.context)

    def _held(self, trigger: str, now: Millis) -> bool:
        return trigger in self.paused and now >= self.paused[trigger]

    def _fill(self, event: Event) -> Mapping[str, Json] | None:
        """Bring the basket up to date; return what a walk begun by *event* may speak of."""
        before = self.basket
        self.basket = cart.after(before, event.name, event.properties, self.origins)
        return self.basket or before

    def _seen(self, trigger: Trigger, since: Millis, besides: str) -> frozenset[str]:
        return frozenset(
            event.name
            for event in self.events
            if event.at >= since
            and event.name in trigger.stops
            and f"event:{event.id}" != besides
        )


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


def context(event: Event, basket: Mapping[str, Json] | None) -> dict[str, Json]:
    """Return what a walk that *event* began may speak of, and what its tiers look at."""
    told = {key: value for key, value in event.properties.items() if key != "items"}
    found: dict[str, Json] = {"event": told, "value": cart.value(told, basket)}
    if basket is not None:
        found["cart"] = basket
    return found
