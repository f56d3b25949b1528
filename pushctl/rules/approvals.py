"""
What a second person approves: a request names itself by the hash of all that it says.

So nobody can show one text and send another: who approves computes the hash from what was
read, the sender from what it holds, and both must be the same.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping

from pushctl.model import Json

FORMAT = 1  # of a request
NAME = re.compile(r"[0-9a-f]{64}")  # of an approval's file
_MODULUS = 1 << 256
_NAMES_PEOPLE = re.compile(r"\b(id|alias|email|email_hash)\b", re.IGNORECASE)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def encode(value: Json) -> str:
    """Return *value* as JSON, the same text for the same value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1)


def hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sum_rows(rows: Iterable[tuple[int, int]]) -> int:
    """
    Return a sum over (delivery, subscription), whatever their order.

    A row that is added, taken away or given to somebody else changes it. What an erasure
    takes away can be added again, without knowing who it was.
    """
    total = 0
    for delivery, subscription in rows:
        digest = hashlib.blake2b(b"%d:%d" % (delivery, subscription), digest_size=32).digest()
        total += int.from_bytes(digest)
    return total % _MODULUS


def add_sums(one: int, other: int) -> int:
    return (one + other) % _MODULUS


def hide_people(audience: str) -> str:
    """Return an audience as typed, without what may name a person."""
    return _QUOTED.sub("'...'", audience) if _NAMES_PEOPLE.search(audience) else audience


def read_request(text: str) -> Mapping[str, Json] | None:
    """Return a request of this format; None for anything else, whoever wrote it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("pushctl_approval") != FORMAT:
        return None
    return found if _has_form(found) else None


_FORM: Mapping[type, tuple[str, ...]] = {
    str: ("campaign", "why", "asked_by", "template", "audience", "manners"),
    int: ("people", "asked_at", "first", "last"),
    list: ("uids", "languages"),
    dict: ("content", "states", "options", "texts", "sites"),
}
_MOST = 10**14  # milliseconds: the year 5138


def _has_form(found: Mapping[str, Json]) -> bool:
    """Return whether a request can be shown: whoever writes to the folder may write others."""
    if not all(
        isinstance(found.get(key), kind) for kind, keys in _FORM.items() for key in keys
    ):
        return False
    if not all(
        key in found and isinstance(found[key], str | None) for key in ("topic", "promo")
    ):
        return False
    numbers = [*(found[key] for key in _FORM[int]), *found["uids"]]
    numbers += [
        each for each in (found.get("expires_at"), found["content"].get("rows")) if each
    ]
    return (
        all(isinstance(each, int) and 0 <= each < _MOST for each in numbers)
        and all(isinstance(text, str) for text in found["texts"].values())
        and all(_is_line(each) for each in found["languages"])
        and all(map(_is_site, found["sites"].values()))
        and {"expires_at", "test"} <= found.keys()
        and (found["test"] is None or _is_test(found["test"]))
    )


def _is_line(value: Json) -> bool:
    return isinstance(value, list) and len(value) == 3 and isinstance(value[2], int)


def _is_site(value: Json) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(key), str) for key in ("origin", "language"))
        and all(isinstance(value.get(key), dict) for key in ("brand", "utm"))
        and all(isinstance(each, str) for each in value["brand"].values())
        and all(isinstance(each, str) for each in value["utm"].values())
    )


def _is_test(value: Json) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("test_share"), int | float)
        and isinstance(value.get("arms"), list)
        and "tie" in value
        and all(isinstance(arm, dict) and "variant" in arm for arm in value["arms"])
        and all(
            isinstance(arm.get(key), str | None)
            for arm in value["arms"]
            for key in ("variant", "template", "time")
        )
    )


def make_approval(name: str, campaign: str) -> str:
    """Return what the file of an approval says; its owner is what counts."""
    return encode({"approves": name, "campaign": campaign})


def is_approval(text: str, name: str) -> bool:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("approves") == name
