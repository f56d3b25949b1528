"""
Plan and freeze a broadcast.

``plan`` only reads. ``freeze`` writes the campaign with its sources and one delivery a
receiver in one transaction; later subscribers and tags don't change it.
"""

import json
from array import array
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice

from pushctl import templates
from pushctl.config import Config
from pushctl.errors import InputError, NotFoundError, TemplateError, UsageError
from pushctl.jobs.campaigns.repeats import LEFT_OUT, LeftOut, NobodyLeftError, leave_out
from pushctl.jobs.delivery.verdict import Verdict
from pushctl.jobs.messages.preview import Preview, find_example
from pushctl.jobs.subscribers import audience, suppression
from pushctl.model import (
    Campaign,
    CampaignStatus,
    Json,
    Millis,
    Subscription,
    SubscriptionState,
)
from pushctl.rules import folding, limits, moments, schedule, timing, units
from pushctl.rules.messages.content import hash_content
from pushctl.rules.schedule import Passed
from pushctl.store import Store
from pushctl.templates import Template

BY_HAND = "by_hand"  # the template of a message from the command line
URGENCIES = ("very-low", "low", "normal", "high")
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
    by: str = ""  # the login name of who asked
    series: str = ""  # whose occurrence this is


@dataclass(frozen=True)
class Plan:
    """A broadcast before it is frozen."""

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
    left_out: LeftOut = field(default_factory=LeftOut)  # have the same message already
    again: bool = False  # nobody is left out for that
    verdict: Verdict | None = None  # who gets no message; None: not rehearsed
    named: bool = True  # by a person; else the name gives way to one that is taken

    @property
    def count(self) -> int:
        return len(self.receivers)

    @property
    def without(self) -> int:
        """How many receivers get no message, as far as was rehearsed."""
        return len(self.verdict.without) if self.verdict else 0


def retry_refused(store: Store, now: Millis) -> None:
    """Try subscriptions again that a push service refused a day or more ago."""
    store.health.reactivate(now)


def plan(store: Store, config: Config, draft: Draft, now: Millis) -> Plan:
    """
    Find the receivers, the texts and one example.

    Raises UsageError for a draft without an audience, NotFoundError for an unknown template,
    segment or subscriber, TemplateError for a template that can't be used.
    """
    store.shrink_caches()
    options = _read_options(draft)
    name, sources = _load_sources(config, draft)
    template = Template.from_sources(name, sources)
    typed, receivers = _find_receivers(store, config, draft, now)
    left_out = LeftOut()
    if not (draft.again or draft.every):
        content = hash_content(sources, options.get("extra", {}))
        having, left_out = leave_out(store, content, receivers, now)
        receivers = _without(receivers, having)
    receivers, at = _schedule(store, config, draft, receivers, now)
    day = timing.local(now, config.zone).date()
    title = draft.name or store.campaigns.find_free_name(f"{name} {day}")
    return Plan(
        name=title,
        template=name,
        sources=sources,
        audience=typed,
        receivers=receivers,
        languages=_count_languages(store, config, template, receivers),
        example=find_example(store, config, template, receivers, title, now),
        options=options,
        expires_after=find_life(options, template),
        over=timing.duration(draft.over) if draft.over else 0,
        at=at,
        left_out=left_out,
        again=draft.again or draft.every is not None,
        named=draft.name is not None,
    )


def find_life(options: Mapping[str, Json], template: Template) -> Millis:
    """Return how long a campaign's messages are of use after they are due."""
    ttl = int(options.get("ttl", template.settings.ttl))
    return max(ttl * units.SECOND, units.MINUTE)


def freeze(store: Store, made: Plan, now: Millis) -> Campaign:
    """
    Write the campaign and its deliveries; raises UsageError when its name is taken.

    Who has got the same message since *made* was planned, from another terminal, is left
    out in the same transaction; raises NobodyLeftError where that is everybody.
    """
    store.shrink_caches()
    with store.write():
        made = _leave_out_late(store, made, now)
        if made.left_out.count and not made.count:
            raise NobodyLeftError(made.left_out)
        campaign = store.campaigns.create(
            name=made.name if made.named else store.campaigns.find_free_name(made.name),
            template=made.template,
            audience=made.audience,
            sources=made.sources,
            options=_note_left_out(made),
            now=now,
            expires_at=max(made.at, default=now) + made.over + made.expires_after,
            status=CampaignStatus.SCHEDULED if made.at else CampaignStatus.RUNNING,
        )
        if made.at:
            due = zip(made.receivers, made.at, strict=True)
            store.schedules.plan(campaign.id, due, now=now, expires_after=made.expires_after)
        else:
            store.deliveries.plan(
                campaign.id,
                made.receivers,
                now=now,
                expires_after=made.expires_after,
                over=made.over,
            )
        if made.verdict and not made.at and not made.over:
            without = ((one, *why) for one, why in made.verdict.without.items())
            store.deliveries.reject(campaign.id, without, now)
    return campaign


def _leave_out_late(store: Store, made: Plan, now: Millis) -> Plan:
    if made.again:
        return made
    content = hash_content(made.sources, made.options.get("extra", {}))
    having, late = leave_out(store, content, made.receivers, now)
    if not having:
        return made
    due = made.at or [0] * made.count
    kept = [(one, at) for one, at in zip(made.receivers, due, strict=True) if one not in having]
    return replace(
        made,
        receivers=[one for one, _ in kept],
        at=[at for _, at in kept] if made.at else (),
        left_out=made.left_out.add(late),
    )


def _note_left_out(made: Plan) -> Mapping[str, Json]:
    if not made.left_out.count:
        return made.options
    return {**made.options, LEFT_OUT: asdict(made.left_out)}


def _without(receivers: Sequence[int], having: Collection[int]) -> Sequence[int]:
    if not having:
        return receivers
    return array("q", (one for one in receivers if one not in having))


def _schedule(
    store: Store, config: Config, draft: Draft, receivers: Sequence[int], now: Millis
) -> tuple[Sequence[int], Sequence[Millis]]:
    """Return receivers and their due times: one time for all, or each in their time zone."""
    if draft.at is None:
        if draft.local:
            raise UsageError("--local needs --at: which time on each person's clock?")
        return receivers, ()
    if draft.over:
        raise UsageError("--at and --over don't go together")
    moment, typed = moments.parse(draft.at, now, config.zone)
    if not draft.local:
        at = schedule.due(moment, typed or config.zone, now)
        if at is None or at <= now:
            clock = f"{timing.local(now, config.zone):%H:%M} ({config.zone})"
            raise UsageError(f"--at {draft.at!r} has passed; it is {clock}")
        return receivers, [at] * len(receivers)
    if typed is not None:
        raise UsageError(
            f"--at {draft.at!r} is one moment for all, and --local means each person's own "
            "clock: leave one of them out"
        )
    if schedule.over_everywhere(moment, now):
        raise UsageError(f"--at {draft.at!r} has passed wherever people live")
    zones = {name: site.timezone for name, site in config.sites.items()}
    found: dict[int, Millis] = {}
    for row, zone, site in store.schedules.list_zones(receivers):
        local = timing.zone(zone, zones.get(site, "UTC"))
        if due := schedule.due(moment, local, now, draft.passed):
            found[row] = due
    return list(found), list(found.values())


def _load_sources(config: Config, draft: Draft) -> tuple[str, dict[str, str]]:
    name = find_template_name(draft)
    if draft.message is None:
        return name, templates.read(config.templates, name)
    if draft.template:
        raise UsageError("--message and --template don't go together")
    site = config.first_site
    title = draft.title or site.brand.name or site.origin.partition("//")[2]
    # JSON's strings are TOML's, too.
    text = f"title = {json.dumps(title)}\nbody = {json.dumps(draft.message)}\n"
    languages = {each.language for each in config.sites.values()}
    return name, {"message.toml": 'url = "/"\n'} | {f"{one}.toml": text for one in languages}


def find_template_name(draft: Draft) -> str:
    if draft.message is not None:
        return BY_HAND
    if draft.template:
        return draft.template
    if not draft.tags:
        raise UsageError(
            "which message? Name it with --template, or a --tag whose template has the "
            "same name: --tag 'Abandoned basket 1' sends abandoned_basket_1."
        )
    return folding.slug(draft.tags[0])


def _find_receivers(
    store: Store, config: Config, draft: Draft, now: Millis
) -> tuple[str, Sequence[int]]:
    if draft.to:
        found = {it.id: it for ref in draft.to for it in _find_people(store, ref, now)}
        names = ", ".join(f"'{it.public_id}'" for it in found.values())
        return f"id in ({names})", list(found)[: draft.limit]
    if not (draft.tags or draft.segments or draft.where or draft.everyone):
        raise UsageError(
            "to whom? Name an audience with --tag, --segment or --where, single people "
            "with --to, or say --everyone."
        )
    typed, expression = audience.build(
        config, tags=draft.tags, segments=draft.segments, where=draft.where
    )
    without = suppression.find_suppressed(store, expression, now)
    if not without:
        return typed, store.audience.list_ids(expression, now, limit=draft.limit)
    wanted = (one for one in store.audience.list_ids(expression, now) if one not in without)
    return typed, array("q", islice(wanted, draft.limit))


def _find_people(store: Store, ref: str, now: Millis) -> list[Subscription]:
    """Return the active subscriptions of one --to: an id, or a signed alias."""
    try:
        found = store.subscriptions.find(ref, now)
    except NotFoundError as error:
        try:
            found = store.subscriptions.find(f"alias:{ref}", now)
        except NotFoundError:
            raise error from None
    active = [one for one in found if one.state is SubscriptionState.ACTIVE]
    if not active:
        raise UsageError(f"{ref} can't be reached: {found[0].state.value}")
    return active


def _read_options(draft: Draft) -> dict[str, Json]:
    options: dict[str, Json] = {}
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
    # What `pushctl explain` tells about it later.
    asked = {"by": draft.by, "at": draft.at, "local": draft.local, "series": draft.series}
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


def _count_languages(
    store: Store, config: Config, template: Template, receivers: Sequence[int]
) -> Mapping[str, int]:
    """Count receivers by the language of their text; raises TemplateError."""
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
