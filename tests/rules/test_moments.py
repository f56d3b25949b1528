"""Times as people type them: understood as meant, or refused; a zone is never lost."""

import pytest

from pushctl.errors import InputError
from pushctl.rules import moments, timing
from pushctl.rules.schedule import due
from tests.support import NOON

BERLIN = timing.zone("Europe/Berlin")  # it is Tuesday 2026-04-28, 10:00 there


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18:00 tomorrow", "2026-04-29 18:00"),
        ("6pm", "2026-04-28 18:00"),
        ("tomorrow at 6:30 pm", "2026-04-29 18:30"),
        ("12am tomorrow", "2026-04-29 00:00"),
        ("noon", "2026-04-28 12:00"),
        ("next friday 18:00", "2026-05-01 18:00"),
        ("18:00 on friday", "2026-05-01 18:00"),
        ("fri 18:00", "2026-05-01 18:00"),
        ("next tuesday 11:00", "2026-05-05 11:00"),
        ("this tuesday 11:00", "2026-04-28 11:00"),
        ("day after tomorrow 09:00", "2026-04-30 09:00"),
        ("24 december 18:00", "2026-12-24 18:00"),
        ("December 24th, 2026 at 18:00", "2026-12-24 18:00"),
        ("2 january 09:00", "2027-01-02 09:00"),
        ("29 february 09:00", "2028-02-29 09:00"),
        ("12/24/2026 18:00", "2026-12-24 18:00"),
        ("Thu 2026-12-24 18:00", "2026-12-24 18:00"),
        ("2026-12-24T18:00", "2026-12-24 18:00"),
    ],
)
def test_what_people_type(text: str, expected: str) -> None:
    found = moments.parse(text, NOON, BERLIN)
    assert f"{found.local:%Y-%m-%d %H:%M}" == expected
    assert found.zone is None


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("in 2 hours", "2026-04-28T12:00:00+02:00"),
        ("in 90m", "2026-04-28T11:30:00+02:00"),
        ("in 1h30m", "2026-04-28T11:30:00+02:00"),
        ("in 1 day and 2 hours", "2026-04-29T12:00:00+02:00"),
        ("in an hour", "2026-04-28T11:00:00+02:00"),
        ("2026-12-24 18:00 +05:30", "2026-12-24T18:00:00+05:30"),
        ("2026-12-24T18:00-0500", "2026-12-24T18:00:00-05:00"),
        ("2026-12-24T18:00Z", "2026-12-24T18:00:00+00:00"),
        ("18:00 UTC", "2026-04-28T18:00:00+00:00"),
        ("tomorrow 18:00 GMT+3", "2026-04-29T18:00:00+03:00"),
        ("tomorrow 18:00 America/New_York", "2026-04-29T18:00:00-04:00"),
        ("18:00 Asia/Kathmandu tomorrow", None),
    ],
)
def test_a_zone_counts_or_is_refused(text: str, instant: str | None) -> None:
    if instant is None:
        with pytest.raises(InputError):
            moments.parse(text, NOON, BERLIN)
        return
    found = moments.parse(text, NOON, BERLIN)
    assert due(found.local, found.zone or BERLIN, NOON) == timing.moment(instant)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-12-24 18:00 CET", "CET may be several zones"),
        ("18:00 PST", "PST may be several zones"),
        ("tomorrow 18:00 Europe/Berlni", "is no time zone"),
        ("18:00 +25:00", "14 hours"),
        ("03.04.2026 09:00", "which is the day, which the month"),
        ("3/4 09:00", "which is the day, which the month"),
        ("2026-02-30 09:00", "no such day"),
        ("9999-12-31 23:59", "the year 9999 has no next one"),
        ("fri 2026-12-24 18:00", "2026-12-24 is a thursday"),
        ("25:00", "no 25:00"),
        ("13pm", "no 13pm"),
        ("tomorrow", "has no hour"),
        ("2026-12-24", "has no hour"),
        ("18:00 19:00", "Write one of: 18:00, 6pm, tomorrow 09:00"),
        ("in 2 moons", "in 2 hours"),
        ("in", "in 2 hours"),
        ("soon", "next friday 18:00"),
        ("", "has no hour"),
    ],
)
def test_what_is_refused_says_why(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        moments.parse(text, NOON, BERLIN)
