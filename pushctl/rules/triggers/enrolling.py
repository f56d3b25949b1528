"""Decides which enrolments a batch of events, days, absences or articles changes."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from pushctl.model import Json, Millis
from pushctl.rules import timing
from pushctl.rules.shops import cart
from pushctl.rules.triggers.changes import Changes, Interest
from pushctl.rules.triggers.consents import read_consent, read_revocation
from pushctl.rules.triggers.enrolment import Enrolment, Event, State, decide
from pushctl.rules.triggers.entry import Enter, Entry, Refuse, Restart, begin, enter, join
from pushctl.rules.triggers.facts import Device, Facts
from pushctl.rules.triggers.trigger import Trigger, by_event

# Events of interest in a product; their "id" or "product" names it.
_INTEREST = frozenset({"product_viewed", "wishlisted", "stock_awaited"})


class Enrolling:
    """Decides one thing after the other, on top of the ``changes`` of those before it."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._settings = facts.settings
        triggers = list(facts.settings.triggers.values())
        self._stops = frozenset[str]().union(*(one.stops for one in triggers))
        self._begins = by_event(triggers)
        self._causes = set(facts.causes)
        self._enrolments: dict[int, dict[int, Enrolment]] = {}  # by subscription and row
        for one in facts.enrolments:
            self._enrolments.setdefault(one.subscription, {})[one.id] = one
        self._reasons = dict(facts.reasons)
        self._begun = 0
        self.changes = Changes(facts.now)

    def take(self, event: Event) -> None:
        """Decide about an event; one of an unknown subscription changes nothing."""
        device = self._facts.people.devices.get(event.subscription)
        if device is None:
            return
        event = replace(
            event,
            name=cart.meaning(event.name, event.properties),
            properties=self._settings.complete(event.properties, device.site),
        )
        if not event.late or event.name == cart.PURCHASE:
            self._note_interest(event, device)
        self._note_consent(event, device)
        if event.name in self._stops:
            self._stop(event, device)
        begins = self._begins.get(event.name)
        if begins and device.active and not event.late:
            basket = self._find_basket(event, device)
            for trigger in begins:
                self._enter(trigger, event, device, basket)

    def stop(self, event: Event) -> None:
        """End what *event* ends; it begins nothing, and nothing of it is remembered."""
        device = self._facts.people.devices.get(event.subscription)
        if device is not None and event.name in self._stops:
            self._stop(event, device)

    def begin(
        self,
        trigger: Trigger,
        device: Device,
        occurrence: str,
        at: Millis,
        context: Mapping[str, Json],
    ) -> None:
        """Decide about a day, an absence or an article; no event began it."""
        cause = _name_occurrence(trigger, occurrence, context)
        if not self._facts.in_audience(trigger.name, device):
            if trigger.feed is None:  # nobody misses an article for others
                self._write(trigger, Refuse("not in the audience"), device, cause)
            return
        people = self._facts.people.same(device)
        if (trigger.name, device.subscription, occurrence) in self._causes:
            return  # a scan looks at the same stretch more than once
        if any((trigger.name, one, occurrence) in self._causes for one in people):
            reason = "it began on another device of theirs"
            self._write(trigger, Refuse(reason), device, cause)
            return
        person = self._facts.build_person(device)
        if trigger.inactive and person.last_seen_at + trigger.inactive > at:
            return  # another device of theirs was here since
        event = Event(0, device.subscription, trigger.kind, at)
        fresh = begin(trigger, event, device.lot, person.zone, context)
        latest = self._find_latest(trigger.name, people)
        entry = join(trigger, replace(fresh, occurrence=occurrence), latest, cause)
        self._write(trigger, entry, device, cause)

    def _note_interest(self, event: Event, device: Device) -> None:
        """Add the products that a person looked at, put into the basket, or bought."""
        bought = event.name == cart.PURCHASE
        products: list[Any] = []
        if event.name in _INTEREST:
            products = [event.properties.get("product", event.properties.get("id"))]
        elif cart.has_basket(event.name, event.properties):
            products = _list_products(cart.read(event.properties, ()))
            if bought and not products and (basket := self._find_basket(event, device)):
                products = _list_products(basket)
        texts = [str(one)[:200] for one in products if isinstance(one, str | int) and one]
        if texts:
            # A lower price is no news to a person who has bought the product, on any device.
            people = self._facts.people.same(device) if bought else (device.subscription,)
            self.changes.interests.append(Interest(texts, people, event.at, bought))

    def _note_consent(self, event: Event, device: Device) -> None:
        """Add the consent that a form gave, or took back."""
        devices = self._facts.people.same(device)
        told = read_consent(event) or read_revocation(event, devices)
        if told is not None:
            self.changes.consents.append(told)

    def _find_basket(self, event: Event, device: Device) -> Mapping[str, Json] | None:
        """Return the basket that *event* carries, else the one before it."""
        before = self._facts.baskets.get(event.id)
        if before is not None:
            before = before[0], self._settings.complete(before[1], device.site)
        origins = self._settings.origins(device.site)
        checkouts = self._settings.checkouts(device.site)
        return cart.at(event.name, event.properties, before, origins, checkouts)

    def _stop(self, event: Event, device: Device) -> None:
        for enrolment in self._list_active(self._facts.people.same(device)):
            trigger = self._settings.triggers.get(enrolment.trigger)
            if trigger is None or event.name not in trigger.stops:
                continue
            if event.at < enrolment.entered_at:
                continue
            theirs = self._facts.people.devices[enrolment.subscription]
            person = self._facts.build_person(theirs)
            intent = decide(trigger, enrolment, [event.name], self._facts.now, person)
            if intent is not None:
                self._keep(self.changes.carry_out(trigger, enrolment, intent, person.zone))
                self._remember(trigger, theirs.subscription, intent.reason)

    def _enter(
        self, trigger: Trigger, event: Event, device: Device, basket: Mapping[str, Json] | None
    ) -> None:
        people = self._facts.people.same(device)
        entry = enter(
            trigger,
            event,
            self._find_latest(trigger.name, people),
            lot=device.lot,
            zone=self._facts.zone(device),
            context=context(event, basket),
            history=self._list_history(trigger, event, people),
            seen=self._facts.list_seen(trigger, device, event.at, f"event:{event.id}"),
            site=device.site,
        )
        if isinstance(entry, Enter):
            if trigger.name in self._settings.unreadable:
                entry = Refuse("the audience can't be read")
            elif not self._facts.in_audience(trigger.name, device, self.changes.tags):
                entry = Refuse("not in the audience")
        if entry is not None:
            self._write(trigger, entry, device, event.name)

    def _list_history(
        self, trigger: Trigger, event: Event, people: Collection[int]
    ) -> list[Event]:
        """Return the person's events that the trigger's sequence may hold."""
        if len(trigger.on) < 2:
            return []
        since = event.at - (trigger.within or 0)
        past = (one for each in people for one in self._facts.events.get(each, ()))
        return [one for one in past if one.name in trigger.on and one.at >= since]

    def _write(self, trigger: Trigger, entry: Entry, device: Device, cause: str) -> None:
        """Add the changes of *entry*; *cause* is its cause, for people."""
        match entry:
            case Enter():
                self._begin(trigger, entry, device)
            case Restart(enrolment, reason):
                self.changes.tally["restarted"] += 1
                self.changes.save(enrolment, reason)
                self._keep(enrolment)
                for one in {device.subscription, enrolment.subscription}:
                    self._record(trigger, one, enrolment.id, "restarted", reason)
            case Refuse(why):
                reason = f"{cause}: {why}"
                self.changes.tally["refused"] += 1
                # Once is enough: a page view a second must not fill the database.
                last = self._reasons.get((trigger.name, device.subscription))
                if last is None or last[1] != reason:
                    self._record(trigger, device.subscription, None, "refused", reason)

    def _begin(self, trigger: Trigger, entry: Enter, device: Device) -> None:
        """Add a new enrolment, and end those of the person that it takes over from."""
        if entry.ends is not None:
            for old in self._list_active(self._facts.people.same(device)):
                if old.trigger == trigger.name:
                    self._take_over(trigger, old, device)
        fresh = entry.enrolment
        if (trigger.name, fresh.subscription, fresh.occurrence) in self._causes:
            return
        self._begun += 1
        fresh = replace(fresh, id=-self._begun)
        self.changes.save(fresh, entry.reason)
        self._keep(fresh)
        self.changes.tally["entered" if fresh.active else "held out"] += 1
        kind = "entered" if fresh.active else fresh.state.value
        reason = entry.reason if fresh.active else "in the control group: no messages"
        self._record(trigger, device.subscription, fresh.id, kind, reason)
        if fresh.active:
            self.changes.set_tag(device.subscription, trigger.tag, on=True)

    def _take_over(self, trigger: Trigger, old: Enrolment, device: Device) -> None:
        why = "a newer enrolment took over"
        if old.subscription != device.subscription:
            why = f"a newer enrolment took over, on another device: {device.public_id}"
            self._record(trigger, old.subscription, old.id, State.SUPERSEDED, why)
        self._keep(self.changes.end(old, State.SUPERSEDED, why, trigger.tag))

    def _record(
        self, trigger: Trigger, subscription: int, enrolment: int | None, kind: str, reason: str
    ) -> None:
        self.changes.record(trigger.name, subscription, enrolment, kind, reason)
        self._remember(trigger, subscription, reason)

    def _remember(self, trigger: Trigger, subscription: int, reason: str) -> None:
        last = self._reasons.get((trigger.name, subscription))
        if last is None or last[0] <= self._facts.now:
            self._reasons[trigger.name, subscription] = self._facts.now, reason

    def _keep(self, enrolment: Enrolment) -> None:
        """Let what comes later in the batch see an enrolment as it is now."""
        theirs = self._enrolments.setdefault(enrolment.subscription, {})
        old = theirs.get(enrolment.id)
        if old is not None:
            self._causes.discard((old.trigger, old.subscription, old.occurrence))
        self._causes.add((enrolment.trigger, enrolment.subscription, enrolment.occurrence))
        theirs[enrolment.id] = enrolment

    def _list_active(self, people: Collection[int]) -> list[Enrolment]:
        return [
            enrolment
            for one in people
            for enrolment in list(self._enrolments.get(one, {}).values())
            if enrolment.active
        ]

    def _find_latest(self, trigger: str, people: Collection[int]) -> Enrolment | None:
        """Return the newest enrolment of *people* in *trigger*; an active one goes first."""
        theirs = (
            enrolment
            for one in people
            for enrolment in self._enrolments.get(one, {}).values()
            if enrolment.trigger == trigger
        )
        # The rows of new enrolments are below 0.
        return max(
            theirs,
            key=lambda one: (one.active, one.entered_at, one.id < 0, abs(one.id)),
            default=None,
        )


def _list_products(basket: Mapping[str, Json]) -> list[Json]:
    return [item["id"] for item in basket["items"]]


def _name_occurrence(trigger: Trigger, occurrence: str, context: Mapping[str, Json]) -> str:
    if trigger.inactive is not None:
        return f"an absence of {timing.say(trigger.inactive)}"
    if trigger.feed is not None and trigger.feed.digest is not None:
        return f"the digest of {context['event']['count']} new"
    if trigger.feed is not None:
        return f"the article “{context['event']['title']}”"
    if trigger.holiday is not None:
        return f"the holiday {context['event']['holiday']}"
    return f"the day {occurrence.removeprefix('date:')}"


def context(event: Event, basket: Mapping[str, Json] | None) -> dict[str, Json]:
    """Return the values for the messages and the price tiers of what *event* began."""
    told = {key: value for key, value in event.properties.items() if key != "items"}
    found: dict[str, Json] = {"event": told, "value": cart.value(told, basket)}
    if basket is not None:
        found["cart"] = basket
    return found
