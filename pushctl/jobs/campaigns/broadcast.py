"""
A broadcast: whom it means, what they get, and freezing both before anything goes out.

``plan`` only reads. ``freeze`` writes the campaign with its sources and one delivery a
receiver in one transaction; who subscribes or is tagged later isn't part of it.
"""

import json
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from pushctl import templates
from pushctl.config import Config
from pushctl.errors import InputError, NotFoundError, TemplateError, UsageError
from pushctl.jobs.messages.preview import Preview, rendered
from pushctl.jobs.subscribers import audience, carts, suppression
from pushctl.jobs.subscribers.segments import segments_of
from pushctl.model import (
    Campaign,
    CampaignStatus,
    Json,
    Millis,
    Subscription,
    SubscriptionState,
)
from pushctl.rules import folding, limits, schedule, timing, units
from pushctl.rules.schedule import Passed
from pushctl.store import Store
from pushctl.templates import Template

URGENCIES = ("very-low", "low", "normal", "high")
MAX_OVER: Millis = 28 * units.DAY


@dataclass(frozen=True)
class Wish:
    """What a command line asks for."""

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
    message: str | None = None  # a text by hand instead of a template
    title: str | None = None
    at: str | None = None  # "tomorrow 09:00"
    local: bool = False  # on each person's own clock
    passed: Passed = Passed.NOW
    every: str | None = None  # "monday 09:00": see jobs/campaigns/recurring


@dataclass(frozen=True)
class Plan:
    """What would be sent, to whom; nothing is written yet."""

    name: str
    template: str
    sources: Mapping[str, str]
    audience: str  # as typed
    receivers: Sequence[int]  # rows of subscriptions
    languages: Mapping[str, int]  # language of the text -> receivers
    example: Preview | None
    options: Mapping[str, Json]
    expires_after: Millis
    over: Millis = 0
    at: Sequence[Millis] = ()  # when each receiver's message is due; none: at once

    @property
    def count(self) -> int:
        return len(self.receivers)


def refresh(store: Store, now: Millis) -> None:
    """Give those another chance that a push service refused a day or more ago."""
    store.health.reactivate(now)


def plan(store: Store, config: Config, wish: Wish, now: Millis) -> Plan:
    """
    Find the receivers, the texts and one example.

    Raises UsageError for a wish that names nobody, NotFoundError for an unknown template,
    segment or subscriber, TemplateError for a template that can't be used.
    """
    store.shrink_caches()
    options = _options(wish)
    name, sources = _message(config, wish)
    template = Template.from_sources(name, sources)
    typed, receivers = _receivers(store, config, wish, now)
    receivers, at = _scheduled(store, config, wish, receivers, now)
    ttl = int(options.get("ttl", template.settings.ttl))
    title = wish.name or store.campaigns.find_free_name(f"{name} {_day(config, now)}")
    return Plan(
        name=title,
        template=name,
        sources=sources,
        audience=typed,
        receivers=receivers,
        languages=_languages(store, config, template, receivers),
        example=_example(store, config, template, receivers, title, now),
        options=options,
        expires_after=max(ttl * units.SECOND, units.MINUTE),
        over=timing.duration(wish.over) if wish.over else 0,
        at=at,
    )


def freeze(store: Store, made: Plan, now: Millis) -> Campaign:
    """
    Write the campaign and its deliveries in one transaction; return the campaign.

    Raises UsageError when its name was taken meanwhile.
    """
    store.shrink_caches()
    with store.write():
        campaign = store.campaigns.create(
            name=made.name,
            template=made.template,
            audience=made.audience,
            sources=made.sources,
            options=made.options,
            now=now,
            expires_at=max(made.at, default=now) + made.over + made.expires_after,
            status=CampaignStatus.SCHEDULED if made.at else CampaignStatus.RUNNING,
        )
        if made.at:
            store.schedules.plan(
                campaign.id,
                zip(made.receivers, made.at, strict=True),
                now=now,
                expires_after=made.expires_after,
            )
            return campaign
        store.deliveries.plan(
            campaign.id,
            made.receivers,
            now=now,
            expires_after=made.expires_after,
            over=made.over,
        )
    return campaign


def _scheduled(
    store: Store, config: Config, wish: Wish, receivers: Sequence[int], now: Millis
) -> tuple[Sequence[int], Sequence[Millis]]:
    """Return who gets it and when: all at one time, or each on their own clock."""
    if wish.at is None:
        if wish.local:
            raise UsageError("--local needs --at: which time on each person's clock?")
        return receivers, ()
    if wish.over:
        raise UsageError("--at and --over don't go together")
    zones = {name: site.timezone for name, site in config.sites.items()}
    own = timing.zone(next(iter(zones.values())))
    moment = schedule.wall(wish.at, now, own)
    if not wish.local:
        at = schedule.due(moment, own, now)
        if at is None or at <= now:
            raise UsageError(
                f"--at {wish.at!r} has passed; it is {timing.local(now, own):%H:%M}"
            )
        return receivers, [at] * len(receivers)
    if schedule.over_everywhere(moment, now):
        raise UsageError(f"--at {wish.at!r} has passed wherever people live")
    found = [
        (row, due)
        for row, zone, site in store.schedules.list_zones(receivers)
        if (
            due := schedule.due(
                moment, timing.zone(zone, zones.get(site, "UTC")), now, wish.passed
            )
        )
    ]
    return [row for row, _ in found], [due for _, due in found]


def _message(config: Config, wish: Wish) -> tuple[str, dict[str, str]]:
    """Return the template's name and sources, or those of a text by hand."""
    if wish.message is None:
        name = subject(wish)
        return name, templates.read(config.templates, name)
    if wish.template:
        raise UsageError("--message and --template don't go together")
    site = next(iter(config.sites.values()))
    title = wish.title or site.brand.name or site.origin.partition("//")[2]
    # JSON's strings are TOML's, too.
    text = f"title = {json.dumps(title)}\nbody = {json.dumps(wish.message)}\n"
    languages = {each.language for each in config.sites.values()}
    return "by_hand", {"message.toml": 'url = "/"\n'} | {
        f"{one}.toml": text for one in languages
    }


def subject(wish: Wish) -> str:
    """Return the name of the template that *wish* means; UsageError when it means none."""
    if wish.message is not None:
        return "by_hand"
    if wish.template:
        return wish.template
    if not wish.tags:
        raise UsageError(
            "which message? Name it with --template, or a --tag whose template has the "
            "same name: --tag 'Abandoned basket 1' sends abandoned_basket_1."
        )
    return folding.slug(wish.tags[0])


def _receivers(
    store: Store, config: Config, wish: Wish, now: Millis
) -> tuple[str, Sequence[int]]:
    if wish.to:
        found = [one for ref in wish.to for one in _named(store, ref, now)]
        ids = list(dict.fromkeys(one.id for one in found))
        names = ", ".join(f"'{one}'" for one in dict.fromkeys(it.public_id for it in found))
        return f"id in ({names})", ids[: wish.limit]
    if not (wish.tags or wish.segments or wish.where or wish.everyone):
        raise UsageError(
            "to whom? Name an audience with --tag, --segment or --where, single people "
            "with --to, or say --everyone."
        )
    typed, expression = audience.asked(
        config, tags=wish.tags, segments=wish.segments, where=wish.where
    )
    without = suppression.left_out(store, expression, now)
    if not without:
        return typed, store.audience.list_ids(expression, now, limit=wish.limit)
    wanted = (one for one in store.audience.list_ids(expression, now) if one not in without)
    return typed, array("q", islice(wanted, wish.limit))


def _named(store: Store, ref: str, now: Millis) -> list[Subscription]:
    """Return the active subscriptions of one --to: an id, or an alias that is trusted."""
    try:
        found = store.subscriptions.find(ref, now)
    except NotFoundError:
        try:
            found = store.subscriptions.find(f"alias:{ref}", now)
        except NotFoundError:
            pass
        else:
            return _reachable(found, ref)
        raise
    return _reachable(found, ref)


def _reachable(found: list[Subscription], ref: str) -> list[Subscription]:
    active = [one for one in found if one.state is SubscriptionState.ACTIVE]
    if not active:
        raise UsageError(f"{ref} can't be reached: {found[0].state.value}")
    # Anybody's browser may claim an alias; only a signed one is that person's.
    trusted = [one for one in active if one.alias_trusted or one.alias != _alias(ref)]
    if not trusted:
        raise UsageError(
            f"{ref} is an alias that a browser claimed and the shop never signed. Name the "
            f"subscriber itself: --to {active[0].public_id}"
        )
    return trusted


def _alias(ref: str) -> str:
    return ref.removeprefix("alias:")


def _options(wish: Wish) -> dict[str, Json]:
    options: dict[str, Json] = {}
    if wish.limit is not None and wish.limit < 1:
        raise InputError("--limit is at least 1")
    if wish.ttl is not None:
        seconds = wish.ttl.isdecimal()
        ttl = int(wish.ttl) * units.SECOND if seconds else timing.duration(wish.ttl)
        if ttl > limits.MAX_TTL_SECONDS * units.SECOND:
            raise InputError("--ttl is at most 4 weeks: push services keep nothing longer")
        options["ttl"] = ttl // units.SECOND
    if wish.urgency is not None:
        if wish.urgency not in URGENCIES:
            raise InputError(f"--urgency is one of {', '.join(URGENCIES)}")
        options["urgency"] = wish.urgency
    if wish.rate is not None:
        options["rate"] = rate(wish.rate)
    if wish.over is not None:
        if not 0 < timing.duration(wish.over) <= MAX_OVER:
            raise InputError("--over is more than nothing and at most 4 weeks")
        options["over"] = wish.over
    return options


def rate(text: str) -> float:
    """Return messages a second of "50", "50/s", "600/m" or "9000/h"; InputError otherwise."""
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


def _day(config: Config, now: Millis) -> str:
    site = next(iter(config.sites.values()))
    day: datetime = timing.local(now, timing.zone(site.timezone))
    return day.date().isoformat()


def _languages(
    store: Store, config: Config, template: Template, receivers: Sequence[int]
) -> Mapping[str, int]:
    """Return how many get a text in which language; every site must have one."""
    found: Counter[str] = Counter()
    for site, language, count in store.reports.count_languages(receivers):
        if site not in config.sites:
            raise TemplateError(
                f"{count:,} receivers belong to the site {site!r}, which isn't in "
                f"{config.file.name}. Add it, or leave them out: --where \"site = 'shop'\""
            )
        text = template.choose(language, (), config.sites[site].language)
        found[text.language] += count
    return dict(found.most_common())


def _example(
    store: Store,
    config: Config,
    template: Template,
    receivers: Sequence[int],
    title: str,
    now: Millis,
) -> Preview | None:
    """Return what the first receiver gets; asking also shows that the segments exist."""
    if not receivers:
        return None
    (receiver,) = store.subscriptions.get_many(receivers[:1], now)
    names: tuple[str, ...] = ()
    if template.segments:
        names = segments_of(store, config, template.segments, now)([receiver.id])[receiver.id]
    extra: dict[str, Json] = {"campaign": {"name": title}}
    held = carts.of(store, config, {receiver.id: receiver.site})
    if receiver.id in held:
        extra["cart"] = held[receiver.id]
    return rendered(
        config,
        template,
        receiver,
        language=receiver.language,
        segments=list(names),
        extra=extra,
    )
