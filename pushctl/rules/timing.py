"""
Durations, local times, quiet windows.

No clock here: *now* always comes from outside. Instants are Millis (UTC), local
times have an IANA zone, and two rules settle the days on which clocks change:

- a local time that a clock jumps over moves on by the jump: Berlin's 02:30 of
  2026-03-29 is 03:30, Apia's whole 2011-12-30 is the 31st;
- a local time that comes twice counts the first time only.

Both are what PEP 495 calls ``fold=0``.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as Time
from functools import lru_cache

from pushctl.errors import InputError
from pushctl.rules.units import DAY, HOUR, MINUTE, SECOND, WEEK
from pushctl.rules.zones import find_zone
from pushctl.states import Millis

_UNITS = {"w": WEEK, "d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
_DURATION = re.compile(r"(?:[0-9]{1,6}[wdhms])+", re.ASCII)
_PART = re.compile(r"([0-9]+)([wdhms])", re.ASCII)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Ten years: past it, somebody mistyped.
_LONGEST = 3_653 * DAY


def duration(text: str) -> Millis:
    """
    Return the milliseconds of "45s", "3m", "90m", "24h", "30d", "2w" or "1h30m".

    Raises InputError for anything else, and for more than ten years.
    """
    plain = text.strip().replace(" ", "")
    if not _DURATION.fullmatch(plain):
        unit = f" Did you mean {plain}m, {plain}h or {plain}d?" if plain.isdecimal() else ""
        raise InputError(
            f"{text!r} is no duration.{unit} Write a number and a unit: 45s, 3m, 24h, 30d, 2w, "
            "1h30m."
        )
    length = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(plain))
    if length > _LONGEST:
        raise InputError(f"{text!r} is longer than ten years.")
    return length


def say(length: Millis) -> str:
    """Return a duration for people, in the form that duration() reads: "1h30m"."""
    if length < SECOND:
        return "0s"
    rest, parts = length, []
    for unit, size in _UNITS.items():
        # "2w", but "10d" rather than "1w3d": people count days.
        if unit == "w" and rest % WEEK:
            continue
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def moment(text: str) -> Millis:
    """Return the instant of ISO 8601 with its offset; InputError for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InputError(
            f"{text!r} is not a date and time with an offset. Write it like "
            "2026-04-28T10:00:00+02:00."
        )
    return (found - _EPOCH) // timedelta(milliseconds=1)


def clock(text: str) -> Time:
    """Return the local time of "18:00"; InputError for anything else."""
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{text!r} is no time of day. Write hours and minutes: 18:00.")
    return Time(int(match[1]), int(match[2]))


@lru_cache(maxsize=1024)
def zone(name: str | None, otherwise: str = "UTC") -> tzinfo:
    """
    Return the zone called *name*, else *otherwise*: browsers may give unusable names.

    Raises InputError when *otherwise* itself is unknown, OSError where the machine can't say.
    """
    for candidate in (name, otherwise):
        if candidate and (found := find_zone(candidate)) is not None:
            return found
    raise InputError(f"{otherwise!r} is no time zone. Write an IANA name: Europe/Berlin.")


def local(at: Millis, where: tzinfo) -> datetime:
    return (_EPOCH + timedelta(milliseconds=at)).astimezone(where)


def instant(day: date, hour: Time, where: tzinfo) -> Millis:
    """Return when *hour* comes on *day* in *where*: once, whatever the clocks do."""
    return _instant(datetime.combine(day, hour), where, fold=0)


def _instant(naive: datetime, where: tzinfo, fold: int) -> Millis:
    aware = naive.replace(tzinfo=where, fold=fold)
    return (aware - _EPOCH) // timedelta(milliseconds=1)


def next_local(at: Millis, hour: Time, where: tzinfo) -> Millis:
    """Return the first instant at or after *at* at which it is *hour* in *where*."""
    today = local(at, where).date()
    # One day back: zones may skip a whole date. Three ahead: and then some.
    days = (today + timedelta(days=step) for step in range(-1, 4))
    return min(come for day in days if (come := instant(day, hour, where)) >= at)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """
    Hours of every local day in which no message goes out, from *start* to before *end*.

    They may pass midnight. Triggers apply them in rules/triggers/enrolment.py, and
    jobs/sweep/dispatch.py once more just before sending.
    """

    start: Time
    end: Time

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"

    def holds(self, at: Millis, where: tzinfo) -> bool:
        """Return whether *at* is inside on the clocks of *where*."""
        hour = local(at, where).time()
        if self.start < self.end:
            return self.start <= hour < self.end
        return hour >= self.start or hour < self.end

    def find_end(self, at: Millis, where: tzinfo) -> Millis:
        """
        Return the first end of the quiet hours at or after *at*, or *at* when it is outside.

        Where clocks go back, the quiet hours may begin twice in a night; the result is
        outside both.
        """
        if not self.holds(at, where):
            return at
        today = local(at, where).date()
        ends = {
            _instant(datetime.combine(today + timedelta(days=step), self.end), where, fold)
            for step in range(-1, 4)
            for fold in (0, 1)
        }
        return min(end for end in ends if end >= at and not self.holds(end, where))

    @property
    def length(self) -> Millis:
        """How long they last, on a day without a change of the clocks."""
        begin, end = (at.hour * HOUR + at.minute * MINUTE for at in (self.start, self.end))
        return (end - begin) % DAY

    def add_awake(self, at: Millis, length: Millis, where: tzinfo) -> Millis:
        """Return when *length* has passed since *at*, the quiet hours not counted."""
        while True:
            at = self.find_end(at, where)
            begin = next_local(at, self.start, where)
            # Where the clocks go back, the same quiet hours may begin twice in a night.
            while begin <= at or not self.holds(begin, where):
                begin = next_local(begin + MINUTE, self.start, where)
            if at + length <= begin:
                return at + length
            length -= begin - at
            at = begin


def window(text: str) -> QuietHours:
    """Return the QuietHours of "21:00-08:00"; InputError for anything else."""
    head, dash, tail = text.partition("-")
    if not dash:
        raise InputError(f"{text!r} is no stretch of the day. Write two times: 21:00-08:00.")
    start, end = clock(head), clock(tail)
    if start == end:
        raise InputError(f"{text!r} begins where it ends: nothing or the whole day.")
    return QuietHours(start, end)


def calendar_day(text: object) -> date | None:
    """Return the date at the head of an attribute ("1990-02-28..."), or None."""
    if not isinstance(text, str):
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def in_year(day: date, year: int) -> date:
    """Return *day*'s anniversary in *year*; 29 February is kept on the 28th."""
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 2, 28)
