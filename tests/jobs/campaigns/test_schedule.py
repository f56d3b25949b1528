"""Campaigns for later: on the site's clock, and on each person's own."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.demo.pushservice import PushService
from pushctl.errors import InputError, UsageError
from pushctl.jobs.campaigns import recurring
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.sweep import sweep
from pushctl.model import CampaignStatus
from pushctl.rules import moments, timing
from pushctl.rules.schedule import Passed, due, following, rule
from pushctl.rules.units import MINUTE
from pushctl.store import KNOWN_MIGRATIONS, idle
from tests.support import DAY, HOUR, NOON, sending
from tests.support.program import Run, pushctl
from tests.support.sending import Field

BERLIN, KATHMANDU = timing.zone("Europe/Berlin"), timing.zone("Asia/Kathmandu")


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    with PushService(checks=False) as service:
        made = sending.field(tmp_path, service)
        yield made
        made.store.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18:00", "2026-04-28 18:00"),
        ("today 18:00", "2026-04-28 18:00"),
        ("tomorrow 09:00", "2026-04-29 09:00"),
        ("Friday 18:00", "2026-05-01 18:00"),
        ("2026-12-24 18:00", "2026-12-24 18:00"),
        ("24.12.2026 18:00", "2026-12-24 18:00"),
        ("tuesday 09:00", "2026-05-05 09:00"),  # it is Tuesday, 10:00
        ("tuesday 11:00", "2026-04-28 11:00"),
    ],
)
def test_times_as_people_say_them(text: str, expected: str) -> None:
    assert f"{moments.parse(text, NOON, BERLIN).local:%Y-%m-%d %H:%M}" == expected


@pytest.mark.parametrize(
    "text",
    [
        "soon", "tomorrow noonish", "25:00", "18:00 CET", "03.04.2026 09:00", "3/4 09:00",
        "tomorrow", "friday", "2026-12-24",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        moments.parse(text, NOON, BERLIN)


def test_where_the_time_has_passed() -> None:
    noon_there = moments.parse("12:00", NOON, BERLIN).local  # in Kathmandu it is 13:45
    assert due(noon_there, BERLIN, NOON) == NOON + 2 * HOUR
    assert due(noon_there, KATHMANDU, NOON, Passed.NOW) == NOON
    assert due(noon_there, KATHMANDU, NOON, Passed.SKIP) is None
    tomorrow = due(noon_there, KATHMANDU, NOON, Passed.TOMORROW)
    assert tomorrow == NOON + DAY - 105 * MINUTE


def test_a_scheduled_campaign_goes_out_with_the_sweep_of_its_time(field: Field) -> None:
    people = field.people(3)
    campaign = field.freeze(at="18:00")
    assert campaign.status is CampaignStatus.SCHEDULED
    rehearsal = sweep.Options(rehearsal=True)
    sweep.run(field.config, field.store, NOON + HOUR, rehearsal)
    assert field.counts(campaign) == {"planned": 3}
    evening = timing.moment("2026-04-28T18:00:00+00:00")  # the site is in UTC
    sweep.run(field.config, field.store, evening, rehearsal)
    assert field.counts(campaign) == {"accepted": len(people)}


def test_on_each_persons_own_clock(field: Field) -> None:
    here, there = field.people(2)
    field.store.subscriptions.refresh(here, {"timezone": "Europe/Berlin"}, NOON)
    field.store.subscriptions.refresh(there, {"timezone": "Asia/Kathmandu"}, NOON)
    campaign = field.freeze(at="12:00", local=True, passed=Passed.SKIP)
    rows = field.store.connection.execute(
        "SELECT subscription_id, next_attempt_at FROM deliveries WHERE campaign_id = ?",
        (campaign.id,),
    )
    assert rows.fetchall() == [(here, NOON + 2 * HOUR)]


def test_a_scheduled_campaign_can_be_cancelled(field: Field) -> None:
    field.people(1)
    campaign = field.freeze(at="18:00")
    field.store.campaigns.change_status(campaign.id, CampaignStatus.CANCELLED, NOON)
    evening = timing.moment("2026-04-28T19:00:00+00:00")
    sweep.run(field.config, field.store, evening, sweep.Options(rehearsal=True))
    assert "accepted" not in field.counts(campaign)


@pytest.mark.parametrize(
    "wish", [{"at": "07:00"}, {"local": True}, {"at": "18:00", "over": "1h"}]
)
def test_what_cannot_be_meant(field: Field, wish: dict[str, object]) -> None:
    field.people(1)
    with pytest.raises(UsageError):
        field.freeze(**wish)


def test_a_time_that_has_passed_on_every_clock_is_refused(field: Field) -> None:
    field.people(1)
    with pytest.raises(UsageError, match="wherever people live"):
        field.freeze(at="2026-04-26 09:00", local=True)


def test_a_text_by_hand_needs_no_template(field: Field) -> None:
    (ann,) = field.people(1)
    name = field.store.subscriptions.get(str(ann)).public_id
    report = field.send(
        sending.soon(), everyone=False, template=None, to=[name], message='Your "sofa" is here'
    )
    assert field.counts(report.campaign) == {"accepted": 1}
    assert '"Your \\"sofa\\" is here"' in report.campaign.sources["en.toml"]


def times(said: str, zone: str, since: str, count: int, *, local: bool = False) -> list[str]:
    """Return when *said* comes next, in UTC."""
    where = timing.zone(zone)
    now = timing.moment(since)
    starts = timing.local(now, where).replace(tzinfo=None)
    found = []
    for _ in range(count):
        come = following(rule(said), starts, where, now, local=local)
        if come is None:
            break
        now = come[1]
        found.append(f"{timing.local(now, timing.zone('UTC')):%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("day 09:00", ["04-28 07:00", "04-29 07:00"]),
        ("every monday,friday 09:00", ["05-01 07:00", "05-04 07:00"]),
        ("weekday 18:00", ["04-27 16:00", "04-28 16:00"]),
        ("FREQ=MONTHLY;BYDAY=1MO;BYHOUR=9;BYMINUTE=0", ["05-04 07:00", "06-01 07:00"]),
        ("RRULE:FREQ=DAILY;COUNT=1;BYHOUR=20;BYMINUTE=0", ["04-27 18:00"]),
    ],
)
def test_what_comes_again(said: str, expected: list[str]) -> None:
    assert times(said, "Europe/Berlin", "2026-04-27T12:00:00+02:00", 2) == expected


def test_nine_stays_nine_when_the_clocks_change() -> None:
    since = "2026-10-23T12:00:00+02:00"
    assert times("day 09:00", "Europe/Berlin", since, 3) == [
        "10-24 07:00", "10-25 08:00", "10-26 08:00",
    ]  # fmt: skip


def test_a_time_that_is_skipped_comes_an_hour_later_and_one_that_comes_twice_once() -> None:
    spring = times("day 02:30", "Europe/Berlin", "2026-03-28T12:00:00+01:00", 2)
    autumn = times("day 02:30", "Europe/Berlin", "2026-10-24T12:00:00+02:00", 2)
    assert (spring, autumn) == (
        ["03-29 01:30", "03-30 00:30"],
        ["10-25 00:30", "10-26 01:30"],
    )


def test_on_everybodys_own_clock_it_begins_where_the_day_begins() -> None:
    since = "2026-04-27T12:00:00+00:00"
    assert times("day 09:00", "Europe/Berlin", since, 1, local=True) == ["04-27 19:00"]


@pytest.mark.parametrize(
    "said",
    ["soon", "09:00", "day", "FREQ=DAILY;BYHOUR=99", "FREQ=MINUTELY", "FREQ=SOMETIMES"],
)
def test_what_says_nothing_that_comes_again(said: str) -> None:
    with pytest.raises(InputError):
        rule(said)


def series(field: Field, now: int = NOON, **wish: object) -> str:
    wish = {"everyone": True, "template": "sale", "every": "day 09:00"} | wish
    made = recurring.add_series(field.store, field.config, Draft(**wish), now)  # type: ignore[arg-type]
    return made.name


def sales(field: Field) -> list[tuple[str, int]]:
    """Return the campaigns that were made, with how many got them."""
    return [
        (one.name, field.counts(one).get("accepted", 0))
        for one in reversed(field.store.campaigns.list_newest())
    ]


def test_each_occurrence_means_who_is_there_then_with_the_words_of_then(field: Field) -> None:
    field.people(2)
    assert series(field) == "sale every day 09:00"
    nine = NOON + HOUR  # 09:00 UTC, the site's clock
    sweep.run(field.config, field.store, nine - 1, sweep.Options(rehearsal=True))
    assert sales(field) == []

    for day in range(2):
        field.people(1, first=10 + day, now=nine)
        sweep.run(field.config, field.store, nine + day * DAY, sweep.Options(rehearsal=True))
        again = sweep.Options(rehearsal=True)
        sweep.run(field.config, field.store, nine + day * DAY + 60_000, again)

    assert sales(field) == [
        ("sale every day 09:00 2026-04-28 09:00", 3),
        ("sale every day 09:00 2026-04-29 09:00", 4),
    ]


def test_a_machine_that_was_off_leaves_out_what_is_late(field: Field) -> None:
    field.people(1)
    series(field)
    for at in (NOON + HOUR + 13 * HOUR, NOON + HOUR + DAY):
        sweep.run(field.config, field.store, at, sweep.Options(rehearsal=True))
    assert sales(field) == [("sale every day 09:00 2026-04-29 09:00", 1)]


def test_a_series_that_is_cancelled_while_a_sweep_plans_it_stays_cancelled(
    field: Field,
) -> None:
    """Also where another began under its name: it has the same number."""
    field.people(1)
    broken, sound = series(field, name="broken"), series(field, name="sound")
    field.store.connection.execute(
        "UPDATE recurring SET wish = json_set(wish, '$.template', 'none') WHERE name = 'broken'"
    )
    nine = NOON + HOUR
    under_way = recurring.carry_out(field.store, field.config, nine)
    assert next(under_way).startswith(broken)  # both were read as due
    recurring.cancel(field.store, sound)
    assert list(under_way) == []
    assert field.store.campaigns.list_newest() == []
    assert [one.name for one in field.store.schedules.recurring.list_all()] == [broken]

    recurring.cancel(field.store, broken)
    series(field, name="sound", now=NOON + 1)
    (due,) = field.store.schedules.recurring.list_due(nine)
    recurring.cancel(field.store, sound)
    series(field, name="sound", now=NOON + 2, every="day 12:00")
    assert not field.store.schedules.recurring.is_current(due)


def test_a_broken_template_is_told_and_goes_out_once_mended(field: Field) -> None:
    field.people(1)
    series(field)
    words = field.config.templates / "sale" / "en.toml"
    whole = words.read_text()
    words.write_text('title = "{{ broken"')
    trouble = sweep.run(field.config, field.store, NOON + HOUR, sweep.Options(rehearsal=True))
    assert trouble.exit_code == 5
    assert "sale every day 09:00" in trouble.notes[0]
    words.write_text(whole)
    later = NOON + HOUR + 5 * MINUTE
    sweep.run(field.config, field.store, later, sweep.Options(rehearsal=True))
    assert [count for _, count in sales(field)] == [1]


def test_on_each_ones_own_clock_again_and_again(field: Field) -> None:
    field.people(1)
    with field.store.write() as connection:
        connection.execute("UPDATE subscriptions SET timezone = 'America/New_York'")
    series(field, local=True, passed=Passed.SKIP)
    # 09:00 on the 29th comes to Kiritimati at 19:00 UTC, to New York 18 hours later.
    freeze = NOON + 11 * HOUR
    sweep.run(field.config, field.store, freeze, sweep.Options(rehearsal=True))
    assert [count for _, count in sales(field)] == [0]
    sweep.run(field.config, field.store, freeze + 18 * HOUR, sweep.Options(rehearsal=True))
    assert sales(field)[0] == ("sale every day 09:00 2026-04-29 09:00", 1)


def test_the_idle_path_sees_a_series_that_is_due(field: Field) -> None:
    series(field)
    sweep.run(field.config, field.store, NOON, sweep.Options(rehearsal=True))
    files = (field.config.database, field.config.inbox, field.config.file)
    assert idle.is_idle(*files, KNOWN_MIGRATIONS, NOON + HOUR - 1)
    assert not idle.is_idle(*files, KNOWN_MIGRATIONS, NOON + HOUR)


def test_the_last_hours_of_the_calendar_are_refused() -> None:
    with pytest.raises(InputError, match="UNTIL=20261231"):
        rule("FREQ=DAILY;BYHOUR=9;UNTIL=99991231T235959Z", zone=BERLIN)


def rehearse(field: Field, every: str) -> Run:
    words = ("--everyone", "--template", "sale", "--every", every, "--dry-run")
    return pushctl("send", *words, cwd=field.config.folder)


@pytest.mark.parametrize("every", ["FREQ=YEARLY;INTERVAL=9999", "FREQ=DAILY;COUNT=1"])
def test_what_comes_now_and_never_again_is_refused_before_it_is_scheduled(
    field: Field, every: str
) -> None:
    field.people(1)
    run = rehearse(field, every)
    assert run.code != 0
    assert "never comes again" in run.err
    assert "goes out" not in run.out


def test_the_times_end_where_the_rule_ends_and_name_their_zone(field: Field) -> None:
    field.people(1)
    times = rehearse(field, "FREQ=DAILY;BYHOUR=9;COUNT=2").out
    assert "..." not in times.split("goes out")[1].splitlines()[0]
    assert "(the site's time, UTC)" in times
    shown = rehearse(field, "day 09:00").out.split("goes out")[1].splitlines()[0]
    assert shown.count("09:00") == 3
    assert shown.endswith(", ... (the site's time, UTC)")


def test_series_are_listed_and_ended(field: Field) -> None:
    field.people(1)
    folder = field.config.folder
    said = ("--everyone", "--template", "sale", "--every", "monday 09:00", "--yes")
    run = pushctl("send", *said, cwd=folder)
    assert run.code == 0, run.err
    assert "Mon " in run.err
    assert field.store.campaigns.list_newest() == []
    assert pushctl("send", *said, cwd=folder).code == 2  # one of this name goes on
    listed = pushctl("schedules", "list", "--json", cwd=folder)
    (row,) = json.loads(listed.out)
    assert (row["name"], row["whom"]) == ("sale every monday 09:00", "everyone")

    name = str(row["name"])
    assert pushctl("schedules", "cancel", name, "--yes", cwd=folder).code == 0
    assert json.loads(pushctl("schedules", "list", "--json", cwd=folder).out) == []
    assert pushctl("schedules", "cancel", name, "--yes", cwd=folder).code == 4


def test_what_is_sent_once_is_listed_and_called_off_too(field: Field) -> None:
    field.people(1)
    folder = field.config.folder
    at = ("--everyone", "--template", "sale", "--at", "tomorrow 09:00", "--name", "x", "--yes")
    assert pushctl("send", *at, cwd=folder).code == 0
    (row,) = json.loads(pushctl("schedules", "list", "--json", cwd=folder).out)
    assert (row["name"], row["when"]) == ("x", "once")
    assert pushctl("schedules", "cancel", "x", "--yes", cwd=folder).code == 0
    assert field.store.campaigns.get("x").status is CampaignStatus.CANCELLED


@pytest.mark.parametrize(
    "said",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=4;BYMONTHDAY=31;BYHOUR=9",
        "FREQ=YEARLY;BYYEARDAY=1;BYMONTH=3",
        "FREQ=MONTHLY;BYDAY=6MO;BYHOUR=9",
        "FREQ=HOURLY;BYWEEKNO=53;BYMONTH=6",
        "FREQ=DAILY;UNTIL=20250101;BYHOUR=9",
    ],
)
def test_what_never_comes_is_said_at_once(said: str) -> None:
    before = time.process_time()
    with pytest.raises(InputError, match="never comes"):
        rule(said)
    assert time.process_time() - before < 5  # it took for ever


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL is a number from 1"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL is a number from 1"),
        ("FREQ=DAILY;COUNT=0", "COUNT is a number from 1"),
        ("FREQ=DAILY;BYHOUR=9;BYMINUTE=0,30", "too often"),
        ("FREQ=HOURLY;BYMINUTE=" + ",".join(map(str, range(60))), "too often"),
        ("FREQ=DAILY;BYHOUR=9;BYSECOND=0,1", "too often"),
        ("BYMINUTE=0,59;FREQ=WEEKLY;BYDAY=MO;BYHOUR=9", "too often"),
        ("FREQ=DAILY;BYSETPOS=2;BYHOUR=9", "BYSETPOS"),
        ("FREQ=DAILY;UNTIL=soon", "UNTIL=20261231"),
        ("FREQ=DAILY;DTSTART=20260101", "DTSTART"),
        ("FREQ=DAILY;FREQ=HOURLY", "twice"),
        ("FREQ=HOURLY;BYHOUR=25", "BYHOUR is numbers from 0 to 23,"),
        ("FREQ=HOURLY;BYHOUR=-1", "BYHOUR is numbers from 0 to 23,"),
        ("FREQ=DAILY;BYHOUR=9,", "BYHOUR is numbers"),
        ("FREQ=HOURLY;BYMINUTE=60", "BYMINUTE is numbers from 0 to 59"),
        ("FREQ=HOURLY;BYSECOND=60", "BYSECOND is numbers from 0 to 59"),
        ("FREQ=DAILY;BYMONTH=13;BYHOUR=9", "BYMONTH is numbers from 1 to 12"),
        ("FREQ=DAILY;BYMONTHDAY=0;BYHOUR=9", "BYMONTHDAY is numbers from 1 to 31, or from -31"),
        ("FREQ=DAILY;BYMONTHDAY=-32;BYHOUR=9", "BYMONTHDAY is numbers"),
        ("FREQ=YEARLY;BYYEARDAY=367;BYHOUR=9", "BYYEARDAY is numbers from 1 to 366"),
        ("FREQ=YEARLY;BYWEEKNO=54;BYHOUR=9", "BYWEEKNO is numbers from 1 to 53"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=x;BYHOUR=9", "BYSETPOS is numbers from 1 to 366"),
    ],
)
def test_an_rrule_that_cannot_be_meant_says_why(said: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        rule(said)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # The hour alone is its beginning, not the minute at which somebody typed it.
        ("FREQ=DAILY;BYHOUR=9", ["04-28 07:00", "04-29 07:00", "04-30 07:00"]),
        ("BYHOUR=9;FREQ=DAILY;UNTIL=20260429T070000Z", ["04-28 07:00", "04-29 07:00"]),
        ("FREQ=DAILY;BYHOUR=9;UNTIL=20260429", ["04-28 07:00", "04-29 07:00"]),
        ("FREQ=DAILY;BYHOUR=9,10", ["04-28 07:00", "04-28 08:00", "04-29 07:00"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYHOUR=9", ["02-29 08:00"] * 3),
    ],
)
def test_rrules_are_read_as_they_are_meant(said: str, expected: list[str]) -> None:
    since, zone = "2026-04-27T12:34:00+02:00", BERLIN
    starts = timing.local(timing.moment(since), zone).replace(tzinfo=None)
    read = rule(said, starts, zone)
    assert times(read, "Europe/Berlin", since, 3) == expected


def test_one_moment_is_not_everybodys_own_clock(field: Field) -> None:
    field.people(1)
    with pytest.raises(UsageError, match="--local"):
        field.freeze(at="in 2 hours", local=True)


def test_a_time_to_live_needs_its_unit(field: Field) -> None:
    field.people(1)
    with pytest.raises(InputError, match="Did you mean 5m, 5h or 5d"):
        field.freeze(ttl="5")
