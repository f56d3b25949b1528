"""
New items of an RSS or Atom feed that pushctl.toml names: the owner's own address.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from pushctl.errors import PushctlError
from pushctl.jobs.walks import Walks
from pushctl.model import Json
from pushctl.rules import cart
from pushctl.rules.triggers import Trigger

MAX_BYTES = 2_000_000
_SECONDS = 10.0
_MAX_TEXT = 300
# Somebody who republishes the whole archive means one message, not two hundred.
_MOST_AT_ONCE = 1


class FeedError(PushctlError):
    """A feed can't be fetched or read; the next scan tries again."""


@dataclass(frozen=True, slots=True)
class Item:
    key: str  # 22 hexadecimal characters of its id
    values: Mapping[str, Json]  # title, url, summary, image


def new_items(walks: Walks, trigger: Trigger) -> list[Item]:
    """
    Return the newest item that *trigger*'s feed did not have before, if there is one.

    What a feed holds when it is met for the first time is old. Raises FeedError.
    """
    items = read(fetch(trigger.feed or ""), walks.origins_of_all())
    first_time = not walks.store.triggers.knows_feed(trigger.name)
    fresh = walks.store.triggers.new_items(
        trigger.name, [item.key for item in items], walks.now
    )
    if first_time:
        return []
    return [item for item in items if item.key in fresh][:_MOST_AT_ONCE]


def fetch(url: str) -> bytes:
    """Return what *url* answers, at most 2 MB within 10 seconds; raises FeedError."""
    from urllib.request import Request, urlopen

    try:
        request = Request(url, headers={"User-Agent": "pushctl"})  # noqa: S310 - config checks the scheme
        with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            body: bytes = answer.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise FeedError(
            f"{url} can't be fetched: {error}. The next scan tries again."
        ) from None
    if len(body) > MAX_BYTES:
        raise FeedError(f"{url} has more than 2 MB. Give the feed fewer items.")
    return body


def read(text: bytes, origins: tuple[str, ...]) -> list[Item]:
    """Return a feed's items, newest first, but for those without title or link of ours."""
    import feedparser

    entries = feedparser.parse(text, sanitize_html=True).entries[:200]
    entries.sort(key=_published, reverse=True)
    return [item for entry in entries if (item := _item(entry, origins)) is not None]


def _item(entry: Any, origins: tuple[str, ...]) -> Item | None:
    title, link = _plain(entry.get("title")), cart.own_url(entry.get("link"), origins)
    if not title or not link:
        return None
    key = hashlib.sha256(str(entry.get("id") or link).encode()).hexdigest()[:22]
    found = {"title": title, "url": link, "summary": _plain(entry.get("summary"))}
    return Item(key, {name: value for name, value in found.items() if value})


def _published(entry: Any) -> tuple[int, ...]:
    return tuple((entry.get("published_parsed") or entry.get("updated_parsed") or (0,))[:6])


def _plain(markup: object) -> str:
    """Return markup's text on one line."""
    if not isinstance(markup, str):
        return ""
    reader = _Words()
    reader.feed(markup)
    return " ".join("".join(reader.words).split())[:_MAX_TEXT]


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)
