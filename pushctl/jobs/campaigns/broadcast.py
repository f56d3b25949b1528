"""
Plan and freeze a broadcast.

``plan`` only reads. ``freeze`` writes the campaign with its sources and one delivery a
receiver in one transaction; later subscribers and tags don't change it.
"""

from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import compress

from pushctl.config import Config
from pushctl.jobs.campaigns import best_time, contact_policy, experiments, variants
from pushctl.jobs.campaigns.assignment import Assignment, NobodyComparedError, assign
from pushctl.jobs.campaigns.draft import Draft, load_sources, read_options
from pushctl.jobs.campaigns.duplicates import LEFT_OUT, LeftOut, NobodyLeftError, leave_out
from pushctl.jobs.campaigns.recipients import Times, find_first_due, find_receivers, set_times
from pushctl.jobs.campaigns.variants import Design
from pushctl.jobs.delivery.claims.promo_codes import collect_samples, name_pool
from pushctl.jobs.delivery.gates.approval_gate import Gate
from pushctl.jobs.delivery.rendering.render_check import Verdict
from pushctl.jobs.figures.forecasts.forecast import Forecast, keep
from pushctl.jobs.ingest import former_names
from pushctl.jobs.messages.missing_languages import Readers, count_readers
from pushctl.jobs.messages.preview import Preview, find_example
from pushctl.jobs.subscribers.contact_policy import Ended, Judged
from pushctl.model import (
    Campaign,
    CampaignStatus,
    Json,
    Millis,
)
from pushctl.rules import timing, topics, units
from pushctl.rules.compact_numbers import NumberMap
from pushctl.rules.messages.arms import Differ
from pushctl.rules.messages.content import hash_content
from pushctl.store import Store
from pushctl.templates import Template


@dataclass(frozen=True)
class Plan:
    """A broadcast before it is frozen."""

    name: str
    template: str
    sources: Mapping[str, str]
    audience: str  # as typed
    receivers: Sequence[int]  # rows of subscriptions
    readers: Readers  # by the language of their text
    example: Preview | None
    options: Mapping[str, Json]
    expires_after: Millis
    over: Millis = 0
    at: Sequence[Millis] = ()  # when each receiver's message is due; none: at once
    best: str | None = None  # why it goes out at that time; None: somebody chose it
    hours: Sequence[float] = ()  # the probability of that hour; none: nothing was drawn
    left_out: LeftOut = field(default_factory=LeftOut)  # have the same message already
    again: bool = False  # nobody is left out for that
    verdict: Verdict | None = None  # who gets no message; None: not rehearsed
    named: bool = True  # by a person; else the name gives way to one that is taken
    assignment: Assignment | None = None  # of an experiment: who falls to which arm
    topic: str | None = None  # what it is about, for figures
    judged: Judged | None = None  # by the contact policy; None: none hold
    gate: Gate | None = None  # by which it may need approval
    forecast: Forecast | None = None  # what it will bring

    @property
    def count(self) -> int:
        return len(self.receivers)

    @property
    def without(self) -> int:
        """How many receivers get no message, as far as was rehearsed."""
        return len(self.list_without())

    @property
    def later(self) -> int:
        """How many receivers wait for the end of quiet hours or for a trigger's message."""
        found = self.judged
        if found is None:
            return 0
        return contact_policy.count_waiting(found, self.list_without()).total()

    def list_without(self) -> NumberMap[Ended]:
        """Return who gets no message: status, reason and cause, by subscription."""
        if self.verdict is not None:
            return self.verdict.without
        return self.judged.without if self.judged is not None else NumberMap()

    @property
    def ended(self) -> Mapping[int, Ended]:
        """Whose message ends when it is frozen, and why; another arm may suit who is held."""
        without = self.list_without()
        final = contact_policy.list_final(without)
        if self.at or self.over:
            return final
        if self.assignment is None:
            return without
        held = self.assignment.list_held(self.receivers)
        found = NumberMap[Ended]()
        found.update(it for it in without.items() if it[0] not in held or it[0] in final)
        return found


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
    config = former_names.adopt(store, config)
    options, draft, why = _read_draft(store, config, draft, now)
    name, sources = load_sources(config, draft)
    template = Template.from_sources(name, sources)
    options |= name_pool(store, draft.promo or template.settings.promo)
    design = variants.make_design(config, draft, template, now)
    if design is not None:
        sources = variants.complete_sources(config, draft, design, sources)
        template = Template.from_sources(name, sources)
    typed, receivers = find_receivers(store, config, draft, now)
    left_out = LeftOut()
    if not (draft.again or draft.every):
        content = hash_content(sources, options.get("extra", {}))
        due = _find_first_due(config, draft, design, now)
        having, left_out = leave_out(store, content, receivers, now, draft.replaces, due)
        receivers = _without(receivers, having)
    title = draft.name or _find_free_name(store, config, name, now)
    times, assignment = _assign(store, config, draft, design, template, receivers, title, now)
    receivers = times.receivers
    samples = collect_samples(store, options)
    made = Plan(
        name=title,
        template=name,
        sources=sources,
        audience=typed,
        receivers=receivers,
        readers=count_readers(config, template, store.reports.count_languages(receivers)),
        example=find_example(store, config, template, receivers, title, now, samples=samples),
        options=options,
        expires_after=find_life(options, template),
        over=timing.duration(draft.over) if draft.over else 0,
        at=times.at,
        best=why,
        hours=times.hours,
        left_out=left_out,
        again=draft.again or draft.every is not None,
        named=draft.name is not None,
        topic=choose_topic(config, draft, template),
        assignment=assignment,
    )
    return judge(store, config, made, now)


def _find_free_name(store: Store, config: Config, template: str, now: Millis) -> str:
    return store.campaigns.find_free_name(f"{template} {timing.local(now, config.zone).date()}")


def _find_first_due(config: Config, draft: Draft, design: Design | None, now: Millis) -> Millis:
    # Times as arms: each has a due time of its own, and the draft may have none.
    timed = design is not None and design.differ is Differ.TIME
    return now if timed else find_first_due(config, draft, now)


def _read_draft(
    store: Store, config: Config, draft: Draft, now: Millis
) -> tuple[dict[str, Json], Draft, str | None]:
    """Return a draft's options, the draft with its time, and why at that if it said "best"."""
    options = read_options(draft)
    draft, why = best_time.resolve(store, config, draft, now)
    if why is not None:
        options["local"] = True
    return options, draft, why


def judge(store: Store, config: Config, made: Plan, now: Millis) -> Plan:
    """Return *made* with what the contact policy says of its receivers."""
    judged = contact_policy.judge(
        store,
        config,
        made.options,
        made.receivers,
        now,
        at=made.at,
        over=made.over,
        life=made.expires_after,
    )
    if judged is not None and made.verdict is not None:
        made.verdict.without.update(judged.without)
    return replace(made, judged=judged, gate=Gate(config))


def foresee_approval(store: Store, made: Plan, now: Millis) -> str | None:
    """Return why *made* will need approval, as things stand; None where it will not."""
    if made.gate is None:
        return None
    people = made.count - len(made.ended)
    times = min(made.at, default=now), _find_last(made, now) + made.over
    return made.gate.foresee(store, made.options, made.topic, people, times, now)


def attend(made: Plan) -> Plan:
    """Return *made* for ``freeze`` to fail where approval is needed and can't be asked for."""
    return replace(made, gate=made.gate and replace(made.gate, attended=True))


def _assign(
    store: Store,
    config: Config,
    draft: Draft,
    design: Design | None,
    template: Template,
    receivers: Sequence[int],
    title: str,
    now: Millis,
) -> tuple[Times, Assignment | None]:
    """Return receivers with due times, and who falls to which arm of an experiment."""
    if design is not None and receivers:
        try:
            return assign(
                store, config, draft, design, template, receivers, seed=title, now=now
            )
        except NobodyComparedError:
            if design.asked:
                raise
    return set_times(store, config, draft, receivers, now, seed=title), None


def choose_topic(config: Config, draft: Draft, template: Template) -> str | None:
    """Return what a broadcast is about: as its draft, its template or the project says."""
    if draft.topic is not None:
        return topics.check(draft.topic)
    return template.settings.topic or config.messages.topic


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
        judged = _renew(made, now)
        if made.left_out.count and not made.count:
            raise NobodyLeftError(made.left_out)
        campaign = store.campaigns.create(
            name=made.name if made.named else store.campaigns.find_free_name(made.name),
            template=made.template,
            audience=made.audience,
            sources=made.sources,
            options=_note_left_out(made),
            now=now,
            expires_at=_find_last(made, now) + made.over + made.expires_after,
            status=CampaignStatus.SCHEDULED if made.at else CampaignStatus.RUNNING,
            topic=made.topic,
        )
        _write_rows(store, campaign, made, now)
        if made.forecast is not None:
            keep(store, campaign.id, made.forecast, now)
        if judged is not None:
            contact_policy.write_held(store, campaign.id, judged, now)
            if len(made.ended) == made.count:  # nobody waits for a sweep or a claim
                store.campaigns.change_status(campaign.id, CampaignStatus.RUNNING, now)
                store.campaigns.finish_if_done(campaign.id, now)
        if made.gate is not None and made.gate.judge(store, campaign, now, timed=bool(made.at)):
            return store.campaigns.get_by_id(campaign.id)
    return campaign


def _find_last(made: Plan, now: Millis) -> Millis:
    """Return when the last message is due; who waits for a winner is due at the decision."""
    last = max(made.at, default=now)
    held = made.assignment is not None and made.assignment.design.has_rest
    return max(last, made.assignment.decide_at) if held and made.assignment else last


def _write_rows(store: Store, campaign: Campaign, made: Plan, now: Millis) -> None:
    kept = made.judged.kept if made.judged is not None else None
    if made.assignment is not None:
        experiments.begin(
            store,
            campaign,
            made.assignment,
            made.receivers,
            _list_due(made, now),
            now=now,
            expires_after=made.expires_after,
        )
        if kept is not None:
            store.plans.note_holdout(campaign.id, kept)
    elif made.at:
        due = zip(made.receivers, made.at, strict=True)
        store.schedules.plan(
            campaign.id, due, now=now, expires_after=made.expires_after, holdout=kept
        )
    else:
        store.deliveries.plan(
            campaign.id,
            made.receivers,
            now=now,
            expires_after=made.expires_after,
            over=made.over,
            holdout=kept,
        )
    if made.hours:
        store.plans.note_hours(campaign.id, zip(made.receivers, made.hours, strict=True))
    if ended := made.ended:
        store.plans.reject(campaign.id, ((one, *why) for one, why in ended.items()), now)


def _list_due(made: Plan, now: Millis) -> Sequence[Millis]:
    """Return when each receiver's message is due; none: all at once."""
    if made.at or not made.over:
        return made.at
    return array("q", (now + made.over * number // made.count for number in range(made.count)))


def _leave_out_late(store: Store, made: Plan, now: Millis) -> Plan:
    if made.again:
        return made
    content = hash_content(made.sources, made.options.get("extra", {}))
    due = min(made.at, default=now)
    having, late = leave_out(store, content, made.receivers, now, due=due)
    if not having:
        return made
    stays = bytearray(one not in having for one in made.receivers)
    return replace(
        made,
        receivers=array("q", compress(made.receivers, stays)),
        at=array("q", compress(made.at, stays)),
        hours=array("d", compress(made.hours, stays)),
        left_out=made.left_out.add(late),
        assignment=made.assignment and made.assignment.keep(stays),
    )


def _renew(made: Plan, now: Millis) -> Judged | None:
    """Judge by what has gone out since *made* was planned; add it to the verdict, too."""
    judged = made.judged
    if judged is None or judged.judge is None or made.at or made.over:
        return judged
    judged.judge.renew(made.receivers, judged, now)
    if made.verdict is not None:
        made.verdict.without.update(judged.without)
    return judged


def _note_left_out(made: Plan) -> Mapping[str, Json]:
    if not made.left_out.count:
        return made.options
    return {**made.options, LEFT_OUT: asdict(made.left_out)}


def _without(receivers: Sequence[int], having: Collection[int]) -> Sequence[int]:
    if not having:
        return receivers
    return array("q", (one for one in receivers if one not in having))
