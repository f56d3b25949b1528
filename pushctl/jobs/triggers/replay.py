"""Replays past events with changed triggers; compares with the messages that went out."""

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from pushctl.config import Config
from pushctl.errors import ConfigError, InputError, NotFoundError, Problem
from pushctl.jobs.triggers.load_facts import load_device, load_settings, load_unshown_of
from pushctl.jobs.triggers.types import Run
from pushctl.model import Millis
from pushctl.rules.config.structure import Fault, line_of
from pushctl.rules.triggers import declaration, only
from pushctl.rules.triggers.rehearsal import Rehearsal, play
from pushctl.rules.triggers.trigger import Frequency, Kind, Trigger, campaign_name
from pushctl.store import Store


@dataclass(frozen=True, slots=True)
class Line:
    """One step: the messages and people of the replay, and the messages that went out."""

    campaign: str
    would: int
    people: int
    did: int
    difference: int


@dataclass(frozen=True, slots=True)
class Message:
    subscriber: str
    at: Millis
    campaign: str
    template: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The triggers to replay; *paused*: since when they are, by name; *held*: it counts."""

    triggers: Mapping[str, Trigger]
    frequency: Frequency
    paused: Mapping[str, Millis]
    held: bool


def load_rules(config: Config, store: Store, file: Path | None) -> Rules:
    """
    Return pushctl.toml's own triggers, or those of *file*, which count as on.

    Raises ConfigError with every problem of *file*.
    """
    triggers, frequency = config.triggers, config.frequency or Frequency()
    if file is not None:
        triggers, frequency = read_triggers(file)
    paused = {
        one.name: one.paused_at
        for one in store.triggers.load_states().values()
        if one.paused_at is not None and one.name in triggers
    }
    return Rules(triggers, frequency, paused, held=file is None)


def read_triggers(file: Path) -> tuple[dict[str, Trigger], Frequency]:
    """Return the triggers and the cap of a TOML file; ConfigError has every problem."""
    try:
        text = file.read_text("utf-8-sig")
        tables = tomllib.loads(text)
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror}.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error
    if not tables.get("triggers"):
        raise ConfigError(f"{file} has no trigger. Write [triggers.NAME] as in pushctl.toml.")
    triggers, faults = declaration.parse_all(tables["triggers"])
    frequency, wrong = declaration.parse_frequency(tables.get("frequency", {}))
    faults += wrong
    for name, trigger in triggers.items():
        for path, _, read in only.list_audiences(trigger, {}):
            try:
                read()
            except NotFoundError:
                continue  # a segment: pushctl.toml has it
            except InputError as error:
                path = "triggers", name, *path
                faults.append(Fault(path, str(error), "See docs/audience.md."))
    if faults:
        problems = [
            Problem(f"{file.name}:{line_of(one.path, text)}", one.text, one.remedy)
            for one in faults
        ]
        raise ConfigError(f"{file} has {len(problems)} problems:", problems)
    return triggers, frequency


def replay_events(
    config: Config, store: Store, rules: Rules, since: Millis, now: Millis
) -> Iterator[Message]:
    """
    Yield the messages that *rules* would have sent for the events since *since*.

    Only triggers that events begin are replayed. Audiences are those of *now*, and messages
    count as shown at once. A message counts as clicked where the person did click that step's
    message after the time at which it would have gone out. The site-wide contact policy
    holds as in a sweep; the sunset rule holds for those who have neither visited nor shown
    anything since.
    """
    chosen = {name: one for name, one in rules.triggers.items() if one.kind is Kind.EVENT}
    settings = load_settings(replace(config, triggers=chosen, frequency=rules.frequency), store)
    run = Run(store, settings, now)
    events = store.histories.list_past_events(since)
    depends = any(step.only for one in chosen.values() for step in one.steps)
    reacted = store.histories.list_past_reactions(since) if depends else {}
    for subscription, group in groupby(events, key=lambda event: event.subscription):
        found = load_device(run, subscription)
        if found is None:
            continue
        device, known = found
        paused = rules.paused if rules.held else {}
        mine = reacted.get(subscription, ())
        unshown = load_unshown_of(run, subscription)
        rehearsal = Rehearsal(device, known, paused, reacted=mine, unshown=unshown)
        for one in play(rehearsal, list(group), now):
            if one.kind == "deliver" and one.step and one.template:
                step = chosen[one.trigger].steps[one.step - 1]
                name = campaign_name(one.trigger, one.step, step, one.template)
                yield Message(device.public_id, one.at, name, one.template)


def compare(store: Store, messages: list[Message], since: Millis, now: Millis) -> list[Line]:
    """Return each step's figures, of the replay and of what went out."""
    would = Counter(message.campaign for message in messages)
    people = Counter(name for name, _ in {(one.campaign, one.subscriber) for one in messages})
    did = store.histories.count_sent(since, now)
    return [
        Line(name, would[name], people[name], did.get(name, 0), would[name] - did.get(name, 0))
        for name in sorted({*would, *did})
    ]
