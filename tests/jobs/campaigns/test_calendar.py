"""The calendar: what goes out when, weeks without a word, holidays, caps and quiet hours."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pushctl import config as configs
from pushctl.errors import NotFoundError
from pushctl.jobs.campaigns import calendar, recurring
from pushctl.jobs.campaigns.draft import Draft
from pushctl.rules import timing
from pushctl.rules.calendars import Entry, Special, describe_holidays, find_gaps, find_overload
from tests.support import program, project, sending
from tests.support.sending import Field

# A Monday; the first site's clock is UTC.
NOW = timing.moment("2026-11-30T08:00:00+00:00")
TR, DE = ("shop", "TR"), ("shop", "DE")


def entry(day: str, what: str, *places: tuple[str, str]) -> Entry:
    return Entry(date.fromisoformat(day), "", "message", what, 0, "", dict.fromkeys(places, 10))


def test_a_week_without_a_message_is_a_gap_for_the_places_that_get_none() -> None:
    going = [entry("2026-12-06", "a", TR), entry("2026-12-07", "b", TR, DE)]
    gaps = list(find_gaps(going, {TR: 900, DE: 100}, date(2026, 11, 30), 3))
    assert [(one.day.isoformat(), one.people, one.where) for one in gaps] == [
        ("2026-11-30", 100, "DE 100"),
        ("2026-12-14", 1000, "TR 900, DE 100"),
    ]
    assert gaps[1].what == "nothing goes out to anybody this week"


def test_more_than_the_cap_in_its_days_is_an_overload_of_one_place_only() -> None:
    going = [entry("2026-12-01", "a", TR), entry("2026-12-02", "b", TR, DE)]
    going += [entry("2026-12-02", "c", TR), entry("2026-12-09", "d", DE)]
    (found,) = find_overload(going, 2, 7)
    assert found == (date(2026, 12, 1), date(2026, 12, 8), ["a", "b", "c"])
    assert list(find_overload(going, 3, 7)) == []


@pytest.mark.parametrize(
    ("special", "going", "note"),
    [
        ({}, [], "propose: --where \"country = 'TR'\" --at \"2026-12-25 10:00\" --local"),
        ({"greeted": True}, [], "a trigger greets them"),
        ({"estimated": True}, [], "the day is estimated: confirm it first (pushctl holidays "
         "confirm)"),
        ({}, [entry("2026-12-25", "sale", TR)], "on that day: sale"),
        ({}, [entry("2026-12-25", "sale", DE)],
         "propose: --where \"country = 'TR'\" --at \"2026-12-25 10:00\" --local"),
    ],
)  # fmt: skip
def test_a_holiday_has_a_message_a_trigger_or_a_proposal(
    special: dict[str, bool], going: list[Entry], note: str
) -> None:
    told = {"estimated": False, "greeted": False} | special
    day = Special(date(2026, 12, 25), "TR", "Christmas", 900, **told)
    nobody = Special(date(2026, 12, 25), "FR", "Christmas", 0, False, False)
    (found,) = describe_holidays([day, nobody], going, "shop", date(2026, 12, 1))
    assert (found.what, found.people, found.note) == ("Christmas", 900, note)


def test_countries_with_one_holiday_are_proposed_together() -> None:
    days = [
        Special(date(2026, 12, 25), it, "Christmas", 5, False, False) for it in ("DE", "NL")
    ]
    (found,) = describe_holidays(days, [], "shop", date(2026, 12, 1))
    assert "country in ('DE', 'NL')" in found.note
    # On the day itself ten o'clock may be over.
    (found,) = describe_holidays(days, [], "shop", date(2026, 12, 25))
    assert found.note == "propose: --where \"country in ('DE', 'NL')\""
    assert found.where == "DE 5, NL 5"


@pytest.fixture
def field(tmp_path: Path) -> Field:
    """Three people in Istanbul, two in Berlin, one of whom nothing is known."""
    made = sending.field(tmp_path)
    rows = made.people(6, now=NOW)
    places = [("TR", "Europe/Istanbul")] * 3 + [("DE", "Europe/Berlin")] * 2 + [(None, None)]
    with made.store.write() as connection:
        connection.executemany(
            "UPDATE subscriptions SET country = ?, timezone = ? WHERE id = ?",
            [(*place, row) for place, row in zip(places, rows, strict=True)],
        )
    return made


def plan(
    field: Field, weeks: int = 2, **more: Any
) -> list[tuple[str, str, str, str, int, str]]:
    found = calendar.plan_weeks(field.store, field.config, NOW, weeks, **more)
    return [
        (f"{one.day:%m-%d}", one.time, one.kind, one.what, one.people, one.where)
        for one in found
    ]


def test_scheduled_messages_stand_on_their_day_with_their_countries(field: Field) -> None:
    field.freeze(NOW, name="sale", at="2026-12-02 10:00")
    field.freeze(NOW, name="hello", at="2026-12-03 09:00", local=True)
    assert plan(field, 1) == [
        ("12-02", "10:00", "message", "sale", 6, "TR 3, DE 2, unknown 1"),
        ("12-03", "09:00 local", "message", "hello", 6, "TR 3, DE 2, unknown 1"),
    ]


def test_the_topic_of_a_campaign_stands_beside_it(field: Field) -> None:
    field.freeze(NOW, name="sale", at="2026-12-02 10:00", topic="promotion")
    (found, *_) = calendar.plan_weeks(field.store, field.config, NOW, 1)
    assert (found.what, found.note) == ("sale", "topic promotion")


def test_a_series_stands_on_each_of_its_days(field: Field) -> None:
    wish = Draft(where=("country = 'TR'",), template="sale", every="tuesday 09:00", name="news")
    recurring.add_series(field.store, field.config, wish, NOW)
    assert plan(field) == [
        ("11-30", "", "gap", "nothing goes out to these this week", 3, "DE 2, unknown 1"),
        ("12-01", "09:00", "message", "news", 3, "TR 3"),
        ("12-07", "", "gap", "nothing goes out to these this week", 3, "DE 2, unknown 1"),
        ("12-08", "09:00", "message", "news", 3, "TR 3"),
    ]


def test_whom_a_trigger_greets_has_no_gap(field: Field) -> None:
    greeted = [Special(date(2026, 12, 1), "TR", "A day", 3, False, True)]
    assert plan(field, 1, specials=greeted) == [
        ("11-30", "", "gap", "nothing goes out to these this week", 3, "DE 2, unknown 1"),
        ("12-01", "", "holiday", "A day", 3, "TR 3"),
    ]


def test_a_series_on_each_person_s_clock_has_one_time(field: Field) -> None:
    wish = Draft(everyone=True, template="sale", every="tuesday 09:00", name="news", local=True)
    recurring.add_series(field.store, field.config, wish, NOW)
    (found,) = plan(field, 1)
    assert found == ("12-01", "09:00 local", "message", "news", 6, "TR 3, DE 2, unknown 1")


def test_caps_and_quiet_hours_are_seen_before_they_are_met(
    tmp_path: Path, field: Field
) -> None:
    file = field.config.file
    with file.open("a") as settings:
        settings.write('[frequency]\nmessages = 1\nwithin = "1d"\n')
        settings.write('[quiet]\nhours = "21:00-09:00"\n')
    field.config = configs.load(file, {})
    for name, at in (("one", "2026-12-02 07:30"), ("two", "2026-12-02 11:00")):
        field.freeze(NOW, name=name, at=at, ignore_cap=True, topic="sale")
    found = [one for one in plan(field, 1) if one[2] in ("overload", "quiet")]
    # 07:30 is 10:30 in Istanbul and 08:30 in Berlin. Who is held is planned for later.
    assert ("12-02", "", "overload", "2 messages in 1 day, the cap is 1", 6, "") in found
    assert not [one for one in found if one[2] == "quiet"]


def test_one_site_alone_and_an_unknown_one(field: Field) -> None:
    field.freeze(NOW, name="sale", at="2026-12-02 10:00")
    assert len(plan(field, 1, site="shop")) == 1
    with pytest.raises(NotFoundError):
        plan(field, 1, site="shp")


def test_the_command_knows_the_holidays_of_the_countries(tmp_path: Path) -> None:
    folder = project.make(tmp_path)
    config = configs.load(folder / "pushctl.toml", {})
    from pushctl.store import Store

    with Store(config.database) as store:
        people = Field(config, store, "k")
        people.people(2, now=NOW)
        with store.write() as connection:
            connection.execute("UPDATE subscriptions SET country = 'DE'")
    done = program.pushctl(
        "plan", "--weeks", "5", "--json", cwd=folder, PUSHCTL_NOW="2026-11-30T08:00:00Z"
    )
    rows = [row for row in json.loads(done.out) if row["kind"] == "holiday"]
    assert ("2026-12-25", "Christmas Day") in {(row["day"], row["what"]) for row in rows}
    assert all(row["people"] == 2 and row["note"].startswith("propose") for row in rows)
