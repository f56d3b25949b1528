"""Answers and refusals; none of them repeats anything of its request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

Headers = list[tuple[bytes, bytes]]

JSON_HEADERS: Headers = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]


@dataclass(eq=False)
class Refusal(Exception):
    """
    A refused request: status, a *word* for the log, *error* and *remedy* for the page.

    Neither *error* nor *remedy* may repeat what was sent: script is injected by echoes.
    """

    status: int
    word: str
    error: str
    remedy: str
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


def retry_later(word: str, error: str, seconds: int, status: int = 503) -> Refusal:
    """Return the refusal of a request that the page keeps and sends again after *seconds*."""
    remedy = f"Nothing was kept. Send it again in {seconds} seconds."
    return Refusal(status, word, error, remedy, {"retry-after": str(seconds)})


def render_refusal(refusal: Refusal, headers: Headers) -> tuple[int, Headers, bytes]:
    """Return *refusal* as JSON, with *headers* (CORS) so that the page can read it."""
    own = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
    body = orjson.dumps({"error": refusal.error, "remedy": refusal.remedy, **refusal.extra})
    length = (b"content-length", b"%d" % len(body))
    return refusal.status, [*JSON_HEADERS, *headers, *own, length], body


async def send_answer(send: Any, status: int, headers: Headers, body: bytes = b"") -> None:
    """Send an answer over ASGI; the connection drops the body for HEAD."""
    # A length beside a 304 would be the file's, not that of its empty body (RFC 9110, 8.6).
    length = [] if status in (204, 304) else [(b"content-length", b"%d" % len(body))]
    await send_complete(send, status, [*headers, *length], body)


async def send_complete(send: Any, status: int, headers: Headers, body: bytes) -> None:
    """Send an answer with complete headers over ASGI."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Any, refusal: Refusal) -> None:
    """Send *refusal* over ASGI."""
    await send_complete(send, *render_refusal(refusal, []))
