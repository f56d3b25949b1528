"""
HTTP/2 for one connection (RFC 9113), as a server sees it; and what a broken one does.

No priorities, no push, no trailers of our own: push services use none. Frames of our
own, since a server that misbehaves at will must not be held back by a library.
"""

import asyncio
import struct
from dataclasses import dataclass, field

from pushctl.demo.pushservice import hpack
from pushctl.demo.pushservice.exchange import Answer, Request
from pushctl.demo.pushservice.faults import WHOLE_CONNECTION, Fault
from pushctl.demo.pushservice.handler import Handler
from pushctl.demo.pushservice.http1 import MAX_BODY, abort

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

_DATA, _HEADERS, _RESET, _SETTINGS = 0, 1, 3, 4
_PING, _GOAWAY, _WINDOW, _CONTINUATION = 6, 7, 8, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
_PROTOCOL_ERROR, _INTERNAL_ERROR, _FLOW_ERROR, _REFUSED, _COMPRESSION = 1, 2, 3, 7, 9
_SIZE_ERROR = 6

_FRAME = 16_384  # bytes: the largest frame unless a side permits more
_MAX_HEADERS = 64 * 1024
# Bytes that senders may have in flight: practically no limit.
_ROOM = 1 << 30
_START_WINDOW = 65_535


class ConnectionFault(Exception):
    """The other side broke the protocol; *code* goes into GOAWAY."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(slots=True)
class _Stream:
    number: int
    window: int  # bytes that we may send
    fault: Fault
    delay: float
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)
    ending: bool = False  # END_STREAM follows the unsent bytes


class Http2:
    """Feeds a connection's streams to a Handler."""

    def __init__(self, transport: asyncio.Transport, handler: Handler, streams: int) -> None:
        self.transport = transport
        self.writable = asyncio.Event()
        self.writable.set()
        self.streams: dict[int, _Stream] = {}
        self._handler = handler
        self._decoder = hpack.Decoder()
        self._most_streams = streams
        self._last = 0  # newest stream of theirs
        self._unread = bytearray()
        self._block: tuple[int, int, bytearray] | None = None  # headers to be continued
        self._greeted = False
        self._window = _START_WINDOW  # bytes that we may send on the connection
        self._first_window = _START_WINDOW  # ... on a new stream
        self._taken = 0  # bytes read since we last made room
        self._out: list[bytes] = []
        self._flushing = False
        settings = struct.pack("!HIHIHI", 3, streams, 4, _ROOM, 6, _MAX_HEADERS)
        self.frame(_SETTINGS, 0, 0, settings)
        self.frame(_WINDOW, 0, 0, struct.pack("!I", _ROOM))

    def feed(self, data: bytes) -> None:
        self._unread += data
        try:
            self._read()
        except ConnectionFault as fault:
            self.frame(_GOAWAY, 0, 0, struct.pack("!II", self._last, fault.code))
            self.flush()
            self.transport.close()
            return
        self.flush()

    def lost(self) -> None:
        self.streams.clear()
        self.writable.set()

    def frame(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        """Send a frame, together with others of this turn of the loop."""
        head = struct.pack("!IBI", len(payload) << 8 | kind, flags, stream)
        self._out.append(head + payload)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self.flush)

    def headers(self, stream: int, fields: list[hpack.Pair], *, end: bool = False) -> None:
        block = hpack.encode(fields)
        flags, kind = _END_STREAM if end else 0, _HEADERS
        while len(block) > _FRAME:
            self.frame(kind, flags, stream, block[:_FRAME])
            block, flags, kind = block[_FRAME:], 0, _CONTINUATION
        self.frame(kind, flags | _END_HEADERS, stream, block)

    def pump(self, stream: _Stream) -> None:
        """Send as many of the unsent bytes as both windows permit."""
        while stream.unsent or stream.ending:
            room = min(self._window, stream.window, _FRAME, len(stream.unsent))
            if room <= 0 < len(stream.unsent):
                return
            piece = bytes(stream.unsent[:room])
            del stream.unsent[:room]
            self._window -= room
            stream.window -= room
            last = stream.ending and not stream.unsent
            self.frame(_DATA, _END_STREAM if last else 0, stream.number, piece)
            if last:
                self.streams.pop(stream.number, None)
                return

    def flush(self) -> None:
        """Write the frames of this turn of the loop."""
        self._flushing = False
        if self._out and not self.transport.is_closing():
            self.transport.write(b"".join(self._out))
        self._out.clear()

    def _read(self) -> None:
        if not self._greeted:
            if len(self._unread) < len(PREFACE):
                return
            if not self._unread.startswith(PREFACE):
                raise ConnectionFault(_PROTOCOL_ERROR, "no preface")
            del self._unread[: len(PREFACE)]
            self._greeted = True
        at = 0
        while len(self._unread) - at >= 9:
            word, flags, stream = struct.unpack_from("!IBI", self._unread, at)
            length = word >> 8
            if length > _FRAME:
                raise ConnectionFault(_SIZE_ERROR, "frame too large")
            if len(self._unread) - at < 9 + length:
                break
            payload = bytes(self._unread[at + 9 : at + 9 + length])
            at += 9 + length
            self._take(word & 0xFF, flags, stream & 0x7FFF_FFFF, payload)
        del self._unread[:at]

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block and (kind != _CONTINUATION or number != self._block[0]):
            raise ConnectionFault(_PROTOCOL_ERROR, "headers without their end")
        if kind == _DATA:
            self._data(flags, number, payload)
        elif kind == _HEADERS:
            self._block = (number, flags, bytearray(_bare(flags, payload, kind)))
            self._continue(flags, b"")
        elif kind == _CONTINUATION:
            self._continue(flags, payload)
        elif kind == _SETTINGS and not flags & _ACK:
            self._settings(payload)
        elif kind == _PING and not flags & _ACK:
            self.frame(_PING, _ACK, 0, payload)
        elif kind == _WINDOW:
            self._more_room(number, payload)
        elif kind == _RESET:
            self.streams.pop(number, None)

    def _continue(self, flags: int, payload: bytes) -> None:
        if self._block is None:
            raise ConnectionFault(_PROTOCOL_ERROR, "nothing to continue")
        number, first_flags, block = self._block
        block += payload
        if len(block) > _MAX_HEADERS:
            raise ConnectionFault(_PROTOCOL_ERROR, "headers too large")
        if not flags & _END_HEADERS:
            return
        self._block = None
        try:
            fields = self._decoder.decode(bytes(block))
        except hpack.HpackError as error:
            raise ConnectionFault(_COMPRESSION, str(error)) from error
        if number > self._last:
            self._open(number, fields)
        if first_flags & _END_STREAM:
            self._ended(number)

    def _open(self, number: int, fields: list[hpack.Pair]) -> None:
        if number % 2 == 0:
            raise ConnectionFault(_PROTOCOL_ERROR, "a stream number of ours")
        self._last = number
        if len(self.streams) >= self._most_streams:
            self.frame(_RESET, 0, number, struct.pack("!I", _REFUSED))
            return
        headers: dict[str, str] = {}
        for name, value in fields:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        host = headers.get(":authority", headers.get("host", "")).lower()
        headers["host"] = host
        responder = Http2Responder(self, number)
        # Registered first: a reset before the body needs something to reset.
        stream = _Stream(number, self._first_window, Fault(), 0.0, headers)
        self.streams[number] = stream
        decided = self._handler.opened(host, headers.get(":path", ""), responder)
        if decided:
            stream.fault, stream.delay = decided

    def _data(self, flags: int, number: int, payload: bytes) -> None:
        if number == 0 or number > self._last:
            raise ConnectionFault(_PROTOCOL_ERROR, "data on a stream that never was")
        self._taken += len(payload)
        if self._taken > _ROOM // 2:
            self.frame(_WINDOW, 0, 0, struct.pack("!I", self._taken))
            self._taken = 0
        stream = self.streams.get(number)
        if stream is None:
            return  # reset by us meanwhile
        stream.body += _bare(flags, payload, _DATA)
        if len(stream.body) > MAX_BODY:
            self.reset(number)
        elif flags & _END_STREAM:
            self._ended(number)

    def _ended(self, number: int) -> None:
        stream = self.streams.get(number)
        if stream is None:
            return
        headers = stream.headers
        method, path = headers.pop(":method", ""), headers.pop(":path", "")
        request = Request(method, headers["host"], path, headers, bytes(stream.body))
        responder = Http2Responder(self, number)
        self._handler.received(request, stream.fault, stream.delay, responder)

    def reset(self, number: int) -> None:
        if self.streams.pop(number, None):
            self.frame(_RESET, 0, number, struct.pack("!I", _INTERNAL_ERROR))

    def _settings(self, payload: bytes) -> None:
        if len(payload) % 6:
            raise ConnectionFault(_SIZE_ERROR, "no settings")
        for key, value in struct.iter_unpack("!HI", payload):
            if key == 4:
                if value > 0x7FFF_FFFF:
                    raise ConnectionFault(_FLOW_ERROR, "window too large")
                for stream in list(self.streams.values()):
                    stream.window += value - self._first_window
                self._first_window = value
        self.frame(_SETTINGS, _ACK, 0)
        self._pump_all()

    def _more_room(self, number: int, payload: bytes) -> None:
        (more,) = struct.unpack("!I", payload)
        if number == 0:
            self._window += more
            self._pump_all()
        elif stream := self.streams.get(number):
            stream.window += more
            self.pump(stream)

    def _pump_all(self) -> None:
        for stream in list(self.streams.values()):
            if stream.unsent or stream.ending:
                self.pump(stream)


class Http2Responder:
    """Answers one stream; see handler.Responder."""

    __slots__ = ("_connection", "_number")

    def __init__(self, connection: Http2, number: int) -> None:
        self._connection = connection
        self._number = number

    @property
    def open(self) -> bool:
        there = self._number in self._connection.streams
        return there and not self._connection.transport.is_closing()

    def answer(self, answer: Answer) -> None:
        if self._number not in self._connection.streams:
            return  # the sender gave up meanwhile
        if not answer.body:
            self._headers(answer, 0, end=True)
            del self._connection.streams[self._number]
            return
        self._headers(answer, len(answer.body))
        self._queue(answer.body, ending=True)

    def informational(self) -> None:
        fields = [(":status", "103"), ("link", "</x>; rel=preload")]
        self._connection.headers(self._number, fields)

    def begin(self, answer: Answer, length: int | None) -> None:
        self._headers(answer, length)

    async def write(self, piece: bytes) -> None:
        self._queue(piece)
        while self.open and self._connection.streams[self._number].unsent:
            await asyncio.sleep(0.01)
        await self._connection.writable.wait()

    def finish(self) -> None:
        if self.open:
            self._queue(b"", ending=True)

    def reset(self, scope: str) -> None:
        if scope == WHOLE_CONNECTION:
            abort(self._connection.transport)
        else:
            self._connection.reset(self._number)

    def close(self) -> None:
        self._connection.flush()
        self._connection.transport.close()

    def spoil(self) -> None:
        # DATA on stream 0: the other side must end the connection (section 6.1).
        self._connection.frame(_DATA, 0, 0, b"junk")

    def _headers(self, answer: Answer, length: int | None, *, end: bool = False) -> None:
        fields = [(":status", str(answer.status)), *answer.headers]
        if length is not None and answer.status != 204:
            fields.append(("content-length", str(length)))
        self._connection.headers(self._number, fields, end=end)

    def _queue(self, data: bytes, *, ending: bool = False) -> None:
        if stream := self._connection.streams.get(self._number):
            stream.unsent += data
            stream.ending = ending
            self._connection.pump(stream)


def _bare(flags: int, payload: bytes, kind: int) -> bytes:
    """Return *payload* without padding and priority."""
    if not flags & (_PADDED | _HAS_PRIORITY):
        return payload
    start, end = 0, len(payload)
    if flags & _PADDED:
        if not payload or payload[0] >= end:
            raise ConnectionFault(_PROTOCOL_ERROR, "more padding than frame")
        start, end = 1, end - payload[0]
    if flags & _HAS_PRIORITY and kind == _HEADERS:
        start += 5
    return payload[start:end]
