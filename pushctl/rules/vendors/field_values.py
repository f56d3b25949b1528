"""
Values of requests in other services' forms: read as those services take them, or refused.

A field that says nothing ("", null, an empty list) counts as absent, as real callers send
it. Everything else that is not understood is refused by the field's name: a message must not
go out without something that its sender counts on.
"""

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from pushctl.errors import InputError
from pushctl.model import Json
from pushctl.rules import limits

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_LINK = re.compile(r"(?:https?:/)?/[^\s\x00-\x1f\x7f]*", re.ASCII | re.IGNORECASE)
_SUBSCRIBER = re.compile(r"(cart:)?([A-Za-z0-9_-]{22})", re.ASCII)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class FieldError(InputError):
    """A *field* that is not taken, and what is; never what stood in it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field} {text}")
        self.field = field


class Asked(NamedTuple):
    """A message that was asked for, in the form of ``POST /v1/messages``."""

    message: Mapping[str, Json]
    people: int  # 0: an audience
    named: str | None = None  # by which the caller knows a repeated request


def is_nothing(value: Json) -> bool:
    return value is None or value == "" or value == [] or value == {}


def drop_nothing(body: Json, name: str) -> dict[str, Json]:
    """Return the fields of *body* that say something; raises FieldError unless it is one."""
    if not isinstance(body, dict):
        raise FieldError(name, "is no object")
    return {field: value for field, value in body.items() if not is_nothing(value)}


def refuse_others(fields: Collection[str], known: Collection[str], prefix: str = "") -> None:
    """Raise FieldError for the first of *fields* that is not *known*."""
    for name in fields:
        if name not in known:
            # A name is repeated only where it can be nothing else.
            shown = name if _NAME.fullmatch(name) else "a field"
            raise FieldError(f"{prefix}{shown}", "is not supported")


def read_text(value: Json, field: str, most: int = limits.MAX_VALUE_CHARACTERS) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise FieldError(field, "is no text")
    if len(value) > most:
        raise FieldError(field, f"has more than {most:,} characters")
    return value


def read_label(value: Json, field: str, most: int = limits.MAX_LABEL_CHARACTERS) -> str:
    """Return a name on one line."""
    text = read_text(value, field, most)
    if _CONTROLS.search(text):
        raise FieldError(field, "has more than one line")
    return text


def read_link(value: Json, field: str) -> str:
    """Return an address of http or https, or a path of the site."""
    text = read_text(value, field, limits.MAX_TEXT_CHARACTERS)
    if not _LINK.fullmatch(text):
        raise FieldError(field, "is no address with http or https, and no path")
    return text


def read_whole(value: Json, field: str, low: int, high: int) -> int:
    """Return a whole number; a text of digits is one, as PHP writes it."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        value = int(value)
    if type(value) not in (int, float) or not low <= value <= high or value != int(value):
        raise FieldError(field, f"is no whole number from {low:,} to {high:,}")
    return int(value)


def read_ttl(value: Json, field: str = "ttl") -> int:
    return read_whole(value, field, 0, limits.MAX_TTL_SECONDS)


def read_switch(value: Json, field: str) -> bool:
    """Return true or false, as JSON, PHP and forms write it."""
    for written, meaning in (
        ((True, 1, "1", "true"), True),
        ((False, 0, "0", "false"), False),
    ):
        if type(value) in (bool, int, str) and value in written:
            return meaning
    raise FieldError(field, "is neither true nor false")


def read_subscriber(value: Json) -> Mapping[str, Json] | None:
    """
    Return the one whom an id names, None where it is none.

    It is a subscriber's id, or "cart:" and what ``pushctl.cartKey()`` gave the page.
    """
    found = _SUBSCRIBER.fullmatch(value) if isinstance(value, str) else None
    return found and {"cart" if found[1] else "subscriber": found[2]}


def read_list(value: Json, field: str, most: int) -> list[Json]:
    if not isinstance(value, list) or not value:
        raise FieldError(field, "is no list")
    if len(value) > most:
        raise FieldError(field, f"has more than {most:,} entries")
    return value
