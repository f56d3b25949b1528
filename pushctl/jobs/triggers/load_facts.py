"""
Loads the facts that decisions about a batch need: one query per kind, whatever its size.

Everything here runs inside the caller's transaction, so the facts still hold when the
decisions are written.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pushctl.config import Config
from pushctl.config import Site as ConfiguredSite
from pushctl.errors import PushctlError
from pushctl.jobs.ingest import former_names
from pushctl.jobs.subscribers import carts
from pushctl.jobs.subscribers.contact_policy import find_sunset, load_unshown
from pushctl.jobs.triggers import step_tests
from pushctl.jobs.triggers.types import Run
from pushctl.model import Millis
from pushctl.rules.audience import expression
from pushctl.rules.audience.expression import Expression
from pushctl.rules.shops import cart
from pushctl.rules.triggers import facts as rules
from pushctl.rules.triggers import only
from pushctl.rules.triggers.enrolment import Enrolment, Event
from pushctl.rules.triggers.facts import Device, Facts, People, Sent, Settings, Site
from pushctl.rules.triggers.trigger import (
    Frequency,
    Trigger,
    by_event,
    list_campaigns,
)
from pushctl.rules.web import reserved_tags
from pushctl.store import Store
from pushctl.store.enrolments import Cause
from pushctl.store.faults import DATABASE_FAULTS

# Which subscriptions of which trigger may have to be in its audience.
Asked = Mapping[str, Collection[int]]


def load_settings(config: Config, store: Store) -> Settings:
    """
    Return what pushctl.toml declares for triggers; audiences are parsed.

    A trigger whose audience can't be asked (a mistake, a campaign that *store* does not
    know) is in ``unreadable``, and all others go on.
    """
    former = former_names.find(store, config)
    config = replace(config, sites={**config.sites, **former})
    triggers = {name: _add_former(one, former) for name, one in config.triggers.items()}
    parsed: dict[str, Expression] = {}
    unreadable: dict[str, PushctlError] = {}
    to_come = list_campaigns(triggers.values())
    for name, trigger in triggers.items():
        try:
            for _, key, read in only.list_audiences(trigger, config.segments):
                audience = read()
                store.audience.check(audience, to_come)
                parsed[key] = audience
        except DATABASE_FAULTS:
            raise
        except PushctlError as error:
            unreadable[name] = error
    tags = {rules.fold_tag_if_valid(one.tag) for one in triggers.values() if one.tag} - {None}
    parts: dict[str, Expression] = {}
    audiences = {name: rules.write_outline(one, tags, parts) for name, one in parsed.items()}
    sites = {
        name: Site(
            site.timezone,
            (site.origin, *site.origins),
            site.checkouts,
            site.currency,
            site.country,
            site.language,
        )
        for name, site in config.sites.items()
    }
    frequency = config.frequency or Frequency()
    topic = config.messages.topic
    contact_policy = config.contact_policy
    by_site = {
        (one.name, site): replace(one, quiet=quiet)
        for one in triggers.values()
        for site, quiet in contact_policy.quiet.items()
        if one.quiet is None and not (one.awake or one.transactional)
    }
    return Settings(
        triggers, frequency, sites, audiences, parts, unreadable, topic, contact_policy, by_site
    )


def _add_former(trigger: Trigger, former: Mapping[str, ConfiguredSite]) -> Trigger:
    """Return *trigger* with the *former* names of the sites that it is for."""
    names = {name for name, site in former.items() if site.name in trigger.sites}
    return replace(trigger, sites=trigger.sites | names) if names else trigger


def load_due(run: Run, due: Sequence[Enrolment], templates: Path) -> Facts:
    """Return the facts about *due* enrolments; *templates* is the folder of their texts."""
    people = load_people(run, (one.subscription for one in due))
    asked: dict[str, set[int]] = defaultdict(set)
    wanted: dict[tuple[int, str], Millis] = {}
    names: set[str] = set()
    # devices: messages are limited, a purchase ends something, a step needs a consent
    limited, buyers, agreeing = set[int](), set[int](), set[int]()
    depending: list[int] = []  # enrolments whose step depends on the ones before
    for one in due:
        trigger = run.settings.triggers[one.trigger]
        device = people.devices[one.subscription]
        devices = people.same(device)
        asked[one.trigger].add(one.subscription)
        if (name := only.name_step(one.trigger, one.step)) in run.settings.audiences:
            asked[name].add(one.subscription)
            if expression.list_steps(run.settings.audiences[name]):
                depending.append(one.id)
        if one.step <= len(trigger.steps) and trigger.steps[one.step - 1].consent:
            agreeing.update(devices)
        _want(wanted, devices, rules.list_stopping(trigger), one.entered_at)
        if one.step <= len(trigger.steps) and trigger.steps[one.step - 1].channel is None:
            names.update(trigger.steps[one.step - 1].templates)
        if not trigger.transactional:
            limited.update(devices)
        if cart.PURCHASE in trigger.stops:
            buyers.update(devices)
    spacing = run.settings.frequency.spacing
    around = run.now - spacing, run.now + spacing
    past, emptied = _load_events(run, wanted)
    members, tags = _load_audiences(run, asked, preferences=limited)
    sources = _read_templates(templates, names)
    return Facts(
        run.settings,
        run.now,
        people,
        events=past,
        emptied=emptied,
        members=members,
        tags=tags,
        sent=_group(_load_sent(run, tags, limited)),
        written=_group(run.store.histories.list_enrolment_messages(limited, *around)),
        templates=sources,
        falls=step_tests.find_falls(run, due, people, sources),
        paying=run.store.orders.list_pending(buyers, run.now) if buyers else {},
        sunset=_load_sunset(run, limited),
        reactions=run.store.histories.list_reactions(depending) if depending else {},
        consents=run.store.channel_consents.find_open(agreeing) if agreeing else {},
    )


def load_events(run: Run, events: Sequence[Event]) -> Facts:
    """Return the facts about what new *events* begin and end."""
    people = load_people(run, (event.subscription for event in events))
    begins = by_event(list(run.settings.triggers.values()))
    asked: dict[str, set[int]] = defaultdict(set)
    wanted: dict[tuple[int, str], Millis] = {}
    causes, baskets = [], []
    for event in events:
        device = people.devices.get(event.subscription)
        name = cart.meaning(event.name, event.properties)
        if device is None:
            continue
        triggers = begins.get(name, ())
        if triggers or name == cart.PURCHASE:
            baskets.append(event)
        for trigger in triggers:
            devices = people.same(device)
            asked[trigger.name].add(device.subscription)
            causes.append((trigger.name, device.subscription, f"event:{event.id}"))
            _want(wanted, devices, rules.list_stopping(trigger), event.at)
            if len(trigger.on) > 1:
                _want(wanted, devices, trigger.on, event.at - (trigger.within or 0))
    past, emptied = _load_events(run, wanted)
    return replace(
        _load_entries(run, people, asked, causes),
        events=past,
        emptied=emptied,
        baskets=carts.load_before(run.store, baskets),
    )


def load_stops(run: Run, events: Sequence[Event]) -> Facts:
    """Return the facts about what *events* end, and only end."""
    return _load_entries(run, load_people(run, (one.subscription for one in events)), {}, ())


def load_candidates(run: Run, trigger: Trigger, occurrences: Mapping[int, str]) -> Facts:
    """Return the facts about subscriptions for each of which *trigger* has an occurrence."""
    people = load_people(run, occurrences)
    causes = {
        (trigger.name, other, occurrence)
        for one, occurrence in occurrences.items()
        if one in people.devices
        for other in people.same(people.devices[one])
    }
    return _load_entries(run, people, {trigger.name: occurrences.keys()}, causes)


def load_device(run: Run, subscription: int) -> tuple[Device, Facts] | None:
    """
    Return a device alone, as if it were active, and its audiences; None: there is none.

    Raises the error of an audience that can't be read.
    """
    for error in run.settings.unreadable.values():
        raise error
    device = load_people(run, [subscription]).devices.get(subscription)
    if device is None:
        return None
    device = replace(device, active=True)
    asked = {name: {subscription} for name in run.settings.audiences}
    alone = People({subscription: device}, {device.key: (subscription,)})
    members, tags = _load_audiences(run, asked)
    return device, Facts(run.settings, run.now, alone, members=members, tags=tags)


def load_people(run: Run, subscriptions: Iterable[int]) -> People:
    """Return the devices of *subscriptions*, and all others of the same persons."""
    devices: dict[int, Device] = {}
    persons: dict[str, tuple[int, ...]] = {}
    for device in run.store.enrolments.list_devices(set(subscriptions)):
        devices[device.subscription] = device
        persons[device.key] = (*persons.get(device.key, ()), device.subscription)
    for several in persons.values():
        first = devices[min(several)].public_id
        for one in several if len(several) > 1 else ():
            devices[one] = replace(devices[one], first=first)
    return People(devices, persons)


def _load_events(
    run: Run, wanted: Mapping[tuple[int, str], Millis]
) -> tuple[Mapping[int, Sequence[Event]], Collection[int]]:
    """Return past events by subscription, and which of them left nothing in the basket."""
    found: dict[int, list[Event]] = defaultdict(list)
    emptied = set()
    asked = ((one, name, since) for (one, name), since in wanted.items())
    for event in run.store.enrolments.list_events(asked):
        if cart.meaning(event.name, event.properties) != event.name:
            emptied.add(event.id)
        # The baskets of all people at once would take much memory.
        bare = Event(event.id, event.subscription, event.name, event.at)
        found[event.subscription].append(bare)
    return found, emptied


def _load_entries(run: Run, people: People, asked: Asked, causes: Collection[Cause]) -> Facts:
    """Return the enrolments and audiences of *people*, where new enrolments may begin."""
    store = run.store.enrolments
    members, tags = _load_audiences(run, asked)
    return Facts(
        run.settings,
        run.now,
        people,
        enrolments=store.list_newest(people.devices),
        causes=store.find_causes(causes),
        reasons=store.find_reasons((name, one) for name, some in asked.items() for one in some),
        members=members,
        tags=tags,
    )


def _load_audiences(
    run: Run, asked: Asked, preferences: Collection[int] = ()
) -> tuple[Mapping[str, Collection[int]], set[tuple[int, str]]]:
    """Return members and tags as Facts has them, and the tags of *preferences*' wishes."""
    questions: dict[str, tuple[Expression, set[int]]] = {}
    names, people = set(reserved_tags.PREFERENCES if preferences else ()), set(preferences)
    for trigger, audience in run.settings.audiences.items():
        for part in expression.walk(audience) if trigger in asked else ():
            if isinstance(part, expression.Segment):
                question = run.settings.parts[part.name], set[int]()
                questions.setdefault(part.name, question)[1].update(asked[trigger])
            elif isinstance(part, expression.Tag):
                names.add(part.name)
                people.update(asked[trigger])
    tags = run.store.tags.list_held(people, names, run.now) if names else set()
    return run.store.audience.filter_each(questions, run.now), tags


def _load_sent(
    run: Run, tags: Iterable[tuple[int, str]], limited: Collection[int]
) -> Sequence[Sent]:
    """Return recent messages, of the subscriptions with a limit on them."""
    fewer = {one for one, tag in tags if tag == reserved_tags.FEWER}
    within = reserved_tags.FEWER_WITHIN if fewer else 0
    if run.settings.frequency.messages is not None:
        fewer, within = set(limited), max(within, run.settings.frequency.within)
    return run.store.histories.list_messages(fewer, run.now - within) if fewer else ()


def load_unshown_of(run: Run, subscription: int) -> Sequence[Millis]:
    """Return when the messages went out by which the sunset rule judges somebody."""
    sunset = run.settings.contact_policy.sunset
    if sunset is None:
        return ()
    return load_unshown(run.store, sunset, [subscription])[0].get(subscription, ())


def _load_sunset(run: Run, limited: Collection[int]) -> Mapping[int, str]:
    return find_sunset(run.store, run.settings.contact_policy, sorted(limited), run.now)[0]


def _group(messages: Iterable[Sent]) -> rules.Messages:
    found: dict[int, list[Sent]] = defaultdict(list)
    for message in messages:
        found[message.subscription].append(message)
    return found


def _want(
    wanted: dict[tuple[int, str], Millis],
    subscriptions: Iterable[int],
    names: Collection[str],
    since: Millis,
) -> None:
    for one in subscriptions:
        for name in names:
            wanted[one, name] = min(since, wanted.get((one, name), since))


def _read_templates(folder: Path, names: Iterable[str]) -> rules.Templates:
    """Return the sources of templates as the files are now, or why they can't be read."""
    from pushctl.templates import files

    found: dict[str, Mapping[str, str] | PushctlError] = {}
    for name in names:
        try:
            found[name] = files.read(folder, name)
        except PushctlError as error:
            found[name] = error
    return found
