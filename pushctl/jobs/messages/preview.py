"""
What a template's messages look like: listed with their sizes, or one rendered.

Without a subscriber, what isn't known stands as ‹its name›.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pushctl import templates
from pushctl.config import Config, Site
from pushctl.errors import InputError, NotFoundError, Problem, TemplateError
from pushctl.jobs.subscribers import audience
from pushctl.model import Json, Message, Millis, Subscription
from pushctl.rules import limits
from pushctl.rules.messages import payload, values
from pushctl.store import Store
from pushctl.templates import Template, Text
from pushctl.templates.text import build_sample


@dataclass(frozen=True, slots=True)
class Listed:
    """One template: what it has, and how large its largest message is."""

    name: str
    languages: tuple[str, ...]
    variants: tuple[str, ...]
    segments: tuple[str, ...]
    bytes: int | None  # None: it can't be used
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """One rendered message, and where it came from."""

    template: str
    file: str
    language: str
    variant: str
    segment: str | None
    message: Message
    bytes: int

    @property
    def warning(self) -> str | None:
        if self.bytes <= limits.MAX_ANDROID_PAYLOAD_BYTES:
            return None
        return (
            f"{self.bytes:,} bytes: above {limits.MAX_ANDROID_PAYLOAD_BYTES:,}, and Firefox on "
            "Android may not get it."
        )


def listed(config: Config) -> list[Listed]:
    """Return all templates of the project; one with problems is listed with them."""
    defaults = [site.language for site in config.sites.values()]
    return [_listed(config, name, defaults) for name in templates.list_names(config.templates)]


def _listed(config: Config, name: str, defaults: list[str]) -> Listed:
    problems = tuple(templates.find_problems(config.templates, name, defaults))
    try:
        template = load(config, name)
    except TemplateError:
        return Listed(name, (), (), (), None, problems)
    sizes = [_size(text) for text in template.texts]
    known = [size for size in sizes if size is not None]
    return Listed(
        name,
        template.languages,
        template.variants,
        template.segments,
        max(known, default=None),
        problems,
    )


def _size(text: Text) -> int | None:
    try:
        return payload.frame(text.render(build_sample(text))).size
    except (TemplateError, InputError):
        return None  # it reads lists or numbers, which no sample can stand for


def load(config: Config, name: str) -> Template:
    """Return the template *name* as it stands in the project's folder now."""
    return Template.from_sources(name, templates.read(config.templates, name))


def preview(
    config: Config,
    store: Store | None,
    name: str,
    now: Millis,
    *,
    subscriber: str | None = None,
    language: str | None = None,
    variant: str | None = None,
) -> Preview:
    """
    Return the message that *subscriber* would get, or one with names in place of values.

    *language* wins over the subscriber's own; *store* is needed for a subscriber only.
    """
    template = load(config, name)
    if subscriber is None or store is None:
        return rendered(config, template, None, language=language, variant=variant)
    receiver = store.subscriptions.get(subscriber, now)
    return rendered(
        config,
        template,
        receiver,
        language=language or receiver.language,
        variant=variant,
        segments=[
            segment
            for segment in template.segments
            if segment in config.segments
            and store.audience.filter_ids(audience.saved(config, segment), [receiver.id], now)
        ],
    )


def rendered(
    config: Config,
    template: Template,
    receiver: Subscription | None,
    *,
    language: str | None,
    variant: str | None = None,
    segments: list[str] | None = None,
    extra: Mapping[str, Json] | None = None,
    fill: Collection[str] = (),
) -> Preview:
    """
    Return one message of *template*.

    *extra* is what the campaign brings beside the receiver; without it what it would
    bring stands as its name, with it what it lacks of the roots in *fill*.
    """
    if variant is not None and variant not in template.variants:
        there = ", ".join(template.variants)
        raise NotFoundError(f"template {template.name!r} has no variant {variant!r}: {there}.")
    site = _site(config, receiver)
    text = template.choose(language, segments or (), site.language, variant)
    shared = values.site(
        site.name,
        site.origin,
        site.brand.name,
        icon=site.brand.icon,
        badge=site.brand.badge,
    )
    stand_in = build_sample(text, "‹{}›".format)
    if receiver is None:
        context = {**stand_in, "site": shared}
    else:
        if extra is None:
            extra = {key: stand_in[key] for key in stand_in if key not in _PERSON}
        elif fill:
            extra = _filled({key: stand_in[key] for key in stand_in if key in fill}, extra)
        context = values.context(receiver, shared, text.variables, extra)
    message = text.render(context)
    frame = payload.frame(message)
    return Preview(
        template.name, text.file, text.language, text.variant, text.segment, message, frame.size
    )


def _filled(named: Mapping[str, Json], known: Mapping[str, Json]) -> dict[str, Json]:
    """Return *known*, and what of *named* it lacks; an empty basket lacks everything."""
    found = {**named, **known}
    for key, stand_in in named.items():
        there = known.get(key)
        if not (isinstance(stand_in, Mapping) and isinstance(there, Mapping)):
            continue
        if key != "cart":
            found[key] = {**stand_in, **there}
        elif not there.get("items"):
            found[key] = {**stand_in, **{name: it for name, it in there.items() if it}}
    return found


_PERSON = frozenset({"subscriber", "attributes", "site"})


def _site(config: Config, receiver: Subscription | None) -> Site:
    if receiver is not None and receiver.site in config.sites:
        return config.sites[receiver.site]
    return next(iter(config.sites.values()))
