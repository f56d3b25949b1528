"""One connection of a sender: TLS, then HTTP/1.1 or HTTP/2 as ALPN chose."""

import asyncio
import ssl
from typing import cast

from pushctl.demo.pushservice.handler import Handler
from pushctl.demo.pushservice.http1 import Http1
from pushctl.demo.pushservice.http2 import Http2


class HttpConnection(asyncio.Protocol):
    """One connection, listed in *open_connections* while it is open."""

    def __init__(
        self, handler: Handler, open_connections: "set[HttpConnection]", streams: int
    ) -> None:
        self._handler = handler
        self._open = open_connections
        self._streams = streams
        self._http: Http1 | Http2 | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._open.add(self)
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() == "h2":
            self._http = Http2(self._transport, self._handler, self._streams)
        else:
            self._http = Http1(self._transport, self._handler)

    def data_received(self, data: bytes) -> None:
        if self._http:
            self._http.feed(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._open.discard(self)
        if self._http:
            self._http.lost()

    def pause_writing(self) -> None:
        if self._http:
            self._http.writable.clear()

    def resume_writing(self) -> None:
        if self._http:
            self._http.writable.set()

    def close(self) -> None:
        if self._transport:
            self._transport.abort()
