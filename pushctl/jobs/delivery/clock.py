"""A clock for durations: nobody sets it, and it goes on while the machine sleeps."""

import time

from pushctl.model import Millis


def steady() -> float:
    """Return seconds since the machine's start; monotonic ones leave out its sleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """The time of one run, which begins at *now*; the wall's clock may jump."""

    def __init__(self, now: Millis) -> None:
        self._start, self._began = now, steady()

    def elapsed(self) -> float:
        """Return the seconds since the run began."""
        return steady() - self._began

    def now(self) -> Millis:
        return self._start + int(self.elapsed() * 1000)
