"""
The times that people type: "tomorrow 09:00", "next friday 18:00", "in 2 hours".

A small exact grammar. Whatever it does not know is refused with its forms: a reader that
guesses loses a zone, or takes a month for a day.
"""

import re
from calendar import monthrange
from datetime import MAXYEAR, UTC, date, datetime, timedelta, timezone, tzinfo
from datetime import time as Time
from typing import NamedTuple

from pushctl.errors import InputError
from pushctl.model import Millis
from pushctl.rules import timing
from pushctl.rules.units import DAY, HOUR, MINUTE, WEEK

FORMS = (
    "18:00, 6pm, tomorrow 09:00, 18:00 tomorrow, friday 18:00, next friday 18:00, "
    "24 december 18:00, 2026-12-24 18:00, in 2 hours; a zone may follow: Europe/Berlin, "
    "+01:00, UTC"
)


class At(NamedTuple):
    """A local time as typed; *zone* None: the site's, or each person's own."""

    local: datetime
    zone: tzinfo | None


BEST = "best"  # the hour that brought most: `pushctl best-time`

_IN = re.compile(r"in\s+(.+)", re.IGNORECASE)
_LENGTH = re.compile(
    r"(\d{1,4}|an?)\s*(weeks?|w|days?|d|hours?|hrs?|h|minutes?|mins?|m)(?![a-z])(?:\s+and\b)?\s*",
    re.IGNORECASE,
)
_LENGTHS = {"w": WEEK, "d": DAY, "h": HOUR, "m": MINUTE}

_ZONE = re.compile(
    r"(?:(?<=\d)|\s+)(?:(?P<utc>Z|UTC|GMT)|(?P<name>[A-Za-z_]+(?:/[A-Za-z0-9_+-]+)+)"
    r"|(?:(?:(?<=:\d\d)|(?<=\s))(?:UTC|GMT)?(?P<sign>[+-])(?P<hours>\d\d?)(?::?(?P<minutes>\d\d))?))"
    r"\s*$",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"(?<![\d:.])(?:(\d{1,2}):(\d\d)(?::(\d\d))?\s*([ap]m\b)?|(\d{1,2})\s*([ap]m)\b|noon\b)(?![\d:])",
    re.IGNORECASE,
)
_WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_ISO = re.compile(r"(\d{4})-(\d\d?)-(\d\d?)")
_NUMBERS = re.compile(r"(\d\d?)[./-](\d\d?)(?:[./-](\d{4})|\.)?")
_DAY = re.compile(r"(\d\d?)(?:st|nd|rd|th)?\.?")
_MAX_OFFSET = timedelta(hours=14)


def split_best(text: str | None) -> str | None:
    """Return the day of "2026-12-24 best", "" of "best" alone, None of any other time."""
    words = (text or "").split()
    if not words or words[-1].casefold() != BEST:
        return None
    return " ".join(words[:-1])


def parse(text: str, now: Millis, zone: tzinfo) -> At:
    """
    Return the time that *text* means, seen from *now* in *zone*.

    Raises InputError, which lists the forms, for anything else.
    """
    if (match := _IN.fullmatch(text.strip())) is not None:
        at = timing.local(now + _parse_length(match[1], text), UTC)
        return At(at.replace(tzinfo=None), UTC)
    rest, typed = _cut_zone(re.sub(r"(?<=\d)[Tt](?=\d)", " ", text.strip()))
    here = timing.local(now, typed or zone).replace(tzinfo=None)
    times = list(_TIME.finditer(rest))
    if len(times) > 1:
        raise _unknown(text)
    words = [
        word
        for word in (_TIME.sub(" ", rest) if times else rest).replace(",", " ").split()
        if word.casefold() not in ("at", "on", "the", "of")
    ]
    hour = _read_time(times[0], text) if times else Time(0)
    day = _find_day([word.casefold() for word in words], here, hour, text)
    if not times:
        raise InputError(f"{text!r} has no hour. Write it, too: tomorrow 09:00, friday 18:00.")
    if day.year == MAXYEAR:  # what follows it, such as the end of its night, has no date
        raise InputError(f"{text!r} is too far away: the year {MAXYEAR} has no next one.")
    return At(datetime.combine(day, hour), typed)


def _unknown(text: str) -> InputError:
    return InputError(f"{text!r} is no time that pushctl knows. Write one of: {FORMS}.")


def _parse_length(said: str, text: str) -> Millis:
    end = length = 0
    for match in _LENGTH.finditer(said):
        if match.start() != end:
            raise _unknown(text)
        count = 1 if match[1].casefold().startswith("a") else int(match[1])
        length += count * _LENGTHS[match[2][0].casefold()]
        end = match.end()
    if end != len(said) or not length:
        raise _unknown(text)
    return length


def _cut_zone(text: str) -> tuple[str, tzinfo | None]:
    """Return *text* without the zone at its end, and that zone."""
    match = _ZONE.search(text)
    if match is None:
        return text, None
    rest = text[: match.start()]
    if match["utc"]:
        return rest, UTC
    if match["name"]:
        return rest, timing.zone(match["name"], match["name"])
    offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"] or 0))
    if offset > _MAX_OFFSET:
        raise InputError(f"{text!r}: no zone is further from UTC than 14 hours.")
    return rest, timezone(-offset if match["sign"] == "-" else offset)


def _read_time(match: re.Match[str], text: str) -> Time:
    if match[0].casefold() == "noon":
        return Time(12)
    hour, minute = int(match[1] or match[5]), int(match[2] or 0)
    half = (match[4] or match[6] or "").casefold()
    if half:
        if not 1 <= hour <= 12:
            raise InputError(f"{text!r}: there is no {hour}{half}.")
        hour = hour % 12 + (12 if half == "pm" else 0)
    try:
        return Time(hour, minute, int(match[3] or 0))
    except ValueError:
        raise InputError(f"{text!r}: there is no {match[0].strip()} on a clock.") from None


def _find_day(words: list[str], here: datetime, hour: Time, text: str) -> date:
    today = here.date()
    match words:
        case [] | ["today"]:
            return today
        case ["tomorrow"]:
            return today + timedelta(days=1)
        case ["day", "after", "tomorrow"]:
            return today + timedelta(days=2)
        case [("next" | "this" | "coming") as which, word] if _is_weekday(word):
            return _find_weekday(word, here, hour, later=which == "next")
        case [word] if _is_weekday(word):
            return _find_weekday(word, here, hour)
        case [word, *others] if _is_weekday(word) and others:
            day = _find_date(others, today, text)
            if day.weekday() != _index(_WEEK, word):
                raise InputError(f"{text!r}: {day} is a {_WEEK[day.weekday()]}.")
            return day
    return _find_date(words, today, text)


def _is_weekday(word: str) -> bool:
    return _index(_WEEK, word) is not None


def _index(names: tuple[str, ...], word: str) -> int | None:
    """Return the place of the name that *word* is or begins, three letters at least."""
    word = word.removesuffix(".")
    found = [place for place, name in enumerate(names) if name.startswith(word)]
    return found[0] if len(word) >= 3 and len(found) == 1 else None


def _find_weekday(word: str, here: datetime, hour: Time, *, later: bool = False) -> date:
    """Return the next such day; today if its time is still to come, unless *later*."""
    days = ((_index(_WEEK, word) or 0) - here.weekday()) % 7
    if days == 0 and (later or datetime.combine(here.date(), hour) < here):
        days = 7
    return here.date() + timedelta(days=days)


def _find_date(words: list[str], today: date, text: str) -> date:
    year: int | None = None
    match words:
        case [word] if found := _ISO.fullmatch(word):
            year, month, day = map(int, found.groups())
        case [word] if found := _NUMBERS.fullmatch(word):
            first, second = int(found[1]), int(found[2])
            if first <= 12 and second <= 12:
                raise InputError(
                    f"{text!r}: which is the day, which the month? Write 2026-12-24 18:00."
                )
            day, month = (first, second) if first > 12 else (second, first)
            year = int(found[3]) if found[3] else None
        case [_, _] | [_, _, _]:
            day, month, year = _read_words(words, text)
        case _:
            raise _refuse_words(words, text)
    years = [year] if year is not None else range(today.year, today.year + 9)
    for each in years:
        if 1 <= month <= 12 and 1 <= day <= monthrange(each, month)[1]:
            found_day = date(each, month, day)
            if year is not None or found_day >= today:
                return found_day
    raise InputError(f"{text!r}: there is no such day.")


def _read_words(words: list[str], text: str) -> tuple[int, int, int | None]:
    """Return day, month and year of "24 december 2026" or "dec 24"."""
    first, second, *rest = words
    if _index(_MONTHS, first) is not None:
        first, second = second, first
    day, month = _DAY.fullmatch(first), _index(_MONTHS, second)
    valid_year = not rest or re.fullmatch(r"\d{4}", rest[0])
    if day is None or month is None or not valid_year:
        raise _refuse_words(words, text)
    return int(day[1]), month + 1, int(rest[0]) if rest else None


def _refuse_words(words: list[str], text: str) -> InputError:
    last = words[-1] if words else ""
    if 2 <= len(last) <= 5 and last.isalpha() and last.upper() in text.split():
        return InputError(
            f"{text!r}: {last.upper()} may be several zones, with or without summer time. "
            "Write a name or an offset: Europe/Berlin, +01:00, UTC."
        )
    return _unknown(text)
