"""Filters of figures: of which site, time, topic and campaigns they are."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as Time
from typing import TYPE_CHECKING

from pushctl.errors import InputError, NotFoundError
from pushctl.states import Millis
from pushctl.store import Store

if TYPE_CHECKING:
    from pushctl.config import Config

_DIGITS = 9  # more campaigns nobody has; SQLite's numbers end somewhere
_FORMS = "Write 30d, yesterday, 2026-11-01 or 2026-11-01 18:00."


@dataclass(frozen=True, slots=True)
class Filter:
    """
    What a table is about; None: all.

    Messages count from *since* to before *until*, by when they left. *last*: only so many of
    the newest campaigns. Days begin by *zone*, the site's. *now* is when it is asked.
    """

    site: str | None = None
    since: Millis | None = None
    until: Millis | None = None
    topic: str | None = None
    last: int | None = None
    zone: tzinfo = UTC
    site_id: int | None = None
    now: Millis = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left out."""
        return (self.site, self.since, self.until, self.topic, self.last) == (None,) * 5


def read(
    config: "Config",
    store: Store,
    now: Millis,
    *,
    site: str | None = None,
    since: str | None = None,
    until: str | None = None,
    topic: str | None = None,
    last: str | None = None,
) -> Filter:
    """
    Return the filter of what a user typed: "30d", "2026-11-01", "2026-11-01 18:00".

    A day without an hour is in *since* from its beginning, in *until* to its end. *last* is a
    number of campaigns, or a time: "7d" is the same as *since*; "week" and "month" are the
    last whole ones, as a report has them. Raises InputError for what is none of these,
    NotFoundError for an unknown *site* or a *topic* that no campaign has.
    """
    zone = find_zone(config, site)
    number = find_site(store, site)
    if (whole := _find_whole(last, now, zone)) is not None:
        if since is not None or until is not None:
            raise InputError(f"--last {last} has its days: leave --since and --until out.")
        last, (since, until) = None, whole
    count, begin = read_last(last, now)
    if since is not None and begin is not None:
        raise InputError(f"--since {since} and --last {last} both say when to begin. Keep one.")
    if since is not None:
        begin = read_time(since, now, zone, "--since")
    end = None if until is None else read_time(until, now, zone, "--until", after=True)
    if begin is not None and end is not None and begin >= end:
        raise InputError(f"--since {since or last} is not before --until {until}.")
    if topic is not None:
        _check_topic(store, topic)
    return Filter(site, begin, end, topic, count, zone, number, now)


def read_time(
    text: str, now: Millis, zone: tzinfo, option: str, *, after: bool = False
) -> Millis:
    """Return the instant that *text* means; *after*: of a day its end, not its beginning."""
    from pushctl.rules import timing

    plain = text.strip()
    with suppress(InputError):
        return now - timing.duration(plain)
    with suppress(ValueError, OverflowError):
        day = _read_day(plain, now, zone)
        return timing.instant(day + timedelta(days=after), Time(0), zone)
    with suppress(ValueError, OverflowError):
        at = datetime.fromisoformat(plain if ":" in plain else "")
        if at.tzinfo is not None:
            return timing.moment(plain)
        return timing.instant(at.date(), at.time(), zone)
    raise InputError(f"{option} {text!r} is no time. {_FORMS}")


def find_zone(config: "Config", site: str | None) -> tzinfo:
    """Return the time zone of *site*, or of the first site."""
    from pushctl.rules import timing

    known = config.sites.get(site) if site else config.first_site
    return timing.zone(known.timezone if known else None)


def find_site(store: Store, name: str | None) -> int | None:
    """Return the number of the site *name*; raises NotFoundError with all names."""
    if name is None:
        return None
    known = store.sites.load_ids()
    if name not in known:
        raise NotFoundError(f"no site is called {name!r}. There are: {', '.join(known)}.")
    return known[name]


def read_last(last: str | None, now: Millis) -> tuple[int | None, Millis | None]:
    """
    Return how many campaigns, or since when: of "10" or "7d".

    Raises InputError for what is neither.
    """
    if last is None:
        return None, None
    if last.casefold() in _WHOLE:
        raise InputError(
            f"--last {last} is for one table: pushctl stats campaigns --last {last}"
        )
    if not last.isdecimal():
        from pushctl.rules import timing

        return None, now - timing.duration(last)
    if len(last) > _DIGITS or int(last) < 1:
        raise InputError(f"--last is 1 to {'9' * _DIGITS}, or a time such as 7d")
    return int(last), None


def find_days(last: str, today: date) -> tuple[date, date] | None:
    """Return the first and the last day of the last whole "week" or "month"; None: neither."""
    find = _WHOLE.get(last.casefold())
    return find(today) if find else None


def find_last_week(today: date) -> tuple[date, date]:
    """Return Monday and Sunday of the week before *today*'s."""
    monday = today - timedelta(days=today.weekday())
    return monday - timedelta(days=7), monday - timedelta(days=1)


def _find_last_month(today: date) -> tuple[date, date]:
    end = today.replace(day=1) - timedelta(days=1)
    return end.replace(day=1), end


_WHOLE = {"week": find_last_week, "month": _find_last_month}


def _find_whole(last: str | None, now: Millis, zone: tzinfo) -> tuple[str, str] | None:
    from pushctl.rules import timing

    days = find_days(last, timing.local(now, zone).date()) if last else None
    return (str(days[0]), str(days[1])) if days else None


def _read_day(text: str, now: Millis, zone: tzinfo) -> date:
    from pushctl.rules import timing

    word, today = text.casefold(), timing.local(now, zone).date()
    if word in ("today", "yesterday"):
        return today - timedelta(days=word == "yesterday")
    return date.fromisoformat(text)


def _check_topic(store: Store, topic: str) -> None:
    known = store.campaigns.list_topics()
    if topic not in known:
        there = f"There are: {', '.join(known)}." if known else "No campaign has one."
        raise NotFoundError(f"no campaign is about {topic!r}. {there}")
