"""
Virtual time: a sweep at every minute in which something is due, as cron would start it.

Minutes in which nothing is due are skipped. Between two sweeps the visitors answer what
they received.
"""

import time
from collections.abc import Callable, Sequence

from pushctl.config import Config
from pushctl.errors import PushctlError
from pushctl.jobs.sweep import sweep
from pushctl.model import Millis
from pushctl.output import Progress
from pushctl.rules.units import DAY, MINUTE
from pushctl.store import Store

# An enrolment that is due every minute would never let a day pass.
_MOST_SWEEPS = 300
_REHEARSAL = sweep.Options(rehearsal=True)


class VirtualMonth:
    """
    Sweeps through days in seconds.

    *answered* returns once the visitors have answered every accepted message; *progress*
    advances by one for each day.
    """

    def __init__(
        self, config: Config, store: Store, answered: Callable[[], None], progress: Progress
    ) -> None:
        self._config, self._store = config, store
        self._answered, self._progress = answered, progress
        self._began = self._now = time.time_ns() // 1_000_000
        self._days = 0
        self.sweeps = 0

    def sweep(self, at: Millis) -> None:
        """Sweep at *at*; PushctlError on any note or refusal, since here none may be."""
        self._now = at
        self.sweeps += 1
        done = sweep.run(self._config, self._store, at, _REHEARSAL)
        trouble = [*done.notes, *([done.refused] if done.refused else [])]
        if trouble:
            raise PushctlError(f"a sweep of the demo says: {' '.join(trouble)}")
        self._answered()
        days = (at - self._began) // DAY
        self._progress.advance(days - self._days)
        self._days = days

    def run_until(self, until: Millis, stops: Sequence[Millis] = ()) -> None:
        """Sweep whenever an enrolment is due up to *until*, and at each of *stops*."""
        waiting = sorted(stops)
        while (at := self._find_next(waiting)) <= until:
            waiting = [stop for stop in waiting if stop > at]
            self.sweep(at)
            if self.sweeps > _MOST_SWEEPS:
                raise PushctlError("the demo's month does not end. This is a bug.")

    def _find_next(self, stops: Sequence[Millis]) -> Millis:
        """Return the next full minute in which an enrolment or a stop is due."""
        due = self._store.triggers.find_next_due(())
        times = [*stops[:1], *([] if due is None else [due])]
        if not times:
            return self._now + 400 * DAY
        first = max(min(times), self._now + 1)
        return -(-first // MINUTE) * MINUTE
