"""
The door itself: accepts connections, counts them, and shows out those who only linger.

Written here and not taken from a server because no server for ASGI bounds connections
per address, or lets the oldest silent one make room for somebody who has something to
say, or takes a renewed certificate without a restart; and half of a request's time was
spent in it (docs/receiver.md has the figures). HTTP itself is llhttp's, Node's parser.
"""

import asyncio
import errno
import logging
import socket
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial

from pushctl.receiver.addresses import bucket
from pushctl.receiver.server.connection import App, AtOnce, Connection, State
from pushctl.receiver.server.limits import Limits
from pushctl.receiver.server.line import Line

log = logging.getLogger("pushctl.receiver")

TICK = 0.5
LATER = 0.25  # until a client is told that it is refused for now
PAUSE = 0.2  # when there are no file descriptors left
AT_ONCE = 64  # connections accepted in one go
BACKLOG = 2_048


class Front:
    """
    Serves *app* on one address. ``start`` it, later ``stop`` it; both are awaited.

    *at_once* may take a request that came whole, and say so, before a task is made of
    it: most are. *exempt* says of an address whether it stands for many: a proxy's.
    """

    def __init__(
        self,
        app: App,
        limits: Limits,
        *,
        at_once: AtOnce = lambda _scope, _reply, _late: False,
        tls: ssl.SSLContext | None = None,
        exempt: Callable[[str], bool] = lambda _: False,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.app = app
        self.at_once = at_once
        self.limits = limits
        self.scheme = "https" if tls else "http"
        self.stopping = False
        self.line = Line()
        self.note = note
        self.seconds = {
            State.IDLE: limits.idle,
            State.HEAD: limits.head,
            # The app's own deadline comes first, and has an answer.
            State.BODY: limits.body + 1,
            State.WORKING: limits.answer,
            State.REFUSED: LATER + 5,
            State.LINGERING: 2.0,
        }
        self._tls = tls
        self._exempt = exempt
        self._socket: socket.socket | None = None
        self._open: set[Connection] = set()
        self._count = 0  # those in the middle of a handshake included
        # An address is what one customer has: of IPv6 the first 64 bits.
        self._by_address: Counter[str | bytes] = Counter()
        # Those with no request under way, the one that has waited longest first.
        self._quiet: dict[Connection, None] = {}
        self._refused: deque[tuple[float, Callable[[], None]]] = deque()
        self._telling = False
        self._greetings: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.TimerHandle | None = None
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
        self._tick()

    async def stop(self, seconds: float = 10.0) -> None:
        """Take nothing new, wait for the answers under way, close the rest."""
        self.stopping = True
        loop = asyncio.get_running_loop()
        if self._socket is not None:
            loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        end = time.monotonic() + seconds
        while self._open and time.monotonic() < end:
            for one in list(self._open):
                one.close_if_quiet()
            await asyncio.sleep(0.02)
        for one in list(self._open):
            one.abort()
        if self._ticking is not None:
            self._ticking.cancel()

    # --- coming in -------------------------------------------------------------------

    def _resume(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(AT_ONCE):
            assert self._socket is not None
            try:
                one, peer = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    # The kernel keeps them; asking at once again would only burn time.
                    self.note("descriptors")
                    loop.remove_reader(self._socket)
                    loop.call_later(PAUSE, self._resume)
                    return
                continue
            if self._admits(peer[0]):
                one.setblocking(False)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = Connection(self, (peer[0], peer[1]))
                self._open.add(connection)
                self._quiet[connection] = None
                task = loop.create_task(self._greet(one, connection, peer[0]))
                connection.greeting = task
                self._greetings.add(task)
                task.add_done_callback(partial(self._greeted, one))
            else:
                one.close()

    def _admits(self, address: str) -> bool:
        place = bucket(address)
        if self._by_address[place] >= self.limits.per_address and not self._exempt(address):
            self.note("connections of an address")
            return False
        if self._count >= self.limits.connections:
            oldest = next(iter(self._quiet), None)
            if oldest is None:
                self.note("connections")
                return False
            self.note("evicted")
            del self._quiet[oldest]
            oldest.abort()
        self._count += 1
        self._by_address[place] += 1
        return True

    async def _greet(self, one: socket.socket, connection: Connection, address: str) -> None:
        loop = asyncio.get_running_loop()
        timeout = self.limits.head if self._tls else None
        try:
            await loop.connect_accepted_socket(
                lambda: connection, one, ssl=self._tls, ssl_handshake_timeout=timeout
            )
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            self.note("handshake")
            one.close()
            self.forget(connection, address)

    def _greeted(self, one: socket.socket, task: asyncio.Task[None]) -> None:
        self._greetings.discard(task)
        if task.cancelled():  # perhaps before it had begun
            one.close()

    def moved(self, connection: Connection, state: State) -> None:
        """Hear that *connection* is in another *state* now."""
        if state in (State.WORKING, State.LINGERING):
            self._quiet.pop(connection, None)
        elif state in (State.IDLE, State.REFUSED) or connection not in self._quiet:
            self._quiet.pop(connection, None)
            self._quiet[connection] = None

    def forget(self, connection: Connection, address: str) -> None:
        """Hear that *connection* is over."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        self._quiet.pop(connection, None)
        self._count -= 1
        place = bucket(address)
        self._by_address[place] -= 1
        if not self._by_address[place]:
            del self._by_address[place]

    def later(self, tell: Callable[[], None]) -> None:
        """Call *tell* in a moment."""
        self._refused.append((time.monotonic() + LATER, tell))
        if not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_later(LATER, self._tell)

    def _tell(self) -> None:
        now = time.monotonic()
        while self._refused and self._refused[0][0] <= now:
            self._refused.popleft()[1]()
        self._telling = bool(self._refused)
        if self._telling:
            wait = self._refused[0][0] - now
            asyncio.get_running_loop().call_later(wait, self._tell)

    def crashed(self) -> None:
        """Hear of a mistake of ours; the log has it once a while, not once a request."""
        self.note("crash")
        self._crashes += 1
        if self._crashes & (self._crashes - 1) == 0:
            log.exception("a request could not be answered (%d so far)", self._crashes)

    def _tick(self) -> None:
        now = time.monotonic()
        for one in [each for each in self._open if 0 < each.deadline < now]:
            one.expire()
        self._ticking = asyncio.get_running_loop().call_later(TICK, self._tick)
