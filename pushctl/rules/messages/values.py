"""
The values of a message about its receiver: plain, cleaned and bounded.

Attributes, tags and names come from strangers. They reach a text as data, without
control characters and without the marks that turn the reading direction around.
"""

import html
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from html.entities import html5
from typing import Any, Final, NamedTuple

import orjson

from pushctl.model import Json
from pushctl.rules import limits, wording

# C0, DEL, C1, line separators, bidi embeddings, overrides and isolates (UAX #9,
# table 4), BOM, half surrogates. LRM, RLM and the joiners stay: Arabic, Persian and
# emoji need them.
_BARE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+"
)

# The same without the end of a line.
_BARE_LINES = re.compile(_BARE.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))

_BARE_BUT_ISOLATES = re.compile(_BARE_LINES.pattern.replace("\u2066-\u2069", ""))

_REFERENCE = re.compile("&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

_SUBSCRIBER: Final[Mapping[str, Callable[[Any], Json]]] = {
    "id": lambda it: it.public_id,
    # Any browser may claim an alias; the rows of deliveries have only signed ones.
    "alias": lambda it: it.alias if getattr(it, "alias_trusted", True) else None,
    "language": lambda it: it.language,
    "country": lambda it: it.country,
    "city": lambda it: it.city,
    "browser": lambda it: it.browser,
    "os": lambda it: it.os,
    "timezone": lambda it: it.timezone,
    "source": lambda it: it.source,
    "subscribed_at": lambda it: wording.iso(it.subscribed_at)[:10],
}

# Root -> its fields; None: whatever the shop sent.
KNOWN: Final[Mapping[str, frozenset[str] | None]] = {
    "subscriber": frozenset(_SUBSCRIBER),
    "site": frozenset({"name", "origin", "brand", "icon", "badge", "image", "color"}),
    "campaign": frozenset({"name"}),
    "attributes": None,
    "cart": None,
    "event": None,  # what began an enrolment in a trigger
    "promo": None,
    "values": None,  # what a program gave for its message
    "given": None,  # the strings of a message that a program wrote itself
    "restore_url": None,  # made when a text is rendered, of the cart and the text's promo
}

GIVEN = "given"

# Beside "cart": a function that takes the promo code and returns restore_url or None.
RESTORE = "restore"

# What may be proposed to the receiver, as ``templates/recommendations.py`` asks it. No
# template can spell the name.
GOODS = "goods for one"


def plain(text: str) -> str:
    """Return *text* on one line, without controls and bidi overrides, 1,000 characters."""
    if not text.isprintable():
        text = _BARE.sub(" ", text).strip()
    return text[: limits.MAX_VALUE_CHARACTERS]


def decode(text: str) -> str:
    """
    Return *text* without the references of HTML that shops leave in it: "&amp;" is "&".

    Decoded once: "&amp;lt;" is "&lt;". What has no semicolon stays, as in "?a=1&copy=2".
    """
    return _REFERENCE.sub(_resolve, text)


def encode(text: str) -> str:
    """Return what ``decode`` makes *text* of: a feed about HTML says "&amp;" and means it."""
    return _REFERENCE.sub(lambda found: f"&amp;{found[0][1:]}", text) if "&" in text else text


def _resolve(found: re.Match[str]) -> str:
    reference = found[0]
    if reference[1] == "#":
        return html.unescape(reference)
    # Not unescape(): it would read "&not" in "&nothing;".
    return html5.get(reference[1:], reference)


def clean(value: Json, depth: int = limits.MAX_VALUE_LEVELS) -> Json:
    """Return JSON from outside with every text plain, decoded, and every size bounded."""
    if isinstance(value, str):
        # Decoded first: a reference may stand for a control character.
        return plain(decode(value) if "&" in value else value)
    if isinstance(value, bool | int | float):
        return value
    if depth and isinstance(value, Mapping):
        return {
            plain(str(key)): clean(item, depth - 1)
            for key, item in list(value.items())[: limits.MAX_VALUE_ENTRIES]
            if item is not None
        }
    if depth and isinstance(value, list | tuple):
        return [clean(item, depth - 1) for item in value[: limits.MAX_VALUE_ENTRIES]]
    return ""


def clean_given(value: Json) -> Json:
    """
    Return the strings of a program's own message: whole, for their form was checked.

    Lines stay, controls and bidi overrides do not; isolates do where each is closed, as a
    program that writes from right to left needs them as much as our templates.
    """
    if isinstance(value, str):
        return value if value.isprintable() else _clean_lines(value)
    if isinstance(value, Mapping):
        return {str(key): clean_given(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [clean_given(item) for item in value]
    return value


def _clean_lines(text: str) -> str:
    bare = _BARE_LINES.sub(" ", text)
    kept = _BARE_BUT_ISOLATES.sub(" ", text)
    return kept if all(map(_closes_isolates, kept.split("\n"))) else bare


def _closes_isolates(line: str) -> bool:
    """Return whether each isolate of *line* is closed in it, and nothing else is."""
    depth = 0
    for letter in line:
        depth += letter in "\u2066\u2067\u2068"
        depth -= letter == "\u2069"
        if depth < 0:
            return False
    return depth == 0


def site(name: str, origin: str, brand: str = "", **others: str | None) -> dict[str, Json]:
    """
    Return the values of one site: made once, shared by all its receivers.

    *others* are the brand's ``icon``, ``badge`` and ``image``, for templates that name none,
    and its ``color``; ``currency`` and ``timezone`` are for filters.
    """
    known = {"name": name, "origin": origin, "brand": brand or name, **others}
    return {key: value for key, value in known.items() if value is not None}


class _Needs(NamedTuple):
    subscriber: tuple[tuple[str, Callable[[Any], Json]], ...]
    attributes: tuple[str, ...] | None  # None: all of them
    others: tuple[str, ...]  # roots


@lru_cache(maxsize=1024)
def _needs(used: frozenset[str]) -> _Needs:
    parted = [one.partition(".") for one in used]
    fields = {rest for root, _, rest in parted if root == "subscriber"}
    keys = {rest.partition(".")[0] for root, _, rest in parted if root == "attributes"}
    roots = {root for root, _, _ in parted}
    return _Needs(
        tuple((key, get) for key, get in _SUBSCRIBER.items() if key in fields or "" in fields),
        None if "" in keys else tuple(sorted(keys)),
        tuple(sorted(roots - {"subscriber", "attributes", "site"})),
    )


def context(
    receiver: Any,
    site: Mapping[str, Json],
    used: Iterable[str],
    extra: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """
    Return the values of a text with the variables *used* (``Text.variables``).

    *receiver* has a Subscription's fields; its attributes may still be JSON. *site* comes
    from ``site()``; *extra* holds ``campaign``, ``promo``, ``cart``, as far as there are
    any. An unknown value of a receiver is absent, never None or "".
    """
    needs = _needs(used if isinstance(used, frozenset) else frozenset(used))
    people = {name: plain(value) for name, get in needs.subscriber if (value := get(receiver))}
    found = {"site": site, "subscriber": people, "attributes": _attributes(receiver, needs)}
    if extra:
        links = "restore_url" in needs.others  # it may have the promo code in it
        for root in (*needs.others, "promo") if links else needs.others:
            if root in extra:
                made = clean_given if root == GIVEN else clean
                found[root] = made(extra[root])
        if links and RESTORE in extra:
            found[RESTORE] = extra[RESTORE]
        if GOODS in extra:
            found[GOODS] = extra[GOODS]
    return found


def _attributes(receiver: Any, needs: _Needs) -> dict[str, Json]:
    if needs.attributes == ():
        return {}
    known = receiver.attributes
    if isinstance(known, str | bytes):
        known = orjson.loads(known)
    found = {}
    asked = needs.attributes
    for key in list(known)[: limits.MAX_VALUE_ENTRIES] if asked is None else asked:
        value = known.get(key)
        if value is not None and value != "":
            found[key] = clean(value)
    return found
