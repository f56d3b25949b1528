"""
What a message may say about its receiver: plain values, cleaned and bounded.

Attributes, tags and names come from strangers. They reach a text as data, without
control characters and without the marks that turn reading direction around.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from pushctl.model import Json, Millis, Subscription

MAX_TEXT = 1000  # characters of one value
MAX_ITEMS = 100  # of one list or table
MAX_DEPTH = 5

# C0, DEL, C1, line separators, bidi embeddings, overrides and isolates (UAX #9,
# table 4), BOM, half surrogates. LRM, RLM and the joiners stay: Arabic, Persian and
# emoji need them.
_BARE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+"
)

_SUBSCRIBER: Final[Mapping[str, Callable[[Subscription], Json]]] = {
    "id": lambda it: it.public_id,
    "alias": lambda it: it.alias,
    "language": lambda it: it.language,
    "country": lambda it: it.country,
    "city": lambda it: it.city,
    "browser": lambda it: it.browser,
    "os": lambda it: it.os,
    "timezone": lambda it: it.timezone,
    "source": lambda it: it.source,
    "subscribed_at": lambda it: _day(it.subscribed_at),
}

# Root -> its fields; None: whatever the shop sent.
KNOWN: Final[Mapping[str, frozenset[str] | None]] = {
    "subscriber": frozenset(_SUBSCRIBER),
    "site": frozenset({"name", "origin", "brand"}),
    "campaign": frozenset({"name"}),
    "attributes": None,
    "cart": None,
    "promo": None,
}


def plain(text: str) -> str:
    """Return *text* on one line, without controls and bidi overrides, 1,000 characters."""
    if not text.isprintable():
        text = _BARE.sub(" ", text).strip()
    return text[:MAX_TEXT]


def clean(value: Json, depth: int = MAX_DEPTH) -> Json:
    """Return JSON from outside with every text plain and every size bounded."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, bool | int | float):
        return value
    if depth and isinstance(value, Mapping):
        return {
            plain(str(key)): clean(item, depth - 1)
            for key, item in list(value.items())[:MAX_ITEMS]
            if item is not None
        }
    if depth and isinstance(value, list | tuple):
        return [clean(item, depth - 1) for item in value[:MAX_ITEMS]]
    return ""


def site(name: str, origin: str, brand: str = "", **pictures: str | None) -> dict[str, Json]:
    """
    Return the values of one site: made once, shared by all its receivers.

    *pictures* are the brand's ``icon`` and ``badge``, for templates that name none.
    """
    return {"name": name, "origin": origin, "brand": brand or name, **pictures}


def context(
    subscription: Subscription,
    site: Mapping[str, Json],
    used: Iterable[str],
    extra: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """
    Return what a text of the variables *used* (``Text.variables``) needs to be rendered.

    *site* comes from ``site()``; *extra* holds ``campaign``, ``promo``, ``cart``, as far
    as there are any. What isn't known of a receiver is absent, never None or "".
    """
    found: dict[str, Json] = {"site": site}
    people: dict[str, Json] = {}
    for path in used:
        root, _, rest = path.partition(".")
        if root == "subscriber":
            for name in (rest,) if rest else _SUBSCRIBER:
                value = _SUBSCRIBER[name](subscription)
                if value is not None and value != "":
                    people[name] = plain(value) if isinstance(value, str) else value
        elif root == "attributes":
            _take(found.setdefault("attributes", {}), subscription.attributes, rest)
        elif root != "site" and extra is not None and root in extra:
            found[root] = clean(extra[root])
    found["subscriber"] = people
    found.setdefault("attributes", {})
    return found


def _day(at: Millis) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d")


def _take(into: dict[str, Json], attributes: Mapping[str, Json], path: str) -> None:
    name = path.partition(".")[0]
    for key in (name,) if name else list(attributes)[:MAX_ITEMS]:
        value = attributes.get(key)
        if value is not None and value != "":
            into[key] = clean(value)
