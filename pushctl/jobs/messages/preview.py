"""Render one message before it is sent."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pushctl import templates
from pushctl.config import Config
from pushctl.errors import InputError, NotFoundError, TemplateError
from pushctl.jobs.subscribers import audience, carts
from pushctl.jobs.subscribers.recommendations import Goods
from pushctl.jobs.subscribers.restore_links import RestoreLinks
from pushctl.jobs.subscribers.segments import find_segments
from pushctl.model import Json, Message, Millis, Subscription
from pushctl.rules import limits
from pushctl.rules.messages import packs, payload, values
from pushctl.store import Store
from pushctl.templates import Template
from pushctl.templates.text import build_sample

TRIED = 20  # receivers, for an example that is shown at once


@dataclass(frozen=True, slots=True)
class Preview:
    template: str
    file: str
    language: str
    variant: str
    segment: str | None
    message: Message
    bytes: int
    site: str

    @property
    def warning(self) -> str | None:
        if self.bytes <= limits.MAX_ANDROID_PAYLOAD_BYTES:
            return None
        return (
            f"{self.bytes:,} bytes: above {limits.MAX_ANDROID_PAYLOAD_BYTES:,}, and Firefox on "
            "Android may not get it."
        )


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


def preview_all(
    config: Config,
    store: Store | None,
    name: str,
    now: Millis,
    *,
    languages: Sequence[str] = (),
    variant: str | None = None,
    subscriber: str | None = None,
) -> list[Preview]:
    """
    Return ``preview`` of each of *languages* (none: all) and variants (None: all), each once.

    Where a language has no file for a variant, its plain one stands for both.
    """
    template = load(config, name)
    made: dict[str, Preview] = {}
    for language in languages or template.languages:
        for letter in template.variants if variant is None else [variant]:
            one = preview(
                config,
                store,
                name,
                now,
                subscriber=subscriber,
                language=language,
                variant=letter,
            )
            made.setdefault(one.file, one)
    return list(made.values())


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
        said = f"template {template.name!r} has no variant {variant!r}; it has {there}"
        raise NotFoundError(f"{said}. A variant is a file like en.b.toml beside en.toml.")
    site = config.sites.get(receiver.site if receiver else "", config.first_site)
    text = template.choose(language, segments, site.language, variant)
    campaign = (extra or {}).get("campaign", {}).get("name", template.name)
    shared = packs.collect_values(site, campaign)
    stand_in = build_sample(text, "‹{}›".format)
    if receiver is None:
        context = {**stand_in, "site": shared}
    else:
        if extra is None:
            extra = {key: stand_in[key] for key in stand_in if key not in _PERSON}
        elif fill:
            extra = _fill({key: stand_in[key] for key in stand_in if key in fill}, extra)
        if text.proposes:
            extra = {values.GOODS: stand_in[values.GOODS], **extra}
        context = values.context(receiver, shared, text.variables, extra)
    message = text.render(context)
    frame = payload.frame(message)
    return Preview(
        template.name,
        text.file,
        text.language,
        text.variant,
        text.segment,
        message,
        frame.size,
        site.name,
    )


def find_example(
    store: Store,
    config: Config,
    template: Template,
    receivers: Sequence[int],
    title: str,
    now: Millis,
    variant: str | None = None,
    samples: Mapping[str, Json] | None = None,
    language: str | None = None,
) -> Preview | None:
    """
    Render the message of the first receiver who gets one; None: not one of the first few.

    *samples* stands for what is known only when it is sent, *language* in place of each
    person's own. Raises NotFoundError for unknown segments.
    """
    few = store.subscriptions.get_many(receivers[:TRIED], now)
    segments = find_segments(store, config, template.segments, now)([one.id for one in few])
    held = carts.load(store, config, {one.id: one.site for one in few})
    links, shop = RestoreLinks(store, config), None
    if any(text.proposes for text in template.all_texts):
        shop = Goods(store, config)
    for receiver in few:
        extra: dict[str, Json] = {"campaign": {"name": title}, **(samples or {})}
        if cart := held.get(receiver.id):
            extra |= {"cart": cart, values.RESTORE: links.make_for(receiver, cart)}
        if shop:
            extra[values.GOODS] = shop.load_for(receiver.id, receiver.site)
        try:
            return render(
                config,
                template,
                receiver,
                language=language or receiver.language,
                variant=variant,
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
