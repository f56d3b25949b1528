"""Inspect, pause, resume, cancel and recall campaigns; resolve messages in doubt."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from pushctl.config import Config
from pushctl.errors import BusyError, ConfigError, UsageError
from pushctl.jobs.campaigns import duplicates, experiments
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.postbox import open_postbox
from pushctl.model import Campaign, CampaignStatus, Cause, DeliveryStatus, Json, Millis
from pushctl.rules.units import SECOND
from pushctl.rules.wording import moment
from pushctl.store import Store


@dataclass(frozen=True)
class State:
    status: str
    reason: str
    count: int


def count_states(store: Store, campaign: int) -> list[State]:
    """
    Count the deliveries by state and reason, in the ledger's order of states.

    Those that were left out when it was frozen have no delivery; they come last.
    """
    order = [status.value for status in DeliveryStatus]
    about = store.campaigns.get_by_id(campaign)
    waits = {"planned": "waits its turn", "sending": "under way"}
    if about.cause is Cause.NEEDS_APPROVAL:
        waits["planned"] = "waits for approval"
    rows = [
        State(status, waits.get(status, "") if reason is None else reason, count)
        for status, reason, count in store.deliveries.count_reasons(campaign)
    ]
    rows.sort(key=lambda row: (order.index(row.status), -row.count, row.reason))
    return rows + list_left_out(duplicates.read_left_out(about.options))


def list_left_out(left_out: duplicates.LeftOut) -> list[State]:
    """Return who was left out as rows of the table of states."""
    return [
        State(duplicates.LEFT_OUT, reason, count) for reason, count in left_out.list_reasons()
    ]


def pause(store: Store, name: str, now: Millis) -> Campaign:
    """Pause a campaign; a process that sends it notices between two batches."""
    campaign = store.campaigns.get(name)
    if campaign.status is CampaignStatus.PAUSED:
        why = f" ({campaign.note})" if campaign.note else ""
        raise UsageError(f"{name} is paused already{why}, there is nothing to pause")
    note, cause = "paused by hand", Cause.BY_HAND
    if not store.campaigns.change_status(campaign.id, CampaignStatus.PAUSED, now, note, cause):
        raise UsageError(f"{name} is {campaign.status.value}, there is nothing to pause")
    return store.campaigns.get_by_id(campaign.id)


def cancel(store: Store, config: Config, name: str, now: Millis) -> tuple[Campaign, int]:
    """
    Cancel a campaign for good; return it and the number of messages that won't be sent.

    A process that sends it gives its claimed rows back. Rows of a dead process are settled
    here, or by the next sweep.
    """
    campaign = store.campaigns.get(name)
    with store.write():
        if not store.campaigns.change_status(campaign.id, CampaignStatus.CANCELLED, now):
            raise UsageError(f"{name} is {campaign.status.value}, there is nothing to cancel")
        dropped = store.deliveries.cancel(campaign.id, now)
        experiments.end_cancelled(store, campaign.id, now)
    if store.deliveries.load_claimed(campaign.id):
        with suppress(BusyError, ConfigError):
            deliver.run(store, config, campaign, now)
    return store.campaigns.get_by_id(campaign.id), dropped


def explain_nothing_to_resume(store: Store, name: str, now: Millis) -> str | None:
    """Return why resuming a campaign would do nothing; None: there is something to do."""
    campaign = store.campaigns.get(name)
    count, due = store.deliveries.count_waiting(campaign.id, now)
    if campaign.status is CampaignStatus.FINISHED and not count:
        ended = moment(campaign.finished_at) if campaign.finished_at else "before"
        return f"{name} has ended ({ended}). No message waits, so nothing was changed."
    if campaign.status is CampaignStatus.SCHEDULED and due is not None:
        return (
            f"{name} is scheduled: its first message is due {moment(due)}, and the sweep sends "
            "it then. Nothing was changed."
        )
    return None


def resume(
    store: Store, config: Config, name: str, now: Millis, options: deliver.Options
) -> deliver.Report:
    """Continue a campaign; raises UsageError for a cancelled one, BusyError as ``run``."""
    campaign = store.campaigns.get(name)
    refuse_if_cancelled(campaign)
    if "channel" in campaign.options:
        store.campaigns.change_status(campaign.id, CampaignStatus.RUNNING, now)
    if campaign.status is CampaignStatus.PAUSED:
        experiments.go_on(store, campaign, now)
    return deliver.run(store, config, campaign, now, options)


def refuse_if_cancelled(campaign: Campaign) -> None:
    """Raise UsageError for a cancelled campaign: nothing would ever send its messages."""
    if campaign.status is CampaignStatus.CANCELLED:
        raise UsageError(f"{campaign.name} was cancelled for good. Start a new campaign.")


def recall(store: Store, config: Config, name: str, now: Millis) -> Counter[str]:
    """
    Ask push services to delete a campaign's messages that they still keep.

    Counts messages ``recalled``, ``too late`` (fetched or expired), ``elsewhere`` (with a
    service that deletes nothing) and ``not done`` (no answer, or one that keeps them).
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


def list_in_doubt(store: Store, name: str | None) -> Iterator[Mapping[str, Json]]:
    """Yield deliveries in doubt, of the campaign *name* or of all."""
    return store.doubts.list_in_doubt(None if name is None else store.campaigns.get(name).id)


def assume_sent(store: Store, name: str | None, now: Millis) -> int:
    """Count messages in doubt as accepted; return how many."""
    return store.doubts.assume_sent(None if name is None else store.campaigns.get(name).id, now)


def send_again(store: Store, config: Config, name: str, now: Millis) -> int:
    """
    Plan a campaign's messages in doubt again; return how many. Due times that come stay.

    Some people may get one twice. Raises BusyError while the campaign is being sent,
    UsageError where it was cancelled: nothing would ever send them.
    """
    campaign = store.campaigns.get(name)
    refuse_if_cancelled(campaign)
    is_running = campaign.status is CampaignStatus.RUNNING
    if is_running and deliver.is_held(store, config, campaign.id):
        raise BusyError(f"{name} is being sent. Try again when it is done.")
    if (end := store.leases.find_end(campaign.id, now)) is not None:
        # The run has died, and a worker of its cluster may not know it yet.
        seconds = -(-(end - now) // SECOND)
        raise BusyError(
            f"workers of the cluster may still be sending {name}. Try again in {seconds} s."
        )
    return store.doubts.send_again(campaign.id, now)


def find_next_due(store: Store, name: str, now: Millis) -> Millis | None:
    """Return when a campaign's next message is due; None: at once, or nothing waits."""
    return store.deliveries.count_waiting(store.campaigns.get(name).id, now)[1]
