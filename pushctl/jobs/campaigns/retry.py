"""
Reaches the people whose message of a campaign was rejected, once its cause is mended.

Their rows are planned again, so each person has one row and gets the campaign at most once.
The template is read anew and becomes the campaign's: what waits is sent with it, too. Who
has these words from another campaign, or is to get them, is left out as by `send` (repeats).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from pushctl.config import Config
from pushctl.errors import UsageError
from pushctl.jobs.campaigns import variants
from pushctl.jobs.campaigns.broadcast import find_life
from pushctl.jobs.campaigns.draft import BY_HAND
from pushctl.jobs.campaigns.duplicates import LeftOut, leave_out
from pushctl.jobs.campaigns.manage import refuse_if_cancelled
from pushctl.jobs.campaigns.rehearsal import refuse_if_none
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.claims.promo_codes import collect_samples
from pushctl.jobs.delivery.rendering.render_check import Verdict, judge_arms
from pushctl.jobs.messages.preview import Preview, find_example
from pushctl.jobs.subscribers import carts
from pushctl.model import Campaign, CampaignStatus, Cause, Millis
from pushctl.rules.messages.content import hash_content
from pushctl.store import Store
from pushctl.templates import Template

_HAS_IT = "has this message by another campaign"


@dataclass(frozen=True)
class Retry:
    """What retrying a campaign would do."""

    campaign: Campaign
    sources: Mapping[str, str]  # of the template, as it is now
    left_out: LeftOut  # have the same words by another campaign, of both
    rejected: Sequence[int]  # active subscriptions whose message was rejected
    receivers: Sequence[int]  # those of them that get one now
    waiting: int  # messages that are planned anyway
    verdict: Verdict  # who still gets none, of both
    example: Preview | None
    expires_after: Millis

    @property
    def still_without(self) -> int:
        """How many of the rejected get none once more."""
        return len(self.rejected) - len(self.receivers)

    @property
    def is_changed(self) -> bool:
        return self.sources != self.campaign.sources

    @property
    def is_needed(self) -> bool:
        # A campaign whose template suited nobody is paused, and all its messages wait.
        is_stuck = self.campaign.status is CampaignStatus.PAUSED and self.waiting > 0
        return bool(self.receivers) or (is_stuck and self.is_changed)


def plan(
    store: Store,
    config: Config,
    name: str,
    now: Millis,
    progress: Callable[[int], None] = lambda done: None,
) -> Retry:
    """
    Find who was rejected, and render their messages with the template as it is now.

    Raises UsageError for a cancelled campaign and for a step of a trigger, TemplateError
    where nobody would get a message.
    """
    campaign = _get_campaign(store, name)
    sources = campaign.sources
    if campaign.template != BY_HAND:
        sources = variants.read_sources(config, campaign)
    template = Template.from_sources(campaign.template, sources)
    rejected, waiting, _, left_out = _list_without(store, campaign, sources, now)
    found = judge_arms(
        store,
        config,
        template,
        _group_by_arm(store, campaign, [*rejected, *waiting]),
        now,
        name=name,
        options=campaign.options,
        has_cart=carts.is_used(sources),
        progress=progress,
    )
    refuse_if_none(found, len(rejected) + len(waiting))
    first = [] if found.first is None else [found.first]
    samples = collect_samples(store, campaign.options)
    return Retry(
        campaign=campaign,
        sources=sources,
        left_out=left_out,
        rejected=rejected,
        receivers=[one for one in rejected if one not in found.without],
        waiting=len(waiting),
        verdict=found,
        example=find_example(store, config, template, first, name, now, samples=samples),
        expires_after=find_life(campaign.options, template),
    )


def _group_by_arm(
    store: Store, campaign: Campaign, people: Sequence[int]
) -> Mapping[str | None, Sequence[int]]:
    fell = store.experiments.load_variants(campaign.id)
    found: dict[str | None, list[int]] = {}
    for one in people:
        found.setdefault(fell.get(one), []).append(one)
    return found


def _get_campaign(store: Store, name: str) -> Campaign:
    """Return a campaign that can be tried again; raises UsageError."""
    campaign = store.campaigns.get(name)
    refuse_if_cancelled(campaign)
    if "grouped" in campaign.options:
        raise UsageError(
            f"{name} has single messages that a server asked for: what was rejected, its "
            "program asks for anew."
        )
    if store.triggers.get_trigger(campaign.id) is not None:
        raise UsageError(
            f"{name} is a step of a trigger: its messages were of use at their time. The next "
            "ones are made with the mended template."
        )
    return campaign


def _list_without(
    store: Store, campaign: Campaign, sources: Mapping[str, str], now: Millis
) -> tuple[list[int], list[int], Collection[int], LeftOut]:
    """
    Return who was rejected and whose message waits, without those who have these words.

    Then those of them who have the words or are to get them, by another campaign, and their
    counts. What waits with the words that it had before stays: this decides nothing about it.
    """
    rejected, waiting = store.doubts.list_rejected(campaign.id)
    asked = rejected if sources == campaign.sources else [*rejected, *waiting]
    content = hash_content(sources, campaign.options.get("extra", {}))
    having, left_out = leave_out(store, content, asked, now)
    if having:
        rejected = [one for one in rejected if one not in having]
        waiting = [one for one in waiting if one not in having]
    return rejected, waiting, having, left_out


def start(store: Store, config: Config, made: Retry, now: Millis) -> Campaign:
    """
    Plan the messages again and set the campaign running; return it.

    Who has got the words since *made* was planned is left out in the same transaction.
    Messages that waited for those who have them are skipped. Raises UsageError where nobody
    is left, BusyError while another process sends it, with the older texts in its memory.
    """
    number, name = made.campaign.id, made.campaign.name
    expires_at = now + made.expires_after
    with deliver.hold(store, config, number, f"sending {name}"), store.write():
        campaign = store.campaigns.get_by_id(number)
        refuse_if_cancelled(campaign)
        _, waiting, having, left_out = _list_without(store, campaign, made.sources, now)
        receivers = [one for one in made.receivers if one not in having]
        if not (receivers or waiting):
            raise UsageError(f"Nothing was sent: {left_out.describe()}.")
        ended = ((one, "skipped", _HAS_IT, Cause.HAS_IT) for one in having)
        store.plans.reject(number, ended, now)
        store.campaigns.replace_sources(number, made.sources, expires_at)
        store.doubts.send_rejected_again(number, receivers, now, expires_at)
        store.campaigns.change_status(number, CampaignStatus.RUNNING, now)
    return store.campaigns.get_by_id(number)
