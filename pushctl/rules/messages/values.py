"""
The values of a message about its receiver: plain, cleaned and bounded.

Attributes, tags and names come from strangers. They reach a text as data, without
control characters and without the marks that turn the reading direction around.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
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
    "site": frozenset({"name", "origin", "brand"}),
    "campaign": frozenset({"name"}),
    "attributes": None,
    "cart": None,
    "event": None,  # what began an enrolment in a trigger
    "promo": None,
}


def plain(text: str) -> str:
    """Return *text* on one line, without controls and bidi overrides, 1,000 characters."""
    if not text.isprintable():
        text = _BARE.sub(" ", text).strip()
    return text[: limits.MAX_VALUE_CHARACTERS]


def clean(value: Json, depth: int = limits.MAX_VALUE_LEVELS) -> Json:
    """Return JSON from outside with every text plain and every size bounded."""
    if isinstance(value, str):
        return plain(value)
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


def site(name: str, origin: str, brand: str = "", **pictures: str | None) -> dict[str, Json]:
    """
    Return the values of one site: made once, shared by all its receivers.

    *pictures* are the brand's ``icon`` and ``badge``, for templates that name none.
    """
    return {"name": name, "origin": origin, "brand": brand or name, **pictures}


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
        for root in needs.others:
            if root in extra:
                found[root] = clean(extra[root])
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
