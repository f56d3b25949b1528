"""
What deciding about walks takes from the store, and what a decision does to it.

Everything here runs inside the caller's transaction: what was read still holds when the
decision is written, whatever another process does meanwhile.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from functools import cached_property

from pushctl.config import Config
from pushctl.errors import PushctlError
from pushctl.jobs.subscribers import suppression
from pushctl.model import CampaignStatus, Json, Millis
from pushctl.rules import timing, units
from pushctl.rules.audience import parse
from pushctl.rules.shops import cart
from pushctl.rules.triggers.enrolment import (
    Cancel,
    Deliver,
    Enrolment,
    Expire,
    Finish,
    Hold,
    Intent,
    Person,
    Skip,
    after,
)
from pushctl.rules.triggers.trigger import Frequency, Trigger, campaign_name
from pushctl.store import Store
from pushctl.store.campaigns import BY_HAND
from pushctl.store.enrolments import Decision, Planned, Who

_KINDS: Mapping[type, str] = {
    Deliver: "deliver",
    Cancel: "cancel",
    Finish: "finish",
    Hold: "hold",
    Skip: "skip",
    Expire: "expire",
}


class Walks:
    """The walks of one sweep: reads for decisions, carries them out, counts them."""

    def __init__(self, config: Config, store: Store, now: Millis) -> None:
        self.config, self.store, self.now = config, store, now
        self.triggers: Mapping[str, Trigger] = config.triggers
        self.frequency: Frequency = config.frequency or Frequency()
        self.tally: Counter[str] = Counter()
        self.campaigns: set[int] = set()  # with a message to send
        self.notes: list[str] = []  # what went wrong for one trigger and no other
        self._steps: dict[tuple[str, int, str], int] = {}

    @cached_property
    def stops(self) -> frozenset[str]:
        """Return every event that ends some walk."""
        return frozenset().union(*(trigger.stops for trigger in self.triggers.values()))

    @cached_property
    def _audiences(self) -> Mapping[str, parse.Expression | PushctlError]:
        found: dict[str, parse.Expression | PushctlError] = {}
        for name, trigger in self.triggers.items():
            if trigger.audience:
                try:
                    parsed = parse.parse(trigger.audience)
                    found[name] = parse.resolved(parsed, self.config.segments)
                except PushctlError as error:
                    found[name] = error
        return found

    @cached_property
    def unreadable(self) -> frozenset[str]:
        """
        Return the triggers whose audience can't be read: they rest, the others go on.

        Notes it for whoever reads what a sweep has to say.
        """
        faults = {
            name: one for name, one in self._audiences.items() if isinstance(one, PushctlError)
        }
        self.notes += [
            f"{name} rests, its audience can't be read: {error}"
            for name, error in faults.items()
        ]
        return frozenset(faults)

    # --- reading ---------------------------------------------------------------------

    def zone(self, who: Who) -> tzinfo:
        return self.zone_of(who.timezone, who.site)

    def zone_of(self, name: str | None, site_name: str) -> tzinfo:
        """Return the zone that a browser named, else its site's."""
        site = self.config.sites.get(site_name)
        return timing.zone(name, site.timezone if site else "UTC")

    def origins(self, site_name: str) -> Sequence[str]:
        site = self.config.sites.get(site_name)
        return (site.origin, *site.origins) if site else ()

    def origins_of_all(self) -> tuple[str, ...]:
        return tuple(origin for name in self.config.sites for origin in self.origins(name))

    def person(self, who: Who) -> Person:
        """Return what is known of a receiver, but for what limits their messages."""
        devices = self.store.enrolments.same_person(who)
        seen_at = who.last_seen_at
        if len(devices) > 1:
            seen_at = self.store.enrolments.last_seen(devices)
        return Person(
            subscription=who.subscription,
            key=who.key,
            public_id=who.public_id,
            zone=self.zone(who),
            active=who.active,
            last_seen_at=seen_at,
        )

    def receiver(self, who: Who, walk: int, *, in_audience: bool, free: bool) -> Person:
        """Return what is known of whom a step is due; *free*: nothing limits its messages."""
        person = replace(self.person(who), in_audience=in_audience)
        if free:
            return person
        devices = self.store.enrolments.same_person(who)
        sent: tuple[Millis, ...] = ()
        if self.frequency.messages is not None:
            since = self.now - self.frequency.within
            sent = self.store.histories.messages_since(devices, since)
        around = self.now - self.frequency.spacing, self.now + self.frequency.spacing
        return replace(
            person,
            sent=sent,
            written_at=self.store.histories.written_at(devices, walk, *around),
            refusal=suppression.refusal(self.store, who.subscription, self.now),
        )

    def seen(
        self, trigger: Trigger, who: Who, since: Millis, besides: str = ""
    ) -> frozenset[str]:
        """Return the person's events since then that end walks; *besides* an occurrence."""
        names = set(trigger.stops)
        if cart.EMPTIED in names:
            names.add(cart.UPDATED)
        if not names:
            return frozenset()
        people = self.store.enrolments.same_person(who)
        events = self.store.enrolments.events_of(people, names, since)
        return frozenset(
            cart.meaning(event.name, event.properties)
            for event in events
            if f"event:{event.id}" != besides
        )

    def in_audience(self, trigger: str, subscriptions: Collection[int]) -> set[int]:
        """
        Return which of *subscriptions* the trigger's audience means now.

        Raises what is wrong with an audience that is ``unreadable``.
        """
        expression = self._audiences.get(trigger)
        if isinstance(expression, PushctlError):
            raise expression
        if expression is None:
            return set(subscriptions)
        return self.store.audience.among(expression, subscriptions, self.now)

    # --- acting ----------------------------------------------------------------------

    def carry_out(
        self, trigger: Trigger, enrolment: Enrolment, intent: Intent, who: Who
    ) -> Enrolment:
        """Write what *intent* makes of a walk, its message and its reason; return it."""
        walk = after(trigger, enrolment, intent, self.now, self.zone(who))
        reason = intent.reason
        if isinstance(intent, Deliver):
            campaign = self.campaign(trigger, intent.step, intent.template)
            message = Planned(campaign, who.subscription, walk.id, None, intent.expires_at)
            self.store.enrolments.plan([message], self.now)
            self.campaigns.add(campaign)
        self.store.enrolments.save([(walk, reason)], self.now)
        self.note(trigger.name, who.subscription, walk.id, intent)
        if not walk.active:
            self.take_tag(trigger.tag, walk.subscription)
        if isinstance(intent, Cancel | Finish) and walk.sent:
            self.store.enrolments.withdraw([walk.id], reason, self.now)
        return walk

    def note(self, trigger: str, subscription: int, walk: int | None, intent: Intent) -> None:
        kind = _KINDS[type(intent)]
        self.tally[kind] += 1
        step = getattr(intent, "step", None)
        until = intent.until if isinstance(intent, Hold) else None
        self.say(trigger, subscription, walk, kind, intent.reason, step, until)

    def say(
        self,
        trigger: str,
        subscription: int,
        walk: int | None,
        kind: str,
        reason: str,
        step: int | None = None,
        until: Millis | None = None,
    ) -> None:
        decision = Decision(trigger, subscription, walk, kind, step, self.now, until, reason)
        self.store.enrolments.decide([decision])

    def take_tag(self, tag: str | None, subscription: int) -> None:
        if tag:
            self.store.tags.remove([subscription], tag)

    def campaign(self, trigger: Trigger, step: int, template: str) -> int:
        """Return the campaign that a step's messages are counted under, made if need be."""
        key = (trigger.name, step, template)
        if key not in self._steps:
            self._steps[key] = self._campaign(trigger, step, template)
        return self._steps[key]

    def _campaign(self, trigger: Trigger, step: int, template: str) -> int:
        from pushctl.templates import files

        declared = trigger.steps[step - 1]
        name = campaign_name(trigger.name, step, template, declared.templates)
        options: dict[str, Json] = {}
        if declared.ttl is not None:
            options["ttl"] = declared.ttl // units.SECOND
        if declared.promo:
            options["extra"] = {"promo": declared.promo}
        made = self.store.triggers.step_campaign(
            name=name,
            template=template,
            audience=trigger.audience or "everyone",
            # As the files are now: what a marketer mended goes out from the next sweep on.
            sources=files.read(self.config.templates, template),
            options=options,
            trigger=trigger.name,
            step=step,
            now=self.now,
        )
        # Who paused it by hand knows that it waits.
        if made.status == CampaignStatus.PAUSED and made.note != BY_HAND:
            self.notes.append(self.held_up(name, made.note))
        return made.id

    def held_up(self, campaign: str, note: str | None) -> str:
        """Say that a campaign is paused, which no later sweep changes by itself."""
        return (
            f"{campaign} is paused ({note or 'no reason given'}), its messages wait. Once that "
            f"is put right: pushctl campaigns resume {campaign!r}"
        )
