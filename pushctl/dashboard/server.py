"""
The dashboard's server: HTTP on 127.0.0.1, for one person at this machine.

Connections have threads of their own, so that one that is slow holds nobody; pages are made
in one more, which owns the database.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket

from pushctl import log
from pushctl.dashboard.access import Gate, Verdict
from pushctl.rules.limits import MAX_DASHBOARD_CONNECTIONS

LOOPBACK = "127.0.0.1"
_REQUEST_SECONDS = 5.0  # for a request to come in
_FRESH_SECONDS = 3.0  # a page is shown again for so long
_LOOK_SECONDS = 0.2

Render = Callable[[], str]  # the page; called in the one thread that owns the database

_HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Dashboard:
    """A server that shows what *render* returns, until its time is over."""

    def __init__(self, render: Render, port: int = 0) -> None:
        self._render = render
        self._pages = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dashboard")
        self._page, self._made = "", float("-inf")
        self._server = _Server((LOOPBACK, port), self)
        self.gate = Gate(f"{LOOPBACK}:{self._server.server_port}")

    def serve(self, seconds: float, stop: threading.Event) -> None:
        """Serve until *seconds* are over or *stop* is set."""
        listener = threading.Thread(target=self._server.serve_forever, daemon=True)
        listener.start()
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline and not stop.wait(_LOOK_SECONDS):
                pass
        finally:
            self.close()
            listener.join()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._pages.shutdown(cancel_futures=True)

    def load_page(self) -> str:
        """Return the page; called in any thread."""
        return self._pages.submit(self._make_page).result()

    def _make_page(self) -> str:
        if time.monotonic() - self._made > _FRESH_SECONDS:
            self._page = self._render()
            self._made = time.monotonic()
        return self._page


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    server_version, sys_version = "pushctl", ""
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        if len(headers) != len(self.headers.items()):
            self._send(HTTPStatus.BAD_REQUEST, "a header is there twice")
            return
        verdict = self.server.dashboard.gate.judge(self.command, self.path, headers)
        if verdict.status is HTTPStatus.OK and verdict.path != "/":
            verdict = Verdict(HTTPStatus.NOT_FOUND, why="there is one page: /")
        if verdict.status is not HTTPStatus.OK:
            self._send(verdict.status, verdict.why, cookie=verdict.cookie)
            return
        try:
            page = self.server.dashboard.load_page()
        except Exception as error:
            log.note("dashboard", "failed", level=logging.ERROR, error=str(error))
            why = f"the page could not be made: {error}"
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, why)
            return
        self._send(HTTPStatus.OK, page, is_page=True)

    # Of other methods none is served; a body is never read.
    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET

    def _send(
        self, status: HTTPStatus, text: str, *, cookie: str = "", is_page: bool = False
    ) -> None:
        body = text.encode(errors="replace")
        self.close_connection = True
        self.send_response(status)
        kind = "html" if is_page else "plain"
        headers = {
            **_HEADERS,
            "Content-Type": f"text/{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
        }
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "GET"
        if cookie:
            headers |= {"Set-Cookie": cookie, "Location": "/"}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: an address may have the token in it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = MAX_DASHBOARD_CONNECTIONS

    def __init__(self, address: tuple[str, int], dashboard: Dashboard) -> None:
        self.dashboard = dashboard
        self._room = threading.BoundedSemaphore(MAX_DASHBOARD_CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: socket, client_address: object) -> None:  # type: ignore[override]
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: socket, client_address: object) -> None:  # type: ignore[override]
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a connection that breaks off."""
