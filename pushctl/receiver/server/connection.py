"""
One connection: requests taken apart by llhttp, handed to the app, answered in order.

Every state has a deadline of its own, and everything that a client can make us keep has
a bound: a head of 16 KiB, the largest body that any route takes, a few requests sent
ahead. What is beyond them is refused and the connection closed.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum
from functools import lru_cache, partial
from http import HTTPStatus
from itertools import islice
from typing import Any, NoReturn, Protocol, cast

import httptools

from pushctl.receiver.server.limits import Limits
from pushctl.receiver.server.line import Line
from pushctl.receiver.server.request import Reply, Request

App = Callable[[Any, Any, Any], Awaitable[None]]
# Takes a request that came whole, unless it is none of its own; or, late, refuses it.
AtOnce = Callable[[Any, Reply, bool], bool]

MAX_AHEAD = 16  # requests that a client may send before it has the first one's answer
MAX_AHEAD_BYTES = 32 * 1024  # and what they may weigh: all of it lies in memory
MAX_HEADERS = 100  # of one request; browsers send about twenty
# A body may be wrapped in chunks of single bytes, six times as long; what follows the
# last chunk has no bound of its own (RFC 9112, section 7.1.2).
MAX_WRAPPING = 8

# Too much is coming in: told a moment later, or who asks again at once, as broken
# programs and attackers do, takes the time of those who are to be served.
TOLD_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)

_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}


@lru_cache(maxsize=1024)
def _head(status: int, heads: tuple[tuple[bytes, bytes], ...], close: bool) -> bytes:
    """Return an answer's head; nearly all of them are one of a few."""
    lines = [_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
    lines += [b"%s: %s\r\n" % pair for pair in heads]
    return b"".join([*lines, b"connection: close\r\n\r\n" if close else b"\r\n"])


class _EnoughError(Exception):
    """Stops the parser in the middle of what was read: it may be a quarter of a megabyte."""


class State(Enum):
    """What a connection is doing, which decides how long it may take."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    WORKING = "working"
    REFUSED = "refused"  # to come again later, which it will be told in a moment
    LINGERING = "lingering"  # an early answer must reach those who are still talking


class Server(Protocol):
    """What a connection needs of the server that accepted it: ``front.Front``."""

    app: App
    at_once: AtOnce
    limits: Limits
    line: Line
    scheme: str
    seconds: dict[State, float]
    stopping: bool
    note: Callable[[str], None]

    def moved(self, connection: "Connection", state: State) -> None: ...
    def forget(self, connection: "Connection", address: str) -> None: ...
    def later(self, tell: Callable[[], None]) -> None: ...
    def crashed(self) -> None: ...


class Connection(asyncio.Protocol):
    """One client's connection. Made by ``Front``, which counts it until it is lost."""

    def __init__(self, front: Server, peer: tuple[str, int]) -> None:
        self._front = front
        self._peer = peer
        limits = front.limits
        self._most = limits.max_head + MAX_WRAPPING * limits.max_body  # of one request
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpRequestParser(self)
        self._requests: deque[Request] = deque()
        self._incoming: Request | None = None
        self._busy = False  # with the first request that is whole, or nearly
        self._task: asyncio.Task[None] | None = None
        self._received = 0  # bytes, of the request that is not whole yet
        self._enough = ""  # why no more is taken apart
        self._discarded = 0
        self._blocked = False  # the client does not read what it asked for
        self._reading = True
        self._said_all = False
        self._unwanted = False  # shown out before it was in
        self.greeting: asyncio.Task[None] | None = None  # until it is in: TLS's handshake
        self.state = State.IDLE
        self.deadline = 0.0
        self.lost = False

    # --- asyncio's end ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class
        if self._unwanted:
            self._transport.abort()
            return
        # A first request is due as soon as a head: who says nothing only holds a place.
        self._wait(State.HEAD)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self._parser = None  # it holds us, we hold it
        self._front.forget(self, self._peer[0])
        for request in self._requests:
            request.lost = True
            request.wake()

    def data_received(self, data: bytes) -> None:
        if self.state is State.LINGERING:
            self._discarded += len(data)
            if self._discarded > self._front.limits.max_head * 16:
                self.abort()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, b"Nothing but HTTP/1.1 is spoken here.")
            return
        except (httptools.HttpParserError, ValueError):
            if not self._enough:
                self._front.note("malformed")
                self._refuse(400, b"This is not HTTP/1.1.")
                return
        self._after_data()

    def eof_received(self) -> bool:
        """Keep the way back open for who has said all, and waits for the answer."""
        self._said_all = True
        return any(request.complete for request in self._requests)

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        self._next()

    # --- llhttp's end ----------------------------------------------------------------

    # Limits hold here, too, not only once all that was read is taken apart: it may hold
    # ten thousand requests or headers, and everybody else would wait for them.

    def on_message_begin(self) -> None:
        if self._requests:  # nobody's browser does that
            weight = sum(each.weight for each in self._requests)
            if len(self._requests) > MAX_AHEAD or weight > MAX_AHEAD_BYTES:
                self._stop("ahead")
        self._incoming = Request(self.answer)
        self._requests.append(self._incoming)

    def on_url(self, part: bytes) -> None:
        assert self._incoming is not None
        self._incoming.target += part
        if len(self._incoming.target) > self._front.limits.max_head:
            self._stop("head")

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._incoming
        assert request is not None
        if request.begun:
            return  # behind the body: too late to say who asks, or for whom
        request.head += len(name) + len(value)
        if len(request.headers) >= MAX_HEADERS or request.head > self._front.limits.max_head:
            self._stop("head")
        request.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        request = self._incoming
        assert request is not None
        request.method = self._parser.get_method().decode("ascii")
        request.version = self._parser.get_http_version()
        request.keep = self._parser.should_keep_alive() and request.version == "1.1"
        request.begun = True

    def on_body(self, part: bytes) -> None:
        assert self._incoming is not None
        self._incoming.add(part)
        if self._incoming.size > self._front.limits.max_body:
            self._stop("body")

    def on_message_complete(self) -> None:
        assert self._incoming is not None
        self._incoming.complete = True
        self._incoming.wake()
        self._incoming = None
        self._received = 0

    def _stop(self, why: str) -> NoReturn:
        self._enough = why
        raise _EnoughError(why)

    # --- what follows ----------------------------------------------------------------

    def _after_data(self) -> None:
        incoming = self._incoming
        if self._enough == "ahead" or len(self._requests) > MAX_AHEAD:
            self._front.note("ahead")
            self.abort()
            return
        if self.state is State.IDLE and incoming is not None:
            self._wait(State.HEAD)
        long = self._received > self._front.limits.max_head
        if self._enough == "head" or (long and incoming is not None and not incoming.begun):
            self._front.note("head")
            self._refuse(431, b"The head is longer than 16 KiB, or has too many lines.")
            return
        if self._enough == "body":
            self._read(False)  # the app refuses it, having seen more than it takes
        elif incoming is not None and self._received > self._most:
            self._front.note("wrapping")
            self.abort()
            return
        self._next()

    def _next(self) -> None:
        """Begin the first request that waits; its body may still be on the way."""
        if self._busy:
            if self._requests[0].complete and self.state is not State.REFUSED:
                self._work()
                self._read(False)
            return
        if self._blocked or self.lost or not self._requests or not self._requests[0].begun:
            return
        request = self._requests[0]
        self._busy = True
        if request.complete:
            self._work()
            self._front.line.join(partial(self._serve, request))
        else:
            self._wait(State.BODY)
            self._start(request.scope(self._peer, self._front.scheme), request)

    def _serve(self, request: Request, late: bool) -> None:
        """Serve a request that came whole, when it is its turn."""
        if self.lost:
            return
        scope = request.scope(self._peer, self._front.scheme)
        try:
            done = self._front.at_once(scope, request.reply, late)
        except Exception:
            self._crashed(request)
        else:
            if not done:
                self._start(scope, request)

    def _start(self, scope: dict[str, Any], request: Request) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(scope, request))

    async def _run(self, scope: dict[str, Any], request: Request) -> None:
        try:
            await self._front.app(scope, request.receive, request.send)
        except Exception:
            self._crashed(request)
        if not request.answered and not self.lost:
            request.keep = False
            request.reply(500, [], b"")

    def _crashed(self, request: Request) -> None:
        self._front.crashed()
        request.keep = False
        request.reply(500, [], b"")

    def answer(
        self, request: Request, status: int, heads: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        """Write one whole answer, and go on with what comes next."""
        if status in TOLD_LATER and not self._front.stopping:
            self._wait(State.REFUSED)
            self._read(False)
            self._front.later(partial(self._say, request, status, heads, body))
        else:
            self._say(request, status, heads, body)

    def _say(
        self, request: Request, status: int, heads: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        if self.lost or self._transport is None:
            return
        close = not (request.keep and request.complete) or self._front.stopping
        # Requests end in order: when the next has no end, none behind it has, nor will have.
        close |= self._said_all and not any(it.complete for it in islice(self._requests, 1, 2))
        self._transport.write(_head(status, tuple(heads), close) + body)
        self._busy, self._task = False, None
        self._requests.popleft()
        if close:
            # Who was too slow is not waited for; who was refused early is.
            self._part(whole=request.complete or status == HTTPStatus.REQUEST_TIMEOUT)
            return
        self._wait(State.IDLE if not self._requests else State.HEAD)
        self._read(True)
        if self._requests:
            self._next()

    def _refuse(self, status: int, text: bytes) -> None:
        """Answer what never became a request, and close."""
        if self._transport is None or self.lost or self._busy:
            self.abort()
            return
        self._transport.write(
            b"%scontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (_LINES[status], len(text), text)
        )
        self._part(whole=status == HTTPStatus.REQUEST_TIMEOUT)

    def _part(self, *, whole: bool) -> None:
        assert self._transport is not None
        if whole:
            self._transport.close()
        elif self._transport.can_write_eof():
            self._transport.write_eof()
        self._discarded = 0
        self._requests.clear()
        self._wait(State.LINGERING)
        self._read(not whole)

    def _work(self) -> None:
        if self.state is not State.WORKING:
            self._wait(State.WORKING)

    def _wait(self, state: State) -> None:
        """Enter *state*, whose deadline begins now."""
        self.state = state
        self.deadline = time.monotonic() + self._front.seconds[state]
        self._front.moved(self, state)

    def _read(self, on: bool) -> None:
        if self._transport is None or self._reading is on or self._transport.is_closing():
            return
        self._reading = on
        (self._transport.resume_reading if on else self._transport.pause_reading)()

    def expire(self) -> None:
        """End what took too long: with a word to those who were in the middle of one."""
        if self.state not in (State.IDLE, State.LINGERING):  # those are everyday
            self._front.note(f"slow {self.state.value}")
        if self.state is State.HEAD and self._received and not self._busy:
            self._refuse(408, b"The head took too long.")
        else:
            self.abort()

    def close_if_quiet(self) -> bool:
        """At the end: close unless a request is being answered. Say whether it was."""
        if self.state in (State.IDLE, State.HEAD) and not self._requests:
            self.abort()
            return True
        return False

    def abort(self) -> None:
        self._unwanted = True
        if self._transport is not None:
            self._transport.abort()
        elif self.greeting is not None:
            # Not in yet, so nobody will say that it is lost: its place is free at once.
            self.greeting.cancel()
            self._front.forget(self, self._peer[0])
