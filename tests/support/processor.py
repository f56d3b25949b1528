"""Processor time of this process and all that it has started, as the kernel counts it."""

import os
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")  # a second
_told = 0.0


def begin() -> None:
    """Let the next ``lap`` be what is spent from now on."""
    global _told
    _told = measure()


def lap() -> float:
    """Return the seconds since the last lap."""
    global _told
    before, _told = _told, measure()
    return max(0.0, _told - before)


def measure() -> float:
    """
    Return the seconds so far, of all cores together: ours, of who has ended, of who runs.

    What a descendant used that ended before its parent's end is told with its parent's.
    """
    spent = os.times()
    return sum(spent[:4]) + _measure_children(os.getpid()) / _TICKS


def _measure_children(parent: int) -> int:
    ticks = 0
    with suppress(OSError):  # whoever ends meanwhile is counted by its parent
        for task in os.listdir(f"/proc/{parent}/task"):
            for child in Path(f"/proc/{parent}/task/{task}/children").read_text().split():
                fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15])) + _measure_children(int(child))
    return ticks
