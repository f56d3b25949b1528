"""Hours by lots: which hours somebody may get, and how probable each is."""

from collections import Counter
from zoneinfo import ZoneInfo

import pytest

from pushctl.rules import random_hours, timing
from tests.support import HOUR, NOON

BERLIN = ZoneInfo("Europe/Berlin")
QUIET = timing.window("22:00-08:00")


def at(text: str) -> int:
    return timing.moment(text)


def test_the_other_hours_are_those_of_a_day_without_quiet_ones() -> None:
    found = random_hours.list_hours(at("2026-12-01T18:30:00+01:00"), BERLIN, QUIET)
    hours = [timing.local(one, BERLIN).hour for one in found.others]
    assert hours == [19, 20, 21, *range(8, 18)]
    assert {timing.local(one, BERLIN).minute for one in found.others} == {30}
    week = random_hours.list_hours(at("2026-12-01T18:30:00+01:00"), BERLIN, QUIET, 7)
    assert len(week.others) == 7 * 14 - 1


def test_at_night_the_usual_hour_is_the_end_of_the_night() -> None:
    found = random_hours.list_hours(at("2026-12-01T23:00:00+01:00"), BERLIN, QUIET)
    assert found.usual == at("2026-12-01T23:00:00+01:00")  # the contact policy holds it back
    assert [timing.local(one, BERLIN).hour for one in found.others] == [*range(9, 22)]


def test_an_hour_that_comes_twice_is_one_hour() -> None:
    found = random_hours.list_hours(at("2026-10-24T12:00:00+02:00"), BERLIN, None)
    assert len(found.others) == 22  # a day of 25 hours, cut after 24
    names = [timing.local(one, BERLIN).hour for one in found.others]
    assert len(set(names)) == len(names)


def test_each_hour_comes_as_often_as_its_probability_says() -> None:
    found = random_hours.list_hours(NOON, BERLIN, QUIET)
    people = 20_000
    drawn = [found.draw(0.2, "sale", str(number)) for number in range(people)]
    share = dict(drawn)
    assert share.pop(NOON) == pytest.approx(0.8)
    assert set(share) == set(found.others)
    assert sum(share.values()) == pytest.approx(0.2)
    counts = Counter(due for due, _ in drawn)
    for due, probability in {NOON: 0.8, **share}.items():
        spread = (people * probability * (1 - probability)) ** 0.5
        assert abs(counts[due] - people * probability) < 4 * spread


def test_the_same_person_draws_the_same_and_another_campaign_anew() -> None:
    found = random_hours.list_hours(NOON, BERLIN, None)
    one = [found.draw(0.5, "sale", str(number)) for number in range(200)]
    assert one == [found.draw(0.5, "sale", str(number)) for number in range(200)]
    assert one != [found.draw(0.5, "news", str(number)) for number in range(200)]


def test_where_there_is_no_other_hour_nothing_is_drawn() -> None:
    only = timing.window("13:00-12:00")
    found = random_hours.list_hours(NOON, ZoneInfo("UTC"), only)
    assert found.others == ()
    assert found.draw(0.9, "sale", "a") == (NOON, 1.0)
    assert NOON % HOUR == 0
