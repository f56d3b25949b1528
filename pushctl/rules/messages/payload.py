"""
Message -> the JSON that travels: Declarative Web Push, read by our worker elsewhere.

``{"web_push": 8030, "notification": {...}, "mutable": true}``: Safari shows it by
itself (https://webkit.org/blog/16535/meet-declarative-web-push/), the service worker
reads the same in every other browser.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from pushctl.errors import InputError
from pushctl.model import Action, Json, Message, Millis
from pushctl.rules.limits import MAX_ANDROID_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES
from pushctl.rules.messages import clusters

# "<delivery id>.<22 characters>"; ids have at most 18 digits.
TOKEN_BYTES = 18 + 1 + 22

# In a message's data: what is shown in its place to who has bought since it was sent.
BOUGHT = "bought"
_AT = b'","at":'
_AT_BYTES = len(_AT) + 13 - 1  # milliseconds have 13 digits until 2286; the quote is moved

_URL = re.compile(
    r"https?://(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)(?::[0-9]{1,5})?"
    r"(?:[/?#][!-~]*)?",
    re.IGNORECASE | re.ASCII,
)


class Frame(NamedTuple):
    """One rendered message with a gap for the token: serves a whole group of receivers."""

    head: bytes
    tail: bytes
    timed: bool = False  # the time of sending goes along

    @property
    def size(self) -> int:
        """Bytes of plain text with the longest token."""
        time = _AT_BYTES if self.timed else 0
        return len(self.head) + TOKEN_BYTES + time + len(self.tail)

    def with_token(self, token: str, now: Millis) -> bytes:
        """Return the message of one receiver, sent *now*."""
        # A token is digits, a dot and base64url: nothing that JSON would escape.
        if self.timed:
            return b"%b%b%b%d%b" % (self.head, token.encode("ascii"), _AT, now, self.tail[1:])
        return self.head + token.encode("ascii") + self.tail


def frame(message: Message) -> Frame:
    """
    Return *message* as JSON but for its token.

    Raises InputError when it is longer than 3,993 bytes, when a URL is not http(s), or
    when JSON can't hold the text (half of a surrogate pair).
    """
    return check_size(write_frame(message))


def write_frame(message: Message) -> Frame:
    """As ``frame``, of any size."""
    data = {key: value for key, value in message.data.items() if key != "pushctl"}
    try:
        shown = orjson.dumps(_notification(message))
        extra = orjson.dumps(data)[1:-1]
    except TypeError as error:  # orjson's EncodeError is one
        raise InputError(f"the message can't be written as JSON: {error}") from error
    return Frame(
        b'{"web_push":8030,"notification":' + shown[:-1] + b',"data":{"pushctl":"',
        b'"' + (b"," + extra if extra else b"") + b'}},"mutable":true}',
        BOUGHT in data,
    )


def find_thanks(message: Message) -> Message | None:
    """
    Return what is shown in the place of *message* to who has bought; None: nothing else.

    Icon and badge are the worker's, which are the brand's: *message*'s stand for them.
    """
    shown = message.data.get(BOUGHT)
    if shown is None:
        return None
    return replace(
        message,
        title=shown["title"],
        body=shown["body"],
        url=shown["navigate"],
        image=shown.get("image"),
        actions=(),
        require_interaction=False,
        silent=False,
        data={},
    )


def check_size(made: Frame) -> Frame:
    """Return *made*; InputError when no push service would take it."""
    if made.size > MAX_PAYLOAD_BYTES:
        raise InputError(
            f"the message has {made.size:,} bytes, more than the {MAX_PAYLOAD_BYTES:,} that a "
            "push service takes. Shorten the text or the URLs."
        )
    return made


def fit(
    message: Message,
    limit: int = MAX_ANDROID_PAYLOAD_BYTES,
    make: Callable[[Message], Frame] | None = None,
) -> Message:
    """
    Return *message* with less beside the text, and then less text, within *limit* bytes.

    For subscriptions whose push service refused the full size (413); *make* writes it in
    another form.
    """
    make = make or write_frame
    steps: tuple[dict[str, Any], ...] = (
        {"image": None},
        {"badge": None},
        {"actions": tuple(replace(action, icon=None) for action in message.actions)},
        {"data": {}},
        {"actions": ()},
        {"icon": None},
    )
    for step in steps:
        if make(message).size <= limit:
            return message
        message = replace(message, **step)
    if make(message).size <= limit:
        return message
    # The most of the body that fits, in characters as readers count them.
    low, high = 0, clusters.count_clusters(message.body)
    while low < high - 1:
        middle = (low + high) // 2
        shorter = replace(message, body=clusters.cut(message.body, middle))
        low, high = (middle, high) if make(shorter).size <= limit else (low, middle)
    return replace(message, body=clusters.cut(message.body, low) if low > 1 else "")


def is_link(url: str) -> bool:
    """Return whether *url* is absolute, http or https, and free of spaces and controls."""
    return _URL.fullmatch(url) is not None


def link_pictures(message: Message) -> Mapping[str, str]:
    """Return the addresses of the pictures that *message* has, each checked, by name."""
    pictures = {name: getattr(message, name) for name in ("icon", "image", "badge")}
    return {name: check_link(name, url) for name, url in pictures.items() if url is not None}


def _notification(message: Message) -> Mapping[str, Json]:
    shown: dict[str, Json] = {
        "title": message.title,
        "body": message.body,
        "navigate": check_link("url", message.url),
        "lang": message.language,
        "dir": message.dir,
        **link_pictures(message),
        "tag": message.tag,
        "requireInteraction": message.require_interaction or None,
        "silent": message.silent or None,
        "actions": [_action(action, message.url) for action in message.actions] or None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _action(action: Action, default: str) -> Mapping[str, Json]:
    # Safari opens a button's own "navigate" and nothing else, so each has one.
    url = default if action.url is None else action.url
    shown = {"action": action.action, "title": action.title, "navigate": check_link("url", url)}
    if action.icon is not None:
        shown["icon"] = check_link("icon", action.icon)
    return shown


def check_link(name: str, url: str) -> str:
    """Return *url*; InputError when it is no link."""
    if not is_link(url):
        raise InputError(f"{name} {url[:200]!r} is no http or https URL")
    return url
