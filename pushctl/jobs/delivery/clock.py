"""A clock for durations: it can't be set, and it goes on while the machine sleeps."""

from pushctl.model import Millis
from pushctl.store.clocks import read_seconds


class Clock:
    """The time of one run, which begins at *now*; the wall clock may jump meanwhile."""

    def __init__(self, now: Millis) -> None:
        self._start, self._began = now, read_seconds()

    def elapsed(self) -> float:
        """Return the seconds since the run began."""
        return read_seconds() - self._began

    def now(self) -> Millis:
        return self._start + int(self.elapsed() * 1000)
