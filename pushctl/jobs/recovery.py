"""
After a crash: what the rows are that a dead process left in ``sending``.

The workers' journals outlive them. A letter that was answered gets its answer, one that
was begun and not answered is in doubt, and one that was never begun waits again. That
holds while the machine stays up: a power loss may take the journals' last lines with
it, so a marker beside them says in which life of the machine they were written.
"""

import time
from pathlib import Path

from pushctl.jobs.booking import Book
from pushctl.jobs.letters import Item
from pushctl.jobs.traffic import Traffic
from pushctl.model import Answer, Campaign, Letter, Millis, Outcome
from pushctl.push import journal
from pushctl.rules.policy import RESTARTED, STOPPED
from pushctl.store import Store


def settle(store: Store, campaign: Campaign, folder: Path, run: str, now: Millis) -> int:
    """
    Settle what an earlier process of this campaign left behind; return how many in doubt.

    The caller holds the campaign's lock. Raises BusyError when one of its workers lives.
    """
    if any(folder.glob(f"{run}-*.journal")):
        # The kernel frees a dead parent's lock a moment before it ends its workers.
        time.sleep(0.1)
    left = journal.recover(folder, run)
    claimed = store.deliveries.claimed(campaign.id)
    doubted: set[int] = set()
    if claimed:
        same_life = _marker(folder, run) == machine_life()
        items = {
            row: _item(row, tries, expires_at, subscription or 0)
            for row, (tries, expires_at, subscription) in claimed.items()
        }
        outcomes = {row: left.outcomes[row] for row in claimed if row in left.outcomes}
        doubted = {
            row
            for row in claimed
            if row not in outcomes and (row in left.started or not same_life)
        }
        book = Book(now)
        book.add(outcomes.values(), items, Traffic({}))
        reason = STOPPED if same_life else RESTARTED
        book.add((doubt(row, reason) for row in sorted(doubted)), items, Traffic({}))
        never = [row for row in claimed if row not in outcomes and row not in doubted]
        with store.write():
            book.write(store)
            store.deliveries.release((None, None, now, row) for row in never)
    left.discard()
    return len(doubted)


def doubt(delivery: int, reason: str) -> Outcome:
    """Return what is known of a letter that was begun and whose answer nobody has."""
    return Outcome(delivery, Answer.IN_DOUBT, reason)


def _item(row: int, tries: int, expires_at: Millis | None, subscription: int) -> Item:
    # The letter itself is lost with its process; deciding on its answer needs the rest.
    letter = Letter(row, "", b"", b"", "", b"", 0, "", None)
    return Item(letter, ("", ""), tries, expires_at, subscription, None, 0)


def begin(folder: Path, run: str) -> None:
    """Write down in which life of the machine the journals of *run* are kept."""
    file = folder / f"{run}.boot"
    file.write_text(machine_life())
    file.chmod(0o600)


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
