"""
Group commit: what queued while the disk was busy becomes durable together.

One fdatasync answers everybody who waits for it, so a slow disk costs each visitor
time but the receiver hardly any throughput (docs/receiver.md has the figures).
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from pushctl.inbox import InboxFullError, Writer
from pushctl.model import InboxRecord
from pushctl.receiver.answers import overloaded

log = logging.getLogger("pushctl.receiver")

MAX_WAITING = 4_096
ROTATE_SECONDS = 5.0


class Committer:
    """
    Owns the inbox's writer. ``run`` it as a task; ``close`` lets it finish first.

    What is waiting is bounded, so memory is: at most MAX_WAITING bodies of 8 KiB.
    """

    def __init__(self, writer: Writer, most: int = MAX_WAITING) -> None:
        self._writer = writer
        self._most = most
        self._waiting: list[tuple[InboxRecord, asyncio.Future[None]]] = []
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
        if len(self._waiting) >= self._most:
            raise overloaded("queue", "Too much is coming in at once.", 5)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, written))
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

    async def _write(self, batch: list[tuple[InboxRecord, asyncio.Future[None]]]) -> None:
        failure: Exception | None = None
        try:
            await self._in_thread(self._writer.append, [record for record, _ in batch])
        except Exception as error:
            # Whatever it was, nobody may be told that it is on disk, and the next
            # batch gets its own try.
            failure = error if isinstance(error, InboxFullError) else InboxFullError()
            if not self.full:
                log.error("inbox can't be written: %s", error)
        self.full = failure is not None
        for _, written in batch:
            if written.done():  # the client has gone
                continue
            if failure is None:
                written.set_result(None)
            else:
                written.set_exception(failure)

    async def _in_thread(self, work: object, *arguments: object) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, work, *arguments)  # type: ignore[arg-type]
