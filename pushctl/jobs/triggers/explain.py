"""
Why somebody got what: events, decisions, messages and what browsers reported, in order.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pushctl.config import Config
from pushctl.model import Json, Millis, Subscription
from pushctl.rules import timing
from pushctl.rules.shops import cart
from pushctl.rules.triggers.entry import not_meant
from pushctl.rules.triggers.trigger import Trigger, by_event
from pushctl.store import Store

LIMIT = 500


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a person's timeline; *at* in the future says what comes next."""

    at: Millis
    what: str  # event, decision, message, report, next
    trigger: str
    text: str


def timeline(
    config: Config, store: Store, who: Subscription, now: Millis, trigger: str | None = None
) -> list[Moment]:
    """Return what happened to *who*, what was decided and why, and what comes next."""
    found = [
        *_events(store, who),
        *_not_meant(config, store, who, trigger),
        *_decisions(store, who, trigger),
        *_messages(store, who, trigger),
        *_next(config, store, who, now, trigger),
    ]
    return sorted(found, key=lambda one: (one.at, _ORDER.index(one.what)))


_ORDER = ("event", "decision", "message", "report", "next")


def _events(store: Store, who: Subscription) -> Iterator[Moment]:
    for event in store.events.list_newest(who.id, LIMIT):
        value = _worth(event.name, event.properties)
        worth = "" if value is None else f", worth {value:.2f}".removesuffix(".00")
        yield Moment(event.at, "event", "", f"{event.name}{worth}")


def _worth(name: str, properties: Mapping[str, Json]) -> float | None:
    return cart.value(properties, cart.after(None, name, properties, ()))


def _not_meant(
    config: Config, store: Store, who: Subscription, name: str | None
) -> Iterator[Moment]:
    """
    Tell of events that by what they carry began nothing: no row says so.

    By the triggers as they are declared now; a *name* of one asks for that alone.
    """
    begins = by_event([one for one in config.triggers.values() if name in (None, one.name)])
    for event in store.events.list_newest(who.id, LIMIT):
        meant = cart.meaning(event.name, event.properties)
        value = _worth(event.name, event.properties)
        for trigger in begins.get(meant, ()):
            if why := not_meant(trigger, event.properties, value, who.site):
                yield Moment(event.at, "decision", trigger.name, f"not meant: {why}")


def _decisions(store: Store, who: Subscription, trigger: str | None) -> Iterator[Moment]:
    for one in store.histories.list_decisions(who.id, trigger):
        step = "" if one.step is None else f" step {one.step}"
        until = "" if one.until is None else f", until {_clock(one.until, who)}"
        text = f"{one.kind}{step}: {one.reason}{until}"
        yield Moment(one.at, "decision", one.trigger, text)


def _messages(store: Store, who: Subscription, trigger: str | None) -> Iterator[Moment]:
    for name, of_trigger, status, reason, at in store.histories.list_ledger(who.id, LIMIT):
        if trigger is None or of_trigger == trigger:
            why = f" ({reason})" if reason else ""
            yield Moment(at, "message", of_trigger or "", f"{name}: {status}{why}")
    for name, kind, action, at in store.interactions.list_newest(who.id, LIMIT):
        if trigger is None or name.startswith(f"{trigger}/"):
            button = f" ({action})" if action else ""
            yield Moment(at, "report", "", f"{name}: {kind}{button}")


def _next(
    config: Config, store: Store, who: Subscription, now: Millis, trigger: str | None
) -> Iterator[Moment]:
    paused = store.triggers.list_paused()
    for one in store.enrolments.list_active(who.id):
        declared: Trigger | None = config.triggers.get(one.trigger)
        if declared is None or one.next_at is None or trigger not in (None, one.trigger):
            continue
        if one.step > len(declared.steps):
            text = "all messages are sent; watching for the goal until then"
        else:
            step = declared.steps[one.step - 1]
            text = f"step {one.step} of {len(declared.steps)}: {' or '.join(step.templates)}"
            if one.sent and one.shown_at is None and step.since == "shown":
                text = f"waits until step {one.sent} is shown, at most until then; {text}"
        if one.trigger in paused:
            text = f"paused; {text}"
        yield Moment(max(one.next_at, now), "next", one.trigger, text)


def _clock(at: Millis, who: Subscription) -> str:
    return f"{timing.local(at, timing.zone(who.timezone)):%Y-%m-%d %H:%M %Z}"
