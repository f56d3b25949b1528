"""
The input of decisions about triggers: the settings of pushctl.toml and a batch's facts.

jobs/triggers/load_facts.py loads all facts of a batch before anything of it is decided.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, NamedTuple

from pushctl.errors import InputError, PushctlError
from pushctl.model import Json, Millis
from pushctl.rules import timing
from pushctl.rules.audience import expression as tree
from pushctl.rules.audience.expression import Expression
from pushctl.rules.contact_policy import ContactPolicy
from pushctl.rules.shops import cart
from pushctl.rules.triggers.arms import Fall
from pushctl.rules.triggers.consents import fold_channel
from pushctl.rules.triggers.enrolment import Enrolment, Event, Person
from pushctl.rules.triggers.only import Reacted, explain_unmet, holds, name_step
from pushctl.rules.triggers.trigger import Frequency, Trigger
from pushctl.rules.web import fields

# By subscription and folded name: the tag that was set; None: removed.
TagChanges = Mapping[tuple[int, str], str | None]
_NONE: TagChanges = {}


@dataclass(frozen=True, slots=True)
class Site:
    timezone: str  # an IANA name
    origins: tuple[str, ...]
    checkouts: tuple[str, ...] = ()  # further origins where a basket may be picked up
    currency: str | None = None  # of amounts that name none
    country: str | None = None  # of those whose own is not known
    language: str = "en"  # of who reads none that a template has


@dataclass(frozen=True, slots=True)
class Settings:
    triggers: Mapping[str, Trigger]
    frequency: Frequency
    sites: Mapping[str, Site]
    # as ``write_outline`` returns them, by trigger; a step's ``only`` by ``name_step``
    audiences: Mapping[str, Expression]
    parts: Mapping[str, Expression]  # what the segments in *audiences* stand for
    unreadable: Mapping[str, PushctlError]  # the triggers that rest for their audience
    topic: str | None = None  # of messages whose template says none
    contact_policy: ContactPolicy = field(default_factory=ContactPolicy)
    # by trigger and site: with the site's quiet hours, where it has none of its own
    by_site: Mapping[tuple[str, str], Trigger] = field(default_factory=dict)

    def adapt(self, trigger: Trigger, site: str) -> Trigger:
        """Return a trigger as it is on *site*."""
        return self.by_site.get((trigger.name, site), trigger)

    def list_stops(self) -> frozenset[str]:
        """Return the names of events that end something, as they are stored."""
        stops = frozenset({cart.PURCHASE}).union(*(one.stops for one in self.triggers.values()))
        # An update without items is an emptied basket (``cart.meaning``).
        return stops | {cart.UPDATED} if cart.EMPTIED in stops else stops

    def zone(self, timezone: str | None, site: str) -> tzinfo:
        """Return the zone that a browser named, else its site's."""
        known = self.sites.get(site)
        return timing.zone(timezone, known.timezone if known else "UTC")

    def origins(self, site: str) -> tuple[str, ...]:
        """Return the origins of a site, its own first; none for an unknown site."""
        known = self.sites.get(site)
        return known.origins if known else ()

    def checkouts(self, site: str) -> tuple[str, ...]:
        """Return further origins where a site's baskets may be picked up."""
        known = self.sites.get(site)
        return known.checkouts if known else ()

    def complete(self, properties: Mapping[str, Json], site: str) -> Mapping[str, Json]:
        """Return an event's properties with the site's currency where they name none."""
        known = self.sites.get(site)
        return cart.complete(properties, known.currency if known else None)


@dataclass(frozen=True, slots=True)
class Device:
    """One subscription: the columns that deciding takes."""

    subscription: int
    public_id: str
    site: str
    timezone: str | None
    active: bool
    last_seen_at: Millis
    person: str | None  # a signed alias, else "@" and a hash: all its devices are one person
    site_id: int
    first: str = ""  # the public id of the person's first subscription

    @property
    def lot(self) -> str:
        """Return the name by which all devices of a person draw the same lot."""
        return self.first or self.public_id

    @property
    def key(self) -> str:
        """Return a name that all subscriptions of one person and site share."""
        return f"{self.site_id}:{self.person}" if self.person else f"#{self.subscription}"


class Sent(NamedTuple):
    """A message that went out, or is about to."""

    subscription: int
    enrolment: int  # 0: of a broadcast
    at: Millis
    planned: bool  # it is withdrawn with its enrolment
    campaign: int = 0  # 0: it counts by itself


Messages = Mapping[int, Sequence[Sent]]  # by subscription
Templates = Mapping[str, Mapping[str, str] | PushctlError]  # sources by name, or the error


@dataclass(frozen=True, slots=True)
class People:
    devices: Mapping[int, Device]
    persons: Mapping[str, tuple[int, ...]]  # the subscriptions behind each Device.key

    def same(self, device: Device) -> tuple[int, ...]:
        """Return all subscriptions of a device's person, its own included."""
        return self.persons[device.key]


@dataclass(frozen=True, slots=True)
class Facts:
    """What decisions about a batch at *now* take; subscriptions stand as bare numbers."""

    settings: Settings
    now: Millis
    people: People
    members: Mapping[str, Collection[int]] = field(default_factory=dict)  # by Settings.parts
    tags: Collection[tuple[int, str]] = ()  # subscription, folded name
    events: Mapping[int, Sequence[Event]] = field(default_factory=dict)
    emptied: Collection[int] = ()  # the events that leave nothing in the basket
    # for what is due
    sent: Messages = field(default_factory=dict)
    written: Messages = field(default_factory=dict)  # by enrolments alone
    templates: Templates = field(default_factory=dict)
    falls: Mapping[int, Fall] = field(default_factory=dict)  # by enrolment, of steps' tests
    paying: Mapping[int, Millis] = field(default_factory=dict)  # until when, by subscription
    sunset: Mapping[int, str] = field(default_factory=dict)  # who shows nothing any more
    reactions: Mapping[int, Sequence[Reacted]] = field(default_factory=dict)  # by enrolment
    # the channels that somebody agreed to, by subscription; None: everybody did, in a rehearsal
    consents: Mapping[int, Collection[str]] | None = None
    # for what begins
    enrolments: Sequence[Enrolment] = ()
    causes: Collection[tuple[str, int, str]] = ()  # trigger, subscription, occurrence
    reasons: Mapping[tuple[str, int], tuple[Millis, str]] = field(default_factory=dict)
    baskets: Mapping[int, tuple[str, Mapping[str, Json]]] = field(default_factory=dict)

    def zone(self, device: Device) -> tzinfo:
        return self.settings.zone(device.timezone, device.site)

    def build_person(self, device: Device, **limits: Any) -> Person:
        """Return a device's person; *limits* are those of their messages."""
        devices = (self.people.devices[one] for one in self.people.same(device))
        return Person(
            subscription=device.subscription,
            key=device.key,
            lot=device.lot,
            zone=self.zone(device),
            active=device.active,
            last_seen_at=max(one.last_seen_at for one in devices),
            **limits,
        )

    def list_seen(
        self, trigger: Trigger, device: Device, since: Millis, besides: str
    ) -> frozenset[str]:
        """Return the person's events from then on that end enrolments, *besides* its cause."""
        names = (
            cart.EMPTIED if event.id in self.emptied else event.name
            for one in self.people.same(device)
            for event in self.events.get(one, ())
            if event.at >= since and f"event:{event.id}" != besides
        )
        return trigger.stops.intersection(names)

    def in_audience(self, trigger: str, device: Device, changed: TagChanges = _NONE) -> bool:
        """Return whether a device is in a trigger's audience once its tags have *changed*."""
        audience = self.settings.audiences.get(trigger)
        if audience is None:
            return True
        return device.active and self._holds(audience, device.subscription, changed)

    def ask_only(self, trigger: Trigger, enrolment: Enrolment) -> tuple[bool, str]:
        """Return whether the step that is due is for its person, and why (not) in words."""
        if enrolment.step > len(trigger.steps):
            return True, ""
        channel = trigger.steps[enrolment.step - 1].consent
        if channel is not None and not self._agreed(enrolment.subscription, channel):
            return False, f"no consent to {channel}"
        asked = self.settings.audiences.get(name_step(trigger.name, enrolment.step))
        if asked is None:
            return True, ""
        meant = self._holds(asked, enrolment.subscription, _NONE, enrolment)
        asked = read_outline(asked, self.settings.parts)
        return meant, tree.explain(asked) if meant else f"only: {explain_unmet(asked)}"

    def _agreed(self, subscription: int, channel: str) -> bool:
        """Return whether the person has agreed to *channel*, on any of their devices."""
        if self.consents is None:
            return True
        devices = self.people.same(self.people.devices[subscription])
        wanted = fold_channel(channel)
        return any(wanted in self.consents.get(one, ()) for one in devices)

    def _holds(
        self,
        part: Expression,
        subscription: int,
        changed: TagChanges,
        enrolment: Enrolment | None = None,
    ) -> bool:
        def holds_too(one: Expression) -> bool:
            return self._holds(one, subscription, changed, enrolment)

        match part:
            case tree.Segment(name):
                return subscription in self.members[name]
            case tree.Tag(name):
                key = subscription, fields.fold(name)
                return changed[key] is not None if key in changed else key in self.tags
            case tree.And(parts):
                return all(map(holds_too, parts))
            case tree.Or(parts):
                return any(map(holds_too, parts))
            case tree.Not(one):
                return not holds_too(one)
            case tree.OfStep() if enrolment is not None:
                return holds(part, enrolment.sent, self.reactions.get(enrolment.id, ()))
        raise ValueError(f"an outline holds no {part!r}")


def list_stopping(trigger: Trigger) -> frozenset[str]:
    """Return the names of events that may end an enrolment, as browsers send them."""
    return trigger.stops | ({cart.UPDATED} if cart.EMPTIED in trigger.stops else frozenset())


def write_outline(
    audience: Expression, tags: Collection[str | None], parts: dict[str, Expression]
) -> Expression:
    """
    Return *audience* with a segment for each part without *tags* (folded); *parts* gets it.

    Triggers set *tags* while a batch is decided, so these alone are looked up one by one, and
    so are reactions to an enrolment's own messages; the store answers the rest at once.
    """
    if not any(
        isinstance(one, tree.OfStep)
        or (isinstance(one, tree.Tag) and fold_tag_if_valid(one.name) in tags)
        for one in tree.walk(audience)
    ):
        name = tree.text(audience)
        parts[name] = audience
        return tree.Segment(name)
    return tree.rebuild(audience, lambda part: write_outline(part, tags, parts))


def read_outline(outline: Expression, parts: Mapping[str, Expression]) -> Expression:
    """Return what ``write_outline`` was given."""
    if isinstance(outline, tree.Segment):
        return parts[outline.name]
    return tree.rebuild(outline, lambda part: read_outline(part, parts))


def fold_tag_if_valid(name: str) -> str | None:
    try:
        return fields.fold(name)
    except InputError:  # no tag can be called so
        return None
