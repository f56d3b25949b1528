"""
Message -> the JSON that travels: Declarative Web Push, read by our worker elsewhere.

``{"web_push": 8030, "notification": {...}, "mutable": true}``: Safari shows it by
itself (https://webkit.org/blog/16535/meet-declarative-web-push/), the service worker
reads the same in every other browser.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from pushctl.errors import InputError
from pushctl.model import Action, Json, Message
from pushctl.rules.limits import MAX_ANDROID_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES

# "<delivery id>.<22 characters>"; ids have at most 18 digits.
TOKEN_BYTES = 18 + 1 + 22

_URL = re.compile(
    r"https?://(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)(?::[0-9]{1,5})?"
    r"(?:[/?#][!-~]*)?",
    re.IGNORECASE | re.ASCII,
)


class Frame(NamedTuple):
    """One rendered message with a gap for the token: serves a whole group of receivers."""

    head: bytes
    tail: bytes

    @property
    def size(self) -> int:
        """Bytes of plain text with the longest token."""
        return len(self.head) + TOKEN_BYTES + len(self.tail)

    def with_token(self, token: str) -> bytes:
        # A token is digits, a dot and base64url: nothing that JSON would escape.
        return self.head + token.encode("ascii") + self.tail


def frame(message: Message) -> Frame:
    """
    Return *message* as JSON but for its token.

    Raises InputError when it is longer than 3,993 bytes, when a URL is not http(s), or
    when JSON can't hold the text (half of a surrogate pair).
    """
    return check_size(_frame(message))


def _frame(message: Message) -> Frame:
    data = {key: value for key, value in message.data.items() if key != "pushctl"}
    try:
        shown = orjson.dumps(_notification(message))
        extra = orjson.dumps(data)[1:-1]
    except TypeError as error:  # orjson's EncodeError is one
        raise InputError(f"the message can't be written as JSON: {error}") from error
    return Frame(
        b'{"web_push":8030,"notification":' + shown[:-1] + b',"data":{"pushctl":"',
        b'"' + (b"," + extra if extra else b"") + b'}},"mutable":true}',
    )


def check_size(made: Frame) -> Frame:
    """Return *made*; InputError when no push service would take it."""
    if made.size > MAX_PAYLOAD_BYTES:
        raise InputError(
            f"the message has {made.size:,} bytes, more than the {MAX_PAYLOAD_BYTES:,} that a "
            "push service takes. Shorten the text or the URLs."
        )
    return made


def fit(message: Message, limit: int = MAX_ANDROID_PAYLOAD_BYTES) -> Message:
    """
    Return *message* with less beside the text, and then less text, within *limit* bytes.

    For subscriptions whose push service refused the full size (413).
    """
    steps: tuple[dict[str, Any], ...] = (
        {"image": None},
        {"badge": None},
        {"actions": tuple(replace(action, icon=None) for action in message.actions)},
        {"data": {}},
        {"actions": ()},
        {"icon": None},
    )
    for step in steps:
        if _frame(message).size <= limit:
            return message
        message = replace(message, **step)
    while message.body and (excess := _frame(message).size - limit) > 0:
        # A character has up to four bytes; the ellipsis three.
        kept = message.body.rstrip("…")[: -(excess // 4 + 1)]
        message = replace(message, body=f"{kept.rstrip()}…" if kept else "")
    return message


def is_link(url: str) -> bool:
    """Return whether *url* is absolute, http or https, and free of spaces and controls."""
    return _URL.fullmatch(url) is not None


def _notification(message: Message) -> Mapping[str, Json]:
    pictures = {name: getattr(message, name) for name in ("icon", "image", "badge")}
    shown: dict[str, Json] = {
        "title": message.title,
        "body": message.body,
        "navigate": _link("url", message.url),
        "lang": message.language,
        "dir": message.dir,
        **{name: _link(name, url) for name, url in pictures.items() if url is not None},
        "tag": message.tag,
        "requireInteraction": message.require_interaction or None,
        "silent": message.silent or None,
        "actions": [_action(action, message.url) for action in message.actions] or None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _action(action: Action, default: str) -> Mapping[str, Json]:
    # Safari opens a button's own "navigate" and nothing else, so each has one.
    url = default if action.url is None else action.url
    shown = {"action": action.action, "title": action.title, "navigate": _link("url", url)}
    if action.icon is not None:
        shown["icon"] = _link("icon", action.icon)
    return shown


def _link(name: str, url: str) -> str:
    if not is_link(url):
        raise InputError(f"{name} {url[:200]!r} is no http or https URL")
    return url
