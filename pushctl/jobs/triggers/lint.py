"""
Checks triggers against the rest of the project: templates, sites, audiences, and names of
events that look like typing errors.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from functools import partial

from pushctl import templates
from pushctl.config import Config
from pushctl.errors import InputError, NotFoundError, Problem, PushctlError, TemplateError
from pushctl.jobs.triggers import feed_items
from pushctl.model import Json
from pushctl.rules import events
from pushctl.rules.audience import parse
from pushctl.rules.audience.expression import Expression
from pushctl.rules.config.structure import line_of, suggest
from pushctl.rules.triggers import only
from pushctl.rules.triggers.trigger import Trigger, list_campaigns
from pushctl.store import Store
from pushctl.templates import Template, Text
from pushctl.templates.text import build_sample


class Level(StrEnum):
    FINE = "fine"
    NOTE = "note"  # worth knowing; nothing has to be done
    PROBLEM = "problem"


Found = Iterator[tuple[Level, Problem]]
_Place = Callable[..., str]  # of a trigger's setting, from its keys: "file:line: path"


def check_triggers(config: Config) -> Found:
    """Yield what is to be said about the triggers of pushctl.toml, each with its line."""
    text, file = config.file.read_text("utf-8-sig"), config.file.name
    there = templates.list_names(config.templates)
    loaded = _load_templates(config, there)

    def place(*path: str) -> str:
        line = line_of(path, text)
        return f"{file}:{line}: {'.'.join(path)}" if line else f"{file}: {'.'.join(path)}"

    for name, trigger in config.triggers.items():
        where = partial(place, "triggers", name)
        yield from _check_templates(config, trigger, there, loaded, where)
        yield from _check_names(config, trigger, where)
        yield from _check_audience(config, trigger, where)
        if trigger.feed is not None and not feed_items.is_installed():
            yield Level.PROBLEM, Problem(where("feed"), *feed_items.NEEDED)


def _load_templates(config: Config, there: Sequence[str]) -> Mapping[str, Template | None]:
    """Return the templates that steps name and that are there; None: it can't be used."""
    steps = [step for trigger in config.triggers.values() for step in trigger.steps]
    wanted = {name for step in steps if not step.channel for name in step.templates}
    found: dict[str, Template | None] = {}
    for name in sorted(wanted & set(there)):
        try:
            found[name] = Template.from_sources(name, templates.read(config.templates, name))
        except TemplateError:
            found[name] = None  # the templates' own check reports it
    return found


def _check_templates(
    config: Config,
    trigger: Trigger,
    there: Sequence[str],
    loaded: Mapping[str, Template | None],
    place: _Place,
) -> Found:
    for number, step in enumerate(trigger.steps, 1):
        where = place("steps", str(number), "template")
        for name in () if step.channel else step.templates:
            if name not in there:
                text = f"there is no template called {name!r}"
                near = get_close_matches(name, there, n=1)
                hint = f"Did you mean {near[0]}? Else write" if near else "Write"
                remedy = f"{hint} {config.templates.name}/{name}/ (docs/templates.md)."
                yield Level.PROBLEM, Problem(where, text, remedy)
                continue
            template = loaded[name]
            for variant in step.test.variants:
                if template and variant not in template.variants:
                    text = f"the template {name} has no variant {variant}"
                    remedy = f"Write {name}/en.{variant}.toml, or take it out of variants."
                    yield Level.PROBLEM, Problem(where, text, remedy)
            if template and step.promo is None and any(map(_needs_promo, template.texts)):
                text = f"the template {name} shows a promo code, and this step has none"
                yield Level.PROBLEM, Problem(where, text, 'Add promo = "CODE" to the step.')


def _needs_promo(text: Text) -> bool:
    """Return whether *text* can't be rendered without a code."""
    known = build_sample(text)
    without = {key: value for key, value in known.items() if key != "promo"}
    return "promo" in known and _can_render(text, known) and not _can_render(text, without)


def _can_render(text: Text, context: Mapping[str, Json]) -> bool:
    try:
        text.render(context)
    except (TemplateError, InputError):
        return False
    return True


def _check_names(config: Config, trigger: Trigger, place: _Place) -> Found:
    for site in sorted(trigger.sites - set(config.sites)):
        text = f"there is no site called {site!r}"
        remedy = f"{suggest(site, list(config.sites))} Or write [sites.{site}]."
        yield Level.PROBLEM, Problem(place("sites"), text, remedy)
    said = {
        "on": trigger.on,
        "also_on": trigger.also_on,
        "cancel_on": trigger.cancel_on,
        "unless": trigger.unless,
    }
    if trigger.goal is not None:
        said["goal"] = (trigger.goal.event,)
    for key, names in said.items():
        for event in sorted(names):
            near = get_close_matches(event, events.KNOWN, n=1, cutoff=0.8)
            if near and event not in events.KNOWN:
                text = f"{event!r} is no event that pushctl or its scripts send"
                remedy = f"Did you mean {near[0]}? One of your own is fine as it is."
                yield Level.NOTE, Problem(place(key), text, remedy)


def _check_audience(config: Config, trigger: Trigger, place: _Place) -> Found:
    for path, _, read in only.list_audiences(trigger, config.segments):
        try:
            read()
        except PushctlError as error:
            yield Level.PROBLEM, Problem(place(*path), str(error), "See docs/audience.md.")


def _read_segment(text: str, segments: Mapping[str, str]) -> Expression:
    return parse.expand(parse.parse(text), segments)


def find_unknown_campaigns(config: Config, store: Store) -> Iterator[Problem]:
    """Yield the segments and triggers whose audience names a campaign that is not known."""
    text, file = config.file.read_text("utf-8-sig"), config.file.name
    to_come = list_campaigns(config.triggers.values())
    known = to_come | store.campaigns.list_steps()
    asked: dict[tuple[str, ...], Callable[[], Expression]] = {
        ("segments", name): partial(_read_segment, each, config.segments)
        for name, each in config.segments.items()
    }
    for name, trigger in config.triggers.items():
        for path, _, read in only.list_audiences(trigger, config.segments):
            asked["triggers", name, *path] = read
    for path, read in asked.items():
        try:
            expression = read()
        except PushctlError:
            continue  # reported with the rest of its table
        try:
            only.check_steps(expression, known, config.triggers)
            store.audience.check(expression, to_come)
        except NotFoundError as error:
            place = f"{file}:{line_of(path, text)}: {'.'.join(path)}"
            yield Problem(place, str(error), "See docs/audience.md.")
