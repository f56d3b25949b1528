"""
The filters that templates may use; each takes and gives short values.

There is no padding and no formatting by pattern: with those a template of twenty
characters could fill a gigabyte.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import orjson
from jinja2 import Undefined
from jinja2.exceptions import SecurityError

from pushctl.rules.limits import MAX_VALUE_CHARACTERS
from pushctl.rules.messages import clusters, payload
from pushctl.templates import language_filters
from pushctl.templates.plain import Missing, clean


class Link(str):
    """A checked URL: written into a URL field as it is."""

    __slots__ = ()


def encode_part(value: Any) -> str:
    """Return *value* percent-encoded for any place in a URL; a ``link`` as it is."""
    return value if isinstance(value, Link) else quote(clean(value), safe="")


def concatenate(parts: list[Any]) -> str:
    return "".join(map(clean, parts))[:MAX_VALUE_CHARACTERS]


def default(value: Any, instead: Any = "") -> Any:
    """``{{ attributes.name|default('friend') }}``: replaces an unknown or empty value."""
    return instead if isinstance(value, Undefined) or value is None or value == "" else value


def link(value: Any) -> Link:
    """``{{ cart.url|link }}``: a whole http(s) URL or a path of the site, not encoded."""
    url = quote(clean(value), safe="%/:?#[]@!$&'()*+,;=~")
    if not (payload.is_link(url) or re.match(r"/(?![/\\])", url)):
        raise SecurityError(f"{url[:80]!r} is no http or https URL")
    return Link(url)


def write_json(value: Any) -> str:
    """``{{ data.campaign|json }}``: for a body that is JSON; quoted, "null" for nothing."""
    if isinstance(value, Undefined):
        str(value)  # raises, with its name
    plain = value is None or isinstance(value, bool | int | float)
    # Each character may become two: what is longer would be cut behind a half of one.
    return orjson.dumps(
        value if plain else clean(value)[: MAX_VALUE_CHARACTERS // 2 - 1]
    ).decode()


def truncate(value: Any, length: int = 40, end: str = clusters.ELLIPSIS) -> str:
    """``{{ product|truncate(30) }}``: 30 characters as readers count them, cut at a word."""
    plain = clean(value)
    if len(plain) <= length:
        return plain
    return clusters.cut(plain, max(0, int(length)), clean(end), at_word=True)


def join(value: Any, between: str = ", ") -> str:
    joint, found = clean(between), ""
    for at, item in enumerate(_check_list(value)):
        found += f"{joint if at else ''}{clean(item)}"
        if len(found) >= MAX_VALUE_CHARACTERS:
            break
    return found[:MAX_VALUE_CHARACTERS]


def first(value: Any) -> Any:
    """``{{ cart.names|first|default('it') }}``: not known where there is no list."""
    if isinstance(value, Undefined):
        return value
    return next(iter(_check_list(value)), Missing("the list is empty"))


def last(value: Any) -> Any:
    if isinstance(value, Undefined):
        return value
    return next(reversed(_check_list(value)), Missing("the list is empty"))


def length(value: Any) -> int:
    return len(value) if isinstance(value, dict | str) else len(_check_list(value))


def format_number(value: Any, digits: int = 0) -> Any:
    """``{{ total|round(2) }}``: digits 0 to 6, trailing zeros kept."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        value = float(clean(value))
    return f"{value:.{min(max(int(digits), 0), 6)}f}"


def replace(value: Any, old: str, new: str) -> str:
    return clean(value).replace(clean(old) or "\x1f", clean(new))[:MAX_VALUE_CHARACTERS]


def _check_list(value: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)
    if not isinstance(value, list | tuple):
        raise SecurityError("this takes a list")
    return value


# What the costly ones take, in steps of the sandbox: one is about 16 microseconds on a value
# of the greatest length.
STEPS: Mapping[str, int] = {"truncate": 36, "title": 24, "first_name": 16, "plural": 8}
COMMON_STEPS = 4  # of the others

OFFERED: Mapping[str, Callable[..., Any]] = {
    **language_filters.SPOKEN,
    "default": default,
    "d": default,
    "link": link,
    "json": write_json,
    "truncate": truncate,
    "join": join,
    "first": first,
    "last": last,
    "length": length,
    "round": format_number,
    "replace": replace,
    "trim": lambda value: clean(value).strip(),
    "int": lambda value: int(float(clean(value))),
    "abs": lambda value: abs(float(clean(value))),
}
