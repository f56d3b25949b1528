"""`pushctl explain` of a campaign, and of a person's broadcasts."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.jobs.campaigns import recurring
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.campaigns.explain import explain
from pushctl.jobs.triggers.explain import timeline
from pushctl.rules.units import DAY, HOUR
from tests.support import NOON, sending
from tests.support.program import pushctl
from tests.support.rows import everybody
from tests.support.sending import Field


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    made = sending.field(tmp_path)
    made.people(3, now=NOON - DAY)
    yield made
    made.store.close()


def told(field: Field, name: str) -> dict[str, list[str]]:
    campaign = field.store.campaigns.get(name)
    found: dict[str, list[str]] = {}
    for line in explain(field.config, field.store, campaign, NOON):
        found.setdefault(line.what, []).append(line.text)
    return found


def test_a_scheduled_campaign_tells_who_asked_and_when_it_goes_out(field: Field) -> None:
    field.freeze(everyone=False, tags=["Sale"], name="spring", at="tomorrow 09:00", by="anna")
    lines = told(field, "spring")
    assert lines["status"] == ["scheduled"]
    (asked,) = lines["asked"]
    assert asked == "frozen 2026-04-28 08:00 UTC by anna, for 'tomorrow 09:00'"
    assert lines["audience"][0] == "tag('Sale')"
    assert any("the next is due 2026-04-29 09:00 UTC" in line for line in lines["times"])
    assert lines["text"] == ["sale/en.toml: Sale · Everything must go"]
    assert lines["messages"] == ["3 planned (waits its turn)"]


def test_an_occurrence_names_its_series(field: Field) -> None:
    draft = Draft(everyone=True, template="sale", every="day 09:00", name="daily", by="anna")
    recurring.add_series(field.store, field.config, draft, NOON)
    assert list(recurring.carry_out(field.store, field.config, NOON + 2 * HOUR)) == []
    (made,) = field.store.campaigns.list_newest()
    (asked,) = told(field, made.name)["asked"]
    assert "by anna, one of the series 'daily'" in asked


def test_an_audience_of_a_former_file_is_told_as_it_was_typed(field: Field) -> None:
    field.freeze(everyone=False, where=["language = 'en'"], name="old")
    field.store.connection.execute("UPDATE campaigns SET audience = 'segment(''gone'')'")
    assert told(field, "old")["audience"] == ["segment('gone')"]


def test_a_persons_broadcasts_say_whom_they_were_for_and_on_which_clock(field: Field) -> None:
    (ann, *_) = everybody(field.store, NOON)
    field.store.connection.execute("UPDATE subscriptions SET timezone = 'Asia/Dubai'")
    field.freeze(name="spring", at="tomorrow 09:00", local=True, by="anna")
    (ann, *_) = everybody(field.store, NOON)
    (line,) = [
        one for one in timeline(field.config, field.store, ann, NOON) if "spring" in one.text
    ]
    assert (line.what, line.at) == ("next", NOON + 21 * HOUR), "09:00 in Dubai"
    assert "to everyone; frozen 2026-04-28 12:00 +04 by anna" in line.text
    assert "on each person's own clock" in line.text
    run = pushctl("explain", ann.public_id, "--json", cwd=field.config.folder)
    (row,) = [one for one in json.loads(run.out) if "spring" in one["text"]]
    assert (row["at"], row["there"]) == ("2026-04-29T05:00:00Z", "2026-04-29 09:00 +04")


def test_the_command_tells_a_campaign_by_its_name(field: Field) -> None:
    field.freeze(name="spring", at="tomorrow 09:00")
    run = pushctl("explain", "spring", cwd=field.config.folder)
    assert run.code == 0 and "audience\teveryone" in run.out and "Sweeps: " in run.err
    run = pushctl("explain", "sprung", cwd=field.config.folder)
    assert run.code == 4
