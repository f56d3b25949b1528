"""
The times of campaigns: when a local time comes for whom, and "monday 09:00" every week.
"""

import re
from calendar import isleap, monthrange
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as Time
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from pushctl.errors import InputError
from pushctl.model import Millis
from pushctl.rules import timing
from pushctl.rules.units import MINUTE

if TYPE_CHECKING:
    from dateutil.rrule import rrule, rruleset

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEK_CODES = tuple(name[:2].upper() for name in WEEKDAYS)
_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY")
# Least and greatest number of each part.
_NUMBERS = {
    "BYMONTH": (1, 12), "BYMONTHDAY": (1, 31), "BYYEARDAY": (1, 366), "BYWEEKNO": (1, 53),
    "BYHOUR": (0, 23), "BYMINUTE": (0, 59), "BYSECOND": (0, 59), "BYSETPOS": (1, 366),
}  # fmt: skip
_FROM_THE_END = {"BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS"}  # -1 is the last one
_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", *_NUMBERS}
_BYDAY = re.compile(r"([+-]?[1-9][0-9]?)?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"([0-9]{8})(?:T([0-9]{6})(Z)?)?")
_LEAST = timedelta(hours=1)  # between two occurrences

# Every date has come with every day of the week by then, 29 February across a year 2100 too.
_YEARS = 40

# Where every day begins first, and where it ends last.
FIRST = timing.zone("Pacific/Kiritimati")
LAST = timing.zone("Etc/GMT+12")

_MOST_TIMES = 400  # of one rule, in a list of what is to come: one each hour fills no calendar


class Passed(StrEnum):
    """The choice for people whose local time has passed already."""

    NOW = "now"
    TOMORROW = "tomorrow"
    SKIP = "skip"


def over_everywhere(moment: datetime, now: Millis) -> bool:
    """Return whether *moment* has passed on every clock on earth."""
    return timing.instant(moment.date(), moment.time(), LAST) < now


def due(
    moment: datetime, zone: tzinfo, now: Millis, passed: Passed = Passed.NOW
) -> Millis | None:
    """Return when *moment* comes in *zone*; None to leave somebody out."""
    at = timing.instant(moment.date(), moment.time(), zone)
    if at >= now:
        return at
    if passed is Passed.SKIP:
        return None
    if passed is Passed.NOW:
        return now
    return timing.next_local(now, moment.time(), zone)


def due_on(weekdays: Collection[int], hour: Time, zone: tzinfo, now: Millis) -> Millis:
    """Return the first instant from *now* at which it is *hour* on one of *weekdays* there."""
    at = now
    for _ in range(2 * len(WEEKDAYS)):
        at = timing.next_local(at, hour, zone)
        if timing.local(at, zone).weekday() in weekdays:
            break
        at += MINUTE
    return at


def rule(text: str, starts: datetime = datetime(2026, 1, 1), zone: tzinfo = UTC) -> str:
    """
    Return the RRULE (RFC 5545) of "day 09:00", "weekday 18:00", "monday,friday 09:00", or
    of an RRULE: "FREQ=MONTHLY;BYDAY=1MO;BYHOUR=9", seen from *starts* in *zone*.

    Raises InputError for anything else, for what never comes, and for what comes more than
    hourly.
    """
    raw = text.strip().upper().removeprefix("RRULE:")
    if "FREQ=" in raw:
        found = _read_parts(raw, zone, text)
    else:
        days, _, hour = text.strip().rpartition(" ")
        at = timing.clock(hour) if days else None
        names = [one.strip() for one in days.casefold().removeprefix("every ").split(",")]
        if at is None:
            raise _no_rule(text)
        found = f"{_frequency(names, text)};BYHOUR={at.hour};BYMINUTE={at.minute};BYSECOND=0"
    _check_occurrences(found, starts, text)
    return found


def _read_parts(raw: str, zone: tzinfo, text: str) -> str:
    """Return an RRULE with all that this module relies on; raises InputError."""
    pairs = [part.partition("=")[::2] for part in raw.strip(";").split(";")]
    parts = dict(pairs)
    for name, value in pairs:
        if name not in _PARTS or not value:
            raise InputError(f"{text!r}: {name or value!r} is no part of an RRULE (RFC 5545).")
    if len(parts) < len(pairs):
        raise InputError(f"{text!r} has a part twice.")
    often = parts["FREQ"]
    if often in ("MINUTELY", "SECONDLY"):
        raise _too_often(text)
    if often not in _FREQUENCIES:
        raise InputError(f"{text!r}: FREQ is one of {', '.join(_FREQUENCIES)}.")
    for name in ("INTERVAL", "COUNT"):
        if name in parts and not re.fullmatch(r"0*[1-9][0-9]{0,4}", parts[name]):
            raise InputError(f"{text!r}: {name} is a number from 1 to 99999.")
    for name in _NUMBERS:
        if name in parts:
            _check_numbers(name, parts[name], text)
    if "BYSETPOS" in parts and often in ("DAILY", "HOURLY"):
        raise InputError(f"{text!r}: BYSETPOS goes with WEEKLY, MONTHLY or YEARLY.")
    if "BYHOUR" in parts:
        parts.setdefault("BYMINUTE", "0")
    parts.setdefault("BYSECOND", "0")
    if "UNTIL" in parts:
        parts["UNTIL"] = _read_until(parts["UNTIL"], zone, text)
    return ";".join(f"{name}={value}" for name, value in parts.items())


def _check_numbers(name: str, value: str, text: str) -> None:
    """Raise InputError for numbers of a part that no clock or calendar has."""
    least, most = _NUMBERS[name]
    from_the_end = name in _FROM_THE_END
    for one in value.split(","):
        found = re.fullmatch(r"([+-]?)0*([0-9]{1,3})", one)
        if (
            found is None
            or (found[1] == "-" and not from_the_end)
            or not least <= int(found[2]) <= most
        ):
            end = f", or from -{most} to -1" if from_the_end else ""
            raise InputError(
                f"{text!r}: {name} is numbers from {least} to {most}{end}, with commas between "
                f"them; {one!r} is none."
            )


def _read_until(value: str, zone: tzinfo, text: str) -> str:
    """Return UNTIL on the clock of *zone*; a day alone is meant to its end."""
    match = _UNTIL.fullmatch(value)
    try:
        if match is None:
            raise ValueError(value)
        at = datetime.strptime(match[1] + (match[2] or "235959"), "%Y%m%d%H%M%S")
        if match[3]:
            at = at.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
    except (ValueError, OverflowError):  # the last hours of the year 9999
        raise InputError(
            f"{text!r}: write UNTIL=20261231, or UNTIL=20261231T180000Z."
        ) from None
    return f"{at:%Y%m%dT%H%M%S}"


def _check_occurrences(rule: str, starts: datetime, text: str) -> None:
    """Raise InputError where *rule* never comes, or more than hourly."""
    found = _read(rule, starts, text)
    if not _has_day(dict(part.partition("=")[::2] for part in rule.split(";")), starts):
        raise _never(text)
    first = last = None
    for moment in islice(found, 50):
        if last is not None and moment - last < _LEAST:
            raise _too_often(text)
        first, last = first or moment, moment
        if moment - first > timedelta(days=62):
            break
    if last is None:
        raise _never(text)


def _has_day(parts: Mapping[str, str], starts: datetime) -> bool:
    """
    Return whether any day can fit *parts*: dateutil would look for one to the year 9999.

    The days' own properties alone: what they have to do with each other is for dateutil.
    """
    numbers = {
        name: {int(value) for value in parts[name].split(",")}
        for name in _NUMBERS
        if name in parts
    }
    ordinals = [_BYDAY.fullmatch(value) for value in parts.get("BYDAY", "").split(",")]
    days = {(int(it[1] or 0), _WEEK_CODES.index(it[2])) for it in ordinals if it is not None}
    yearly = parts["FREQ"] == "YEARLY" and "BYMONTH" not in parts
    if parts["FREQ"] not in ("YEARLY", "MONTHLY"):
        days = {(0, weekday) for _, weekday in days}

    def fits(day: date) -> bool:
        months = monthrange(day.year, day.month)[1]
        of_year, length = day.timetuple().tm_yday, 366 if isleap(day.year) else 365
        place, size = (of_year, length) if yearly else (day.day, months)
        nth = {0, (place - 1) // 7 + 1, -((size - place) // 7 + 1)}
        week, weeks = day.isocalendar().week, date(day.year, 12, 28).isocalendar().week
        own = {
            "BYMONTH": {day.month},
            "BYMONTHDAY": {day.day, day.day - months - 1},
            "BYYEARDAY": {of_year, of_year - length - 1},
            "BYWEEKNO": {week, week - weeks - 1},
        }
        return all(
            name not in numbers or numbers[name] & values for name, values in own.items()
        ) and (not days or any((it, day.weekday()) in days for it in nth))

    start = starts.date()
    return any(fits(start + timedelta(days=number)) for number in range(_YEARS * 366))


def _too_often(text: str) -> InputError:
    return InputError(f"{text!r} is too often: nobody wants it more than hourly")


def _never(text: str) -> InputError:
    return InputError(f"{text!r} never comes: no day and hour fit all of its parts.")


def following(
    rule: str, starts: datetime, zone: tzinfo, now: Millis, *, local: bool = False
) -> tuple[datetime, Millis] | None:
    """
    Return the next time of *rule* after *now*, local and as an instant of *zone*.

    *local*: on each person's own clock, so the instant is that of the earliest zone. None
    when the rule has come to its end.
    """
    where = FIRST if local else zone
    here = timing.local(now, where).replace(tzinfo=None)
    # A day back: a time that the clocks skip comes later than it reads.
    for moment in _read(rule, starts, rule).xafter(here - timedelta(days=1), inc=True):
        at = timing.instant(moment.date(), moment.time(), where)
        if at > now:
            return moment, at
    return None


def iterate_following(
    rule: str, starts: datetime, zone: tzinfo, now: Millis, until: Millis, *, local: bool
) -> Iterator[Millis]:
    """Yield the times of *rule* after *now* and before *until*, as ``following`` has them."""
    at = now
    for _ in range(_MOST_TIMES):
        found = following(rule, starts, zone, at, local=local)
        if found is None or found[1] >= until:
            return
        at = found[1]
        yield at


def _frequency(names: list[str], text: str) -> str:
    if names == ["day"]:
        return "FREQ=DAILY"
    if names == ["weekday"]:
        names = list(WEEKDAYS[:5])
    if not all(name in WEEKDAYS for name in names):
        raise _no_rule(text)
    return "FREQ=WEEKLY;BYDAY=" + ",".join(name[:2].upper() for name in names)


def _no_rule(text: str) -> InputError:
    return InputError(
        f"{text!r} is not a repeated time. Write day 09:00, weekday 18:00, "
        "monday,friday 09:00 or an RRULE: FREQ=MONTHLY;BYDAY=1MO;BYHOUR=9."
    )


def _read(rule: str, starts: datetime, text: str) -> "rruleset | rrule":
    from dateutil.rrule import rrulestr

    try:
        return rrulestr(rule, dtstart=starts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{text!r} is no RRULE that dateutil reads: {error}") from error
