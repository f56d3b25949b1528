"""
The times of campaigns: "tomorrow 09:00" on the site's clock, or on each person's own, and
"monday 09:00" every week.
"""

import re
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING

from pushctl.errors import InputError
from pushctl.model import Millis
from pushctl.rules import timing

if TYPE_CHECKING:
    from dateutil.rrule import rrule, rruleset

_DAYS = {"today": 0, "tomorrow": 1}
_WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAY = re.compile(r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\b", re.IGNORECASE)

# 03.04.2026 is a day in April or in March, depending on who reads it.
_NUMBERS = re.compile(r"(?<![\d./-])(\d{1,2})[./-](\d{1,2})(?:[./-]\d{2,4})?(?![\d./-])")

# Where every day begins first, and where it ends last.
FIRST = timing.zone("Pacific/Kiritimati")
LAST = timing.zone("Etc/GMT+12")


class Passed(StrEnum):
    """The choice for people whose local time has passed already."""

    NOW = "now"
    TOMORROW = "tomorrow"
    SKIP = "skip"


def parse_local_time(text: str, now: Millis, zone: tzinfo) -> datetime:
    """
    Return the local time that *text* means, seen from *now* in *zone*.

    "18:00", "today 18:00", "tomorrow 09:00", "friday 18:00", "2026-12-24 18:00" and
    everything else that dateutil reads. InputError for all others, and for an offset.
    """
    from dateutil import parser

    here = timing.local(now, zone).replace(tzinfo=None)
    word, _, rest = text.strip().partition(" ")
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    said = text
    if word.casefold() in _DAYS:
        midnight += timedelta(days=_DAYS[word.casefold()])
        said = rest or "today"
    if (date := _NUMBERS.search(said)) and max(map(int, date.groups())) <= 12:
        raise InputError(
            f"{text!r}: which is the day, which the month? Write 2026-12-24 18:00."
        )
    try:
        found = parser.parse(said, default=midnight)
        # Parts that are left open come from the default: the hour must not.
        open_hour = found != parser.parse(said, default=midnight + timedelta(hours=1))
    except (ValueError, OverflowError) as error:
        if said == "today":
            raise _no_hour(text) from None
        raise InputError(
            f"{text!r} is no time. Write 18:00, tomorrow 09:00, friday 18:00 or "
            "2026-12-24 18:00."
        ) from error
    if open_hour:
        raise _no_hour(text)
    if found.tzinfo is not None:
        raise InputError(
            f"{text!r} names a zone. Leave it out: the time is the site's, or with --local "
            "each person's own."
        )
    # On a Friday evening "friday 09:00" is the next one.
    return found + timedelta(days=7 if found < here and _WEEKDAY.match(text.strip()) else 0)


def _no_hour(text: str) -> InputError:
    return InputError(f"{text!r} has no hour. Write it, too: tomorrow 09:00, friday 18:00.")


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


def rule(text: str) -> str:
    """
    Return the RRULE (RFC 5545) of "day 09:00", "weekday 18:00", "monday,friday 09:00", or
    of an RRULE: "FREQ=MONTHLY;BYDAY=1MO;BYHOUR=9". InputError for anything else.
    """
    raw = text.strip().upper().removeprefix("RRULE:")
    if raw.startswith("FREQ="):
        if raw.startswith(("FREQ=MINUTELY", "FREQ=SECONDLY")):
            raise InputError(f"{text!r} is too often: nobody wants it more than hourly")
        found = raw
    else:
        days, _, hour = text.strip().rpartition(" ")
        at = timing.clock(hour) if days else None
        names = [one.strip() for one in days.casefold().removeprefix("every ").split(",")]
        if at is None:
            raise _no_rule(text)
        found = f"{_frequency(names, text)};BYHOUR={at.hour};BYMINUTE={at.minute};BYSECOND=0"
    _read(found, datetime(2026, 1, 1), text)
    return found


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


def _frequency(names: list[str], text: str) -> str:
    if names == ["day"]:
        return "FREQ=DAILY"
    if names == ["weekday"]:
        names = list(_WEEK[:5])
    if not all(name in _WEEK for name in names):
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
