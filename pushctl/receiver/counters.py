"""
Counts of requests taken and refused, for the receiver's log and for Prometheus.

The log gets one line a minute at most, without address, endpoint, key or body.
"""

import asyncio
import logging
from collections import Counter

log = logging.getLogger("pushctl.receiver")

LOG_SECONDS = 60.0
# Seconds that a record waits until it is on disk: the histogram's edges.
WAITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Tally:
    """Counts requests by route and reason, connections by reason."""

    def __init__(self) -> None:
        self.taken_total: Counter[str] = Counter()
        self.ignored_total: Counter[str] = Counter()
        self.refused_total: Counter[tuple[str, str]] = Counter()
        self.closed_total: Counter[str] = Counter()
        self.waits: Counter[float] = Counter()  # by edge; inf beyond the last
        self.waited_seconds = 0.0
        self._logged: Counter[str] = Counter()

    def count_taken(self, path: str) -> None:
        self.taken_total[path] += 1

    def count_ignored(self, path: str) -> None:
        """Count a request that was answered well and has no effect."""
        self.ignored_total[path] += 1

    def count_refused(self, path: str, word: str) -> None:
        self.refused_total[path, word] += 1

    def count_closed(self, word: str) -> None:
        """Count a connection that was closed, or bytes that were no request."""
        self.closed_total[word] += 1

    def record_wait(self, seconds: float) -> None:
        self.waited_seconds += seconds
        self.waits[next((edge for edge in WAITS if seconds <= edge), float("inf"))] += 1

    def take_new(self) -> dict[str, int]:
        """Return what was counted since the last call, by the log's names."""
        now: Counter[str] = Counter(self.taken_total)
        now.update({f"ignored:{path}": count for path, count in self.ignored_total.items()})
        now.update(
            {f"refused:{path}:{word}": n for (path, word), n in self.refused_total.items()}
        )
        now.update({f"door:{word}": count for word, count in self.closed_total.items()})
        news = {
            name: count - self._logged[name]
            for name, count in sorted(now.items(), key=lambda it: (it[0][0] != "/", it[0]))
            if count > self._logged[name]
        }
        self._logged = now
        return news

    async def run(self, every: float = LOG_SECONDS) -> None:
        """Log a line each *every* seconds; the last one when cancelled."""
        try:
            while True:
                await asyncio.sleep(every)
                self.log_new()
        finally:
            self.log_new()

    def log_new(self) -> None:
        news = self.take_new()
        if news:
            line = " ".join(f"{name.replace(' ', '_')}={count}" for name, count in news.items())
            log.info("%s", line, extra={"counts": news})
