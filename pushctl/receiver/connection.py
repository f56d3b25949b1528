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
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote_to_bytes

import httptools

if TYPE_CHECKING:
    from pushctl.receiver.front import Front

App = Callable[[Any, Any, Any], Awaitable[None]]

MAX_AHEAD = 16  # requests that a client may send before it has the first one's answer

_ASGI = {"version": "3.0", "spec_version": "2.3"}
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


class State(Enum):
    """What a connection is doing, which decides how long it may take."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    WORKING = "working"
    LINGERING = "lingering"  # an early answer must reach those who are still talking


class Request:
    """One request as it comes in, and the app's two ends of it."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.method = ""
        self.version = "1.1"
        self.keep = True
        self.begun = False  # the head is whole
        self.complete = False
        self.answered = False
        self.size = 0
        self._parts: list[bytes] = []
        self._told = False  # the app has had the body's end
        self._more: asyncio.Future[None] | None = None
        self._status = 500
        self._heads: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []

    def scope(self, peer: tuple[str, int], scheme: str) -> dict[str, Any]:
        path, _, query = self.target.partition(b"?")
        if b"%" in path:
            path = unquote_to_bytes(path)
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": self.version,
            "method": self.method,
            "scheme": scheme,
            "path": path.decode("latin-1"),
            "raw_path": path,
            "root_path": "",
            "query_string": query,
            "headers": self.headers,
            "client": peer,
            # What came with the head in one piece, as nearly every body does.
            "pushctl.body": b"".join(self._parts) if self.complete else None,
        }

    def add(self, part: bytes) -> None:
        self.size += len(part)
        self._parts.append(part)
        self.wake()

    def wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    async def receive(self) -> dict[str, Any]:
        while not self._parts and not (self.complete and not self._told):
            if self._connection.lost:
                return {"type": "http.disconnect"}
            self._more = asyncio.get_running_loop().create_future()
            await self._more
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        self._told = self.complete
        return {"type": "http.request", "body": body, "more_body": not self.complete}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._status, self._heads = message["status"], message["headers"]
            return
        self._body.append(message.get("body", b""))
        if not message.get("more_body", False) and not self.answered:
            self.answered = True
            body = b"" if self.method == "HEAD" else b"".join(self._body)
            self._connection.answer(self, self._status, self._heads, body)


class Connection(asyncio.Protocol):
    """One client's connection. Made by ``Front``, which counts it until it is lost."""

    def __init__(self, front: "Front", peer: tuple[str, int]) -> None:
        self._front = front
        self._peer = peer
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._requests: deque[Request] = deque()
        self._incoming: Request | None = None
        self._task: asyncio.Task[None] | None = None
        self._head_bytes = 0
        self._discarded = 0
        self._blocked = False  # the client does not read what it asked for
        self._reading = True
        self._said_all = False
        self._unwanted = False  # shown out before it was in
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
        self._front.forget(self, self._peer[0])
        for request in self._requests:
            request.wake()

    def data_received(self, data: bytes) -> None:
        if self.state is State.LINGERING:
            self._discarded += len(data)
            if self._discarded > self._front.limits.max_head * 16:
                self.abort()
            return
        if self.state is State.IDLE:
            self._wait(State.HEAD)
        if self._incoming is None or not self._incoming.begun:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, b"Nothing but HTTP/1.1 is spoken here.")
            return
        except (httptools.HttpParserError, ValueError):
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

    def on_message_begin(self) -> None:
        self._incoming = Request(self)
        self._requests.append(self._incoming)

    def on_url(self, part: bytes) -> None:
        assert self._incoming is not None
        self._incoming.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self._incoming is not None
        self._incoming.headers.append((name.lower(), value))

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

    def on_message_complete(self) -> None:
        assert self._incoming is not None
        self._incoming.complete = True
        self._incoming.wake()
        self._incoming = None
        self._head_bytes = 0

    # --- what follows ----------------------------------------------------------------

    def _after_data(self) -> None:
        incoming = self._incoming
        if len(self._requests) > MAX_AHEAD:
            self._front.note("ahead")
            self.abort()
            return
        if incoming is not None and not incoming.begun:
            if self._head_bytes > self._front.limits.max_head:
                self._front.note("head")
                self._refuse(431, b"The head is longer than 16 KiB.")
                return
        elif incoming is not None and incoming.size > self._front.limits.max_body:
            self._read(False)  # the app refuses it, having seen more than it takes
        self._next()

    def _next(self) -> None:
        """Begin the first request that waits; its body may still be on the way."""
        if self._task is not None:
            if self._requests and self._requests[0].complete:
                self._work()
                self._read(False)
            return
        if self._blocked or self.lost or not self._requests or not self._requests[0].begun:
            return
        request = self._requests[0]
        if request.complete:
            self._work()
        else:
            self._wait(State.BODY)
        scope = request.scope(self._peer, self._front.scheme)
        self._task = asyncio.get_running_loop().create_task(self._run(scope, request))

    async def _run(self, scope: dict[str, Any], request: Request) -> None:
        try:
            await self._front.app(scope, request.receive, request.send)
        except Exception:
            self._front.crashed()
        if not request.answered and not self.lost:
            request.keep = False
            self.answer(request, 500, [], b"")

    def answer(
        self, request: Request, status: int, heads: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        """Write one whole answer, and go on with what comes next."""
        if self.lost or self._transport is None:
            return
        close = not (request.keep and request.complete) or self._front.stopping
        close |= self._said_all and len(self._requests) == 1
        self._transport.write(_head(status, tuple(heads), close) + body)
        self._task = None
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
        if self._transport is None or self.lost or self._task is not None:
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
        if self.state is State.HEAD and self._head_bytes and self._task is None:
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
