"""The shop's web server: the standard library's, a thread for each connection."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import Any

from pushctl.demo.shop import Shop


@contextmanager
def serve(shop: Shop, port: int = 0) -> Iterator[int]:
    """
    Serve *shop* on 127.0.0.1 within the block; yield the port. 0 asks for a free one.

    Raises OSError when the port is taken.
    """
    with _Server(shop, port) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), name="shop")
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


# No HTTPServer: that one asks for the address's name, which may take seconds without DNS.
class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True  # a browser's open connection doesn't hold up the end
    request_queue_size = 128  # a browser opens several at once; a full queue costs a second

    def __init__(self, shop: Shop, port: int) -> None:
        self.shop = shop
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Browsers drop connections whenever they like.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 60.0  # seconds that a connection may be idle
    disable_nagle_algorithm = True  # head and body are two writes

    def do_GET(self) -> None:
        answer = self.server.shop.answer(self.path, self.headers.get("Accept-Language", ""))
        etag = answer.headers.get("ETag")
        known = etag is not None and etag in self.headers.get("If-None-Match", "")
        self.send_response(304 if known else answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if not known:
            self.send_header("Content-Type", answer.type)
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command == "GET" and not known:
            self.wfile.write(answer.body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Write no line for each request."""
