"""The options of `pushctl send`, and what they say of message and speed."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pushctl import templates
from pushctl.config import Config
from pushctl.errors import InputError, UsageError
from pushctl.jobs.delivery.gates.approval_gate import UIDS
from pushctl.model import Json, Millis
from pushctl.rules import folding, limits, timing, units
from pushctl.rules.contact_policy import ALL, CAP
from pushctl.rules.messages import languages
from pushctl.rules.messages.arms import Differ, read_names
from pushctl.rules.schedule import Passed

BY_HAND = "by_hand"  # the template of a message from the command line
URGENCIES = ("very-low", "low", "normal", "high")
_MARKUP = re.compile(r"\{[{%#].*?[}%#]\}", re.DOTALL)
MAX_OVER: Millis = 28 * units.DAY


@dataclass(frozen=True)
class Draft:
    """The options of `pushctl send`."""

    tags: Sequence[str] = ()
    segments: Sequence[str] = ()
    where: Sequence[str] = ()
    to: Sequence[str] = ()  # subscribers by name, instead of an audience
    everyone: bool = False
    template: str | None = None
    name: str | None = None
    limit: int | None = None
    ttl: str | None = None
    urgency: str | None = None
    rate: str | None = None
    over: str | None = None
    message: str | None = None  # a text instead of a template
    title: str | None = None
    at: str | None = None  # "tomorrow 09:00"
    local: bool = False  # on each person's own clock
    passed: Passed = Passed.NOW
    every: str | None = None  # "monday 09:00": see jobs/campaigns/recurring
    again: bool = False  # also to people who have the same message already
    promo: str | None = None  # the pool of its promo codes
    by: str = ""  # the login name of who asked
    series: str = ""  # whose occurrence this is
    topic: str | None = None  # what it is about, for figures
    ignore_cap: bool = False  # also to people who had enough
    priority: int = 0  # against triggers: see Judge
    # of an experiment; jobs/campaigns/variants reads them
    variants: str | None = None  # "a,b", "sale,sale_short", "09:00,18:00"
    weights: str | None = None  # "80,20"
    test_share: str | None = None  # "20%"
    decide_after: str | None = None  # "4h"
    decide_at: str | None = None  # "tomorrow 14:00"
    on_tie: str | None = None  # best, first or stop
    daily_look: bool = False  # the winner may be found at any daily look
    language: str | None = None  # that ``message`` is written in
    weekdays: Sequence[int] = ()  # *at* is their next such hour on one of these; 0: Monday
    explore: str | None = None  # "10%": so many get it at another hour, by lots
    explore_days: int = 1  # from how many days those hours are
    uids: Sequence[int] = ()  # users who ask for it: none of them can approve it
    replaces: str = ""  # the campaign whose place it takes


def load_sources(config: Config, draft: Draft) -> tuple[str, dict[str, str]]:
    name = find_template_name(draft)
    if draft.message is None:
        return name, templates.read(config.templates, name)
    if draft.template:
        raise UsageError("--message and --template don't go together")
    site = config.first_site
    title = draft.title or site.brand.name or site.origin.partition("//")[2]
    own = _read_language(draft)
    words = _MARKUP.sub("", draft.message)
    way = languages.direction(own) if own else languages.find_direction(words)
    # JSON's strings are TOML's, too.
    text = f"title = {json.dumps(title)}\nbody = {json.dumps(draft.message)}\n"
    # In the sites' languages as well: whoever looks for a reader's text finds this one.
    tags = {each.language for each in config.sites.values()} | ({own} if own else set())
    sources = {"message.toml": 'url = "/"\n'}
    for tag in tags:
        turned = way and way != languages.direction(tag)
        sources[f"{tag}.toml"] = text + (f'dir = "{way}"\n' if turned else "")
    return name, sources


def _read_language(draft: Draft) -> str | None:
    if draft.language is None:
        return None
    if draft.message is None:
        raise UsageError("--language is for --message; a template has its own languages")
    known = languages.canonical(draft.language)
    if known is None:
        raise InputError(f"{draft.language!r} is no language. Write --language ar.")
    return known


def find_template_name(draft: Draft) -> str:
    if draft.message is not None:
        return BY_HAND
    arms = find_arm_templates(draft)
    if draft.template:
        if arms and draft.template != arms[0]:
            raise UsageError(
                f"--template {draft.template} and --variants {draft.variants} don't go "
                "together: the first of the variants is the present text"
            )
        return draft.template
    if arms:
        return arms[0]
    if not draft.tags:
        raise UsageError(
            "which message? Name it with --template, or a --tag whose template has the "
            "same name: --tag 'Abandoned basket 1' sends abandoned_basket_1."
        )
    return folding.slug(draft.tags[0])


def find_arm_templates(draft: Draft) -> tuple[str, ...]:
    """Return the templates that the arms of an experiment are, () where they are not."""
    if draft.variants is None:
        return ()
    differ, names = read_names(draft.variants)
    return names if differ is Differ.TEMPLATE else ()


def read_options(draft: Draft) -> dict[str, Json]:
    language = _read_language(draft)
    options: dict[str, Json] = {"language": language} if language else {}
    if draft.limit is not None and draft.limit < 1:
        raise InputError("--limit is at least 1")
    if draft.ttl is not None:
        ttl = timing.duration(draft.ttl)
        if ttl > limits.MAX_TTL_SECONDS * units.SECOND:
            raise InputError("--ttl is at most 4 weeks: push services keep nothing longer")
        options["ttl"] = ttl // units.SECOND
    if draft.urgency is not None:
        if draft.urgency not in URGENCIES:
            raise InputError(f"--urgency is one of {', '.join(URGENCIES)}")
        options["urgency"] = draft.urgency
    if draft.rate is not None:
        options["rate"] = parse_rate(draft.rate)
    if draft.over is not None:
        if not 0 < timing.duration(draft.over) <= MAX_OVER:
            raise InputError("--over is more than nothing and at most 4 weeks")
        options["over"] = draft.over
    if draft.to:  # a person named them one by one, as a receipt would
        options["exempt"] = ALL
    elif draft.ignore_cap:
        options["exempt"] = CAP
    if draft.priority:
        options["priority"] = draft.priority
    # What `pushctl explain` tells about it later.
    asked: dict[str, Json] = {
        "by": draft.by,
        "at": draft.at,
        "local": draft.local,
        "series": draft.series,
        "explore": draft.explore,
    }
    asked[UIDS] = list(draft.uids)
    return options | {key: value for key, value in asked.items() if value}


def parse_rate(text: str) -> float:
    """Return messages a second of "50", "50/s", "600/m" or "9000/h"; raises InputError."""
    number, _, unit = text.replace(" ", "").partition("/")
    per = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}.get(unit)
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if per is None or not 0 < value < 1e6:
        raise InputError(
            f"{text!r} is no rate. Write messages a second or minute: 50/s, 600/m."
        )
    return value / per
