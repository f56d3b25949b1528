"""Reads bodies within bounds; those of programs are larger, and share a room."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pushctl.receiver.answers import Refusal, retry_later

BODY_SECONDS = 5.0


class Room:
    """
    The bytes that bodies being received may have together; one sender's get a quarter.

    Else a stranger who sends large ones slowly would keep everybody else out.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self._most_of_one = most // 4
        self._taken: Counter[str | bytes] = Counter()

    def take(self, size: int, sender: str | bytes = "") -> None:
        """Take *size* bytes; raises Refusal (503) where they are not there. "": of nobody."""
        full = sender and self._taken[sender] + size > self._most_of_one
        if size > self._left or full:
            raise retry_later("room", "Too much is coming in at once.", 5)
        self._left -= size
        if sender:
            self._taken[sender] += size

    def give(self, size: int, sender: str | bytes = "") -> None:
        self._left += size
        if sender:
            self._taken[sender] -= size
            if not self._taken[sender]:
                del self._taken[sender]


async def read(
    receive: Any, limit: int, room: Room | None = None, sender: str | bytes = ""
) -> bytes:
    """Return the body; raises Refusal when it is too long, too slow, or there is no room."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refusal(400, "gone", "The client went away.", "Send it again.")
                part = message.get("body", b"")
                if len(body) + len(part) > limit:
                    raise refuse_size(limit)
                if room is not None:
                    room.take(len(part), sender)
                body += part
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        error = "The body took more than five seconds."
        raise Refusal(408, "slow", error, "Send it again.") from None
    finally:
        if room is not None:
            room.give(len(body), sender)


def check_json(heads: Mapping[bytes, bytes], limit: int) -> None:
    """Raise Refusal for a content type, an encoding or a length that is not taken."""
    kind = heads.get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind != b"application/json":
        error = "The body's type is not taken here."
        raise Refusal(415, "type", error, "Send application/json.")
    if heads.get(b"content-encoding", b"identity").lower() != b"identity":
        error = "Compressed bodies are not taken."
        raise Refusal(415, "encoding", error, "Send it without encoding.")
    if not is_within(heads.get(b"content-length"), limit):
        raise refuse_size(limit)


def is_within(length: bytes | None, limit: int) -> bool:
    """Return whether a Content-Length allows a body, as none does: it may come in chunks."""
    # int() raises for thousands of digits, of which zeros are no large number.
    return length is None or (
        length.isdigit() and int(length.lstrip(b"0")[:20] or b"0") <= limit
    )


def refuse_size(limit: int) -> Refusal:
    error = f"The body has more than {limit} bytes."
    return Refusal(413, "size", error, "Send less at once, or shorter texts.")
