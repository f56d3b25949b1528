"""New items of an RSS or Atom feed that pushctl.toml names: the owner's own address."""

import hashlib
from calendar import timegm
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from pushctl import web
from pushctl.model import Json, Millis
from pushctl.rules.limits import MAX_FEED_BYTES
from pushctl.rules.shops import cart
from pushctl.rules.units import DAY, SECOND, WEEK

_POLICY = web.Policy(
    method="GET",
    hosts=None,  # feeds redirect to other hosts when they move
    redirects=5,
    addresses=web.Addresses.ANY,  # a shop's feed may stand in its own network
    most_bytes=MAX_FEED_BYTES,
    seconds=10.0,
)
_MAX_TEXT = 300
# A republished archive is one message, not two hundred.
_MOST_AT_ONCE = 1
NEWS_LAST: Millis = WEEK


@dataclass(frozen=True, slots=True)
class Item:
    key: str  # 22 hexadecimal characters of its id
    values: Mapping[str, Json]  # title, url, summary, image
    dated: Millis | None = None


def fetch(url: str) -> bytes:
    """Return the body of *url*, at most 2 MB within 10 seconds in all; raises WebError."""
    return web.request(url, _POLICY)


def choose_new(
    items: Sequence[Item], known: Collection[str], *, since: Millis | None, now: Millis
) -> Sequence[Item]:
    """
    Return the newest of a feed's *items* that is not *known*, if there is one.

    *since* is the time of the last look; at the first (None) all items are old. After a day
    or more without a look, items dated more than a week ago are old, too.
    """
    if since is None:
        return ()
    oldest = now - NEWS_LAST if now - since > DAY else 0
    fresh = (item for item in items if item.dated is None or item.dated >= oldest)
    return [item for item in fresh if item.key not in known][:_MOST_AT_ONCE]


def read(text: bytes, origins: tuple[str, ...]) -> list[Item]:
    """
    Return a feed's items, newest first, without those that have no title or foreign links.

    Raises WebError for a text that is no feed.
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
    values = {"title": title, "url": link}
    if summary := _plain(entry.get("summary")):
        values["summary"] = summary
    dated = _published(entry)
    at = timegm((*dated, 0, 0, 0)) * SECOND if len(dated) == 6 else None
    return Item(key, values, at)


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
