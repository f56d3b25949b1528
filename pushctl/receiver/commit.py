"""
Group commit: what queued while the disk was busy becomes durable together.

One fdatasync answers everybody who waits for it, so a slow disk costs each visitor
time but the receiver hardly any throughput (docs/receiver.md has the figures).
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pushctl.inbox import InboxFullError, Writer
from pushctl.model import InboxRecord
from pushctl.receiver.answers import overloaded

log = logging.getLogger("pushctl.receiver")

MAX_WAITING = 1_024
# A disk that is slower than this has stalled: those who come now are better told so.
MAX_WAIT_SECONDS = 1.0
ROTATE_SECONDS = 5.0
MIN_FREE = 64 * 1024 * 1024  # bytes that stay free for the import and the database
LOOK_SECONDS = 1.0  # between looks at the disk's room

Waiting = tuple[InboxRecord, asyncio.Future[None], float]


class Committer:
    """
    Owns the inbox's writer. ``run`` it as a task; ``close`` lets it finish first.

    What is waiting is bounded, so memory is: at most MAX_WAITING bodies of 8 KiB, twice.
    """

    def __init__(
        self,
        writer: Writer,
        most: int = MAX_WAITING,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._writer = writer
        self._most = most
        self._waited = waited  # hears how long each record took
        self._waiting: list[Waiting] = []
        self._looked = 0.0
        self._low = False
        self._wake = asyncio.Event()
        self._closing = False
        # A thread of its own: the pool of the event loop may be busy elsewhere.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inbox")
        self.full = False  # the last write failed

    async def put(self, record: InboxRecord) -> None:
        """
        Return when *record* is on disk.

        Raises Refusal (503) when the queue is full, the disk can't take it, or the
        receiver is stopping: then it is not kept.
        """
        if self._closing:
            raise overloaded("stopping", "The receiver is being restarted.", 5)
        now = time.monotonic()
        if len(self._waiting) >= self._most or (
            self._waiting and now - self._waiting[0][2] > MAX_WAIT_SECONDS
        ):
            raise overloaded("queue", "Too much is coming in at once.", 5)
        if now - self._looked > LOOK_SECONDS:
            self._looked, self._low = now, self._has_little_room()
        if self._low:
            self.full = True
            raise overloaded("room", "The receiver's disk is nearly full.", 30)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, written, now))
        self._wake.set()
        try:
            await written
        except InboxFullError:
            raise overloaded("disk", "The receiver can't write to its disk.", 30) from None

    async def run(self) -> None:
        """Write until ``close``, and everything that was waiting by then."""
        while not (self._closing and not self._waiting):
            try:
                async with asyncio.timeout(ROTATE_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                await self._in_thread(self._writer.rotate)
            self._wake.clear()
            batch, self._waiting = self._waiting, []
            if batch:
                await self._write(batch)
        await self._in_thread(self._writer.close)
        self._thread.shutdown()

    def close(self) -> None:
        """Take nothing more; ``run`` returns when the rest is written."""
        self._closing = True
        self._wake.set()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def _has_little_room(self) -> bool:
        try:
            room = os.statvfs(self._writer.folder)
        except OSError:  # not there yet, or broken: writing will tell
            return False
        return room.f_bavail * room.f_frsize < MIN_FREE

    async def _write(self, batch: list[Waiting]) -> None:
        failure: Exception | None = None
        try:
            await self._in_thread(self._writer.append, [one[0] for one in batch])
        except Exception as error:
            # Whatever it was, nobody may be told that it is on disk, and the next
            # batch gets its own try.
            failure = error if isinstance(error, InboxFullError) else InboxFullError()
            if not self.full:
                log.error("inbox can't be written: %s", error)
        self.full = failure is not None
        now = time.monotonic()
        for _, written, since in batch:
            self._waited(now - since)
            if written.done():  # the client has gone
                continue
            if failure is None:
                written.set_result(None)
            else:
                written.set_exception(failure)

    async def _in_thread(self, work: object, *arguments: object) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, work, *arguments)  # type: ignore[arg-type]
