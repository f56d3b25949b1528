"""
Group commit: what queued while the disk was busy becomes durable together.

One fdatasync answers everybody who waits for it, so a slow disk costs each visitor
time but the receiver hardly any throughput (docs/receiver.md has the figures). Threads
go from one group straight to the next, so the disk never waits for the event loop: the
answers to one group are given while others are being written. There are two of them,
each with a segment of its own, because disks and their journals take two syncs in hardly
more time than one.
"""

import asyncio
import logging
import os
import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from pushctl.inbox import InboxFullError, Writer, encode
from pushctl.model import InboxRecord, Millis
from pushctl.receiver.answers import Refusal, overloaded

log = logging.getLogger("pushctl.receiver")

WRITERS = 2
MAX_WAITING = 1_024
# A disk that is busy with one group for so long has stalled: who comes now is told so,
# the sooner the more are waiting.
STALLED_SECONDS = 1.0
STALLED_SECONDS_FOR_MANY = 0.25
MANY = 256
# So many are handed over before the loop's turn is over, lest a long one idles the disk.
HAND_OVER = 64
# Each hand-over moves the stamp of what follows by a millisecond at least (Committer.stamp):
# with no more than one a millisecond, stamps stay with the clock.
APART_SECONDS = 0.001
ROTATE_SECONDS = 5.0
MIN_FREE = 64 * 1024 * 1024  # bytes that stay free for the import and the database
LOOK_SECONDS = 1.0  # between looks at the disk's room

# Hears None once the record is on disk, or why it is not.
Told = Callable[[Refusal | None], None]


class Waiting(NamedTuple):
    line: bytes
    at: Millis
    since: float
    told: Told


class Hand:
    """One thread's writer, and what only that thread changes."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.taken = 0  # records, so far
        self.since = 0.0  # when the write under way began; 0: none


class Committer:
    """
    Owns the inbox's writers. ``run`` it as a task; ``close`` lets it finish first.

    What is waiting is bounded, so memory is: at most MAX_WAITING bodies of 8 KiB, twice.
    """

    def __init__(
        self,
        writers: Sequence[Writer],
        most: int = MAX_WAITING,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._hands = [Hand(writer) for writer in writers]
        self._most = most
        self._waited = waited  # hears how long each record took
        self._gathered: list[Waiting] = []  # in this turn of the loop
        self._groups: queue.SimpleQueue[list[Waiting] | None] = queue.SimpleQueue()
        self._put = 0
        self._floor: Millis = 0
        self._handed = 0.0  # when something was handed over last
        self._scheduled = False  # the next time
        self._looked = 0.0
        self._low = False
        self._closing = False
        # Threads of its own: the pool of the event loop may be busy elsewhere.
        self._threads = ThreadPoolExecutor(len(writers), thread_name_prefix="inbox")
        self.full = False  # the last write failed

    def stamp(self, now: Millis) -> Millis:
        """
        Return the time to write into a record that is put *now*.

        It is later than that of every group before, so that who reads two segments by
        time finds what one client did after the other in that order; and never more than
        a millisecond ahead of *now*, while the clock isn't set back.
        """
        return max(now, self._floor)

    def put(self, record: InboxRecord, told: Told) -> None:
        """
        Call *told* from the event loop when *record* is on disk, or could not be put there.

        Raises Refusal (503) when the queue is full, the disk is nearly so, or the
        receiver is stopping: then it is not kept, and *told* hears nothing.
        """
        if self._closing:
            raise overloaded("stopping", "The receiver is being restarted.", 5)
        now = time.monotonic()
        if self.waiting >= self._most or self._is_stalled(now):
            raise overloaded("queue", "Too much is coming in at once.", 5)
        if now - self._looked > LOOK_SECONDS:
            self._looked, self._low = now, self._has_little_room()
        if self._low:
            self.full = True
            raise overloaded("room", "The receiver's disk is nearly full.", 30)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn_over)
        self._gathered.append(Waiting(encode(record), record.at, now, told))
        self._put += 1
        if len(self._gathered) >= HAND_OVER and now - self._handed >= APART_SECONDS:
            self._hand_over()

    async def run(self) -> None:
        """Write until ``close``, and everything that was waiting by then."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(
                loop.run_in_executor(self._threads, self._work, hand, loop)
                for hand in self._hands
            )
        )
        self._threads.shutdown()

    def close(self) -> None:
        """Take nothing more; ``run`` returns when the rest is written."""
        self._closing = True
        self._hand_over()
        for _ in self._hands:
            self._groups.put(None)

    @property
    def waiting(self) -> int:
        """How many records no thread has taken yet."""
        return self._put - sum(hand.taken for hand in self._hands)

    def _is_stalled(self, now: float) -> bool:
        allowed = STALLED_SECONDS_FOR_MANY if self.waiting >= MANY else STALLED_SECONDS
        begun = [hand.since for hand in self._hands]
        return any(since and now - since > allowed for since in begun)

    def _has_little_room(self) -> bool:
        try:
            room = os.statvfs(self._hands[0].writer.folder)
        except OSError:  # not there yet, or broken: writing will tell
            return False
        return room.f_bavail * room.f_frsize < MIN_FREE

    def _turn_over(self) -> None:
        """Hand over what the loop's turn has brought, once it is time again."""
        if self._gathered and time.monotonic() - self._handed < APART_SECONDS:
            # Not for the rest of it: uvloop's timers know whole milliseconds.
            asyncio.get_running_loop().call_later(APART_SECONDS, self._turn_over)
            return
        self._scheduled = False
        self._hand_over()

    def _hand_over(self) -> None:
        if self._gathered:
            self._handed = time.monotonic()
            self._floor = max(each.at for each in self._gathered) + 1
            self._groups.put(self._gathered)
            self._gathered = []

    # --- in a thread that writes ---------------------------------------------------------

    def _work(self, hand: Hand, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            try:
                group = self._groups.get(timeout=LOOK_SECONDS if self.full else ROTATE_SECONDS)
            except queue.Empty:
                if self.full and hand is self._hands[0]:
                    self._try_again(hand, loop)
                with suppress(OSError):  # the next group opens another segment
                    hand.writer.rotate()
                continue
            closed = group is None
            group = list(group or ())
            while not (closed or self._groups.empty()):
                more = self._groups.get()
                closed = more is None
                group += more or ()
            if group:
                hand.taken += len(group)
                loop.call_soon_threadsafe(self._tell, group, self._write(hand, group))
            if closed:
                hand.writer.close()
                return

    def _try_again(self, hand: Hand, loop: asyncio.AbstractEventLoop) -> None:
        """
        See whether the disk takes something again, when nobody comes.

        A proxy that asks /healthz sends nobody to a receiver whose disk is full, so no
        request would ever find out. An empty line is none to whoever reads the inbox.
        """
        if self._has_little_room():
            return
        with suppress(InboxFullError):
            hand.writer.write([b"\n"], time.time_ns() // 1_000_000)
            loop.call_soon_threadsafe(self._tell, [], None)

    def _write(self, hand: Hand, group: list[Waiting]) -> InboxFullError | None:
        hand.since = time.monotonic()
        try:
            hand.writer.write([each.line for each in group], min(each.at for each in group))
        except Exception as error:
            # Whatever it was, nobody may be told that it is on disk, and the next
            # group gets its own try.
            if not self.full:
                log.error("inbox can't be written: %s", error)
            return error if isinstance(error, InboxFullError) else InboxFullError()
        finally:
            hand.since = 0.0
        return None

    # --- and back in the loop ------------------------------------------------------------

    def _tell(self, group: list[Waiting], failure: InboxFullError | None) -> None:
        self.full = failure is not None
        refusal = (
            overloaded("disk", "The receiver can't write to its disk.", 30) if failure else None
        )
        now = time.monotonic()
        for each in group:
            self._waited(now - each.since)
            try:
                each.told(refusal)
            except Exception:  # a mistake of ours with one may not silence the others
                log.exception("an answer could not be given")
