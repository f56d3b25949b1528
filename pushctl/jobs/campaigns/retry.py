"""
Reaches the people whose message of a campaign was rejected, once its cause is mended.

Their rows are planned again, so each person has one row and gets the campaign at most once.
The template is read anew and becomes the campaign's: what waits is sent with it, too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pushctl import lock, templates
from pushctl.config import Config
from pushctl.errors import UsageError
from pushctl.jobs.campaigns.broadcast import BY_HAND, find_life
from pushctl.jobs.campaigns.manage import refuse_if_cancelled
from pushctl.jobs.campaigns.rehearsal import refuse_if_none
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.verdict import Verdict, judge
from pushctl.jobs.messages.preview import Preview, find_example
from pushctl.jobs.subscribers import carts
from pushctl.model import Campaign, CampaignStatus, Millis
from pushctl.store import Store
from pushctl.templates import Template


@dataclass(frozen=True)
class Retry:
    """What retrying a campaign would do."""

    campaign: Campaign
    sources: Mapping[str, str]  # of the template, as it is now
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
    campaign = store.campaigns.get(name)
    refuse_if_cancelled(campaign)
    if store.triggers.get_trigger(campaign.id) is not None:
        raise UsageError(
            f"{name} is a step of a trigger: its messages were of use at their time. The next "
            "ones are made with the mended template."
        )
    sources = campaign.sources
    if campaign.template != BY_HAND:
        sources = templates.read(config.templates, campaign.template)
    template = Template.from_sources(campaign.template, sources)
    rejected, waiting = store.doubts.list_rejected(campaign.id)
    found = judge(
        store,
        config,
        template,
        [*rejected, *waiting],
        now,
        name=name,
        options=campaign.options,
        has_cart=carts.is_used(sources),
        progress=progress,
    )
    refuse_if_none(found, len(rejected) + len(waiting))
    first = [] if found.first is None else [found.first]
    return Retry(
        campaign=campaign,
        sources=sources,
        rejected=rejected,
        receivers=[one for one in rejected if one not in found.without],
        waiting=len(waiting),
        verdict=found,
        example=find_example(store, config, template, first, name, now) if first else None,
        expires_after=find_life(campaign.options, template),
    )


def start(store: Store, made: Retry, now: Millis) -> Campaign:
    """
    Plan the messages again and set the campaign running; return it.

    Raises BusyError while another process sends it, with the older texts in its memory.
    """
    number, name = made.campaign.id, made.campaign.name
    expires_at = now + made.expires_after
    with (
        lock.hold(deliver.lock_path(store, number), f"sending {name}", keep=False),
        store.write(),
    ):
        refuse_if_cancelled(store.campaigns.get_by_id(number))
        store.campaigns.replace_sources(number, made.sources, expires_at)
        store.doubts.send_rejected_again(number, made.receivers, now, expires_at)
        store.campaigns.change_status(number, CampaignStatus.RUNNING, now)
    return store.campaigns.get_by_id(number)
