"""
The line in which requests wait for their turn, and how long is too long.

Requests are taken in slices of a few milliseconds. Between two of them the event loop
lets in who knocks, reads who speaks and tells who is on disk, so none of that waits
behind a thousand requests. Who has waited too long by the time of their turn is told to
come again, which costs a fraction of being served: so those who are served are served
in time, however many come. This is the idea of CoDel (RFC 8289): what counts is how long
the wait was, not how long the line is.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

SLICE = 0.004  # seconds
PATIENCE = 0.06  # seconds in the line; the disk and the way there and back come on top
# A wait before a short line met a machine that paused, not too many visitors.
SHORT = 64

# Serves a request, or refuses it: told whether it has waited too long.
Serve = Callable[[bool], None]


class Line:
    """The requests of all connections that are whole, and wait. The first come first."""

    def __init__(
        self,
        *,
        patience: float = PATIENCE,
        short: int = SHORT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patience = patience
        self._short = short
        self._clock = clock
        self._waiting: deque[tuple[float, Serve]] = deque()
        self._open = False  # a slice is scheduled

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, serve: Serve) -> None:
        """Call *serve* when it is its turn: in this turn of the loop if few are before it."""
        # Not at once: between what uvloop calls the GIL is let go of, and a thread that
        # waits for it makes each of those moments dear. A slice goes without.
        self._waiting.append((self._clock(), serve))
        if not self._open:
            self._open = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        now = self._clock()
        end = now + SLICE
        while self._waiting and now < end:
            since, serve = self._waiting.popleft()
            serve(now - since > self._patience and len(self._waiting) >= self._short)
            now = self._clock()
        self._open = bool(self._waiting)
        if self._open:
            asyncio.get_running_loop().call_soon(self._go_on)
