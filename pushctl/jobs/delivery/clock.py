"""A clock for durations: it can't be set, and it goes on while the machine sleeps."""

import time

from pushctl.model import Millis


def read_boot_clock() -> float:
    """Return the seconds since boot, with those asleep, which time.monotonic leaves out."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """The time of one run, which begins at *now*; the wall clock may jump meanwhile."""

    def __init__(self, now: Millis) -> None:
        self._start, self._began = now, read_boot_clock()

    def elapsed(self) -> float:
        """Return the seconds since the run began."""
        return read_boot_clock() - self._began

    def now(self) -> Millis:
        return self._start + int(self.elapsed() * 1000)
