"""
The queue of complete requests.

They are served in slices of a few milliseconds. Between two slices the event loop accepts
connections, reads, and writes answers. A request that has waited too long is refused, which
costs a fraction of serving it, so that the others are served in time. This is the idea of
CoDel (RFC 8289): the length of the wait counts, not the length of the queue.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

SLICE_SECONDS = 0.004
MAX_WAIT_SECONDS = 0.06  # in the queue; disk and network come on top
# A long wait in a shorter queue means that the machine paused, not an overload.
SHORT_QUEUE = 64

# Serves a request; with True it refuses it, because it waited too long.
Serve = Callable[[bool], None]


class RequestQueue:
    """The complete requests of all connections, first in, first out."""

    def __init__(
        self,
        *,
        max_wait: float = MAX_WAIT_SECONDS,
        short: int = SHORT_QUEUE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_wait = max_wait
        self._short = short
        self._clock = clock
        self._waiting: deque[tuple[float, Serve]] = deque()
        self._open = False  # a slice is scheduled

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, serve: Serve) -> None:
        """Call *serve* in its turn, which is this turn of the loop when few are before it."""
        # Not immediately: uvloop releases the GIL between callbacks, which is expensive while
        # a thread waits for it. A slice is one callback.
        self._waiting.append((self._clock(), serve))
        if not self._open:
            self._open = True
            asyncio.get_running_loop().call_soon(self._serve_slice)

    def _serve_slice(self) -> None:
        now = self._clock()
        end = now + SLICE_SECONDS
        while self._waiting and now < end:
            since, serve = self._waiting.popleft()
            serve(now - since > self._max_wait and len(self._waiting) >= self._short)
            now = self._clock()
        self._open = bool(self._waiting)
        if self._open:
            asyncio.get_running_loop().call_soon(self._serve_slice)
