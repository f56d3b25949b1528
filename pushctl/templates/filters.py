"""
The filters that templates may use; each takes and gives short values.

There is no padding and no formatting by pattern: with those a template of twenty
characters could fill a gigabyte.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from jinja2 import StrictUndefined, Undefined
from jinja2.exceptions import SecurityError

from pushctl.rules.limits import MAX_VALUE_CHARACTERS
from pushctl.rules.messages import payload, values

_WORD = re.compile(r"\w\S*")


class Link(str):
    """A checked URL: written into a URL field as it is."""

    __slots__ = ()


def cut(value: Any) -> Any:
    """Return *value*, a text cut to 1,000 characters."""
    long = isinstance(value, str) and len(value) > MAX_VALUE_CHARACTERS
    return value[:MAX_VALUE_CHARACTERS] if long else value


def clean(value: Any) -> str:
    """Return *value* as one line of plain text, for a title or a body."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)  # 20.0 euros are 20
    elif not isinstance(value, str | int | float | Undefined):
        raise SecurityError("a list or a table can't be written; name one of its values")
    return values.plain(str(value))


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


def truncate(value: Any, length: int = 40, end: str = "…") -> str:
    """``{{ product|truncate(30) }}``: cut at a word, with an ellipsis."""
    plain = clean(value)
    if len(plain) <= length:
        return plain
    cut = plain[: max(0, length - len(clean(end)))]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > length // 2 else cut).rstrip() + clean(end)


def join(value: Any, between: str = ", ") -> str:
    return clean(between).join(map(clean, _check_list(value)))[:MAX_VALUE_CHARACTERS]


def first(value: Any) -> Any:
    """``{{ cart.names|first|default('it') }}``: not known where there is no list."""
    if isinstance(value, Undefined):
        return value
    return next(iter(_check_list(value)), StrictUndefined("the list is empty"))


def last(value: Any) -> Any:
    if isinstance(value, Undefined):
        return value
    return next(reversed(_check_list(value)), StrictUndefined("the list is empty"))


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


OFFERED: Mapping[str, Callable[..., Any]] = {
    "default": default,
    "d": default,
    "link": link,
    "truncate": truncate,
    "join": join,
    "first": first,
    "last": last,
    "length": length,
    "round": format_number,
    "replace": replace,
    "upper": lambda value: clean(value).upper()[:MAX_VALUE_CHARACTERS],
    "lower": lambda value: clean(value).lower()[:MAX_VALUE_CHARACTERS],
    "capitalize": lambda value: (it := clean(value))[:1].upper() + it[1:],
    "title": lambda value: _WORD.sub(
        lambda word: word[0][:1].upper() + word[0][1:], clean(value)
    ),
    "trim": lambda value: clean(value).strip(),
    "int": lambda value: int(float(clean(value))),
    "abs": lambda value: abs(float(clean(value))),
}
