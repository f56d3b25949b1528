"""This machine: its clock, its SQLite, and the room on each of its disks."""

import os
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from pushctl.config import Config
from pushctl.jobs.delivery.postbox import open_keyless
from pushctl.jobs.project.check_notes import Finding, Level, fine
from pushctl.jobs.sweep import clock
from pushctl.model import Millis
from pushctl.rules import timing, units
from pushctl.rules.limits import MIN_FREE_TO_CHECK_BYTES
from pushctl.rules.wording import counted
from pushctl.store import clocks, soundness

# Dates of answers are whole seconds, and some services answer late.
_NEAR: Millis = 5 * units.SECOND
_MIN_FREE_FILES = 1_000
_NTP = "Let the machine take its time from NTP (chrony, systemd-timesyncd)."


def look_at_clock(
    config: Config, proved: Iterable[str], now: Millis, seconds: float
) -> Iterator[Finding]:
    """Compare this machine's clock with push services'; *proved* have taken a message."""
    from pushctl.push import dates

    began = clocks.read_seconds()
    postbox = replace(open_keyless(config, "check"), timeout=seconds)
    found = dates.ask(clock.list_origins(config, proved), postbox)
    place = "this machine"
    if not found:
        text = "no push service could be asked for the time"
        remedy = "Nothing can be sent either: look at the network, DNS and push.proxy."
        yield Finding("clock", Level.PROBLEM, place, text, remedy)
        return
    now += int((clocks.read_seconds() - began) * units.SECOND)
    # One of them may be wrong itself.
    off = now - int(statistics.median_low(found))
    services = counted(len(found), "push service")
    said = timing.say(abs(off) // units.SECOND * units.SECOND)
    if abs(off) <= _NEAR:
        yield fine("clock", place, f"agrees with {services}")
        return
    way = "behind" if off < 0 else "ahead of"
    level = Level.PROBLEM if abs(off) > clock.TOLERANCE else Level.NOTE
    yield Finding("clock", level, place, f"is {said} {way} {services}", _NTP)


def look_at_sqlite() -> Iterator[Finding]:
    version = soundness.SQLITE_VERSION
    number = ".".join(map(str, version))
    if not soundness.has_wal_reset_fault(version) and not soundness.find_faults(version):
        yield fine(
            "database", f"SQLite {number}", "no fault of it is known that concerns pushctl"
        )


def look_at_disks(config: Config) -> Iterator[Finding]:
    """Look at the file systems of the project besides its folder's, and their free files."""
    seen = set[int]()
    for path in (config.database, config.inbox, config.journal, config.status, config.keys):
        try:
            folder = _find_existing(path)
            device = folder.stat().st_dev
            room = os.statvfs(folder)
        except OSError:
            continue  # the area that needs it says so
        if device in seen:
            continue
        seen.add(device)
        free = room.f_bavail * room.f_frsize
        # Some file systems count no files.
        files = room.f_favail if room.f_files else None
        found = _describe_disk(folder, free, files)
        if found.level is Level.PROBLEM or device != config.folder.stat().st_dev:
            yield found


def _describe_disk(folder: Path, free: int, files: int | None) -> Finding:
    text = f"{free / 1e9:.1f} GB free"
    remedy = "Make room: a full disk stops the receiver and every campaign."
    if free < MIN_FREE_TO_CHECK_BYTES:
        return Finding("disk", Level.PROBLEM, str(folder), f"only {text}", remedy)
    if files is not None and files < _MIN_FREE_FILES:
        text = f"only {files:,} more files fit, whatever room is free"
        return Finding("disk", Level.PROBLEM, str(folder), text, remedy)
    return Finding("disk", Level.FINE, str(folder), text)


def _find_existing(path: Path) -> Path:
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path
