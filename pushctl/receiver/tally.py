"""
What came and what was refused, in numbers: the receiver's log.

A line a minute at most, however much comes in, and nothing in it that names anybody:
no address, no endpoint, no key, no body.
"""

import asyncio
import logging
from collections import Counter

log = logging.getLogger("pushctl.receiver")

MINUTE = 60.0


class Tally:
    """Counts by route, and by reason where something was refused."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._refused: Counter[tuple[str, str]] = Counter()

    def taken(self, path: str) -> None:
        self._taken[path] += 1

    def refused(self, path: str, word: str) -> None:
        self._refused[path, word] += 1

    def line(self) -> str:
        """Return what was counted since the last line, or "" for nothing."""
        taken, self._taken = self._taken, Counter()
        refused, self._refused = self._refused, Counter()
        parts = [f"{path}={count}" for path, count in sorted(taken.items())]
        parts += [
            f"refused:{path}:{word}={count}" for (path, word), count in sorted(refused.items())
        ]
        return " ".join(parts)

    async def run(self, every: float = MINUTE) -> None:
        """Log a line now and then; at the end, when cancelled, the last one."""
        try:
            while True:
                await asyncio.sleep(every)
                self.write()
        finally:
            self.write()

    def write(self) -> None:
        line = self.line()
        if line:
            log.info("%s", line)
