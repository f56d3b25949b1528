"""HTTP/2 for one connection, on the h2 package; and what a broken server does with it."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from pushctl.demo.pushservice.exchange import Answer, Request
from pushctl.demo.pushservice.faults import WHOLE_CONNECTION, Fault
from pushctl.demo.pushservice.http1 import MAX_BODY, abort
from pushctl.demo.pushservice.stage import Handler

_CONFIG = H2Configuration(
    client_side=False,
    header_encoding="utf-8",
    # What we send is meant to be wrong at times, and checking it costs a fifth.
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)


@dataclass(slots=True)
class _Pending:
    """A request whose body is still to come."""

    method: str
    host: str
    path: str
    headers: dict[str, str]
    fault: Fault
    delay: float
    responder: "Http2Responder"
    body: bytearray = field(default_factory=bytearray)


class Http2:
    """Feeds a connection's streams to a Handler."""

    def __init__(
        self, transport: asyncio.Transport, handler: Handler, streams: int = 100
    ) -> None:
        self.transport = transport
        self.protocol = H2Connection(_CONFIG)
        self.writable = asyncio.Event()
        self.writable.set()
        self.window = asyncio.Event()  # set when the peer lets us send more
        self._handler = handler
        self._pending: dict[int, _Pending] = {}
        self._flushing = False
        self.protocol.local_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = streams
        self.protocol.initiate_connection()
        self.flush()

    def feed(self, data: bytes) -> None:
        try:
            events = self.protocol.receive_data(data)
        except ProtocolError:
            self._write()
            self.transport.close()
            return
        for event in events:
            self._handle(event)
        self._write()

    def lost(self) -> None:
        self.writable.set()
        self.window.set()

    def flush(self) -> None:
        """Write what h2 holds, once for all answers of this turn of the loop."""
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._flushing = False
        data = self.protocol.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._head(event)
            case DataReceived():
                self._data(event)
            case StreamEnded():
                self._end(event.stream_id)
            case StreamReset():
                self._pending.pop(event.stream_id, None)
                self.window.set()
            case WindowUpdated():
                self.window.set()

    def _head(self, event: RequestReceived) -> None:
        headers: dict[str, str] = {}
        # header_encoding in _CONFIG has made text of them.
        for name, value in cast("list[tuple[str, str]]", event.headers):
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        host = headers.get(":authority", headers.get("host", "")).lower()
        path = headers.get(":path", "")
        responder = Http2Responder(self, event.stream_id)
        decided = self._handler.opened(host, path, responder)
        if decided:
            method = headers.get(":method", "")
            pending = _Pending(method, host, path, headers, *decided, responder)
            self._pending[event.stream_id] = pending

    def _data(self, event: DataReceived) -> None:
        pending = self._pending.get(event.stream_id)
        if event.flow_controlled_length:
            self.protocol.acknowledge_received_data(
                event.flow_controlled_length, event.stream_id
            )
        if pending is None:
            return
        pending.body += event.data
        if len(pending.body) > MAX_BODY:
            del self._pending[event.stream_id]
            pending.responder.reset("stream")

    def _end(self, stream: int) -> None:
        pending = self._pending.pop(stream, None)
        if pending is None:
            return
        request = Request(
            pending.method, pending.host, pending.path, pending.headers, bytes(pending.body)
        )
        self._handler.received(request, pending.fault, pending.delay, pending.responder)


class Http2Responder:
    """The way back of one stream; see stage.Responder."""

    __slots__ = ("_connection", "_protocol", "_stream")

    def __init__(self, connection: Http2, stream: int) -> None:
        self._connection = connection
        self._protocol = connection.protocol
        self._stream = stream

    @property
    def open(self) -> bool:
        if self._connection.transport.is_closing():
            return False
        stream = self._protocol.streams.get(self._stream)
        return stream is not None and stream.open

    def answer(self, answer: Answer) -> None:
        # The sender may have given up meanwhile: then there is nothing to answer.
        try:
            self._headers(answer, len(answer.body), end=not answer.body)
            if answer.body:
                self._protocol.send_data(self._stream, answer.body, end_stream=True)
        except ProtocolError:
            return
        self._connection.flush()

    def informational(self) -> None:
        self._protocol.send_headers(self._stream, [(":status", "103"), ("link", "</x>")])
        self._connection.flush()

    def begin(self, answer: Answer, length: int | None) -> None:
        self._headers(answer, length, end=False)
        self._connection.flush()

    async def write(self, piece: bytes) -> None:
        while piece and self.open:
            room = self._protocol.local_flow_control_window(self._stream)
            room = min(room, self._protocol.max_outbound_frame_size)
            if room <= 0:
                self._connection.window.clear()
                await self._connection.window.wait()
                continue
            self._protocol.send_data(self._stream, piece[:room])
            piece = piece[room:]
            self._connection.flush()
            await self._connection.writable.wait()

    def finish(self) -> None:
        if self.open:
            self._protocol.end_stream(self._stream)
            self._connection.flush()

    def reset(self, scope: str) -> None:
        if scope == WHOLE_CONNECTION:
            abort(self._connection.transport)
        elif self.open:
            self._protocol.reset_stream(self._stream, ErrorCodes.INTERNAL_ERROR)
            self._connection.flush()

    def spoil(self) -> None:
        # DATA on stream 0: the other side must end the connection (RFC 9113, 6.1).
        self._connection.transport.write(b"\x00\x00\x04\x00\x00\x00\x00\x00\x00junk")

    def _headers(self, answer: Answer, length: int | None, *, end: bool) -> None:
        fields = [(":status", str(answer.status)), *answer.headers]
        if length is not None and answer.status != 204:
            fields.append(("content-length", str(length)))
        self._protocol.send_headers(self._stream, fields, end_stream=end)
