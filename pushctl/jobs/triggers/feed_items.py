"""
Reads the items of RSS and Atom: one that can't be read costs no other.

A feed is a third party's text. What is known to stop feedparser is mended before, the work
is bounded by counting tags, and where the whole can't be read, each item is read for itself.
feedparser is the extra ``pushctl[feeds]``.
"""

import codecs
import hashlib
import io
import re
from calendar import timegm
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

from pushctl.model import Json, Millis
from pushctl.rules.limits import (
    MAX_CART_TEXT_CHARACTERS,
    MAX_FEED_ATTRIBUTE_NAMES,
    MAX_FEED_ITEM_TAGS,
    MAX_FEED_ITEMS,
    MAX_FEED_NAMESPACE_NAMES,
    MAX_FEED_TAGS,
)
from pushctl.rules.messages import values as message_values
from pushctl.rules.shops import cart
from pushctl.rules.units import SECOND
from pushctl.rules.web import markup
from pushctl.web import WebError

_MAX_TEXT = 300

# Why no feed can be read, and what helps.
NEEDED = ("needs the package feedparser", "pip install 'pushctl[feeds]'")

_NO_FEED = "what its address answers is no RSS or Atom feed"
_NAME = rb"(?:[A-Za-z][\w.-]*:)?"
_ROOT = re.compile(rb"<" + _NAME + rb"(?:rss|feed|RDF)\b[^<>]*>")
_BEGIN = re.compile(rb"<" + _NAME + rb"(?:item|entry)(?=[\s>])")
_END = re.compile(rb"</" + _NAME + rb"(?:item|entry)\s*>")
_REFERENCE = re.compile(rb"&#(?:[xX]([0-9A-Fa-f]+)|([0-9]+));")
_ENCODING = re.compile(rb"""(<\?xml[^<>]{0,200}?)\sencoding\s*=\s*["']([^"'<>]{0,80})["']""")

_TAG = re.compile(rb"<[A-Za-z][^<>]*")

# An item that can't be read is tried with these elements alone, and then with fewer.
_KNOWN_BY = (b"title", b"link", b"guid", b"id")
_DATES = (b"pubDate", b"published", b"updated", b"dc:date")
_REDUCED = (
    (*_KNOWN_BY, b"description", b"summary", *_DATES),
    (*_KNOWN_BY, *_DATES),
    _KNOWN_BY,
)


@dataclass(frozen=True, slots=True)
class Item:
    key: str  # 22 hexadecimal characters of its id
    values: Mapping[str, Json]  # title, url, summary, image
    dated: Millis | None = None


@dataclass(slots=True)
class Reading:
    items: list[Item] = field(default_factory=list)  # newest first
    left_out: dict[str, str] = field(default_factory=dict)  # key -> why it can't be read


def is_installed() -> bool:
    return find_spec("feedparser") is not None


def read(text: bytes, origins: tuple[str, ...]) -> Reading:
    """
    Return a feed's items without those that have no title or foreign links.

    Only its first MAX_FEED_ITEMS count. Raises WebError for a text that is no feed, and where
    the package feedparser is missing.
    """
    if not is_installed():
        raise WebError(f"{NEEDED[0]}: {NEEDED[1]}")
    head, items, tail = _split(_mend(text))
    reading = Reading()
    entries = _parse_whole(head + b"".join(items) + tail)
    if entries is None:
        entries = list(_parse_each(head, items, reading))
    for entry in entries[:MAX_FEED_ITEMS]:
        try:
            item = _read_item(entry, origins)
        except Exception as error:  # feedparser guesses what it is given
            reading.left_out[_hash(repr(entry).encode())] = _describe(error)
            continue
        if item is not None:
            reading.items.append(item)
    # The order of items of one time stays.
    reading.items.sort(key=lambda item: item.dated or 0, reverse=True)
    return reading


def _mend(text: bytes) -> bytes:
    """Return *text* without an encoding and references that no character belongs to."""
    text = _REFERENCE.sub(_mend_reference, text)
    declared = _ENCODING.search(text[:1_000])
    if declared is not None and not _is_encoding(declared[2].decode("ascii", "replace")):
        return text[: declared.end(1)] + text[declared.end() :]
    return text


def _mend_reference(found: re.Match[bytes]) -> bytes:
    digits = found[1] or found[2]
    number = int(digits, 16 if found[1] else 10) if len(digits.lstrip(b"0")) < 8 else 0
    valid = 0 < number < 0xD800 or 0xDFFF < number < 0x110000
    return found[0] if valid else b"&#xfffd;"


def _is_encoding(name: str) -> bool:
    try:
        codecs.lookup(name)
        return b"a".decode(name) == "a"
    except (LookupError, ValueError, TypeError):  # no codec of texts, or "undefined"
        return False


def _split(text: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Return what stands before the items, the first items, and what follows the last."""
    starts = [found.start() for found in _BEGIN.finditer(text)]
    if not starts:
        return text, [], b""
    last = text[starts[-1] :]
    ends = [found.end() for found in _END.finditer(last)]
    tail = starts[-1] + (ends[-1] if ends else len(last))
    borders = starts[: MAX_FEED_ITEMS + 1]
    if len(borders) <= MAX_FEED_ITEMS:
        borders.append(tail)
    items = [text[one:following] for one, following in pairwise(borders)]
    return text[: starts[0]], items, text[tail:]


def _parse_whole(text: bytes) -> Sequence[Any] | None:
    """Return a feed's entries; None where they have to be read one by one."""
    if _count_tags(text) > MAX_FEED_TAGS:
        return None
    try:
        return _parse(text)
    except WebError:
        raise
    except Exception:  # of feedparser: there is no end of them
        return None


def _parse_each(head: bytes, items: Sequence[bytes], reading: Reading) -> Iterator[Any]:
    """Yield the entry of each item, as much of it as can be read."""
    root = _ROOT.search(head[:100_000])
    if root is None or not items:
        raise WebError(f"{_NO_FEED}, or none that can be read")
    is_rss = root[0].startswith(b"<rss")
    declared = _ENCODING.search(head[:1_000])
    begin = (declared[0] + b"?>" if declared else b"") + root[0]
    begin += b"<channel>" if is_rss else b""
    end = b"</channel></rss>" if is_rss else b""
    room = MAX_FEED_TAGS
    for item in items:
        why = "it holds too much markup"
        for names in (None, *_REDUCED):
            form = item if names is None else _reduce(item, names)
            tags = _count_tags(form)
            if tags > min(room, MAX_FEED_ITEM_TAGS):
                continue
            room -= tags
            try:
                yield from _parse(begin + form + end)[:1]
                break
            except Exception as error:
                why = _describe(error)
        else:
            reading.left_out[_hash(item)] = why


def _parse(text: bytes) -> Sequence[Any]:
    import feedparser

    # A file: feedparser would take bytes for the name of one. Its cleaning of markup is
    # slow for hostile texts; rules/web/markup reads words alone.
    parsed = feedparser.parse(
        io.BytesIO(text), sanitize_html=False, resolve_relative_uris=False
    )
    if not parsed.get("version"):
        raise WebError(_NO_FEED)
    entries: Sequence[Any] = parsed.entries
    return entries


def _count_tags(text: bytes) -> int:
    """
    Return how many tags *text* may have; more than any bound where one costs too much.

    The time for the attributes of a tag, and for namespaces, grows with their square.
    """
    tags = text.count(b"<")
    if tags > MAX_FEED_TAGS or text.count(b"xmlns") > MAX_FEED_NAMESPACE_NAMES:
        return MAX_FEED_TAGS + 1
    attributes = (found[0].count(b"=") for found in _TAG.finditer(text))
    return MAX_FEED_TAGS + 1 if max(attributes, default=0) > MAX_FEED_ATTRIBUTE_NAMES else tags


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _reduce(item: bytes, names: Sequence[bytes]) -> bytes:
    """Return *item* with the first element of each of *names* alone."""
    found = _BEGIN.match(item)
    tag = found[0][1:] if found else b"item"
    kept = b"".join(_find_element(item, name) for name in names)
    return b"<" + tag + b">" + kept + b"</" + tag + b">"


def _find_element(item: bytes, name: bytes) -> bytes:
    begin = next(
        (at for mark in b" >/\n" if (at := item.find(b"<" + name + bytes([mark]))) >= 0), -1
    )
    if begin < 0:
        return b""
    head_end = item.find(b">", begin)
    if head_end > 0 and item[head_end - 1] == ord("/"):
        return item[begin : head_end + 1]
    closing = b"</" + name + b">"
    end = item.find(closing, begin)
    return item[begin : end + len(closing)] if end >= 0 else b""


def _read_item(entry: Any, origins: tuple[str, ...]) -> Item | None:
    title = _read_words(entry.get("title"))
    link = cart.own_url(entry.get("link"), origins)
    if not title or not link:
        return None
    link = markup.mend(link)
    key = _hash(markup.mend(str(entry.get("id") or link)).encode())
    values = {"title": title, "url": link}
    if summary := _read_words(entry.get("summary")):
        values["summary"] = summary
    if picture := _find_picture(entry):
        values["image"] = picture
    return Item(key, values, _read_date(entry))


def _find_picture(entry: Any) -> str | None:
    """Return the address of an item's picture: Media RSS, or what is enclosed."""
    listed = [*_list(entry.get("media_content")), *_list(entry.get("media_thumbnail"))]
    for one in (*listed, *_list(entry.get("enclosures"))):
        address = one.get("url") or one.get("href")
        kind = str(one.get("type") or one.get("medium") or "image")
        if kind.partition("/")[0] == "image" and _is_secure(address):
            return str(address)
    return None


def _list(value: object) -> Sequence[Any]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _is_secure(address: object) -> bool:
    """Return whether browsers load a picture from there, and a message has room for it."""
    if not isinstance(address, str) or len(address) > MAX_CART_TEXT_CHARACTERS:
        return False
    return re.fullmatch(r"https://[^\s\\<>\"']+", address) is not None


def _hash(identity: bytes) -> str:
    return hashlib.sha256(identity).hexdigest()[:22]


def _read_words(text: object) -> str:
    if not isinstance(text, str):
        return ""
    # Decoded here; messages decode the values of events once more.
    return message_values.encode(markup.read_words(text, _MAX_TEXT))


def _read_date(entry: Any) -> Millis | None:
    """Return when an item was published or changed, None for a date that is none."""
    told = entry.get("published_parsed") or entry.get("updated_parsed")
    try:
        return timegm((*told[:6], 0, 0, 0)) * SECOND if told else None
    except (ValueError, OverflowError):  # 0000-00-00
        return None
