"""One request while it is received, with ASGI's ``receive`` and ``send`` for the app."""

import asyncio
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from pushctl.receiver.answers import Headers

# Takes the answer to a request: status, headers, body.
Reply = Callable[[int, Headers, bytes], None]
Answer = Callable[["Request", int, Headers, bytes], None]

# A proxy's form of a target, which every server has to take (RFC 9112, section 3.2.2).
_ABSOLUTE = re.compile(rb"https?://[^/?#@]+", re.IGNORECASE)

_ASGI = {"version": "3.0", "spec_version": "2.3"}


class Request:
    """
    One request, made when its first byte is read.

    *answer* is called once, *go_on* at most once: the client waits with its body until then.
    The connection sets ``lost`` when it is closed.
    """

    def __init__(self, answer: Answer, go_on: Callable[[], None]) -> None:
        self._answer = answer
        self._go_on = go_on
        self.waits = False  # with its body, until it is asked to go on
        self.lost = False
        self.target = b""
        self.headers: Headers = []
        self.method = ""
        self.version = "1.1"
        self.keep = True
        self.begun = False  # the head is complete
        self.complete = False
        self.answered = False
        self.size = 0
        self.limit = 0  # bytes that its body may have
        self.head = 0  # bytes of its header lines
        # One buffer: a body may come in thousands of parts, each an object.
        self._received_body = bytearray()
        self._end_received = False  # by the app, of the body
        self._waiter: asyncio.Future[None] | None = None
        self._status = 500
        self._heads: Headers = []
        self._body: list[bytes] = []

    @property
    def path(self) -> str:
        return self._split_target()[0].decode("latin-1")

    def _split_target(self) -> tuple[bytes, bytes]:
        path, _, query = _cut_authority(self.target).partition(b"?")
        return (unquote_to_bytes(path) if b"%" in path else path), query

    def make_scope(self, peer: tuple[str, int], scheme: str) -> dict[str, Any]:
        path, query = self._split_target()
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
            # Nearly every body comes with its head.
            "pushctl.body": bytes(self._received_body) if self.complete else None,
        }

    @property
    def weight(self) -> int:
        """Estimated bytes of memory; a short header line takes two hundred."""
        return 1000 + self.head + 200 * len(self.headers) + self.size

    def add(self, part: bytes) -> None:
        self.size += len(part)
        self._received_body += part
        self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> dict[str, Any]:
        # Only now: who is refused by its head need not send a body (RFC 9110, 10.1.1).
        if self.waits and not self.size and not self.complete and not self.lost:
            self.waits = False
            self._go_on()
        while not self._received_body and not (self.complete and not self._end_received):
            if self.lost:
                return {"type": "http.disconnect"}
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        body = bytes(self._received_body)
        self._received_body.clear()
        self._end_received = self.complete
        return {"type": "http.request", "body": body, "more_body": not self.complete}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._status, self._heads = message["status"], message["headers"]
            return
        self._body.append(message.get("body", b""))
        if not message.get("more_body", False):
            self.reply(self._status, self._heads, b"".join(self._body))

    def reply(self, status: int, heads: Headers, body: bytes) -> None:
        if not self.answered:
            self.answered = True
            body = b"" if self.method == "HEAD" else body
            self._answer(self, status, heads, body)


def _cut_authority(target: bytes) -> bytes:
    """Return a target without scheme and host; the host is as unimportant as Host is."""
    if target.startswith(b"/"):
        return target
    found = _ABSOLUTE.match(target)
    rest = target[found.end() :] if found else target
    return rest if rest.startswith(b"/") or not found else b"/" + rest
