"""
Judges the wall clock by the last sweep: it may be wrong, or the machine was off or asleep.

Only the standard library is loaded: ``quick`` asks every minute. The time of the sweep's lock
file is that of the last sweep; the file beside it holds the machine's own clock at that time,
which goes on while the machine sleeps and which nobody can set.
"""

import os
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from pushctl.rules.units import DAY, HOUR

# A clock that is further off is wrong.
BACKWARD = HOUR
FORWARD = DAY


class Boot(NamedTuple):
    """A start of the machine, and the milliseconds since then, with those asleep."""

    id: str
    at: int


class Verdict(StrEnum):
    PLAUSIBLE = "plausible"
    LEAPT = "leapt"  # the clock was set: the machine's own clock differs
    UNSURE = "unsure"  # the machine was started anew: it was off for long, or is wrong


def read_boot() -> Boot:
    try:
        number = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        number = ""  # never the same as before: judged as after a new start
    return Boot(number, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000)


def read_seconds() -> float:
    """Return the seconds since the machine was started, which time.monotonic leaves asleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read_now() -> int:
    """Return the time in milliseconds."""
    return time.time_ns() // 1_000_000


def read_offset() -> int:
    """Return the milliseconds between the time and the machine's own: setting moves it."""
    return read_now() - int(read_seconds() * 1000)


def name_watch(database: Path) -> Path:
    """Return the file that `sweep --watch` locks; it is as old as its last sign of life."""
    return database.with_name(f"{database.name}.watch")


def name_lock(database: Path) -> Path:
    """Return the file that a sweep of *database* locks, and that is as old as the last one."""
    return database.with_name(f"{database.name}.sweep")


def read_last_sweep(lock: Path) -> int | None:
    """Return when the last sweep ended: the time of its lock file; None before the first."""
    try:
        return lock.stat().st_mtime_ns // 1_000_000 or None  # 0: none has ended yet
    except OSError:
        return None


def judge(lock: Path, now: int, boot: Boot) -> Verdict | None:
    """Return whether *now* may follow the last sweep; None before the first one."""
    before = read_last_sweep(lock)
    if before is None:
        return None
    earlier = _read(lock, before)
    if earlier is not None and earlier.id == boot.id and boot.id:
        before += max(0, boot.at - earlier.at)
        return Verdict.PLAUSIBLE if _is_near(now, before) else Verdict.LEAPT
    return Verdict.PLAUSIBLE if _is_near(now, before) else Verdict.UNSURE


def record_sweep(lock: Path, now: int, boot: Boot) -> None:
    """Store when a sweep ended, by both clocks."""
    # Not synced: after a power loss it belongs to an earlier start anyway. A torn one counts
    # as none.
    with suppress(OSError):
        handle = os.open(_file(lock), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{now} {boot.id} {boot.at}\n".encode(), 0)
        finally:
            os.close(handle)
    restore(lock, now)


def restore(lock: Path, before: int) -> None:
    """Set the time of the last sweep to *before*."""
    # Somebody may have removed the file while the sweep was at work.
    os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    os.utime(lock, ns=(before * 1_000_000, before * 1_000_000))


def _is_near(now: int, expected: int) -> bool:
    return -BACKWARD <= now - expected < FORWARD


def _file(lock: Path) -> Path:
    return lock.with_suffix(".clock")


def _read(lock: Path, before: int) -> Boot | None:
    """Return the machine's clock at the sweep that ended at *before*, None if unknown."""
    try:
        now, number, at = _file(lock).read_text("ascii").split(" ")
        return Boot(number, int(at)) if int(now) == before else None
    except (OSError, ValueError):
        return None
