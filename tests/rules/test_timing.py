"""Durations, local times and quiet windows, on the days on which clocks change too."""

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushctl.errors import InputError
from pushctl.model import Millis
from pushctl.rules import timing
from pushctl.rules.units import DAY, HOUR, MINUTE, SECOND, WEEK

ZONES = (
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Dubai",
    "Europe/Istanbul",
    "Asia/Riyadh",
    "Asia/Kathmandu",
)
zones = st.sampled_from(ZONES).map(timing.zone)
instants = st.integers(
    min_value=1_262_304_000_000, max_value=1_893_456_000_000
)  # 2010 to 2030: Apia's lost day included
clocks = st.builds(time, st.integers(0, 23), st.integers(0, 59))


def utc(text: str) -> Millis:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("45s", 45 * SECOND),
        ("3m", 3 * MINUTE),
        ("90m", 90 * MINUTE),
        ("24h", 24 * HOUR),
        ("30d", 30 * DAY),
        ("2w", 2 * WEEK),
        ("1h30m", 90 * MINUTE),
        (" 1h 30m ", 90 * MINUTE),
        ("0s", 0),
    ],
)
def test_durations_are_read(text: str, length: Millis) -> None:
    assert timing.duration(text) == length


@pytest.mark.parametrize("text", ["", "3", "m", "3 minutes", "-3m", "3.5h", "٣m", "9999999d"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError):
        timing.duration(text)


def test_more_than_ten_years_are_a_mistake() -> None:
    with pytest.raises(InputError, match="ten years"):
        timing.duration("9999d")


@given(st.integers(min_value=0, max_value=300_000_000).map(lambda seconds: seconds * 1000))
def test_what_is_said_can_be_read(length: Millis) -> None:
    assert timing.duration(timing.say(length)) == length


@pytest.mark.parametrize(
    ("place", "day", "hour", "expected"),
    [
        # Jumped over: 02:30 is 03:30 that morning.
        ("Europe/Berlin", date(2026, 3, 29), time(2, 30), "2026-03-29T01:30"),
        # Twice: the first one, in summer time.
        ("Europe/Berlin", date(2026, 10, 25), time(2, 30), "2026-10-25T00:30"),
        ("America/New_York", date(2026, 11, 1), time(1, 30), "2026-11-01T05:30"),
        ("America/New_York", date(2026, 3, 8), time(2, 30), "2026-03-08T07:30"),
        # Half an hour: 02:15 is 02:45, and 01:45 comes twice.
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15), "2026-10-03T15:45"),
        ("Australia/Lord_Howe", date(2026, 4, 5), time(1, 45), "2026-04-04T14:45"),
        # A day that Samoa never had: the 31st instead.
        ("Pacific/Apia", date(2011, 12, 30), time(10, 0), "2011-12-30T20:00"),
        ("Asia/Kathmandu", date(2026, 1, 1), time(9, 0), "2026-01-01T03:15"),
    ],
)
def test_the_days_on_which_clocks_change(
    place: str, day: date, hour: time, expected: str
) -> None:
    assert timing.instant(day, hour, timing.zone(place)) == utc(expected)


def test_the_hour_that_comes_twice_counts_once() -> None:
    berlin = timing.zone("Europe/Berlin")
    first = timing.next_local(utc("2026-10-24T12:00"), time(2, 30), berlin)
    assert first == utc("2026-10-25T00:30")
    assert timing.next_local(first + 1, time(2, 30), berlin) == utc("2026-10-26T01:30")


@given(at=instants, hour=clocks, where=zones)
def test_the_next_local_time_is_near_and_never_past(at, hour, where) -> None:
    come = timing.next_local(at, hour, where)
    assert at <= come <= at + 2 * DAY
    shown = timing.local(come, where)
    if (shown.hour, shown.minute) != (hour.hour, hour.minute):
        # Only where a clock jumped over it does another time stand on the wall.
        before = timing.local(come - DAY, where).utcoffset()
        assert before != shown.utcoffset()


@given(at=instants, hour=clocks, where=zones)
def test_a_local_time_comes_once_a_day(at, hour, where) -> None:
    first = timing.next_local(at, hour, where)
    second = timing.next_local(first + 1, hour, where)
    assert second - first >= 22 * HOUR


@given(at=instants, where=zones, start=clocks, end=clocks)
def test_what_a_window_releases_lies_outside_it(at, where, start, end) -> None:
    if start == end:
        return
    quiet = timing.QuietHours(start, end)
    released = quiet.find_end(at, where)
    assert released >= at
    assert not quiet.holds(released, where)
    assert released - at <= 2 * DAY
    if not quiet.holds(at, where):
        assert released == at


def test_a_window_that_opens_twice_in_one_night_closes_twice() -> None:
    berlin, quiet = timing.zone("Europe/Berlin"), timing.window("21:00-02:30")
    assert quiet.find_end(utc("2026-10-24T22:00"), berlin) == utc("2026-10-25T00:30")
    assert not quiet.holds(utc("2026-10-25T00:45"), berlin)
    assert quiet.find_end(utc("2026-10-25T01:10"), berlin) == utc("2026-10-25T01:30")


@pytest.mark.parametrize(
    ("hour", "quiet"), [("20:59", False), ("21:00", True), ("03:00", True), ("08:00", False)]
)
def test_a_window_over_midnight(hour: str, quiet: bool) -> None:
    at = utc(f"2026-06-01T{hour}")
    assert timing.window("21:00-08:00").holds(at, UTC) is quiet


@pytest.mark.parametrize("text", ["21-08", "21:00", "25:00-08:00", "08:00-08:00", "8:00-9:00"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        timing.window(text)


@pytest.mark.parametrize(
    "name", [None, "", "Mars/Olympus", "../../etc/passwd", "America", "\0"]
)
def test_an_odd_zone_of_a_browser_gives_the_sites(name: str | None) -> None:
    assert str(timing.zone(name, "Europe/Istanbul")) == "Europe/Istanbul"


def test_a_machine_that_opens_no_file_makes_no_zone_unknown() -> None:
    """Else a subscriber's local time would be another one's from then on."""
    code = """
import resource, zoneinfo
from pushctl.rules import timing
files = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, files[1]))
try:
    print(timing.zone("Asia/Riyadh", "Europe/Istanbul"))
except OSError as error:
    print(error.strerror)
resource.setrlimit(resource.RLIMIT_NOFILE, files)
print(timing.zone("Asia/Riyadh", "Europe/Istanbul"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "Too many open files\nAsia/Riyadh\n", done


def test_a_site_in_no_zone_is_a_mistake() -> None:
    with pytest.raises(InputError, match="Europe/Berlin"):
        timing.zone(None, "Nowhere")


def test_a_birthday_on_29_february_is_kept_on_the_28th() -> None:
    assert timing.in_year(date(2024, 2, 29), 2026) == date(2026, 2, 28)
    assert timing.in_year(date(2024, 2, 29), 2028) == date(2028, 2, 29)


def test_a_window_says_itself() -> None:
    assert str(timing.window("21:00-08:00")) == "21:00-08:00"
    assert timing.local(0, UTC) + timedelta(hours=1) == datetime(1970, 1, 1, 1, tzinfo=UTC)
