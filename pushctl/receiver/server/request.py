"""One request as it comes in, and the app's two ends of it."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

Headers = list[tuple[bytes, bytes]]
# Gives one whole answer: status, headers, body.
Reply = Callable[[int, Headers, bytes], None]

_ASGI = {"version": "3.0", "spec_version": "2.3"}

# Takes a request and its whole answer.
Answer = Callable[["Request", int, Headers, bytes], None]


class Request:
    """
    Made when a request's first byte is read; ``receive`` and ``send`` are ASGI's.

    *answer* is called once, with the request and its whole answer. The connection sets
    ``lost`` when its client has gone.
    """

    def __init__(self, answer: "Answer") -> None:
        self._answer = answer
        self.lost = False
        self.target = b""
        self.headers: Headers = []
        self.method = ""
        self.version = "1.1"
        self.keep = True
        self.begun = False  # the head is whole
        self.complete = False
        self.answered = False
        self.size = 0
        self.head = 0  # bytes of its header lines
        # In one piece: a body may come in thousands of parts, each an object of its own.
        self._came = bytearray()
        self._told = False  # the app has had the body's end
        self._more: asyncio.Future[None] | None = None
        self._status = 500
        self._heads: Headers = []
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
            "pushctl.body": bytes(self._came) if self.complete else None,
        }

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes; a short line takes two hundred."""
        return 1000 + self.head + 200 * len(self.headers) + self.size

    def add(self, part: bytes) -> None:
        self.size += len(part)
        self._came += part
        self.wake()

    def wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    async def receive(self) -> dict[str, Any]:
        while not self._came and not (self.complete and not self._told):
            if self.lost:
                return {"type": "http.disconnect"}
            self._more = asyncio.get_running_loop().create_future()
            await self._more
        body = bytes(self._came)
        self._came.clear()
        self._told = self.complete
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
