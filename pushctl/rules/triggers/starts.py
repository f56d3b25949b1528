"""Reads what a trigger starts with, where that is no event: a date, a holiday, a feed."""

from collections.abc import Mapping, Sequence
from datetime import time as Time

from pushctl.errors import InputError
from pushctl.model import Json
from pushctl.rules import timing
from pushctl.rules.config import checks
from pushctl.rules.holidays import HolidayRule
from pushctl.rules.limits import MAX_DIGEST_ITEMS
from pushctl.rules.schedule import WEEKDAYS
from pushctl.rules.triggers.feed import FOR_ALL, Digest, Feed
from pushctl.rules.triggers.tables import Table, read_flag, read_names, read_text, read_whole
from pushctl.rules.triggers.trigger import DateRule, Kind

_MOST_DAYS = 60  # beside a holiday


def read_kind(read: Table) -> Kind:
    starts = [
        key for key in ("on", "date", "holiday", "inactive", "feed") if key in read.values
    ]
    if len(starts) != 1:
        said = " and ".join(starts) or "nothing"
        read.blame(
            "",
            f"{said} starts it",
            'Give exactly one of: on = "event", date = {...}, holiday = {...}, '
            'inactive = "30d", feed = "url".',
        )
        return Kind.EVENT
    return Kind.EVENT if starts[0] == "on" else Kind(starts[0])


def read_date(read: Table) -> DateRule | None:
    values = read.values.get("date")
    if values is None:
        return None
    if not isinstance(values, Mapping) or "attribute" not in values:
        read.blame("date", "has no attribute", 'Write date = { attribute = "birthday" }.')
        return None
    inner = read.inner("date", values)
    inner.only(("attribute", "days", "at", "yearly"))
    plain = DateRule("")
    days = inner.read("days", read_whole, 0)
    if abs(days) > 366:
        inner.blame("days", "is more than a year away", "Choose from -366 to 366.")
    return DateRule(
        inner.read("attribute", read_text, ""),
        days,
        inner.read("at", lambda value: timing.clock(read_text(value)), plain.at),
        inner.read("yearly", read_flag, plain.yearly),
    )


def read_holiday(read: Table) -> HolidayRule | None:
    """Read ``{ kind = "public", at = "10:00", days = -1, names = [...], except = [...] }``."""
    values = read.values.get("holiday")
    if values is None:
        return None
    if not isinstance(values, Mapping):
        read.blame(
            "holiday", "is no table", 'Write holiday = { kind = "public", at = "10:00" }.'
        )
        return None
    inner = read.inner("holiday", values)
    inner.only(("kind", "days", "at", "names", "except", "regions"))
    if values.get("kind", "public") != "public":
        inner.blame("kind", f"is {values['kind']!r}", 'Write kind = "public": others differ.')
    days = inner.read("days", read_whole, 0)
    if abs(days) > _MOST_DAYS:
        inner.blame("days", "is more than two months away", "Choose from -60 to 60.")
    return HolidayRule(
        inner.read("at", lambda value: timing.clock(read_text(value)), Time(10, 0)),
        days,
        inner.read("names", read_names, ()),
        inner.read("except", read_names, ()),
        inner.read("regions", _read_regions, None),
    )


def _read_regions(value: Json) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or not all(
        isinstance(one, str) for one in value.values()
    ):
        raise InputError('Write regions = { DE = "BY", US = "CA" }.')
    return {country.upper(): region for country, region in value.items()}


def read_feed(read: Table) -> Feed | None:
    """Read an address, or one a language; ``digest`` and ``most_a_day`` beside it."""
    values = read.values
    if "feed" not in values:
        for key in ("digest", "most_a_day"):
            if key in values:
                read.blame(key, "has no feed", 'It goes with feed = "https://...".')
        return None
    addresses = read.read("feed", _read_addresses, {FOR_ALL: ""})
    digest, most = _read_digest(read), read.read("most_a_day", read_whole, None)
    if most is not None and most < 1:
        read.blame("most_a_day", "is below 1", "Leave it out, or pause the trigger.")
    if most is not None and digest:
        read.blame("most_a_day", "has no use here", "A digest is one message.")
    return Feed(addresses, digest, most)


def _read_addresses(value: Json) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        return {FOR_ALL: _read_address(value)}
    if not value:
        raise InputError('Write feed = { en = "https://shop.example/en.xml", ar = "..." }.')
    for language in value:
        if fault := checks.language(language):
            raise InputError(f"The key {fault[0]}. {fault[1]}")
    return {language: _read_address(one) for language, one in value.items()}


def _read_address(value: Json) -> str:
    address = read_text(value)
    if not address.startswith(("https://", "http://")):
        raise InputError('Write feed = "https://shop.example/feed.xml".')
    return address


def _read_digest(read: Table) -> Digest | None:
    values = read.values.get("digest")
    if values is None:
        return None
    if not isinstance(values, Mapping):
        remedy = 'Write digest = { every = "monday", at = "09:00", items = 5 }.'
        read.blame("digest", "is no table", remedy)
        return None
    inner, plain = read.inner("digest", values), Digest()
    inner.only(("every", "at", "items", "least"))
    found = Digest(
        inner.read("every", _read_days, plain.days),
        inner.read("at", lambda value: timing.clock(read_text(value)), plain.at),
        inner.read("items", read_whole, plain.items),
        inner.read("least", read_whole, plain.least),
    )
    if not 1 <= found.items <= MAX_DIGEST_ITEMS:
        inner.blame("items", "is no good number", f"Choose from 1 to {MAX_DIGEST_ITEMS}.")
    if found.least < 1:
        inner.blame("least", "is below 1", "A digest of nothing is never sent.")
    return found


def _read_days(value: Json) -> frozenset[int]:
    names: Sequence[str] = [one.lower() for one in read_names(value)]
    if names == ["day"]:
        return frozenset(range(7))
    if names == ["weekday"]:
        return frozenset(range(5))
    if not set(names) <= set(WEEKDAYS):
        raise InputError('Write "day", "weekday", "monday", or ["monday", "thursday"].')
    return frozenset(map(WEEKDAYS.index, names))
