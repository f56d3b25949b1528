"""
How a value is written: plain, on one line, bounded; in right-to-left texts isolated.

Without isolates "Acme 2.0" in an Arabic sentence moves its neighbours' dots and brackets to
the wrong side (UAX #9). Values never have isolates of their own; the renderer puts one round
what it writes, and none round the words of the template.
"""

import re
from typing import Any

from jinja2 import StrictUndefined, Undefined
from jinja2.exceptions import SecurityError

from pushctl.rules.limits import MAX_VALUE_CHARACTERS
from pushctl.rules.messages import values

# LEFT-TO-RIGHT, FIRST STRONG and POP DIRECTIONAL ISOLATE.
_LTR, _FIRST, _END = "\u2066", "\u2068", "\u2069"


# Two signs in a row, or one in front, would move.
_NUMBER = re.compile(r"[0-9]+(?:[.,:/][0-9]+)*")


class Missing(StrictUndefined):
    """
    An unknown value: false in ``if``, and an error where it is written.

    Its fields are unknown too: ``cart.names`` without a cart.
    """

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]
        return False


class Own(str):
    """Words of the template itself, clean; what is a value in them has its isolate."""

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


def isolate(value: Any) -> str:
    """Return *value* as ``clean`` does, with a direction of its own."""
    if isinstance(value, Own):
        return value
    text = clean(value)
    inside = text.strip()
    # A number takes its order from its neighbours: "10%" and "Windows 11" stay together.
    if not inside or _NUMBER.fullmatch(inside):
        return text
    # What is known to run from left to right: codes, prices, links, names in Latin letters.
    isolated = f"{_LTR if inside.isascii() else _FIRST}{inside}{_END}"
    # Spaces at the ends are the sentence's.
    return isolated if inside == text else text.replace(inside, isolated, 1)


def mark_own(value: Any) -> Any:
    """Return *value*, a constant of a template, as its own words."""
    return Own(clean(value)) if isinstance(value, str) else value


def join_isolated(value: Any, between: Any = ", ") -> Own:
    """Return what ``join`` does, each item isolated; the whole ones within the bound."""
    if isinstance(value, Undefined):
        str(value)  # raises, with its name
    if not isinstance(value, list | tuple):
        raise SecurityError("this takes a list")
    joint, found = clean(between), ""
    for item in value:
        longer = f"{found}{joint}{isolate(item)}" if found else isolate(item)
        if len(longer) > MAX_VALUE_CHARACTERS:
            break
        found = longer
    return Own(found)
