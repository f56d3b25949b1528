"""
The coordinator of a run: it hands out letters to workers, each once, and takes the answers.

A chunk is offered, then taken by one worker under a lease, then ended; never is it taken
again. A worker gets letters a few at a time. Before they leave, the chunk's journal on this
machine says that they are started; an answer is in it as soon as it has come. So after the
death of a worker, or of this process, those in doubt are the ones that were under way.

The connections live in a thread of their own. All other methods may be called from the
run's thread; none of them waits for the network, except ``start`` and ``close``.
"""

import asyncio
import os
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from pushctl.errors import ConfigError
from pushctl.model import Cause, Letter, Outcome
from pushctl.push import clock
from pushctl.push.cluster.chunk_state import Chunk, Peer
from pushctl.push.cluster.session import Session
from pushctl.push.journal import Journal
from pushctl.push.postbox import Postbox
from pushctl.rules.delivery import retry
from pushctl.rules.delivery.endpoints import cut_origin

_T = TypeVar("_T")

LATE_SECONDS = 1.0  # after the end of a lease, until its chunk is given up
_LOOK_SECONDS = 0.25  # between two looks for leases that have ended


@dataclass
class Back:
    """What came back since the last ``collect``."""

    outcomes: list[Outcome] = field(default_factory=list)
    unsent: list[Letter] = field(default_factory=list)
    ended: list[Chunk] = field(default_factory=list)
    fault: ConfigError | None = None  # why nothing more can be sent
    chunks: list[tuple[Chunk, list[int]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.outcomes or self.unsent or self.ended or self.fault)


class Coordinator:
    """Hands out the letters of the run *postbox.run*; *context* None: without TLS."""

    def __init__(self, postbox: Postbox, lease: float, context: ssl.SSLContext | None) -> None:
        self.postbox, self.lease = postbox, lease
        self.refused: dict[str, str] = {}  # worker -> why it gets no letters
        self.lost = 0  # chunks whose worker was lost
        self._context = context
        self._lock = threading.RLock()
        self._news = threading.Event()
        self._chunks: dict[str, Chunk] = {}
        self._back = Back()
        self._held: frozenset[tuple[str, str]] = frozenset()  # lanes
        self._withheld: frozenset[int] = frozenset()
        self._bug: Exception | None = None
        self._stopped = False
        self._until = 0.0  # up to when leases are committed
        self._sessions: set[Session] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None

    # --- the run's thread --------------------------------------------------------------

    def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; return the address for workers. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
        except OSError:
            listener.close()
            raise
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(listener), self._loop).result()
        return host, int(listener.getsockname()[1])

    def offer(self, token: str, letters: Sequence[Letter]) -> None:
        """Let one worker take a chunk."""
        with self._lock:
            self._chunks[token] = Chunk(token, deque(letters))

    def withdraw(self, token: str) -> bool:
        """Take back a chunk that nobody has taken; its letters come back unsent."""
        with self._lock:
            chunk = self._chunks.get(token)
            if chunk is None or chunk.session is not None:
                return False
            self._end(chunk)
            return True

    def is_taken(self, token: str) -> bool:
        """Return whether a chunk is with a worker, or ended."""
        with self._lock:
            chunk = self._chunks.get(token)
            return chunk is None or chunk.session is not None

    @property
    def open(self) -> int:
        """The number of chunks that are offered or taken."""
        return len(self._chunks)

    def extend(self, until: float) -> None:
        """Let leases go on up to *until*, by ``clock``: so far they are committed."""
        with self._lock:
            self._until = until

    def hold(self, lanes: frozenset[tuple[str, str]]) -> None:
        """Hand out nothing more of *lanes*; what waits comes back."""
        self._held = lanes

    def withhold(self, deliveries: frozenset[int]) -> None:
        """Have these not begun."""
        new = deliveries - self._withheld
        if new:
            with self._lock:
                self._withheld = deliveries
            self._loop.call_soon_threadsafe(self._tell, new)

    def stop(self) -> None:
        """Hand out nothing more; what workers have not begun comes back."""
        with self._lock:
            self._stopped = True
            for chunk in [one for one in self._chunks.values() if one.session is None]:
                self._end(chunk)
        self._loop.call_soon_threadsafe(self._tell, None)

    def cut(self) -> None:
        """Give up all chunks: what is under way is in doubt."""
        with self._lock:
            self._stopped = True
            for chunk in list(self._chunks.values()):
                self.give_up(chunk)
        self._loop.call_soon_threadsafe(self._abort, list(self._sessions))

    def collect(self, seconds: float) -> Back:
        """Wait up to *seconds* until something has come back; return it."""
        self._news.wait(seconds)
        if self._bug is not None:
            raise self._bug
        with self._lock:
            self._news.clear()
            back, self._back = self._back, Back()
            for chunk in {
                id(one): one for one in [*self._chunks.values(), *back.ended]
            }.values():
                if chunk.unsettled:
                    back.chunks.append((chunk, chunk.unsettled))
                    chunk.unsettled = []
        return back

    def settle(self, back: Back) -> None:
        """Forget what *back* brought: it is committed."""
        with self._lock:
            for chunk, deliveries in back.chunks:
                if chunk.token in self._chunks and chunk.journal is not None:
                    # On a full disk its rows are found answered twice, which changes nothing.
                    with suppress(OSError):
                        chunk.journal.write_settled(deliveries)
            for chunk in back.ended:
                if chunk.journal is not None:
                    chunk.journal.path.unlink(missing_ok=True)
                    chunk.journal.close()
                    chunk.journal = None

    @property
    def busy(self) -> bool:
        """Whether letters are still to come back."""
        return bool(self._chunks or self._back)

    def close(self) -> None:
        """End all connections."""
        self.cut()
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()
        for chunk in self._back.ended:
            if chunk.journal is not None:  # the next run reads it
                chunk.journal.close()

    # --- the sessions, in the thread of the connections --------------------------------

    def take(self, token: str, session: Peer) -> tuple[Chunk, float] | None:
        """Give the lease of a chunk to a worker; return it with its seconds, None: taken."""
        with self._lock:
            chunk = self._chunks.get(token)
            seconds = self.measure_lease()
            if chunk is None or chunk.session is not None or self._stopped or seconds <= 0:
                return None
            try:
                chunk.journal = Journal(
                    self.postbox.journal, self.postbox.run, tuple(chunk.waiting)
                )
            except OSError as error:
                self._fail(error)
                self._end(chunk)
                return None
            chunk.session, chunk.until = session, clock.read_seconds() + seconds
            return chunk, seconds

    def measure_lease(self) -> float:
        """Return for how many seconds a lease may be given or extended now."""
        return min(self.lease, self._until - clock.read_seconds())

    def renew(self, chunk: Chunk) -> float:
        with self._lock:
            seconds = 0.0 if chunk.token not in self._chunks else self.measure_lease()
            if seconds > 0:
                chunk.until = clock.read_seconds() + seconds
            return seconds

    def hand_out(self, chunk: Chunk, count: int) -> tuple[list[Letter], bool]:
        """Return up to *count* letters that may be sent now, and whether more are left."""
        picked: list[Letter] = []
        with self._lock:
            if self._stopped or chunk.token not in self._chunks:
                return [], False
            while chunk.waiting and len(picked) < count:
                letter = chunk.waiting.popleft()
                if self._is_held(chunk, letter):
                    self._back.unsent.append(letter)
                else:
                    picked.append(letter)
            if picked and chunk.journal is not None:
                try:
                    chunk.journal.write_started([letter.delivery for letter in picked])
                except OSError as error:
                    # Without the journal nothing is known after a crash: send nothing more.
                    self._fail(error)
                    chunk.waiting.extend(picked)
                    return [], False
            chunk.handed.update((letter.delivery, letter) for letter in picked)
            return picked, bool(chunk.waiting)

    def note(self, chunk: Chunk, outcomes: Iterable[Outcome]) -> None:
        """Take the outcomes of letters that were handed out; those held back are unsent."""
        with self._lock:
            if chunk.token not in self._chunks or chunk.journal is None:
                return  # given up before
            answered, unsent = [], []
            for outcome in outcomes:
                letter = chunk.handed.pop(outcome.delivery, None)
                if letter is None:
                    continue
                if outcome.cause is Cause.HELD_BACK:
                    unsent.append(letter)
                else:
                    answered.append(outcome)
            try:
                chunk.journal.write_answered(answered)
                chunk.journal.write_settled([letter.delivery for letter in unsent])
            except OSError as error:
                self._fail(error)  # these still reach the run
            self._back.outcomes += answered
            self._back.unsent += unsent
            chunk.unsettled += [outcome.delivery for outcome in answered]
            self._news.set()

    def give_up(self, chunk: Chunk) -> None:
        """End a chunk whose worker is lost: what it had is in doubt, the rest is unsent."""
        with self._lock:
            if chunk.token not in self._chunks:
                return
            self.lost += chunk.session is not None
            self._back.outcomes += [
                retry.doubt(delivery, Cause.SENDER_STOPPED) for delivery in chunk.handed
            ]
            self._end(chunk)

    def finish(self, chunk: Chunk) -> None:
        """End a chunk whose worker has done all it could."""
        self.give_up(chunk)  # nothing is in doubt, unless the worker has forgotten it

    def hold_origin(self, chunk: Chunk, origin: str) -> None:
        chunk.held.add(origin)

    def refuse(self, worker: str, why: str) -> None:
        with self._lock:
            self.refused[worker] = why
            self._news.set()

    def is_withheld(self, delivery: int) -> bool:
        return delivery in self._withheld

    # --- inside ------------------------------------------------------------------------

    def _is_held(self, chunk: Chunk, letter: Letter) -> bool:
        if letter.delivery in self._withheld:
            return True
        origin = cut_origin(letter.endpoint)
        return origin in chunk.held or (origin, letter.key_id) in self._held

    def _end(self, chunk: Chunk) -> None:
        del self._chunks[chunk.token]
        self._back.unsent += chunk.waiting
        self._back.ended.append(chunk)
        self._news.set()

    def _fail(self, error: OSError) -> None:
        self._stopped = True
        self._back.fault = ConfigError(
            f"{self.postbox.journal} can't be written: {os.strerror(error.errno or 0)}. "
            "Without it nothing more is sent, for a crash could not tell what was. Make room "
            "or put the folder right, then go on with pushctl campaigns resume."
        )
        self._news.set()

    async def _open(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_server(
            self._serve, sock=listener, ssl=self._context, backlog=1024
        )
        self._watcher = asyncio.create_task(self._watch())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(self, reader, writer)
        self._sessions.add(session)
        try:
            await session.run()
        except Exception as error:  # a bug: ``collect`` raises it in the run's thread
            self._bug = error
            self._news.set()
        finally:
            self._sessions.discard(session)
            if session.chunk is not None:
                self.give_up(session.chunk)

    async def _watch(self) -> None:
        """Give up the chunks of workers that are silent beyond their lease."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            end = clock.read_seconds() - LATE_SECONDS
            with self._lock:
                late = [it for it in self._chunks.values() if it.session and it.until < end]
                for chunk in late:
                    self.give_up(chunk)
            self._abort([it.session for it in late if it.session is not None])

    def _tell(self, withheld: frozenset[int] | None) -> None:
        """Tell workers what to leave out; None: to begin nothing more."""
        for session in self._sessions:
            session.tell(withheld)

    def _abort(self, sessions: Iterable[Peer]) -> None:
        for session in sessions:
            session.abort()

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._watcher.cancel()
        for session in list(self._sessions):
            session.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(others, timeout=1.0) if others else None
