"""
Settles the rows that a dead process left in ``sending``.

By the workers' journals: an answered letter gets its outcome, one that was begun is in
doubt, and all others wait again. A power loss may take the journals' last lines; so a
marker beside them holds the boot id, and after a restart of the machine all rows without
an answer are in doubt.
"""

import os
import time
from pathlib import Path

from pushctl.errors import ConfigError
from pushctl.jobs.delivery.push_services.throttle import Throttle
from pushctl.jobs.delivery.results.outcomes import OutcomeBatch
from pushctl.jobs.delivery.types import RenderedRow
from pushctl.model import Campaign, Cause, Letter, Millis
from pushctl.push import journal
from pushctl.rules.delivery import endpoints, retry
from pushctl.rules.limits import MIN_FREE_TO_SEND_BYTES
from pushctl.store import Store, clocks
from pushctl.store.ledger_rows import AbandonedRow, ReleasedRow


def settle(store: Store, campaign: Campaign, folder: Path, run: str, now: Millis) -> int:
    """
    Settle the rows of an earlier process of this campaign; return how many are in doubt.

    The caller holds the campaign's lock. Raises BusyError when one of its workers lives.
    """
    claimed = store.deliveries.load_claimed(campaign.id)
    if claimed or journal.find_files(folder, run):
        # The kernel frees a dead parent's lock a moment before it ends its workers.
        time.sleep(0.1)
    left = journal.recover(folder, run)
    doubted: set[int] = set()
    if claimed:
        same_life = _is_same_life(folder, run)
        rows = {row: _rendered(row, what) for row, what in claimed.items()}
        outcomes = {row: left.outcomes[row] for row in claimed if row in left.outcomes}
        unanswered = claimed.keys() - outcomes.keys()
        doubted = unanswered & left.started if same_life else unanswered
        batch = OutcomeBatch(now)
        batch.add(outcomes.values(), rows, Throttle({}))
        cause = Cause.SENDER_STOPPED if same_life else Cause.MACHINE_RESTARTED
        batch.add((retry.doubt(row, cause) for row in sorted(doubted)), rows, Throttle({}))
        with store.write():
            # No subscription is made gone: the check for mass gone ended with the process.
            # The next message finds those that are.
            batch.write_rows(store, late=True)
            batch.write_subscriptions(store, {origin for origin, _ in batch.gone})
            at, never = choose_due(campaign, now), sorted(unanswered - doubted)
            store.deliveries.release((ReleasedRow(row, at) for row in never), now)
    left.discard()
    return len(doubted)


def _rendered(row: int, what: AbandonedRow) -> RenderedRow:
    # The letter was lost with its process; retry.decide needs the rest only.
    letter = Letter(row, what.endpoint or "", b"", b"", "", b"", 0, "", None)
    lane = (endpoints.cut_origin(what.endpoint or ""), what.key_id or "")
    subscription = what.subscription or 0
    return RenderedRow(letter, lane, what.tries, what.expires_at, subscription, None, 0)


def choose_due(campaign: Campaign, now: Millis) -> Millis | None:
    """Return when an unsent row is due again: with --over, sweeps find rows by date alone."""
    return now if campaign.options.get("over") else None


def check_room(folder: Path) -> None:
    """Raise ConfigError when no journal can be written in *folder*, or its disk is full."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder} can't be written to. Look whose it is, and at its rights.")
    room = os.statvfs(folder)
    if (free := room.f_bavail * room.f_frsize) < MIN_FREE_TO_SEND_BYTES:
        raise ConfigError(
            f"only {free // 1_000_000} MB are free where {folder} is, too little for what "
            "sending writes down. Nothing was sent; make room, then go on."
        )


def write_marker(folder: Path, run: str) -> None:
    """Write the marker of *run*; raises ConfigError when the disk is full or not writable."""
    check_room(folder)
    file = folder / f"{run}.boot"
    try:
        file.write_text(clocks.read_boot().id)
        file.chmod(0o600)
    except OSError as error:
        raise ConfigError(
            f"{file} can't be written: {error.strerror}. Nothing was sent; make room or put "
            "the folder right, then go on."
        ) from error


def remove_marker(folder: Path, run: str) -> None:
    """Remove the marker of *run*: nothing is under way any more."""
    (folder / f"{run}.boot").unlink(missing_ok=True)


def _is_same_life(folder: Path, run: str) -> bool:
    """Return whether the machine has not been started anew since the marker was written."""
    try:
        marker = (folder / f"{run}.boot").read_text()
    except OSError:
        return False
    # Without /proc there is no id: then nobody knows.
    return bool(marker) and marker == clocks.read_boot().id
