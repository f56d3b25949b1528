"""
Group commit: records that queue while the disk is busy become durable together.

One fdatasync serves a whole group, so a slow disk costs each request time but the receiver
hardly any throughput (docs/receiver.md has the figures). Threads write, so the disk never
waits for the event loop. There are two, each with a segment of its own: two syncs at once
take hardly more time than one.
"""

import asyncio
import logging
import os
import queue
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from pushctl.inbox import InboxFullError, Writer, encode
from pushctl.model import InboxRecord, Millis
from pushctl.receiver.answers import Refusal, retry_later
from pushctl.rules import tokens
from pushctl.rules.limits import MAX_WAITING_BYTES, MIN_FREE_TO_RECEIVE_BYTES

log = logging.getLogger("pushctl.receiver")

WRITERS = 2
MAX_WAITING = 1_024
# A disk that takes longer than this for a group has stalled: new records are refused.
STALLED_SECONDS = 1.0
STALLED_SECONDS_FOR_MANY = 0.25
MANY = 256
# Flushed within a turn of the loop, or the disk would idle in a long turn.
FLUSH_RECORDS = 64
# Each flush moves later stamps by a millisecond at least (Committer.next_stamp); with one
# flush a millisecond at most, stamps keep up with the clock.
FLUSH_SECONDS = 0.001
ROTATE_SECONDS = 5.0
CHECK_SECONDS = 1.0  # between looks at the disk's room

# Called with None once the record is on disk, else with the refusal.
Done = Callable[[Refusal | None], None]


class Pending(NamedTuple):
    line: bytes
    at: Millis
    since: float
    done: Done


class WriterThread:
    """One thread's writer and the fields that this thread alone changes."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.taken = 0  # records
        self.taken_bytes = 0
        self.since = 0.0  # begin of the write under way, monotonic; 0: none


class Committer:
    """
    Writes the inbox. ``run`` it as a task; ``close`` ends it after the last write.

    At most MAX_WAITING records and MAX_WAITING_BYTES wait, and as many are being written.
    """

    def __init__(
        self,
        writers: Sequence[Writer],
        most: int = MAX_WAITING,
        record_wait: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._writer_threads = [WriterThread(writer) for writer in writers]
        self._most = most
        self._record_wait = record_wait  # seconds
        self._pending: list[Pending] = []  # in this turn of the loop
        self._groups: queue.SimpleQueue[list[Pending] | None] = queue.SimpleQueue()
        self._put = 0
        self._put_bytes = 0
        self._floor: Millis = 0
        self._flushed = 0.0  # time of the last flush, monotonic
        self._scheduled = False  # the next flush
        self._room_checked = 0.0
        self._little_room = False
        self._closing = False
        # Not the event loop's own pool, which may be busy.
        self._executor = ThreadPoolExecutor(len(writers), thread_name_prefix="inbox")
        self.full = False  # the last write failed

    def next_stamp(self, now: Millis) -> Millis:
        """
        Return the time of a record that is put *now*.

        It is later than those of earlier groups: a reader that merges segments by time keeps
        the order of a client's requests. It is at most 1 ms ahead of *now*, unless the clock
        was set back.
        """
        return max(now, self._floor)

    def put(self, record: InboxRecord, done: Done) -> int:
        """
        Queue *record*; return the bytes of its line.

        The event loop calls *done* when it is on disk, or can't be written.

        Raises Refusal (503) when the queue is full, the disk is nearly full, or the
        receiver is stopping; *done* is not called then.
        """
        if self._closing:
            raise retry_later("stopping", "The receiver is being restarted.", 5)
        now = time.monotonic()
        much = self.waiting_bytes >= MAX_WAITING_BYTES
        if much or self.waiting >= self._most or self._is_stalled(now):
            raise retry_later("queue", "Too much is coming in at once.", 5)
        if now - self._room_checked > CHECK_SECONDS:
            self._room_checked, self._little_room = now, self._has_little_room()
        if self._little_room:
            self.full = True
            raise retry_later("room", "The receiver's disk is nearly full.", 30)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush_in_time)
        line = encode(record)
        self._pending.append(Pending(line, record.at, now, done))
        self._put += 1
        self._put_bytes += len(line)
        if len(self._pending) >= FLUSH_RECORDS and now - self._flushed >= FLUSH_SECONDS:
            self._flush()
        return len(line)

    async def write(self, path: str, site: str, body: str) -> None:
        """Return when a line of ours is on disk; raises Refusal where it can't be written."""
        written: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()

        def done(refusal: Refusal | None) -> None:
            if not written.done():  # who waited may be gone
                written.set_result(refusal)

        self.put(self.make_record(path, site, body), done)
        refusal = await written
        if refusal is not None:
            raise refusal

    def make_record(self, path: str, site: str, body: str) -> InboxRecord:
        """Return a line that the receiver's own code writes, and no page has signed."""
        return InboxRecord(
            id=tokens.encode(secrets.token_bytes(16)),
            at=self.next_stamp(time.time_ns() // 1_000_000),
            path=path,
            site=site,
            body=body,
        )

    async def run(self) -> None:
        """Write until ``close``, and then all that waits."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(
                loop.run_in_executor(self._executor, self._write_groups, thread, loop)
                for thread in self._writer_threads
            )
        )
        self._executor.shutdown()

    def close(self) -> None:
        """Refuse new records; ``run`` returns when the rest is written."""
        self._closing = True
        self._flush()
        for _ in self._writer_threads:
            self._groups.put(None)

    @property
    def waiting(self) -> int:
        """Number of records that no thread has taken yet."""
        return self._put - sum(thread.taken for thread in self._writer_threads)

    @property
    def waiting_bytes(self) -> int:
        """What those records have together."""
        return self._put_bytes - sum(thread.taken_bytes for thread in self._writer_threads)

    def _is_stalled(self, now: float) -> bool:
        allowed = STALLED_SECONDS_FOR_MANY if self.waiting >= MANY else STALLED_SECONDS
        begun = [thread.since for thread in self._writer_threads]
        return any(since and now - since > allowed for since in begun)

    def _has_little_room(self) -> bool:
        try:
            room = os.statvfs(self._writer_threads[0].writer.folder)
        except OSError:  # missing or broken: the write itself will fail
            return False
        return room.f_bavail * room.f_frsize < MIN_FREE_TO_RECEIVE_BYTES

    def _flush_in_time(self) -> None:
        """Flush the records of this turn of the loop, FLUSH_SECONDS after the last flush."""
        if self._pending and time.monotonic() - self._flushed < FLUSH_SECONDS:
            # The whole time, not its rest: uvloop's timers count whole milliseconds.
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush_in_time)
            return
        self._scheduled = False
        self._flush()

    def _flush(self) -> None:
        if self._pending:
            self._flushed = time.monotonic()
            self._floor = max(each.at for each in self._pending) + 1
            self._groups.put(self._pending)
            self._pending = []

    def _write_groups(self, thread: WriterThread, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            try:
                group = self._groups.get(timeout=CHECK_SECONDS if self.full else ROTATE_SECONDS)
            except queue.Empty:
                if self.full and thread is self._writer_threads[0]:
                    self._probe_disk(thread, loop)
                with suppress(OSError):  # the next group opens another segment
                    thread.writer.rotate()
                continue
            closed = group is None
            group = list(group or ())
            while not (closed or self._groups.empty()):
                more = self._groups.get()
                closed = more is None
                group += more or ()
            if group:
                thread.taken += len(group)
                thread.taken_bytes += sum(len(each.line) for each in group)
                loop.call_soon_threadsafe(self._notify, group, self._write(thread, group))
            if closed:
                thread.writer.close()
                return

    def _probe_disk(self, thread: WriterThread, loop: asyncio.AbstractEventLoop) -> None:
        """
        Write an empty line, which readers skip, to find out whether a full disk has room again.

        A proxy that checks /healthz sends no requests while it is full.
        """
        if self._has_little_room():
            return
        with suppress(InboxFullError):
            thread.writer.write([b"\n"], time.time_ns() // 1_000_000)
            loop.call_soon_threadsafe(self._notify, [], None)

    def _write(self, thread: WriterThread, group: list[Pending]) -> InboxFullError | None:
        thread.since = time.monotonic()
        try:
            thread.writer.write([each.line for each in group], min(each.at for each in group))
        except Exception as error:
            # After any error no client may get a 204; the next group is tried again.
            if not self.full:
                log.error("inbox can't be written: %s", error)
            return error if isinstance(error, InboxFullError) else InboxFullError()
        finally:
            thread.since = 0.0
        return None

    def _notify(self, group: list[Pending], failure: InboxFullError | None) -> None:
        self.full = failure is not None
        refusal = (
            retry_later("disk", "The receiver can't write to its disk.", 30)
            if failure
            else None
        )
        now = time.monotonic()
        for each in group:
            self._record_wait(now - each.since)
            try:
                each.done(refusal)
            except Exception:  # one bug must not cost the others their answers
                log.exception("an answer could not be given")
