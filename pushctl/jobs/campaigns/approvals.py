"""Takes up campaigns that somebody approved, and tidies the folder of requests."""

from collections.abc import Iterator

from pushctl import approval_files
from pushctl.config import Config
from pushctl.jobs.campaigns import experiments
from pushctl.jobs.delivery.gates.approval_gate import Gate
from pushctl.model import Campaign, CampaignStatus, Millis
from pushctl.rules import units
from pushctl.store import Store

_KEPT: Millis = 7 * units.DAY  # files of a campaign that has ended: messages may go out again


def take_up(store: Store, config: Config, now: Millis) -> Iterator[str]:
    """Let go on what was approved; yield a sentence for each campaign."""
    for number in store.approvals.list_waiting():
        campaign = store.campaigns.get_by_id(number)
        if _may_be_approved(store, config, campaign) and Gate(config).admit(
            store, campaign, now
        ):
            _go_on(store, campaign, now)
            found = store.approvals.find(number)
            uid = found.approved_by if found else None
            who = "nobody has to" if uid is None else approval_files.name_user(uid)
            yield f"{campaign.name}: approved ({who})"
    _tidy(store, config, now)


def _may_be_approved(store: Store, config: Config, campaign: Campaign) -> bool:
    """Look without reading 300,000 rows: most minutes nothing has come."""
    found = store.approvals.find(campaign.id)
    if config.approval is None or found is None or found.hash is None:
        return True
    folder, name = config.approval.folder, found.hash
    is_there = approval_files.has_approval(folder, name)
    return is_there or not approval_files.has_request(folder, name)


def _go_on(store: Store, campaign: Campaign, now: Millis) -> None:
    with store.write():
        experiments.go_on(store, campaign, now)
        first, _ = store.approvals.find_times(campaign.id, now)
        status = CampaignStatus.SCHEDULED if first > now else CampaignStatus.RUNNING
        store.campaigns.change_status(campaign.id, status, now)
        store.campaigns.finish_if_done(campaign.id, now)


def _tidy(store: Store, config: Config, now: Millis) -> None:
    if config.approval is None:
        return
    for number, name in store.approvals.list_ended(now - _KEPT):
        approval_files.remove(config.approval.folder, name)
        store.approvals.forget_request(number)


def void_all(store: Store, config: Config, now: Millis) -> int:
    """After a restore: what was approved may have gone out; return how many are void."""
    names = store.approvals.void_all()
    for number in store.approvals.list_waiting():
        if not store.deliveries.count_waiting(number, now)[0]:  # all of it is in doubt
            store.campaigns.change_status(number, CampaignStatus.RUNNING, now)
            store.campaigns.finish_if_done(number, now)
    if config.approval is not None:
        for name in names:
            approval_files.remove(config.approval.folder, name)
    return len(names)
