"""
One connection: llhttp parses its requests, the app serves them, answers keep their order.

Every state has a deadline. The memory for a client is bounded: a head of 16 KiB, the largest
body of its path, a few pipelined requests. A client that exceeds a bound is refused and its
connection closed.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import Any, NoReturn, Protocol, cast

import httptools

from pushctl.receiver.answers import Headers
from pushctl.receiver.server.heads import CONTINUE, write_head
from pushctl.receiver.server.queue import RequestQueue
from pushctl.receiver.server.request import Reply, Request
from pushctl.rules.limits import MAX_BODY_BYTES
from pushctl.rules.units import KIB

App = Callable[[Any, Any, Any], Awaitable[None]]
# Serves a complete request, or refuses a late one; returns False for other routes.
ServeNow = Callable[[Any, Reply, bool], bool]

MAX_AHEAD = 16  # requests that a client may send before it has the first one's answer
MAX_AHEAD_BYTES = 32 * KIB  # and what they may weigh: all of it lies in memory
MAX_HEADERS = 100  # of one request; browsers send about twenty
# A body in chunks of single bytes is six times as long; trailers have no bound of their
# own (RFC 9112, section 7.1.2).
MAX_WRAPPING = 8

# Overload: written with a delay, because broken programs and attackers ask again at once and
# would take the time of other clients.
DELAYED_STATUSES = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True)
class Limits:
    """Limits of one connection and of all together, in seconds and bytes."""

    connections: int = 2_000
    per_address: int = 100
    head: float = 5.0
    body: float = 5.0
    idle: float = 15.0
    answer: float = 30.0
    max_head: int = 16 * KIB
    max_body: int = MAX_BODY_BYTES  # of a path that has no bound of its own


class _LimitError(Exception):
    """Stops the parser within a read, which may bring a quarter of a megabyte."""


class State(Enum):
    """The state of a connection; each has its deadline."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    WORKING = "working"
    REFUSED = "refused"  # the 429 or 503 is delayed
    LINGERING = "lingering"  # the client still sends, and must be able to read its answer


class Owner(Protocol):
    """The part of ``listener.Listener`` that a connection uses."""

    app: App
    serve_now: ServeNow
    limits: Limits
    queue: RequestQueue
    scheme: str
    seconds: dict[State, float]
    stopping: bool
    note: Callable[[str], None]

    def find_max_body(self, path: str) -> int: ...
    def update_state(self, connection: "Connection", state: State) -> None: ...
    def remove(self, connection: "Connection", address: str) -> None: ...
    def delay(self, callback: Callable[[], None]) -> None: ...
    def count_crash(self) -> None: ...


class Connection(asyncio.Protocol):
    """One client's connection. ``Listener`` makes it and counts it until it is lost."""

    def __init__(self, listener: Owner, peer: tuple[str, int]) -> None:
        self._listener = listener
        self._peer = peer
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpRequestParser(self)
        self._requests: deque[Request] = deque()
        self._incoming: Request | None = None
        self._busy = False  # the first request is being served
        self._task: asyncio.Task[None] | None = None
        self._received = 0  # bytes of the incomplete request
        self._exceeded = ""  # the limit that stopped the parser
        self._discarded = 0
        self._write_paused = False  # the client does not read its answers
        self._reading = True
        self._eof = False
        self._aborted = False  # perhaps before its handshake ended
        self.handshake: asyncio.Task[None] | None = None
        self.state = State.IDLE
        self.deadline = 0.0
        self.lost = False

    # --- called by asyncio -----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        if self._aborted:
            self._transport.abort()
            return
        # A new connection must send a head in time.
        self._enter_state(State.HEAD)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self._parser = None  # it holds us, we hold it
        self._listener.remove(self, self._peer[0])
        for request in self._requests:
            request.lost = True
            request.wake()

    def data_received(self, data: bytes) -> None:
        if self.state is State.LINGERING:
            self._discarded += len(data)
            if self._discarded > self._listener.limits.max_head * 16:
                self.abort()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, b"Nothing but HTTP/1.1 is spoken here.")
            return
        except (httptools.HttpParserError, ValueError):
            if not self._exceeded:
                self._listener.note("malformed")
                self._refuse(400, b"This is not HTTP/1.1.")
                return
        self._check_limits()

    def eof_received(self) -> bool:
        """Return whether a half-closed client waits for an answer: the transport is kept."""
        self._eof = True
        return any(request.complete for request in self._requests)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._begin_next()

    # --- called by llhttp ------------------------------------------------------------

    # Limits are checked within a read, too, which may hold ten thousand requests or headers:
    # all other clients would wait for them.

    def on_message_begin(self) -> None:
        if self._requests:  # pipelined; no browser does that
            weight = sum(each.weight for each in self._requests)
            if len(self._requests) > MAX_AHEAD or weight > MAX_AHEAD_BYTES:
                self._stop_parsing("ahead")
        self._incoming = Request(self.answer, self._go_on)
        self._requests.append(self._incoming)

    def on_url(self, part: bytes) -> None:
        assert self._incoming is not None
        self._incoming.target += part
        if len(self._incoming.target) > self._listener.limits.max_head:
            self._stop_parsing("head")

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._incoming
        assert request is not None
        if request.begun:
            return  # a trailer: the request's headers are decided
        request.head += len(name) + len(value)
        if len(request.headers) >= MAX_HEADERS or request.head > self._listener.limits.max_head:
            self._stop_parsing("head")
        request.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        request = self._incoming
        assert request is not None
        request.method = self._parser.get_method().decode("ascii")
        request.version = self._parser.get_http_version()
        request.keep = self._parser.should_keep_alive() and request.version == "1.1"
        request.waits = request.version == "1.1" and any(
            name == b"expect" and value.strip().lower() == b"100-continue"
            for name, value in request.headers
        )
        request.limit = self._listener.find_max_body(request.path)
        request.begun = True
        # RFC 9112, section 3.2.
        if (
            request.version == "1.1"
            and [name for name, _ in request.headers].count(b"host") != 1
        ):
            self._stop_parsing("host")

    def on_body(self, part: bytes) -> None:
        assert self._incoming is not None
        self._incoming.add(part)
        if self._incoming.size > self._incoming.limit:
            self._stop_parsing("body")

    def on_message_complete(self) -> None:
        assert self._incoming is not None
        self._incoming.complete = True
        self._incoming.wake()
        self._incoming = None
        self._received = 0

    def _stop_parsing(self, why: str) -> NoReturn:
        self._exceeded = why
        raise _LimitError(why)

    # --- serving and answering -------------------------------------------------------

    def _check_limits(self) -> None:
        incoming = self._incoming
        if self._exceeded == "ahead" or len(self._requests) > MAX_AHEAD:
            self._listener.note("ahead")
            self.abort()
            return
        if self.state is State.IDLE and incoming is not None:
            self._enter_state(State.HEAD)
        long = self._received > self._listener.limits.max_head
        if self._exceeded == "head" or (long and incoming is not None and not incoming.begun):
            self._listener.note("head")
            self._refuse(431, b"The head is longer than 16 KiB, or has too many lines.")
            return
        if self._exceeded == "host":
            self._listener.note("host")
            self._refuse(400, b"A request of HTTP/1.1 has one Host line.")
            return
        if self._exceeded == "body":
            self._set_reading(False)  # the app refuses it: it has more than the route takes
        elif incoming is not None and self._received > self._count_allowed(incoming):
            self._listener.note("wrapping")
            self.abort()
            return
        self._begin_next()

    def _count_allowed(self, request: Request) -> int:
        return self._listener.limits.max_head + MAX_WRAPPING * request.limit

    def _begin_next(self) -> None:
        """Begin to serve the first request; its body may be incomplete."""
        if self._busy:
            if self._requests[0].complete and self.state is not State.REFUSED:
                self._enter_working()
                self._set_reading(False)
            return
        if self._write_paused or self.lost or not self._requests or not self._requests[0].begun:
            return
        request = self._requests[0]
        self._busy = True
        if request.complete:
            self._enter_working()
            self._listener.queue.put(partial(self._serve, request))
        else:
            self._enter_state(State.BODY)
            self._start(request.make_scope(self._peer, self._listener.scheme), request)

    def _serve(self, request: Request, late: bool) -> None:
        """Serve a complete request; the queue calls this."""
        if self.lost:
            return
        scope = request.make_scope(self._peer, self._listener.scheme)
        try:
            done = self._listener.serve_now(scope, request.reply, late)
        except Exception:
            self._answer_crash(request)
        else:
            if not done:
                self._start(scope, request)

    def _start(self, scope: dict[str, Any], request: Request) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(scope, request))

    async def _run(self, scope: dict[str, Any], request: Request) -> None:
        try:
            await self._listener.app(scope, request.receive, request.send)
        except Exception:
            self._answer_crash(request)
        if not request.answered and not self.lost:
            request.keep = False
            request.reply(500, [], b"")

    def _answer_crash(self, request: Request) -> None:
        self._listener.count_crash()
        request.keep = False
        request.reply(500, [], b"")

    def answer(self, request: Request, status: int, heads: Headers, body: bytes) -> None:
        """Write an answer, delayed for an overload; then begin the next request."""
        if status in DELAYED_STATUSES and not self._listener.stopping:
            self._enter_state(State.REFUSED)
            self._set_reading(False)
            self._listener.delay(partial(self._write_answer, request, status, heads, body))
        else:
            self._write_answer(request, status, heads, body)

    def _go_on(self) -> None:
        """Ask the client for the first request's body: only that one is being served."""
        if self._transport is not None and not self.lost:
            self._transport.write(CONTINUE)

    def _write_answer(self, request: Request, status: int, heads: Headers, body: bytes) -> None:
        if self.lost or self._transport is None:
            return
        close = not (request.keep and request.complete) or self._listener.stopping
        # Requests end in order: when the next one is incomplete, so are all behind it.
        close |= self._eof and not any(it.complete for it in islice(self._requests, 1, 2))
        self._transport.write(write_head(status, tuple(heads), close) + body)
        self._busy, self._task = False, None
        self._requests.popleft()
        if close:
            # A slow client is not waited for; one that was refused early still sends.
            self._close(whole=request.complete or status == HTTPStatus.REQUEST_TIMEOUT)
            return
        self._enter_state(State.HEAD if self._requests else State.IDLE)
        self._set_reading(True)
        self._begin_next()

    def _refuse(self, status: int, text: bytes) -> None:
        """Answer bytes that are no request, and close."""
        if self._transport is None or self.lost or self._busy:
            self.abort()
            return
        length = b"%d" % len(text)
        heads = ((b"content-type", b"text/plain"), (b"content-length", length))
        self._transport.write(write_head(status, heads, close=True) + text)
        self._close(whole=status == HTTPStatus.REQUEST_TIMEOUT)

    def _close(self, *, whole: bool) -> None:
        assert self._transport is not None
        if whole:
            self._transport.close()
        elif self._transport.can_write_eof():
            self._transport.write_eof()
        self._discarded = 0
        self._requests.clear()
        self._enter_state(State.LINGERING)
        self._set_reading(not whole)

    def _enter_working(self) -> None:
        if self.state is not State.WORKING:
            self._enter_state(State.WORKING)

    def _enter_state(self, state: State) -> None:
        """Enter *state* and begin its deadline."""
        self.state = state
        self.deadline = time.monotonic() + self._listener.seconds[state]
        self._listener.update_state(self, state)

    def _set_reading(self, on: bool) -> None:
        if self._transport is None or self._reading is on or self._transport.is_closing():
            return
        self._reading = on
        (self._transport.resume_reading if on else self._transport.pause_reading)()

    def expire(self) -> None:
        """Close after the deadline; answer 408 when a head was begun."""
        if self.state not in (State.IDLE, State.LINGERING):  # those are usual
            self._listener.note(f"slow {self.state.value}")
        if self.state is State.HEAD and self._received and not self._busy:
            self._refuse(408, b"The head took too long.")
        else:
            self.abort()

    def close_if_idle(self) -> None:
        if self.state in (State.IDLE, State.HEAD) and not self._requests:
            self.abort()

    def abort(self) -> None:
        self._aborted = True
        if self._transport is not None:
            self._transport.abort()
        elif self.handshake is not None:
            # asyncio will not call connection_lost before the handshake ended.
            self.handshake.cancel()
            self._listener.remove(self, self._peer[0])
