"""HTTP/1.1 for one connection: the part that senders need, one request after another."""

import asyncio
import re
import socket
import struct
from dataclasses import dataclass, replace
from http import HTTPStatus

from pushctl.demo.pushservice.exchange import Answer, Request
from pushctl.demo.pushservice.faults import Fault
from pushctl.demo.pushservice.handler import Handler

MAX_HEAD = 32 * 1024
MAX_BODY = 1024 * 1024

_KNOWN = frozenset(HTTPStatus)
_LINE = re.compile(r"(?P<method>[A-Z]+) (?P<path>/[!-~]*) HTTP/1\.[01]", re.ASCII)


class Http1:
    """Cuts a connection's bytes into requests and feeds them to a Handler."""

    def __init__(self, transport: asyncio.Transport, handler: Handler) -> None:
        self.transport = transport
        self.writable = asyncio.Event()
        self.writable.set()
        self._handler = handler
        self._unread = bytearray()
        self._pending: _Pending | None = None
        self._answering = False  # pipelined requests wait

    def feed(self, data: bytes) -> None:
        self._unread += data
        self._carry_on()

    def lost(self) -> None:
        self.writable.set()

    def answered(self) -> None:
        self._answering = False
        asyncio.get_running_loop().call_soon(self._carry_on)

    def _carry_on(self) -> None:
        while not self._answering and not self.transport.is_closing():
            try:
                if not (self._body() if self._pending else self._head()):
                    return
            except ValueError:
                bad = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
                self.transport.write(bad)
                self.transport.close()

    def _head(self) -> bool:
        """Take a request's head from the buffer; return False while it is incomplete."""
        end = self._unread.find(b"\r\n\r\n")
        if end < 0:
            if len(self._unread) > MAX_HEAD:
                raise ValueError("head too long")
            return False
        method, path, headers = _parse(bytes(self._unread[:end]))
        del self._unread[: end + 4]
        length = int(headers.get("content-length", "0"))
        if "transfer-encoding" in headers or not 0 <= length <= MAX_BODY:
            raise ValueError("no length")
        request = Request(method, headers.get("host", "").lower(), path, headers, b"")
        responder = Http1Responder(self)
        decided = self._handler.opened(request.host, path, responder)
        if decided:
            self._pending = _Pending(request, length, responder, *decided)
        return True

    def _body(self) -> bool:
        pending = self._pending
        assert pending is not None
        if len(self._unread) < pending.length:
            return False
        request = replace(pending.request, body=bytes(self._unread[: pending.length]))
        del self._unread[: pending.length]
        self._pending = None
        self._answering = True
        self._handler.received(request, pending.fault, pending.delay, pending.responder)
        return True


@dataclass(frozen=True, slots=True)
class _Pending:
    """A request whose body is still to come."""

    request: Request
    length: int
    responder: "Http1Responder"
    fault: Fault
    delay: float


class Http1Responder:
    """Answers one request; see handler.Responder."""

    def __init__(self, connection: Http1) -> None:
        self._connection = connection
        self._transport = connection.transport
        self._chunked = False

    @property
    def open(self) -> bool:
        return not self._transport.is_closing()

    def answer(self, answer: Answer) -> None:
        if self.open:
            self._transport.write(_serialize(answer, len(answer.body)) + answer.body)
            self._connection.answered()

    def informational(self) -> None:
        self._transport.write(b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n")

    def begin(self, answer: Answer, length: int | None) -> None:
        self._chunked = length is None
        self._transport.write(_serialize(answer, length))

    async def write(self, piece: bytes) -> None:
        if not self.open:
            return
        self._transport.write(b"%x\r\n%s\r\n" % (len(piece), piece) if self._chunked else piece)
        await self._connection.writable.wait()

    def finish(self) -> None:
        if self._chunked and self.open:
            self._transport.write(b"0\r\n\r\n")
        # Answers that are written in pieces end with the connection.
        self._transport.close()

    def close(self) -> None:
        self._transport.close()

    def reset(self, scope: str) -> None:
        abort(self._transport)

    def spoil(self) -> None:
        self._transport.write(b"zz\r\nno chunk\r\n-1\r\n\r\n")
        self._transport.close()


def abort(transport: asyncio.Transport) -> None:
    """Drop a connection as a crashed machine does: with RST where TCP sends one."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _serialize(answer: Answer, length: int | None) -> bytes:
    """Return status line and headers; without a length the body comes in chunks."""
    phrase = HTTPStatus(answer.status).phrase if answer.status in _KNOWN else "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if answer.status not in (204, 304):
        framing = (
            "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        )
        lines.append(framing)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _parse(raw: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = raw.decode("latin-1").split("\r\n")
    match = _LINE.fullmatch(first)
    if match is None:
        raise ValueError("no request line")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError("no header")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return match["method"], match["path"], headers
