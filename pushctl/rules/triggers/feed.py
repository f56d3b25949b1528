"""
Feeds as a trigger reads them: one for all, or one a language; item by item, or as a digest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time as Time
from datetime import timedelta, tzinfo

from pushctl.model import Json, Millis
from pushctl.rules import timing
from pushctl.rules.messages import languages

# The name of a feed that is for everybody.
FOR_ALL = ""

# A digest that a machine slept through is told with the next one.
_STALE = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Digest:
    """At *at* by the first site's clock, on *days* (0: Monday), what is new since the last."""

    days: frozenset[int] = frozenset(range(7))
    at: Time = Time(18, 0)
    items: int = 5  # the newest so many stand in the message
    least: int = 1  # fewer wait for the next one

    def find_last(self, now: Millis, zone: tzinfo) -> Millis | None:
        """Return the digest's last time up to *now*; None: it is too long ago."""
        today = timing.local(now, zone).date()
        for back in range(2):
            day = today - timedelta(days=back)
            at = timing.instant(day, self.at, zone)
            if day.weekday() in self.days and at <= now:
                fresh = now - at <= _STALE / timedelta(milliseconds=1)
                return at if fresh else None
        return None

    def find_next(self, now: Millis, zone: tzinfo) -> Millis:
        """Return the digest's first time after *now*."""
        day = timing.local(now, zone).date()
        while True:
            at = timing.instant(day, self.at, zone)
            if day.weekday() in self.days and at > now:
                return at
            day += timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Feed:
    addresses: Mapping[str, str]  # by language; FOR_ALL alone: one for everybody
    digest: Digest | None = None
    most_a_day: int | None = None  # None: each new item is announced

    def choose(self, language: str | None) -> str:
        """Return which feed a reader of *language* gets: theirs, else the first."""
        if FOR_ALL in self.addresses:
            return FOR_ALL
        own = (one for one in languages.list_own(language) if one in self.addresses)
        return next(own, next(iter(self.addresses)))


def describe_news(items: Sequence[Mapping[str, Json]], most: int) -> dict[str, Json]:
    """
    Return a digest's values for a message, *items* newest first.

    It has those of its first item, so that a template for articles shows it, too. ``count`` is
    of all items, ``more`` of those that the message does not list.
    """
    pictures = (one["image"] for one in items if one.get("image"))
    picture = next(pictures, None)
    count = len(items)
    said = {**items[0], "count": count, "more": max(0, count - most)}
    return {**said, "image": picture} if picture else said
