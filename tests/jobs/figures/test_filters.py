"""jobs.figures.filters: what a user types becomes a site, a stretch of time, campaigns."""

from dataclasses import replace
from pathlib import Path

import pytest

from pushctl.errors import InputError, NotFoundError
from pushctl.jobs.figures import filters
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.send_times import best_time
from pushctl.jobs.figures.tables import breakdowns, reach
from pushctl.jobs.reports import compose
from pushctl.rules import timing, units
from pushctl.rules.figures.revenue import exchange_rates
from tests.support import sending
from tests.support.sales import START, Sales
from tests.support.sending import Field

BERLIN = timing.zone("Europe/Berlin")
# A Sunday on which Berlin's clocks went back at 3:00: it had 25 hours.
NOW = timing.moment("2026-10-25T12:00:00+01:00")


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Field:
    made = sending.field(tmp_path_factory.mktemp("filters"))
    site = replace(made.config.first_site, timezone="Europe/Berlin")
    made.config = replace(made.config, sites={site.name: site})
    made.people(1)
    made.freeze(name="one", topic="sale")
    return made


def read(field: Field, **typed: str) -> Filter:
    return filters.read(field.config, field.store, NOW, **typed)


def at(text: str) -> int:
    return timing.moment(text)


@pytest.mark.parametrize(
    ("typed", "since", "until"),
    [
        ("30d", NOW - 30 * units.DAY, NOW - 30 * units.DAY),
        ("2h", NOW - 2 * units.HOUR, NOW - 2 * units.HOUR),
        ("2026-10-25", at("2026-10-25T00:00:00+02:00"), at("2026-10-26T00:00:00+01:00")),
        ("today", at("2026-10-25T00:00:00+02:00"), at("2026-10-26T00:00:00+01:00")),
        ("Yesterday", at("2026-10-24T00:00:00+02:00"), at("2026-10-25T00:00:00+02:00")),
        ("2026-10-24 18:00", at("2026-10-24T18:00:00+02:00"), at("2026-10-24T18:00:00+02:00")),
        ("2026-10-24T18:00Z", at("2026-10-24T18:00:00Z"), at("2026-10-24T18:00:00Z")),
        # It came twice: the first of them.
        ("2026-10-25 02:30", at("2026-10-25T02:30:00+02:00"), at("2026-10-25T02:30:00+02:00")),
    ],
)
def test_times_are_read_in_the_sites_zone(
    field: Field, typed: str, since: int, until: int
) -> None:
    assert read(field, since=typed).since == since
    assert read(field, until=typed).until == until


@pytest.mark.parametrize("typed", ["", "soon", "2026-13-01", "25.10.2026", "-3d", "9999-12-31"])
def test_what_is_no_time_is_refused_with_its_forms(field: Field, typed: str) -> None:
    with pytest.raises(InputError, match=r"--until .* is no time\. Write 30d, yesterday"):
        read(field, until=typed)


def test_last_is_a_number_of_campaigns_or_a_time(field: Field) -> None:
    assert read(field, last="10").last == 10
    week = read(field, last="7d")
    assert (week.last, week.since) == (None, NOW - 7 * units.DAY)
    for wrong in ("0", "many", "7d 3"):
        with pytest.raises(InputError):
            read(field, last=wrong)
    with pytest.raises(InputError, match="both say when to begin"):
        read(field, last="7d", since="3d")


def test_last_week_is_monday_to_sunday_and_last_month_a_whole_one(field: Field) -> None:
    week = read(field, last="week")  # NOW is the Sunday of the week that goes on
    assert (week.since, week.until, week.last) == (
        at("2026-10-12T00:00:00+02:00"), at("2026-10-19T00:00:00+02:00"), None
    )  # fmt: skip
    month = read(field, last="Month")
    assert (month.since, month.until) == (
        at("2026-09-01T00:00:00+02:00"), at("2026-10-01T00:00:00+02:00")
    )  # fmt: skip
    for typed in ({"since": "3d"}, {"until": "today"}):
        with pytest.raises(InputError, match="--last week has its days"):
            read(field, last="week", **typed)
    with pytest.raises(InputError, match="one table: pushctl stats campaigns --last week"):
        filters.read_last("week", NOW)


def test_a_report_is_about_the_same_week(field: Field) -> None:
    for days in range(7):
        now = NOW + days * units.DAY
        found = compose.find_last_week(timing.local(now, BERLIN).date())
        week = filters.read(field.config, field.store, now, last="week")
        assert (week.since, week.until) == (
            filters.read_time(str(found.first), now, BERLIN, ""),
            filters.read_time(str(found.last), now, BERLIN, "", after=True),
        )


def test_a_stretch_that_ends_before_it_begins_is_refused(field: Field) -> None:
    with pytest.raises(InputError, match="--since today is not before --until 3d"):
        read(field, since="today", until="3d")


def test_a_site_and_a_topic_must_be_known(field: Field) -> None:
    found = read(field, site="shop", topic="sale")
    assert (found.site_id, found.zone, found.is_empty) == (1, BERLIN, False)
    assert read(field).is_empty
    with pytest.raises(NotFoundError, match="There are: shop"):
        read(field, site="x")
    with pytest.raises(NotFoundError, match="There are: sale"):
        read(field, topic="sales")


@pytest.mark.parametrize("last", ["0", "9" * 10, "9" * 5_000])
def test_a_number_of_campaigns_that_nobody_has_is_refused(last: str) -> None:
    with pytest.raises(InputError, match="--last is 1 to 999999999"):
        filters.read_last(last, NOW)


def test_a_line_of_rates_without_end_is_named() -> None:
    lines = ["date,from,to,rate\n", f"2026-11-02,USD,EUR,{'1' * 200_000}\n"]
    with pytest.raises(InputError, match=r"rates.csv:2: this is no line of CSV"):
        exchange_rates.read(lines, "EUR", "rates.csv")


@pytest.mark.parametrize("minutes", [0, 5])
def test_a_quarter_that_is_asked_for_in_part_counts_as_a_whole(
    tmp_path: Path, minutes: int
) -> None:
    """By whichever table: two of them had two rules, and lost a quarter between them."""
    field = sending.field(tmp_path)
    sales = Sales(field.store)
    campaign = sales.campaign("one")
    for quarter in range(8):
        message = sales.message(campaign, sales.person())
        at = START + quarter * 900_000 + 60_000
        sales.change("UPDATE deliveries SET sent_at = ? WHERE id = ?", at, message)
    since, until = START + 900_000 + minutes * 60_000, START + 3 * 900_000 + minutes * 60_000
    asked = Filter(since=since, until=until, now=until)
    (row,) = breakdowns.compare(field.store, field.config, asked).rows
    (age,) = reach.load_reach(field.store, asked)
    found = best_time.find_best_time(field.store, field.config, asked)
    expected = 3 if minutes else 2
    assert row["accepted"] == age["sent"] == expected
    assert sum(one.sends for one in found.hours.measured) == expected
    field.store.close()
