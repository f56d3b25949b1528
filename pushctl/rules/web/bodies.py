"""
Reads the fields of a request's body: each of its type and size, or InputError.

The receiver checks the same limits, but inboxes are files and come from other machines too.
"""

from collections.abc import Callable, Mapping

import orjson

from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules import limits, units
from pushctl.rules.web import fields

# A browser that was offline reports later; beyond this its clock is wrong.
_LATE: Millis = 30 * units.DAY


def parse(raw: str) -> Mapping[str, Json]:
    try:
        body = orjson.loads(raw)
    except ValueError as error:
        raise InputError(f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise InputError("the body is no object")
    return body


def text(body: Mapping[str, Json], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise InputError(f"{name} is no text")
    return value


def table(body: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    value = body.get(name)
    if not isinstance(value, dict):
        raise InputError(f"{name} is no object")
    return value


def several(body: Mapping[str, Json], name: str) -> list[Json]:
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > limits.MAX_STORED_ENTRIES:
        raise InputError(f"{name} is no list of at most {limits.MAX_STORED_ENTRIES}")
    return value


def alias(value: Json) -> str:
    try:
        return fields.alias(value)
    except InputError as error:
        raise InputError(f"alias {error}") from error


def label(value: Json, name: str, most: int = limits.MAX_LABEL_CHARACTERS) -> str:
    try:
        return fields.label(value, most)
    except InputError as error:
        raise InputError(f"{name} {error}") from error


def tags(body: Mapping[str, Json], name: str) -> list[str]:
    return [fields.tag(label(one, "a tag")) for one in several(body, name)]


_LIVES = range(limits.MIN_TAG_SECONDS, limits.MAX_TAG_SECONDS + 1)


def timed_tags(body: Mapping[str, Json], name: str) -> list[tuple[str, Millis | None]]:
    """Return tags with how long each lives, None for good: texts, or {"name", "seconds"}."""
    found: list[tuple[str, Millis | None]] = []
    for one in several(body, name):
        life: Millis | None = None
        if isinstance(one, dict):
            seconds, one = one.get("seconds"), one.get("name")
            if type(seconds) is not int or seconds not in _LIVES:
                raise InputError("a tag's seconds are not from 60 to 315,360,000")
            life = seconds * units.SECOND
        found.append((fields.tag(label(one, "a tag")), life))
    return found


def moment(value: Json, received: Millis) -> Millis:
    """Return the browser's time of something, within what can be true."""
    if type(value) is not int:
        return received
    return max(min(value, received), received - _LATE)


def properties(value: Json, name: str) -> Mapping[str, Json]:
    if value is None:
        return {}
    try:
        return fields.free(value)
    except InputError as error:
        raise InputError(f"{name} {error}") from error


def perhaps(check: Callable[[str], str], value: Json) -> str | None:
    # A wrong language or zone is no reason to lose somebody.
    try:
        return check(value) if isinstance(value, str) else None
    except InputError:
        return None
