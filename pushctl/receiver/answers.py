"""Answers and refusals; none of them repeats anything of its request."""

from collections.abc import Mapping
from typing import Any

import orjson

Headers = list[tuple[bytes, bytes]]

JSON_HEADERS: Headers = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]


class Refusal(Exception):
    """
    A refused request: status, a *word* for the log, *error* and *remedy* for the page.

    Neither *error* nor *remedy* may repeat what was sent: script is injected by echoes.
    """

    def __init__(
        self,
        status: int,
        word: str,
        error: str,
        remedy: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(word)
        self.status = status
        self.word = word
        self.error = error
        self.remedy = remedy
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def body(self) -> bytes:
        return orjson.dumps({"error": self.error, "remedy": self.remedy, **self.extra})


def overloaded(word: str, error: str, seconds: int) -> Refusal:
    """Return the 503 for what can't be written now; the page keeps it and sends it again."""
    remedy = f"Nothing was kept. Send it again in {seconds} seconds."
    return Refusal(503, word, error, remedy, headers={"retry-after": str(seconds)})


def render_refusal(refusal: Refusal, headers: Headers) -> tuple[int, Headers, bytes]:
    """Return *refusal* as JSON, with *headers* (CORS) so that the page can read it."""
    own = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
    body = refusal.body()
    length = (b"content-length", b"%d" % len(body))
    return refusal.status, [*JSON_HEADERS, *headers, *own, length], body


async def send_answer(send: Any, status: int, headers: Headers, body: bytes = b"") -> None:
    """Send one whole answer over ASGI; the connection drops the body for HEAD."""
    # A length beside a 304 would be the file's, not that of its empty body (RFC 9110, 8.6).
    length = [] if status in (204, 304) else [(b"content-length", b"%d" % len(body))]
    await send_complete(send, status, [*headers, *length], body)


async def send_complete(send: Any, status: int, headers: Headers, body: bytes) -> None:
    """Send one whole answer over ASGI whose headers are complete."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Any, refusal: Refusal, headers: Headers) -> None:
    """Send *refusal* over ASGI."""
    await send_complete(send, *render_refusal(refusal, headers))
