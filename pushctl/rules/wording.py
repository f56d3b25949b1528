"""
Values -> text that is safe to show: on a terminal, in a cell of a spreadsheet.

Text from outside may hold escape sequences, bidi overrides and formulas.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo

from pushctl.rules.units import DAY, HOUR, MINUTE, SECOND
from pushctl.states import Millis

# C0, DEL, C1, line and paragraph separators, bidi embeddings, overrides and isolates,
# lone surrogates: what moves a cursor, reverses a line or can't be encoded.
_HOSTILE = "\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_HOSTILE_PATTERN = re.compile(f"[{_HOSTILE}]")
_HOSTILE_BUT_LINES = re.compile(f"[{_HOSTILE}]".replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))

# What makes a spreadsheet take a cell for a formula, full-width forms included.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_PLAIN_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)

# NARROW NO-BREAK SPACE: a figure and its sign are one word.
_NARROW = "\u202f"


def clean(text: str, *, lines: bool = False) -> str:
    """
    Return *text* with everything that could command a terminal as U+FFFD.

    Line breaks stay only with *lines*. Marks that Arabic and Hebrew need (U+200E, U+200F,
    U+061C) stay: they cannot hide or reverse anything.
    """
    return (_HOSTILE_BUT_LINES if lines else _HOSTILE_PATTERN).sub("\ufffd", text)


def wrapped(text: str, width: int, indent: int | None = None) -> str:
    """
    Return *text* with its lines broken between words, at most *width* columns each.

    Further lines begin *indent* columns in, else below their line's first letter. A word
    that is wider stays in one piece: it may be an address.
    """
    if all(len(line) <= width for line in text.split("\n")):
        return text
    from textwrap import TextWrapper

    lines = []
    for line in text.split("\n"):
        begins = len(line) - len(line.lstrip())
        wrapper = TextWrapper(
            width,
            initial_indent=" " * begins,
            subsequent_indent=" " * (begins if indent is None else indent),
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines += wrapper.wrap(line.lstrip()) if len(line) > width else [line]
    return "\n".join(lines)


def cell(value: object) -> str:
    """Return *value* as one cell of plain text; None is empty, lists are joined."""
    if value is None:
        return ""
    if type(value) is int or type(value) is float:
        return str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return clean(", ".join(map(str, value)))
    if isinstance(value, Mapping):
        import json  # few tables have a cell of this kind

        return clean(json.dumps(value, ensure_ascii=False, default=str))
    return clean(str(value))


def csv_cell(value: object) -> str | float:
    """
    Return *value* as a cell that no spreadsheet takes for a formula.

    Numbers stay numbers; texts that begin like a formula get an apostrophe in front.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    text = cell(value)
    # Looked at before cleaning, too: a leading TAB begins a formula.
    formula = text.startswith(_FORMULA) or str(value).startswith(_FORMULA)
    return f"'{text}" if formula and not _PLAIN_NUMBER.fullmatch(text) else text


def json_text(value: object, indent: int | None = None) -> str:
    """Return *value* as JSON that loses nothing and commands no terminal."""
    import json

    return escape_hostile(json.dumps(value, ensure_ascii=False, default=_plain, indent=indent))


def escape_hostile(text: str) -> str:
    """Return *text*, JSON, with C1 and bidi controls escaped: JSON itself escapes C0 alone."""
    return _HOSTILE_BUT_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, (set, frozenset, tuple)) else str(value)


def number(value: float) -> str:
    """Return *value* with its thousands apart, as in all our texts: 1,234,567."""
    return f"{value + 0:,}"  # + 0: -0.0 is nothing that a reader knows


def counted(count: int, thing: str, things: str = "") -> str:
    """Return "1 message" or "1,234 messages"; *things* where that is not *thing* and an s."""
    return f"{number(count)} {thing if count == 1 else things or f'{thing}s'}"


def share(value: float) -> str:
    """Return a fraction as per cent: 0.0423 is 4.2 %."""
    return f"{value * 100:z.1f}{_NARROW}%"


def moment(value: Millis, zone: tzinfo | None = None) -> str:
    """
    Return a time to the minute, with its zone: 2026-04-28 10:00 CEST.

    *zone*: whose clock; None is this machine's.
    """
    return f"{_local(value, zone):%Y-%m-%d %H:%M %Z}"


def write_moment_without_zone(value: Millis) -> str:
    """Return a time of this machine's zone for a column whose head names the zone."""
    return f"{_local(value, None):%Y-%m-%d %H:%M}"


def find_common_zone(times: Iterable[object]) -> str | None:
    """Return this machine's zone at all of *times*: CET, +03; None where it differs."""
    zones = {f"{_local(it, None):%Z}" for it in times if isinstance(it, int)}
    return zones.pop() if len(zones) == 1 else None


def _local(value: Millis, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(value / SECOND, UTC).astimezone(zone)


def iso(value: Millis) -> str:
    """Return a time as ISO 8601 in UTC, to the second: 2026-04-28T08:00:00Z."""
    return datetime.fromtimestamp(value / SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(value: Millis) -> str:
    """Return a duration in its two largest units: 850 ms, 3m 20s, 2h 5m, 4d 1h."""
    if value < SECOND:
        return f"{value} ms"
    rest, parts = value, list[str]()
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def ask_nearest(name: str, known: Iterable[str], most: int = 3) -> str:
    """
    Return "Did you mean 'sale 1' or 'sale 2'?" with the names most like *name*, or "".

    *known* has the newest first. Names that begin so go before those that only look so.
    """
    from difflib import get_close_matches

    names: dict[str, str] = {}
    for each in known:
        names.setdefault(each.casefold(), each)
    folded = name.casefold()
    near = [each for key, each in names.items() if folded and key.startswith(folded)]
    near = near[:most][::-1]
    near = near or [names[key] for key in get_close_matches(folded, names, most)]
    return f"Did you mean {' or '.join(map(repr, near))}?" if near else ""
