"""
After a crash: what the rows are that a dead process left in ``sending``.

The workers' journals outlive them. A letter that was answered gets its answer, one that
was begun and not answered is in doubt, and one that was never begun waits again. That
holds while the machine stays up: a power loss may take the journals' last lines with
it, so a marker beside them says in which life of the machine they were written.
"""

import os
import time
from pathlib import Path

from pushctl.errors import ConfigError
from pushctl.jobs.delivery import render
from pushctl.jobs.delivery.outcomes import OutcomeBatch
from pushctl.jobs.delivery.throttle import Throttle
from pushctl.jobs.delivery.types import RenderedRow
from pushctl.model import Campaign, Cause, Letter, Millis
from pushctl.push import journal
from pushctl.rules.delivery import retry
from pushctl.rules.limits import MIN_FREE_TO_SEND_BYTES
from pushctl.store import Store
from pushctl.store.deliveries import AbandonedRow, ReleasedRow


def settle(store: Store, campaign: Campaign, folder: Path, run: str, now: Millis) -> int:
    """
    Settle what an earlier process of this campaign left behind; return how many in doubt.

    The caller holds the campaign's lock. Raises BusyError when one of its workers lives.
    """
    claimed = store.deliveries.load_claimed(campaign.id)
    if claimed or journal.left(folder, run):
        # The kernel frees a dead parent's lock a moment before it ends its workers.
        time.sleep(0.1)
    left = journal.recover(folder, run)
    doubted: set[int] = set()
    if claimed:
        same_life = _marker(folder, run) == machine_life()
        rows = {row: _rendered(row, what) for row, what in claimed.items()}
        outcomes = {row: left.outcomes[row] for row in claimed if row in left.outcomes}
        doubted = {
            row
            for row in claimed
            if row not in outcomes and (row in left.started or not same_life)
        }
        batch = OutcomeBatch(now)
        batch.add(outcomes.values(), rows, Throttle({}))
        cause = Cause.SENDER_STOPPED if same_life else Cause.MACHINE_RESTARTED
        batch.add((retry.doubt(row, cause) for row in sorted(doubted)), rows, Throttle({}))
        never = [row for row in claimed if row not in outcomes and row not in doubted]
        with store.write():
            # Nobody is made gone for what a dead process was told: whether too many are,
            # it can't say any more. Who really is, the next message finds out.
            batch.write_rows(store)
            batch.write_subscriptions(store, {origin for origin, _ in batch.gone})
            at = dated(campaign, now)
            store.deliveries.release((ReleasedRow(row, at) for row in never), now)
    left.discard()
    return len(doubted)


def _rendered(row: int, what: AbandonedRow) -> RenderedRow:
    # The letter itself is lost with its process; deciding on its outcome needs the rest.
    letter = Letter(row, "", b"", b"", "", b"", 0, "", None)
    lane = (render.origin(what.endpoint or ""), what.key_id or "")
    subscription = what.subscription or 0
    return RenderedRow(letter, lane, what.tries, what.expires_at, subscription, None, 0)


def dated(campaign: Campaign, now: Millis) -> Millis | None:
    """
    Return when a row that never went out is due again.

    Sweeps look at dates alone where all rows have one, which they do with --over.
    """
    return now if campaign.options.get("over") else None


def check_room(folder: Path) -> None:
    """Raise ConfigError when what is sent can't be written down in *folder*, or hardly."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder} can't be written to. Look whose it is, and at its rights.")
    room = os.statvfs(folder)
    if (free := room.f_bavail * room.f_frsize) < MIN_FREE_TO_SEND_BYTES:
        raise ConfigError(
            f"only {free // 1_000_000} MB are free where {folder} is, too little for what "
            "sending writes down. Nothing was sent; make room, then go on."
        )


def begin(folder: Path, run: str) -> None:
    """
    Write down in which life of the machine the journals of *run* are kept.

    Raises ConfigError when the disk can't take that, or hardly anything more: what was sent
    has to be written down.
    """
    check_room(folder)
    file = folder / f"{run}.boot"
    try:
        file.write_text(machine_life())
        file.chmod(0o600)
    except OSError as error:
        raise ConfigError(
            f"{file} can't be written: {error.strerror}. Nothing was sent; make room or put "
            "the folder right, then go on."
        ) from error


def end(folder: Path, run: str) -> None:
    """Remove what ``begin`` wrote: nothing is under way any more."""
    (folder / f"{run}.boot").unlink(missing_ok=True)


def _marker(folder: Path, run: str) -> str | None:
    try:
        return (folder / f"{run}.boot").read_text()
    except OSError:
        return None


def machine_life() -> str:
    """Return what is different after each start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
