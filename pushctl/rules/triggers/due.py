"""Decides about a batch of enrolments that are due."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pushctl.errors import PushctlError
from pushctl.model import Cause, Millis
from pushctl.rules import units
from pushctl.rules.triggers.changes import Changes
from pushctl.rules.triggers.enrolment import (
    Deliver,
    Enrolment,
    Hold,
    Person,
    Skip,
    choose,
    decide,
)
from pushctl.rules.triggers.facts import Device, Facts, Messages
from pushctl.rules.triggers.trigger import Trigger
from pushctl.rules.web.reserved_tags import PREFERENCES, refusal


def decide_due(
    facts: Facts, due: Iterable[Enrolment], had: Mapping[str, tuple[str, int]]
) -> Changes:
    """
    Return the changes to the *due* enrolments; each person gets one message at the most.

    *had* holds the persons that have one already, by Person.key: trigger and subscription.
    """
    holdout = facts.settings.contact_policy.holdout
    changes = Changes(facts.now, share=holdout.share if holdout else 0.0)
    candidates, listed = [], {}
    for enrolment in due:
        trigger = facts.settings.triggers[enrolment.trigger]
        site = facts.people.devices[enrolment.subscription].site
        trigger = facts.settings.adapt(trigger, site)
        person = _build_person(facts, changes, trigger, enrolment)
        listed[enrolment.id] = trigger, enrolment, person
        device = facts.people.devices[enrolment.subscription]
        seen = facts.list_seen(trigger, device, enrolment.entered_at, enrolment.occurrence)
        intent = decide(trigger, enrolment, seen, facts.now, person, facts.settings.frequency)
        fault = None
        if isinstance(intent, Deliver | Skip):
            fault = facts.templates.get(intent.template)
        if isinstance(intent, Deliver | Skip) and isinstance(fault, PushctlError):
            # Broken a minute ago, perhaps: it must not stop the other triggers' messages.
            changes.notes.append(f"{trigger.name}: {fault}")
            why = f"its template {intent.template} is broken"
            intent = Hold(enrolment.id, enrolment.step, facts.now + units.MINUTE, why)
        if isinstance(intent, Deliver):
            changes.open_campaign(trigger, intent)
            candidates.append((trigger, person, intent))
        elif intent is None:
            # Steps or zones changed since its time was set: what is due moved ahead.
            changes.save(replace(enrolment, next_at=facts.now + units.MINUTE), "waits")
        else:
            changes.carry_out(trigger, enrolment, intent, person.zone)
    for chosen in choose(candidates, facts.settings.frequency, facts.now, had):
        trigger, enrolment, person = listed[chosen.enrolment]
        changes.carry_out(trigger, enrolment, chosen, person.zone)
    return changes


def _build_person(
    facts: Facts, changes: Changes, trigger: Trigger, enrolment: Enrolment
) -> Person:
    """Return a step's receiver, with everything that limits their messages."""
    device = facts.people.devices[enrolment.subscription]
    member = facts.in_audience(trigger.name, device)
    meant, only = facts.ask_only(trigger, enrolment)
    devices, mine = facts.people.same(device), [device.subscription]
    paying = max((facts.paying.get(one, 0) for one in devices), default=0)
    fall = facts.falls.get(enrolment.id)
    if trigger.transactional:
        return facts.build_person(
            device, in_audience=member, paying_until=paying, meant=meant, only=only, fall=fall
        )
    held = [tag for tag in PREFERENCES if (device.subscription, tag) in facts.tags]
    return facts.build_person(
        device,
        in_audience=member,
        meant=meant,
        only=only,
        fall=fall,
        paying_until=paying,
        sent=tuple(_list_times(facts.sent, devices, changes)),
        withheld=_find_withheld(facts, trigger, enrolment, device),
        written_at=max(_list_times(facts.written, devices, changes, enrolment.id), default=0),
        refusal=refusal(held, _list_times(facts.sent, mine, changes), facts.now),
    )


def _find_withheld(
    facts: Facts, trigger: Trigger, enrolment: Enrolment, device: Device
) -> tuple[str, Cause] | None:
    """Return why somebody is kept from all marketing; None: they are not."""
    holdout = facts.settings.contact_policy.holdout
    if holdout is not None and holdout.has(device.lot):
        return holdout.describe(), Cause.HOLDOUT
    step = trigger.steps[enrolment.step - 1 : enrolment.step]
    # What a browser shows says nothing of the shop's own e-mails.
    if step and step[0].channel is None and device.subscription in facts.sunset:
        return facts.sunset[device.subscription], Cause.SUNSET
    return None


def _list_times(
    messages: Messages, subscriptions: Iterable[int], changes: Changes, besides: int = -1
) -> list[Millis]:
    """Return when messages went out; one to several devices of a person counts once."""
    found = [
        message
        for one in subscriptions
        for message in messages.get(one, ())
        # This batch may have withdrawn what was planned.
        if not (message.planned and message.enrolment in changes.withdrawn)
        if message.enrolment != besides
    ]
    once = {(it.campaign, it.enrolment): it.at for it in found if it.campaign}
    return [*once.values(), *(it.at for it in found if not it.campaign)]
