"""
What came and what was refused, in numbers: the receiver's log, and Prometheus's figures.

A line a minute at most, however much comes in, and nothing in it that names anybody:
no address, no endpoint, no key, no body.
"""

import asyncio
import logging
from collections import Counter

log = logging.getLogger("pushctl.receiver")

MINUTE = 60.0
# Seconds that a record waits until it is on disk: the histogram's edges.
WAITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Tally:
    """Counts by route, by reason where something was refused, and by what the door saw."""

    def __init__(self) -> None:
        self.taken_total: Counter[str] = Counter()
        self.refused_total: Counter[tuple[str, str]] = Counter()
        self.door_total: Counter[str] = Counter()
        self.waits: Counter[float] = Counter()  # by edge; inf beyond the last
        self.waited_seconds = 0.0
        self._logged: Counter[str] = Counter()

    def taken(self, path: str) -> None:
        self.taken_total[path] += 1

    def refused(self, path: str, word: str) -> None:
        self.refused_total[path, word] += 1

    def door(self, word: str) -> None:
        """Count what never became a request: connections shown out, heads that were none."""
        self.door_total[word] += 1

    def waited(self, seconds: float) -> None:
        self.waited_seconds += seconds
        self.waits[next((edge for edge in WAITS if seconds <= edge), float("inf"))] += 1

    def since(self) -> dict[str, int]:
        """Return what was counted since the last call, by the log's names."""
        now: Counter[str] = Counter(self.taken_total)
        for (path, word), count in self.refused_total.items():
            now[f"refused:{path}:{word}"] = count
        for word, count in self.door_total.items():
            now[f"door:{word}"] = count
        news = {
            name: count - self._logged[name]
            for name, count in sorted(now.items(), key=_order)
            if count > self._logged[name]
        }
        self._logged = now
        return news

    async def run(self, every: float = MINUTE) -> None:
        """Log a line now and then; at the end, when cancelled, the last one."""
        try:
            while True:
                await asyncio.sleep(every)
                self.write()
        finally:
            self.write()

    def write(self) -> None:
        news = self.since()
        if news:
            line = " ".join(f"{name.replace(' ', '_')}={count}" for name, count in news.items())
            log.info("%s", line, extra={"counts": news})


def _order(pair: tuple[str, int]) -> tuple[bool, str]:
    return not pair[0].startswith("/"), pair[0]
