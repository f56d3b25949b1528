"""
When a campaign goes out: "tomorrow 09:00" on the site's clock, or on each person's own.
"""

from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from pushctl.errors import InputError
from pushctl.model import Millis
from pushctl.rules import timing

_DAYS = {"today": 0, "tomorrow": 1}


class Passed(StrEnum):
    """What happens where the local time has passed already."""

    NOW = "now"
    TOMORROW = "tomorrow"
    SKIP = "skip"


def wall(text: str, now: Millis, zone: tzinfo) -> datetime:
    """
    Return the time on the wall that *text* means, seen from *now* in *zone*.

    "18:00", "today 18:00", "tomorrow 09:00", "friday 18:00", "2026-12-24 18:00" and what
    else dateutil reads. InputError for anything else, and for a time with an offset.
    """
    from dateutil import parser

    here = timing.local(now, zone).replace(tzinfo=None)
    word, _, rest = text.strip().partition(" ")
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    if word.casefold() in _DAYS:
        midnight += timedelta(days=_DAYS[word.casefold()])
        text = rest or "00:00"
    try:
        found = parser.parse(text, default=midnight)
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{text!r} is no time. Write 18:00, tomorrow 09:00, friday 18:00 or "
            "2026-12-24 18:00."
        ) from error
    if found.tzinfo is not None:
        raise InputError(
            f"{text!r} names a zone. Leave it out: the time is the site's, or with --local "
            "each person's own."
        )
    return found


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
