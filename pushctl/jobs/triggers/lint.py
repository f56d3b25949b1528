"""
What is wrong with triggers that only the rest of the project shows: templates, sites,
audiences, and names of events that look like slips of the pen.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from enum import StrEnum

from pushctl import templates
from pushctl.config import Config
from pushctl.errors import InputError, Problem, PushctlError, TemplateError
from pushctl.model import Json
from pushctl.rules.audience import parse
from pushctl.rules.config.structure import line_of, meant
from pushctl.rules.shops import cart
from pushctl.rules.triggers.trigger import Trigger
from pushctl.templates import Template, Text
from pushctl.templates.text import build_sample


class Level(StrEnum):
    FINE = "fine"
    NOTE = "note"  # worth knowing; nothing has to be done
    PROBLEM = "problem"


# Names that pages and the program itself send; all others are the shop's own.
_EVENTS = (
    cart.UPDATED, cart.EMPTIED, cart.CHECKOUT, cart.PURCHASE, "subscribed", "product_viewed",
    "wishlisted", "stock_awaited", "price_dropped", "back_in_stock", "page_view",
)  # fmt: skip

Found = Iterator[tuple[Level, Problem]]


def findings(config: Config) -> Found:
    """Yield what there is to say about the triggers of pushctl.toml, each with its line."""
    text = config.file.read_text("utf-8-sig")
    loaded = _loaded(config)
    for name, trigger in config.triggers.items():
        place = _Place(config, text, name)
        yield from _templates(config, trigger, loaded, place)
        yield from _names(config, trigger, place)
        yield from _audience(config, trigger, place)


class _Place:
    def __init__(self, config: Config, text: str, trigger: str) -> None:
        self._config, self._text, self._trigger = config, text, trigger

    def __call__(self, *keys: str) -> str:
        path = ("triggers", self._trigger, *keys)
        line = line_of(path, self._text)
        file = self._config.file.name
        return f"{file}:{line}: {'.'.join(path)}" if line else f"{file}: {'.'.join(path)}"


def _loaded(config: Config) -> Mapping[str, Template | None]:
    """Return the project's templates by name; None: it is there and can't be used."""
    found: dict[str, Template | None] = {}
    for name in templates.list_names(config.templates):
        try:
            found[name] = Template.from_sources(name, templates.read(config.templates, name))
        except TemplateError:
            found[name] = None  # said by the templates' own check
    return found


def _templates(
    config: Config, trigger: Trigger, loaded: Mapping[str, Template | None], place: _Place
) -> Found:
    for number, step in enumerate(trigger.steps, 1):
        where = place("steps", str(number), "template")
        for name in step.templates:
            if name not in loaded:
                text = f"there is no template called {name!r}"
                near = get_close_matches(name, list(loaded), n=1)
                hint = f"Did you mean {near[0]}? Else write" if near else "Write"
                folder = f"{config.templates.name}/{name}/"
                yield (
                    Level.PROBLEM,
                    Problem(where, text, f"{hint} {folder} (docs/templates.md)."),
                )
                continue
            template = loaded[name]
            if template and step.promo is None and any(map(_needs_promo, template.texts)):
                text = f"the template {name} shows a promo code, and this step has none"
                yield Level.PROBLEM, Problem(where, text, 'Add promo = "CODE" to the step.')


def _needs_promo(text: Text) -> bool:
    """Say whether *text* can't be written without a code."""
    known = build_sample(text)
    without = {key: value for key, value in known.items() if key != "promo"}
    return "promo" in known and _written(text, known) and not _written(text, without)


def _written(text: Text, context: Mapping[str, Json]) -> bool:
    try:
        text.render(context)
    except (TemplateError, InputError):
        return False
    return True


def _names(config: Config, trigger: Trigger, place: _Place) -> Found:
    for site in sorted(trigger.sites - set(config.sites)):
        text = f"there is no site called {site!r}"
        remedy = f"{meant(site, list(config.sites))} Or write [sites.{site}]."
        yield Level.PROBLEM, Problem(place("sites"), text, remedy)
    said = {"on": trigger.on, "cancel_on": trigger.cancel_on, "unless": trigger.unless}
    if trigger.goal is not None:
        said["goal"] = (trigger.goal.event,)
    for key, events in said.items():
        for event in sorted(events):
            near = get_close_matches(event, _EVENTS, n=1, cutoff=0.8)
            if near and event not in _EVENTS:
                text = f"{event!r} is no event that pushctl or its scripts send"
                remedy = f"Did you mean {near[0]}? One of your own is fine as it is."
                yield Level.NOTE, Problem(place(key), text, remedy)


def _audience(config: Config, trigger: Trigger, place: _Place) -> Found:
    try:
        parse.resolved(parse.parse(trigger.audience or "everyone"), config.segments)
    except PushctlError as error:
        yield Level.PROBLEM, Problem(place("audience"), str(error), "See docs/audience.md.")
