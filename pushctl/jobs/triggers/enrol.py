"""
New events -> walks: what people did since the last sweep begins, restarts or ends them.

Events are taken in the order in which they were received, a batch and its cursor in one
transaction, so each is taken once whatever happens.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property

from pushctl.errors import InputError
from pushctl.jobs.subscribers import carts
from pushctl.jobs.triggers.enrolments import Walks
from pushctl.model import Json, Millis
from pushctl.rules.shops import cart
from pushctl.rules.triggers.enrolment import Enrolment, Event, State, decide, observe
from pushctl.rules.triggers.entry import Enter, Entry, Refuse, Restart, enter
from pushctl.rules.triggers.rehearsal import context
from pushctl.rules.triggers.trigger import Trigger, by_event
from pushctl.rules.units import DAY
from pushctl.store.enrolments import Who

_BATCH = 500
_EVENTS, _SHOWN = "sweep.events", "sweep.shown"

# A first sweep begins here: what is older would be late for everything anyway.
_FIRST_LOOK_BACK: Millis = DAY

# Events that tell of interest in a product: their "id" or "product" names it.
_INTEREST = frozenset({"product_viewed", "wishlisted", "stock_awaited"})


class Enrolling:
    def __init__(self, walks: Walks) -> None:
        self._walks = walks
        self._store = walks.store
        self._who: dict[int, Who | None] = {}

    @cached_property
    def _begins(self) -> Mapping[str, list[Trigger]]:
        return by_event(list(self._walks.triggers.values()))

    def new_events(self, enough: Callable[[], bool] = lambda: False) -> int:
        """Take the events since the last sweep until it is *enough*; return how many."""
        taken, position = 0, self._position()
        while True:
            with self._store.write():
                events = self._store.enrolments.new_events(position, _BATCH)
                if not events:
                    break
                self._who.clear()
                for event in events:
                    self._take_safely(event)
                position = events[-1].id
                self._store.meta.set(_EVENTS, str(position))
            taken += len(events)
            if enough():
                break
        return taken

    def reports(self) -> None:
        """Let walks know which of their messages were shown."""
        with self._store.write():
            position = int(self._store.meta.get(_SHOWN) or 0)
            last, shown = self._store.enrolments.new_shown(position)
            if last == position:
                return
            for walk, step, at in shown:
                self._shown(walk, step, at)
            self._store.meta.set(_SHOWN, str(last))

    def _position(self) -> int:
        known = self._store.meta.get(_EVENTS)
        if known is not None:
            return int(known)
        since = self._walks.now - _FIRST_LOOK_BACK
        position = self._store.triggers.first_event_since(since)
        self._store.meta.set(_EVENTS, str(position))
        return position

    def _take_safely(self, event: Event) -> None:
        """Take one event; what a stranger put into it must not stop everybody's sweeps."""
        try:
            with self._store.savepoint():
                self._take(replace(event, name=cart.meaning(event.name, event.properties)))
        except (InputError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            why = f"{type(error).__name__}: {error}"
            self._walks.notes.append(f"event {event.id} is left out, it can't be read ({why})")

    def _take(self, event: Event) -> None:
        if event.subscription not in self._who:
            self._who[event.subscription] = self._store.enrolments.who(event.subscription)
        who = self._who[event.subscription]
        if who is None:
            return
        self._note_interest(event, who)
        if event.name in self._walks.stops:
            self._stop(event, who)
        begins = self._begins.get(event.name)
        if begins:
            basket = carts.at(self._store, event, self._walks.origins(who.site))
            for trigger in begins:
                self.enter(trigger, event, who, basket)

    def _note_interest(self, event: Event, who: Who) -> None:
        """Remember which products a person looked at, or put into the basket."""
        if event.name == cart.PURCHASE:
            self._forget_interest(event, who)
            return
        if event.name in _INTEREST:
            products = [event.properties.get("product", event.properties.get("id"))]
        elif cart.tells(event.name, event.properties):
            products = _listed(cart.read(event.properties, ()))
        else:
            return
        self._store.products.interested(
            (str(product)[:200], event.subscription, event.at)
            for product in products
            if isinstance(product, str | int) and product
        )

    def _forget_interest(self, event: Event, who: Who) -> None:
        """Who has bought a product wants to hear of no lower price for it."""
        bought = _listed(cart.read(event.properties, ()))
        if not bought:
            basket = carts.at(self._store, event, ())
            bought = _listed(basket) if basket else []
        self._store.products.satisfied(
            [str(product)[:200] for product in bought if product],
            self._store.enrolments.same_person(who),
            event.at,
        )

    def _stop(self, event: Event, who: Who) -> None:
        people = self._store.enrolments.same_person(who)
        for walk in self._store.enrolments.active_of(people):
            trigger = self._walks.triggers.get(walk.trigger)
            if trigger is None or event.name not in trigger.stops or event.at < walk.entered_at:
                continue
            theirs = who if walk.subscription == who.subscription else self._other(walk)
            if theirs is None:
                continue
            intent = decide(
                trigger, walk, [event.name], self._walks.now, self._walks.person(theirs)
            )
            if intent is not None:
                self._walks.carry_out(trigger, walk, intent, theirs)

    def _other(self, walk: Enrolment) -> Who | None:
        return self._store.enrolments.who(walk.subscription)

    def enter(
        self, trigger: Trigger, event: Event, who: Who, basket: Mapping[str, Json] | None
    ) -> None:
        """Begin, restart or refuse a walk because of *event*."""
        if not who.active:
            return
        people = self._store.enrolments.same_person(who)
        latest = self._store.enrolments.latest(trigger.name, people)
        history = []
        if len(trigger.on) > 1:
            since = event.at - (trigger.within or 0)
            history = self._store.enrolments.events_of(people, trigger.on, since)
        entry = enter(
            trigger,
            event,
            latest,
            public_id=who.public_id,
            zone=self._walks.zone(who),
            context=context(event, basket),
            history=history,
            seen=self._walks.seen(trigger, who, event.at, f"event:{event.id}"),
            site=who.site,
        )
        if isinstance(entry, Enter):
            if trigger.name in self._walks.unreadable:
                entry = Refuse("the audience can't be read")
            elif not self._walks.in_audience(trigger.name, [who.subscription]):
                entry = Refuse("not in the audience")
        if entry is not None:
            write(self._walks, trigger, entry, who, event.name)

    def _shown(self, walk: int, step: int, at: Millis) -> None:
        enrolment = self._store.enrolments.get(walk)
        trigger = self._walks.triggers.get(enrolment.trigger) if enrolment else None
        if enrolment is None or trigger is None:
            return
        who = self._store.enrolments.who(enrolment.subscription)
        if who is None:
            return
        seen = observe(trigger, enrolment, step, self._walks.zone(who), shown_at=at)
        if seen != enrolment:
            reason = f"step {step} was shown"
            self._store.enrolments.save([(seen, reason)], self._walks.now)
            self._walks.say(trigger.name, who.subscription, walk, "shown", reason, step)


def _listed(basket: Mapping[str, Json]) -> list[Json]:
    return [item["id"] for item in basket["items"]]


def write(walks: Walks, trigger: Trigger, entry: Entry, who: Who, said: str) -> None:
    """Write what became of something that could begin a walk; *said* names it."""
    match entry:
        case Enter():
            _begin(walks, trigger, entry, who)
        case Restart():
            walks.tally["restarted"] += 1
            walks.store.enrolments.save([(entry.enrolment, entry.reason)], walks.now)
            number = entry.enrolment.id
            for one in {who.subscription, entry.enrolment.subscription}:
                walks.say(trigger.name, one, number, "restarted", entry.reason)
        case Refuse():
            reason = f"{said}: {entry.reason}"
            walks.tally["refused"] += 1
            # Once is enough: a page view a second must not fill the file with the same no.
            if walks.store.enrolments.last_word(trigger.name, who.subscription) != reason:
                walks.say(trigger.name, who.subscription, None, "refused", reason)


def _begin(walks: Walks, trigger: Trigger, entry: Enter, who: Who) -> None:
    """Write a new walk, ending those of the person that it takes over from."""
    if entry.ends is not None:
        people = walks.store.enrolments.same_person(who)
        for old in walks.store.enrolments.active_of(people):
            if old.trigger == trigger.name:
                _take_over(walks, trigger, old, who)
    number = walks.store.enrolments.add(entry.enrolment, walks.now, entry.reason)
    if number is None:
        return  # its cause had one
    state = entry.enrolment.state
    walks.tally["entered" if entry.enrolment.active else "held out"] += 1
    reason = entry.reason if entry.enrolment.active else "in the control group: no messages"
    kind = "entered" if entry.enrolment.active else state.value
    walks.say(trigger.name, who.subscription, number, kind, reason)
    if trigger.tag and entry.enrolment.active:
        walks.store.tags.add([who.subscription], trigger.tag, walks.now)


def _take_over(walks: Walks, trigger: Trigger, old: Enrolment, who: Who) -> None:
    why = "a newer walk took over"
    if old.subscription != who.subscription:
        why = f"a newer walk took over, on another device: {who.public_id}"
        walks.say(trigger.name, old.subscription, old.id, State.SUPERSEDED, why)
    walks.take_tag(trigger.tag, old.subscription)
    walks.store.enrolments.supersede(old.id, why, walks.now)
    walks.store.enrolments.withdraw([old.id], why, walks.now)
