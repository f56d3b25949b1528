"""The reference encoder: pywebpush's own."""

from collections.abc import Sequence

from pushctl.model import Letter
from pushctl.rules import tokens


def encode(letters: Sequence[Letter]) -> list[bytes | None]:
    """Return a body for each letter, or None where its key is off the curve."""
    from pywebpush import WebPusher, WebPushException

    bodies: list[bytes | None] = []
    for letter in letters:
        p256dh, auth = tokens.encode(letter.p256dh), tokens.encode(letter.auth)
        keys = {"p256dh": p256dh, "auth": auth}
        try:
            pusher = WebPusher({"endpoint": letter.endpoint, "keys": keys})
            encoded = pusher.encode(letter.payload)
        except (ValueError, WebPushException):
            encoded = None
        bodies.append(encoded["body"] if encoded else None)
    return bodies
