"""`pushctl forecast` on the command line."""

import json
from pathlib import Path

import pytest

from pushctl.rules.units import DAY
from tests.support import NOON, sending
from tests.support.pasts import send_past
from tests.support.program import pushctl
from tests.support.sending import Field

WHEN = {"PUSHCTL_NOW": "2026-07-28T10:00:00+02:00"}


@pytest.fixture
def field(tmp_path: Path) -> Field:
    made = sending.field(tmp_path)
    people = made.people(60)
    for place, clicked in enumerate((10, 12, 15)):
        at = NOON + 7 * place * DAY
        send_past(made, f"sale {place}", people, at, clicked=clicked, topic="promotion")
    return made


def test_a_year_needs_no_project(tmp_path: Path) -> None:
    command = ("forecast", "--visits", "50000", "--carts", "2000", "--order", "60")
    run = pushctl(*command, "--json", cwd=tmp_path)
    assert run.code == 0, run.err
    rows = {row["name"]: row for row in json.loads(run.out)}
    assert rows["orders"]["kind"] == "brings"
    assert rows["orders"]["p10"] < rows["orders"]["p50"] < rows["orders"]["p90"]
    assert rows["cart_return"]["kind"] == "assumes" and "21 %" in rows["cart_return"]["source"]
    table = pushctl(*command, cwd=tmp_path)
    assert "no case tells it: assumed" in table.out
    assert list(tmp_path.iterdir()) == []


def test_a_year_by_own_rates(tmp_path: Path) -> None:
    run = pushctl("forecast", "--visits", "1000", "--opt-in", "10%", "--csv", cwd=tmp_path)
    assert '"brings","subscribed","people who subscribe in the year",1200,1200,1200,' in run.out
    wrong = pushctl("forecast", "--visits", "1000", "--churn", "3", cwd=tmp_path)
    assert (wrong.code, "--churn" in wrong.err) == (2, True)
    assert pushctl("forecast", "--carts", "1000", cwd=tmp_path).code == 2


def test_an_audience_or_a_number_of_people(field: Field) -> None:
    folder = field.config.folder
    run = pushctl("forecast", "--everyone", "--topic", "promotion", cwd=folder, **WHEN)
    assert run.code == 0, run.err
    assert "To 60 people, about promotion" in run.out
    assert "clicks: 3 campaigns about promotion" in run.out
    options = ("--people", "6000", "--topic", "promotion", "--json")
    rows = json.loads(pushctl("forecast", *options, cwd=folder, **WHEN).out)
    figures = {row["figure"]: row for row in rows}
    assert 900 < figures["clicks"]["p50"] < 1_500
    assert figures["orders"]["p50"] is None
    both = pushctl("forecast", "--everyone", "--people", "9", cwd=folder)
    assert (both.code, "--people" in both.err) == (2, True)
    assert pushctl("forecast", cwd=folder).code == 2


def test_a_topic_that_no_campaign_had_is_named(field: Field) -> None:
    folder = field.config.folder
    run = pushctl("forecast", "--everyone", "--topic", "promo", cwd=folder, **WHEN)
    assert run.code == 0
    said = "no campaign was about 'promo' yet. Did you mean 'promotion'?"
    assert said in " ".join(run.err.split())
    run = pushctl("forecast", "--everyone", "--topic", "promotion", cwd=folder, **WHEN)
    assert "yet" not in run.err


def test_send_shows_it_before_it_asks(field: Field) -> None:
    command = ("send", "--everyone", "--template", "sale", "--topic", "promotion", "--dry-run")
    run = pushctl(*command, cwd=field.config.folder, **WHEN)
    assert run.code == 0, run.err
    assert "forecast: clicked by 12 (" in run.out


def test_scores_and_one_campaign(field: Field) -> None:
    folder = field.config.folder
    none = pushctl("forecast", "--scores", cwd=folder, **WHEN)
    assert (none.code, "can be scored yet" in none.err) == (0, True)
    assert pushctl("forecast", "sale 1", cwd=folder).code == 4
