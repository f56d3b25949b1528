"""
What a page says about pushctl: which script it loads, and where its worker is.

A page is a stranger's text: each character is looked at a few times, however it is written.
"""

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

_NAMES = ("pushctl.js", "pushctl.mjs")
_OPTIONS = "pushctl.options"
_OPTION = r"""\b{}\s*:\s*["']([^"'<>]{{1,300}})["']"""
_WORKER = re.compile(_OPTION.format("worker"))
_SCOPE = re.compile(_OPTION.format("scope"))
# Before and after an address in HTML or in a script.
_EDGES = "\"'`<>() \t\r\n="
_IMPORTS = re.compile(r"""\bimportScripts\s{0,9}\(\s{0,9}["'`]([^"'`<>]{1,1000})["'`]""")
_MOST_ADDRESSES = 20
_MOST_CHARACTERS = 1_000  # of one address
# What loads scripts that the page itself does not name.
_MANAGERS = ("googletagmanager.com", "matomo", "piwik", "tealium", "adobedtm.com")

WORKER = "/pushctl-sw.js"  # the defaults of pushctl.js
SCOPE = "/pushctl/"


class Embed(NamedTuple):
    """Addresses are as they are written, not yet resolved."""

    scripts: tuple[str, ...]  # of pushctl.js or pushctl.mjs
    worker: str
    scope: str
    has_manager: bool  # a tag manager may load what is not there


def read_page(page: str) -> Embed:
    """Return what the HTML *page* says; what stands in comments does not count."""
    text = _remove_comments(page)
    start = text.find(_OPTIONS)
    options = text[start : start + 600] if start >= 0 else ""
    worker, scope = _WORKER.search(options), _SCOPE.search(options)
    lower = text.lower()
    return Embed(
        tuple(dict.fromkeys(_list_addresses(text))),
        worker[1] if worker else WORKER,
        scope[1] if scope else SCOPE,
        any(name in lower for name in _MANAGERS),
    )


def list_imports(worker: str) -> list[str]:
    """Return the addresses that the service *worker* loads by importScripts."""
    return _IMPORTS.findall(worker)[:_MOST_ADDRESSES]


def _list_addresses(text: str) -> Iterator[str]:
    place, count = text.find("pushctl."), 0
    while place >= 0 and count < _MOST_ADDRESSES:
        name = next((one for one in _NAMES if text.startswith(one, place)), None)
        if name is not None:
            count += 1
            before = text[max(place - _MOST_CHARACTERS, 0) : place]
            start = max(before.rfind(edge) for edge in _EDGES) + 1
            yield html.unescape(before[start:] + name + _read_query(text, place + len(name)))
        place = text.find("pushctl.", place + 1)


def _read_query(text: str, place: int) -> str:
    if not text.startswith("?", place):
        return ""
    rest = text[place : place + _MOST_CHARACTERS]
    ends = [end for edge in _EDGES.rstrip("=") if (end := rest.find(edge)) >= 0]
    return rest[: min(ends, default=len(rest))]


def _remove_comments(page: str) -> str:
    kept, place = [], 0
    while (start := page.find("<!--", place)) >= 0:
        kept.append(page[place:start])
        end = page.find("-->", start + 4)
        if end < 0:
            return "".join(kept)
        place = end + 3
    return "".join([*kept, page[place:]])
