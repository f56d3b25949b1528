"""Campaigns as people handle them: look, pause, go on, call off, settle doubts."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from pushctl.config import Config
from pushctl.errors import BusyError, ConfigError, UsageError
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.postbox import open_postbox
from pushctl.model import Campaign, CampaignStatus, Cause, DeliveryStatus, Json, Millis
from pushctl.store import Store


@dataclass(frozen=True)
class State:
    """One state of a campaign's deliveries, with the reason."""

    status: str
    reason: str
    count: int


def states(store: Store, campaign: int) -> list[State]:
    """Return every state with its reasons, in the ledger's order; they add up to planned."""
    order = [status.value for status in DeliveryStatus]
    rows = [
        State(status, _said(status, reason), count)
        for status, reason, count in store.deliveries.count_reasons(campaign)
    ]
    return sorted(rows, key=lambda row: (order.index(row.status), -row.count, row.reason))


def _said(status: str, reason: str | None) -> str:
    if reason is not None:
        return reason
    return {"planned": "waits its turn", "sending": "under way"}.get(status, "")


def pause(store: Store, name: str, now: Millis) -> Campaign:
    """Pause a campaign; a process that sends it notices between two batches."""
    campaign = store.campaigns.get(name)
    note, cause = "paused by hand", Cause.BY_HAND
    if not store.campaigns.change_status(campaign.id, CampaignStatus.PAUSED, now, note, cause):
        raise UsageError(f"{name} is {campaign.status.value}, there is nothing to pause")
    return store.campaigns.get_by_id(campaign.id)


def cancel(store: Store, config: Config, name: str, now: Millis) -> tuple[Campaign, int]:
    """
    Call a campaign off for good; return it and how many messages won't be sent.

    What a process is just sending is given back and skipped by that process; what a dead
    one left is settled here, or else by the next sweep.
    """
    campaign = store.campaigns.get(name)
    with store.write():
        if not store.campaigns.change_status(campaign.id, CampaignStatus.CANCELLED, now):
            raise UsageError(f"{name} is {campaign.status.value}, there is nothing to cancel")
        dropped = store.deliveries.cancel(campaign.id, now)
    if store.deliveries.load_claimed(campaign.id):
        with suppress(BusyError, ConfigError):
            deliver.run(store, config, campaign, now)
    return store.campaigns.get_by_id(campaign.id), dropped


def resume(
    store: Store, config: Config, name: str, now: Millis, options: deliver.Options
) -> deliver.Report:
    """Go on with a campaign; raises UsageError for a cancelled one, BusyError as ``run``."""
    campaign = store.campaigns.get(name)
    _refuse_if_cancelled(campaign)
    return deliver.run(store, config, campaign, now, options)


def _refuse_if_cancelled(campaign: Campaign) -> None:
    if campaign.status is CampaignStatus.CANCELLED:
        raise UsageError(f"{campaign.name} was cancelled; that is for good. Send anew.")


def recall(store: Store, config: Config, name: str, now: Millis) -> Counter[str]:
    """
    Ask push services to delete what of a campaign they still keep.

    Returns how many were ``recalled``, came ``too late`` (fetched or expired), are
    ``elsewhere`` (with a service that deletes nothing), or ``not done``: no answer came, or
    one that leaves them there.
    """
    from pushctl.push import recall as asking

    campaign = store.campaigns.get(name)
    postbox = open_postbox(config, f"recall{campaign.id}")
    tally: Counter[str] = Counter()
    stored = []
    for delivery, location, _ in store.doubts.list_stored(campaign.id):
        if asking.can_recall(location, postbox):
            stored.append((delivery, location))
        else:
            tally["elsewhere"] += 1
    back = []
    try:
        for delivery, status in asking.recall(stored, postbox):
            verdict = _RECALLED.get(status, "recalled" if status // 100 == 2 else NOT_DONE)
            tally[verdict] += 1
            if verdict == "recalled":
                back.append(delivery)
    finally:
        # Also after Ctrl-C: what was deleted there can't be asked for twice.
        store.doubts.mark_recalled(back, now)
    return tally


NOT_DONE = "not done"
_RECALLED = {404: "too late", 410: "too late"}


def in_doubt(store: Store, name: str | None) -> Iterator[Mapping[str, Json]]:
    """Yield the deliveries in doubt, of one campaign or of all."""
    return store.doubts.list_in_doubt(None if name is None else store.campaigns.get(name).id)


def assume_sent(store: Store, name: str | None, now: Millis) -> int:
    """Count doubts as accepted, on a person's word; return how many."""
    return store.doubts.assume_sent(None if name is None else store.campaigns.get(name).id, now)


def send_again(store: Store, name: str, now: Millis) -> int:
    """
    Plan a campaign's doubts anew, on a person's word; return how many.

    Some of them may then get the message twice. Raises BusyError while the campaign is
    being sent, UsageError where it was cancelled: nothing would ever send them.
    """
    campaign = store.campaigns.get(name)
    _refuse_if_cancelled(campaign)
    if campaign.status is CampaignStatus.RUNNING and _is_being_sent(store, campaign):
        raise BusyError(f"{name} is being sent. Try again when it is done.")
    return store.doubts.send_again(campaign.id, now)


def _is_being_sent(store: Store, campaign: Campaign) -> bool:
    from pushctl import lock

    try:
        with lock.hold(deliver.lock_path(store, campaign.id), keep=False):
            return False
    except BusyError:
        return True
