"""
Makes it so: each file of campaigns/ becomes a campaign or a series.

Each is applied in one transaction, together with its row in ``applied``: after a kill it is
applied or not. What has begun is never changed, and one that was planned gives way only in
the transaction in which no row of it was ever claimed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pushctl.config import Config
from pushctl.errors import UsageError
from pushctl.jobs.campaigns import broadcast, experiments, files, plan_hashes, recurring
from pushctl.jobs.campaigns.duplicates import NobodyLeftError
from pushctl.jobs.campaigns.plan_files import Item, State, can_give_way, find_series
from pushctl.model import CampaignStatus, Cause, Millis
from pushctl.store import Store
from pushctl.store.applied import AppliedFile


def find_lock(store: Store) -> Path:
    """Return the file that one `apply` at a time locks."""
    return store.path.with_name(f"{store.path.name}.apply")


class BegunError(UsageError):
    """The campaign that should give way has begun meanwhile."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one file."""

    name: str
    text: str
    failed: bool = False


def carry_out(
    store: Store, config: Config, items: Sequence[Item], plan: str, now: Millis, *, by: str
) -> Iterator[Done]:
    """
    Apply *items* one by one, each in one transaction; yield what became of each.

    *plan* is the hash of the whole. Whoever calls it holds the lock of ``find_lock``.
    """
    for item in items:
        if item.is_action:
            try:
                yield Done(item.name, _apply(store, config, item, plan, now, by))
            except (BegunError, NobodyLeftError) as error:
                yield Done(item.name, str(error), failed=isinstance(error, BegunError))


def _apply(store: Store, config: Config, item: Item, plan: str, now: Millis, by: str) -> str:
    """Apply one file and return what was done."""
    entry = plan_hashes.make_entry(item)
    with store.write():
        if item.state is State.RENAMED and item.applied is not None:
            store.applied.end(item.applied.file, now)
            row = item.applied._replace(file=item.name)
            text = f"stands for what was {files.name_file(item.applied.file)}"
        else:
            if item.applied is not None:
                _give_way(store, item.applied, now)
            row, text = _freeze(store, config, item, now)
        row = row._replace(did=item.state.value, people=entry.people, phase=entry.phase)
        store.applied.add(row._replace(plan=plan, at=now, by=by or None))
    return text


def _freeze(store: Store, config: Config, item: Item, now: Millis) -> tuple[AppliedFile, str]:
    if item.plan is None or item.draft is None or item.file is None:
        raise TypeError(f"{item.name} was not planned")
    campaign = series = None
    if item.draft.every:
        draft = replace(item.draft, replaces="")
        series = recurring.add_series(store, config, draft, now).id
        text = f"is scheduled every {item.draft.every.removeprefix('every ')}"
    else:
        frozen = broadcast.freeze(store, broadcast.attend(item.plan), now)
        campaign, text = frozen.id, "is scheduled; the sweep sends it"
        if frozen.cause is Cause.NEEDS_APPROVAL:
            text = f"waits: {frozen.note}"
    row = AppliedFile(
        id=0,
        file=item.name,
        settings_hash=item.file.settings_hash,
        sources_hash=item.sources_hash,
        campaign=campaign,
        series=series,
        did=item.state.value,
        people=0,
        phase="",
        plan="",
        at=now,
        by=None,
    )
    return row, text


def _give_way(store: Store, row: AppliedFile, now: Millis) -> None:
    """
    End what a file stands for, if no message of it was ever claimed; else raise BegunError.

    A sweep claims in a transaction of its own: it came before this one, and is seen here, or
    it finds nothing to claim.
    """
    note = f"{files.name_file(row.file)} was changed"
    if row.series is not None:
        series = find_series(store, row.series)
        if series is not None:
            store.schedules.recurring.reschedule(series.id, None, note)
        return
    campaign = store.campaigns.get_by_id(row.campaign or 0)
    if not can_give_way(store, campaign):
        raise BegunError(f"{campaign.name} has begun meanwhile, so it stays as it is")
    status = CampaignStatus.CANCELLED
    store.campaigns.change_status(campaign.id, status, now, note, Cause.BY_HAND)
    store.deliveries.cancel(campaign.id, now)
    experiments.end_cancelled(store, campaign.id, now)
    free = store.campaigns.find_free_name(f"{campaign.name} (replaced)")
    store.applied.rename_campaign(campaign.id, free)
