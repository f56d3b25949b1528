"""
Accepts connections, counts them and closes idle ones.

Written here because no server for ASGI bounds the connections of one address, closes the
oldest idle one for a new one, or takes a renewed certificate without a restart; and such a
server took half of a request's time (docs/receiver.md has the figures). The parser of HTTP is
llhttp, Node's.
"""

import asyncio
import errno
import logging
import socket
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from functools import partial

from pushctl.receiver.addresses import make_rate_key
from pushctl.receiver.server.connection import App, Connection, Limits, ServeNow, State
from pushctl.receiver.server.queue import RequestQueue

log = logging.getLogger("pushctl.receiver")

TICK_SECONDS = 0.5
REFUSAL_DELAY_SECONDS = 0.25  # before a 429 or a 503 is written
ACCEPT_PAUSE_SECONDS = 0.2  # while no file descriptor is left
MAX_ACCEPTS = 64  # in one turn of the event loop
BACKLOG = 2_048


class Listener:
    """
    Serves *app* on one address. ``start`` it, later ``stop`` it; both are awaited.

    *serve_now* serves a complete request without a task, or returns False. *exempt* returns
    whether an address has no bound, such as a proxy's. *note* counts an event by its name.
    *bodies* are the bytes that the bodies of single paths may have.
    """

    def __init__(
        self,
        app: App,
        limits: Limits,
        *,
        serve_now: ServeNow = lambda _scope, _reply, _late: False,
        tls: ssl.SSLContext | None = None,
        exempt: Callable[[str], bool] = lambda _: False,
        note: Callable[[str], None] = lambda _: None,
        bodies: Mapping[str, int] | None = None,
    ) -> None:
        self.app = app
        self.serve_now = serve_now
        self.limits = limits
        self.scheme = "https" if tls else "http"
        self.stopping = False
        self.queue = RequestQueue()
        self.note = note
        self._bodies = bodies or {}
        self.seconds = {
            State.IDLE: limits.idle,
            State.HEAD: limits.head,
            # The app's own deadline comes first, and has an answer.
            State.BODY: limits.body + 1,
            State.WORKING: limits.answer,
            State.REFUSED: REFUSAL_DELAY_SECONDS + 5,
            State.LINGERING: 2.0,
        }
        self._tls = tls
        self._exempt = exempt
        self._socket: socket.socket | None = None
        self._open: set[Connection] = set()
        self._count = 0  # with those in their handshake
        # By rate key: of IPv6 the first 64 bits.
        self._by_address: Counter[str | bytes] = Counter()
        # Those with no request under way, the longest idle first.
        self._idle: dict[Connection, None] = {}
        self._delayed: deque[tuple[float, Callable[[], None]]] = deque()
        self._delay_scheduled = False
        self._handshakes: set[asyncio.Task[None]] = set()
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._crashes = 0

    def __len__(self) -> int:
        return self._count

    async def start(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
        self._socket = listening
        self._resume()
        self._check_deadlines()

    async def stop(self, seconds: float = 10.0) -> None:
        """Accept no more; wait up to *seconds* for answers under way, then close all."""
        self.stopping = True
        loop = asyncio.get_running_loop()
        if self._socket is not None:
            loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        end = time.monotonic() + seconds
        while self._open and time.monotonic() < end:
            for one in list(self._open):
                one.close_if_idle()
            await asyncio.sleep(0.02)
        for one in list(self._open):
            one.abort()
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()

    def find_max_body(self, path: str) -> int:
        return self._bodies.get(path, self.limits.max_body)

    def _resume(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(MAX_ACCEPTS):
            assert self._socket is not None
            try:
                one, peer = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    # The kernel keeps them; accept() would fail again at once.
                    self.note("descriptors")
                    loop.remove_reader(self._socket)
                    loop.call_later(ACCEPT_PAUSE_SECONDS, self._resume)
                    return
                continue
            if self._admit(peer[0]):
                one.setblocking(False)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = Connection(self, (peer[0], peer[1]))
                self._open.add(connection)
                self._idle[connection] = None
                task = loop.create_task(self._shake_hands(one, connection, peer[0]))
                connection.handshake = task
                self._handshakes.add(task)
                task.add_done_callback(partial(self._end_handshake, one))
            else:
                one.close()

    def _admit(self, address: str) -> bool:
        key = make_rate_key(address)
        if self._by_address[key] >= self.limits.per_address and not self._exempt(address):
            self.note("connections of an address")
            return False
        if self._count >= self.limits.connections:
            oldest = next(iter(self._idle), None)
            if oldest is None:
                self.note("connections")
                return False
            self.note("evicted")
            del self._idle[oldest]
            oldest.abort()
        self._count += 1
        self._by_address[key] += 1
        return True

    async def _shake_hands(
        self, one: socket.socket, connection: Connection, address: str
    ) -> None:
        loop = asyncio.get_running_loop()
        timeout = self.limits.head if self._tls else None
        try:
            await loop.connect_accepted_socket(
                lambda: connection, one, ssl=self._tls, ssl_handshake_timeout=timeout
            )
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            self.note("handshake")
            one.close()
            self.remove(connection, address)

    def _end_handshake(self, one: socket.socket, task: asyncio.Task[None]) -> None:
        self._handshakes.discard(task)
        if task.cancelled():  # perhaps before it had begun
            one.close()

    def update_state(self, connection: Connection, state: State) -> None:
        """Keep the order of idle connections after *connection* has entered *state*."""
        if state in (State.WORKING, State.LINGERING):
            self._idle.pop(connection, None)
        elif state in (State.IDLE, State.REFUSED) or connection not in self._idle:
            self._idle.pop(connection, None)
            self._idle[connection] = None

    def remove(self, connection: Connection, address: str) -> None:
        """Remove a closed connection; does nothing when it was removed before."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        self._idle.pop(connection, None)
        self._count -= 1
        key = make_rate_key(address)
        self._by_address[key] -= 1
        if not self._by_address[key]:
            del self._by_address[key]

    def delay(self, callback: Callable[[], None]) -> None:
        """Call *callback* after REFUSAL_DELAY_SECONDS."""
        self._delayed.append((time.monotonic() + REFUSAL_DELAY_SECONDS, callback))
        if not self._delay_scheduled:
            self._delay_scheduled = True
            asyncio.get_running_loop().call_later(REFUSAL_DELAY_SECONDS, self._run_delayed)

    def _run_delayed(self) -> None:
        now = time.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            self._delayed.popleft()[1]()
        self._delay_scheduled = bool(self._delayed)
        if self._delay_scheduled:
            wait = self._delayed[0][0] - now
            asyncio.get_running_loop().call_later(wait, self._run_delayed)

    def count_crash(self) -> None:
        """Count the exception being handled; log the 1st, 2nd, 4th, 8th ... only."""
        self.note("crash")
        self._crashes += 1
        if self._crashes & (self._crashes - 1) == 0:
            log.exception("a request could not be answered (%d so far)", self._crashes)

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        for one in [each for each in self._open if 0 < each.deadline < now]:
            one.expire()
        loop = asyncio.get_running_loop()
        self._deadline_timer = loop.call_later(TICK_SECONDS, self._check_deadlines)
