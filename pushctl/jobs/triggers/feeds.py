"""
New items of an RSS or Atom feed that pushctl.toml names: the owner's own address.
"""

import hashlib
from calendar import timegm
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from pushctl import web
from pushctl.model import Json, Millis
from pushctl.rules import units
from pushctl.rules.limits import MAX_FEED_BYTES
from pushctl.rules.shops import cart
from pushctl.rules.units import SECOND, WEEK

_POLICY = web.Policy(
    method="GET",
    hosts=None,  # feeds redirect to other hosts when they move
    redirects=5,
    addresses=web.Addresses.ANY,  # a shop's feed may stand in its own network
    most_bytes=MAX_FEED_BYTES,
    seconds=10.0,
)
_MAX_TEXT = 300
# Somebody who republishes the whole archive means one message, not two hundred.
_MOST_AT_ONCE = 1
NEWS_LAST: Millis = WEEK


@dataclass(frozen=True, slots=True)
class Item:
    key: str  # 22 hexadecimal characters of its id
    values: Mapping[str, Json]  # title, url, summary, image
    dated: Millis | None = None


def fetch(url: str) -> bytes:
    """Return what *url* answers, at most 2 MB within 10 seconds in all; raises WebError."""
    return web.request(url, _POLICY)


def choose_new(
    items: Sequence[Item], known: Collection[str], *, since: Millis | None, now: Millis
) -> Sequence[Item]:
    """
    Return the newest of a feed's *items* that is not *known*, if there is one.

    *since* is when the feed was looked at last. What it holds when it is met for the first
    time (None) is old; after a day or more without a look, so is what is dated more than a
    week ago: a machine that slept for long announces none.
    """
    if since is None:
        return ()
    oldest = now - NEWS_LAST if now - since > units.DAY else 0
    fresh = [
        item
        for item in items
        if item.key not in known and (item.dated is None or item.dated >= oldest)
    ]
    return fresh[:_MOST_AT_ONCE]


def read(text: bytes, origins: tuple[str, ...]) -> list[Item]:
    """
    Return a feed's items, newest first, but for those without title or link of ours.

    Raises WebError for what is no feed.
    """
    import feedparser

    parsed = feedparser.parse(text, sanitize_html=True)
    if not parsed.get("version"):
        raise web.WebError("what its address answers is no RSS or Atom feed")
    entries = parsed.entries[:200]
    entries.sort(key=_published, reverse=True)
    return [item for entry in entries if (item := _item(entry, origins)) is not None]


def _item(entry: Any, origins: tuple[str, ...]) -> Item | None:
    title, link = _plain(entry.get("title")), cart.own_url(entry.get("link"), origins)
    if not title or not link:
        return None
    key = hashlib.sha256(str(entry.get("id") or link).encode()).hexdigest()[:22]
    found = {"title": title, "url": link, "summary": _plain(entry.get("summary"))}
    dated = _published(entry)
    return Item(
        key,
        {name: value for name, value in found.items() if value},
        timegm((*dated, 0, 0, 0)) * SECOND if len(dated) == 6 else None,
    )


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
