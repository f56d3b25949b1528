"""List templates with their sizes, and render one message before it is sent."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pushctl import templates
from pushctl.config import Config
from pushctl.errors import InputError, NotFoundError, Problem, TemplateError
from pushctl.jobs.subscribers import audience, carts
from pushctl.jobs.subscribers.segments import find_segments
from pushctl.model import Json, Message, Millis, Subscription
from pushctl.rules import limits
from pushctl.rules.messages import payload, values
from pushctl.store import Store
from pushctl.templates import Template, Text
from pushctl.templates.text import build_sample

TRIED = 20  # receivers, for an example that is shown at once


@dataclass(frozen=True, slots=True)
class Summary:
    name: str
    languages: tuple[str, ...]
    variants: tuple[str, ...]
    segments: tuple[str, ...]
    bytes: int | None  # of the largest message; None: it can't be used
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Preview:
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


def list_templates(config: Config) -> list[Summary]:
    defaults = [site.language for site in config.sites.values()]
    return [
        _summarise(config, name, defaults) for name in templates.list_names(config.templates)
    ]


def _summarise(config: Config, name: str, defaults: list[str]) -> Summary:
    problems = tuple(templates.find_problems(config.templates, name, defaults))
    try:
        template = load(config, name)
    except TemplateError:
        return Summary(name, (), (), (), None, problems)
    largest = max(filter(None, map(_measure, template.texts)), default=None)
    languages, variants = template.languages, template.variants
    return Summary(name, languages, variants, template.segments, largest, problems)


def _measure(text: Text) -> int | None:
    try:
        return payload.frame(text.render(build_sample(text))).size
    except (TemplateError, InputError):
        return None  # it reads lists or numbers, which a sample has not


def load(config: Config, name: str) -> Template:
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
    Render the message for *subscriber*; without one, a value is shown as ‹its name›.

    *language* overrides the subscriber's own; *store* is needed for a subscriber only.
    """
    template = load(config, name)
    if subscriber is None or store is None:
        return render(config, template, None, language=language, variant=variant)
    receiver = store.subscriptions.get(subscriber, now)
    return render(
        config,
        template,
        receiver,
        language=language or receiver.language,
        variant=variant,
        segments=[
            segment
            for segment in template.segments
            if segment in config.segments
            and store.audience.filter_ids(
                audience.load_segment(config, segment), [receiver.id], now
            )
        ],
    )


def render(
    config: Config,
    template: Template,
    receiver: Subscription | None,
    *,
    language: str | None,
    variant: str | None = None,
    segments: Sequence[str] = (),
    extra: Mapping[str, Json] | None = None,
    fill: Collection[str] = (),
) -> Preview:
    """
    Render one message of *template*.

    *extra* has the campaign's values beside the receiver. Without it they are shown as
    ‹names›; with it only those of the roots in *fill* that it lacks.
    """
    if variant is not None and variant not in template.variants:
        there = ", ".join(template.variants)
        raise NotFoundError(f"template {template.name!r} has no variant {variant!r}: {there}.")
    site = config.sites.get(receiver.site if receiver else "", config.first_site)
    text = template.choose(language, segments, site.language, variant)
    brand = site.brand
    shared = values.site(site.name, site.origin, brand.name, icon=brand.icon, badge=brand.badge)
    stand_in = build_sample(text, "‹{}›".format)
    if receiver is None:
        context = {**stand_in, "site": shared}
    else:
        if extra is None:
            extra = {key: stand_in[key] for key in stand_in if key not in _PERSON}
        elif fill:
            extra = _fill({key: stand_in[key] for key in stand_in if key in fill}, extra)
        context = values.context(receiver, shared, text.variables, extra)
    message = text.render(context)
    frame = payload.frame(message)
    return Preview(
        template.name, text.file, text.language, text.variant, text.segment, message, frame.size
    )


def find_example(
    store: Store,
    config: Config,
    template: Template,
    receivers: Sequence[int],
    title: str,
    now: Millis,
) -> Preview | None:
    """
    Render the message of the first receiver who gets one; None: not one of the first few.

    Raises NotFoundError for unknown segments.
    """
    few = store.subscriptions.get_many(receivers[:TRIED], now)
    segments = find_segments(store, config, template.segments, now)([one.id for one in few])
    held = carts.load(store, config, {one.id: one.site for one in few})
    for receiver in few:
        extra: dict[str, Json] = {"campaign": {"name": title}}
        if cart := held.get(receiver.id):
            extra["cart"] = cart
        try:
            return render(
                config,
                template,
                receiver,
                language=receiver.language,
                segments=segments[receiver.id],
                extra=extra,
            )
        except (TemplateError, InputError):
            continue
    return None


def _fill(named: Mapping[str, Json], known: Mapping[str, Json]) -> dict[str, Json]:
    """Return *known* completed from *named*; an empty cart lacks everything."""
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
