"""A receiver of webhooks: an HTTPS server on loopback that keeps what it gets."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson

from pushctl.demo.pushservice import certificates
from tests.support import keep_folder

HOST = "hooks.example"
URL = f"https://{HOST}/pushctl"


@dataclass(frozen=True)
class Got:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def json(self) -> Any:
        return orjson.loads(self.body)


Answer = Callable[[BaseHTTPRequestHandler, Got], None]


def say(status: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, got: Got) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


OK = say(204)


@dataclass
class Receiver:
    """*answer* may be changed at any time; *got* has all that came, in order."""

    port: int
    ca: Path
    answer: Answer = OK
    got: list[Got] = field(default_factory=list)

    @property
    def settings(self) -> str:
        """The lines of pushctl.toml that lead to it."""
        return f"""
[push.loopback]
ca = "{self.ca}"
hosts = {{ "{HOST}" = "127.0.0.1:{self.port}" }}
"""

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.got]


@lru_cache(maxsize=1)
def _authority() -> tuple[certificates.Authority, Path]:
    made = certificates.make([HOST])
    file = keep_folder("pushctl-webhooks-") / "ca.pem"
    file.write_bytes(made.pem)
    return made, file


@contextmanager
def receiving(answer: Answer = OK) -> Iterator[Receiver]:
    authority, ca = _authority()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            heads = {name.lower(): value for name, value in self.headers.items()}
            got = Got(self.path, heads, self.rfile.read(length))
            receiver.got.append(got)
            receiver.answer(self, got)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that hangs up is nothing unusual here."""

    server = Server(("127.0.0.1", 0), Handler)
    context = certificates.context(authority.good, ca.parent)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    receiver = Receiver(server.server_address[1], ca, answer)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
