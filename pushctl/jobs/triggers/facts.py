"""
Loads what deciding about a batch needs: one query for each kind of fact, whatever its size.

Everything here runs inside the caller's transaction: what was read still holds when the
decision is written, whatever another process does meanwhile.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pushctl.config import Config
from pushctl.errors import PushctlError
from pushctl.jobs.subscribers import carts
from pushctl.jobs.triggers.types import Run
from pushctl.model import Millis
from pushctl.rules.audience import parse
from pushctl.rules.audience.expression import Expression
from pushctl.rules.shops import cart
from pushctl.rules.triggers import facts as outlines
from pushctl.rules.triggers.enrolment import Enrolment, Event
from pushctl.rules.triggers.facts import Device, Facts, People, Sent, Settings, Site
from pushctl.rules.triggers.trigger import Frequency, Trigger, by_event, template_for
from pushctl.rules.web import reserved_tags
from pushctl.store.enrolments import Cause

# Which subscriptions of which trigger may have to be in its audience.
Asked = Mapping[str, Collection[int]]


def load_settings(config: Config) -> Settings:
    """Return what pushctl.toml declares for triggers; audiences are parsed."""
    triggers: Mapping[str, Trigger] = config.triggers
    parsed: dict[str, Expression] = {}
    unreadable: dict[str, PushctlError] = {}
    for name, trigger in triggers.items():
        if trigger.audience:
            try:
                parsed[name] = parse.resolved(parse.parse(trigger.audience), config.segments)
            except PushctlError as error:
                unreadable[name] = error
    tags = {outlines.fold_tag(one.tag) for one in triggers.values() if one.tag} - {None}
    parts: dict[str, Expression] = {}
    audiences = {name: outlines.write_outline(one, tags, parts) for name, one in parsed.items()}
    sites = {
        name: Site(site.timezone, (site.origin, *site.origins))
        for name, site in config.sites.items()
    }
    frequency = config.frequency or Frequency()
    return Settings(triggers, frequency, sites, audiences, parts, unreadable)


def load_due(run: Run, due: Sequence[Enrolment], templates: Path) -> Facts:
    """Return the facts about *due* enrolments; *templates* is the folder of their texts."""
    people = load_people(run, (one.subscription for one in due))
    asked: dict[str, set[int]] = defaultdict(set)
    wanted: dict[tuple[int, str], Millis] = {}
    names: set[str] = set()
    limited: set[int] = set()  # the devices of those whose messages are limited
    for one in due:
        trigger = run.settings.triggers[one.trigger]
        device = people.devices[one.subscription]
        devices = people.same(device)
        asked[one.trigger].add(one.subscription)
        _want(wanted, devices, outlines.list_stopping(trigger), one.entered_at)
        if one.step <= len(trigger.steps):
            names.add(template_for(trigger, one.step, device.public_id))
        if not trigger.transactional:
            limited.update(devices)
    spacing = run.settings.frequency.spacing
    around = run.now - spacing, run.now + spacing
    past, emptied = _load_events(run, wanted)
    tags = _load_tags(run, asked, preferences=limited)
    return Facts(
        run.settings,
        run.now,
        people,
        events=past,
        emptied=emptied,
        members=_load_members(run, asked),
        tags=tags,
        sent=_group(_load_sent(run, tags, limited)),
        written=_group(run.store.histories.list_enrolment_messages(limited, *around)),
        templates=_read_templates(templates, names),
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
        triggers = begins.get(name, ())
        if device is None:
            continue
        if triggers or name == cart.PURCHASE:
            baskets.append(event)
        for trigger in triggers:
            devices = people.same(device)
            asked[trigger.name].add(device.subscription)
            causes.append((trigger.name, device.subscription, f"event:{event.id}"))
            _want(wanted, devices, outlines.list_stopping(trigger), event.at)
            if len(trigger.on) > 1:
                _want(wanted, devices, trigger.on, event.at - (trigger.within or 0))
    past, emptied = _load_events(run, wanted)
    before = carts.load_before(run.store, baskets)
    known = _load_entries(run, people, asked, causes)
    return replace(known, events=past, emptied=emptied, baskets=before)


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

    Raises what is wrong with an audience that is unreadable.
    """
    for error in run.settings.unreadable.values():
        raise error
    device = load_people(run, [subscription]).devices.get(subscription)
    if device is None:
        return None
    device = replace(device, active=True)
    asked = {name: {subscription} for name in run.settings.triggers}
    alone = People({subscription: device}, {device.key: (subscription,)})
    members = _load_members(run, asked)
    tags = _load_tags(run, asked)
    return device, Facts(run.settings, run.now, alone, members=members, tags=tags)


def load_people(run: Run, subscriptions: Iterable[int]) -> People:
    """Return the devices of *subscriptions*, and all others of the same persons."""
    devices: dict[int, Device] = {}
    persons: dict[str, tuple[int, ...]] = {}
    for device in run.store.enrolments.list_devices(set(subscriptions)):
        devices[device.subscription] = device
        persons[device.key] = (*persons.get(device.key, ()), device.subscription)
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
    """Return what there is of enrolments and audiences where new ones may begin."""
    store = run.store.enrolments
    return Facts(
        run.settings,
        run.now,
        people,
        enrolments=store.list_newest(people.devices),
        causes=store.find_causes(causes),
        reasons=store.find_reasons((name, one) for name, some in asked.items() for one in some),
        members=_load_members(run, asked),
        tags=_load_tags(run, asked),
    )


def _load_members(run: Run, asked: Asked) -> Mapping[str, Collection[int]]:
    questions: dict[str, tuple[Expression, set[int]]] = {}
    for trigger, subscriptions in asked.items():
        if trigger in run.settings.audiences:
            for part in outlines.list_parts(run.settings.audiences[trigger]):
                _, ids = questions.setdefault(part, (run.settings.parts[part], set()))
                ids.update(subscriptions)
    return run.store.audience.filter_each(questions, run.now)


def _load_tags(
    run: Run, asked: Asked, preferences: Collection[int] = ()
) -> set[tuple[int, str]]:
    """Return the tags that outlines of audiences name, and what *preferences* asked for."""
    names = {
        tag
        for trigger in asked
        if trigger in run.settings.audiences
        for tag in outlines.list_tags(run.settings.audiences[trigger])
    }
    subscriptions = {one for people in asked.values() for one in people} if names else set()
    names.update(reserved_tags.PREFERENCES if preferences else ())
    if not names:
        return set()
    return run.store.tags.list_held(subscriptions.union(preferences), names, run.now)


def _load_sent(
    run: Run, tags: Iterable[tuple[int, str]], limited: Collection[int]
) -> Sequence[Sent]:
    """Return the recent messages of those for whom they count."""
    fewer = {one for one, tag in tags if tag == reserved_tags.FEWER}
    within = reserved_tags.FEWER_WITHIN if fewer else 0
    if run.settings.frequency.messages is not None:
        fewer, within = set(limited), max(within, run.settings.frequency.within)
    return run.store.histories.list_messages(fewer, run.now - within) if fewer else ()


def _group(messages: Iterable[Sent]) -> Mapping[int, Sequence[Sent]]:
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


def _read_templates(
    folder: Path, names: Iterable[str]
) -> Mapping[str, Mapping[str, str] | PushctlError]:
    """Return the sources of templates as the files are now, or why they can't be read."""
    from pushctl.templates import files

    found: dict[str, Mapping[str, str] | PushctlError] = {}
    for name in names:
        try:
            found[name] = files.read(folder, name)
        except PushctlError as error:
            found[name] = error
    return found
