"""`send --explore`: who gets a broadcast at another hour, and what the rows say of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pushctl.config import HoldoutConfig, QuietConfig
from pushctl.errors import PushctlError, UsageError
from pushctl.jobs.campaigns import broadcast, recurring
from pushctl.jobs.campaigns.draft import Draft
from pushctl.model import Campaign, CampaignStatus, Cause
from pushctl.rules import timing
from pushctl.store.deliveries import ReleasedRow
from tests.support import DAY, HOUR, MINUTE, NOON, sending
from tests.support.sending import Field

PEOPLE = 120


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    made = sending.field(tmp_path)
    made.config = replace(made.config, quiet=QuietConfig("22:00-08:00"))
    made.people(PEOPLE)
    half = "UPDATE subscriptions SET timezone = 'Asia/Kolkata' WHERE id % 2"
    made.store.connection.execute(half)
    yield made
    made.store.close()


def plan(field: Field, **wish: object) -> broadcast.Plan:
    wish = {"everyone": True, "template": "sale", "again": True, "explore": "50%"} | wish
    return broadcast.plan(field.store, field.config, Draft(**wish), NOON)  # type: ignore[arg-type]


def freeze(field: Field, **wish: object) -> Campaign:
    return broadcast.freeze(field.store, plan(field, **wish), NOON)


def rows(field: Field, campaign: Campaign, columns: str) -> list[tuple[object, ...]]:
    sql = f"SELECT {columns} FROM deliveries WHERE campaign_id = ? ORDER BY id"
    return field.store.connection.execute(sql, (campaign.id,)).fetchall()


def test_each_hour_is_outside_quiet_hours_on_the_persons_own_clock(field: Field) -> None:
    campaign = freeze(field, at="2026-07-01 18:00", local=True)
    assert campaign.status is CampaignStatus.SCHEDULED
    found = rows(field, campaign, "subscription_id, next_attempt_at, hour_probability")
    assert len(found) == PEOPLE
    others = 0
    for one, due, probability in found:
        zone = timing.zone("Asia/Kolkata" if int(str(one)) % 2 else "UTC")
        local = timing.local(int(str(due)), zone)
        assert 8 <= local.hour < 22
        usual = local.hour == 18
        assert probability == pytest.approx(0.5 if usual else 0.5 / 13)
        others += not usual
    assert 40 <= others <= 80


def test_without_a_time_the_others_get_it_now(field: Field) -> None:
    campaign = freeze(field)
    due = [int(str(at)) for (at,) in rows(field, campaign, "next_attempt_at")]
    assert min(due) == NOON
    assert max(due) < NOON + DAY
    assert all(at == NOON or (at - NOON) % HOUR == 0 for at in due)
    ends = rows(field, campaign, "expires_at - next_attempt_at")
    assert len(set(ends)) == 1  # each message lives as long


def test_who_is_in_the_control_group_has_no_hour(field: Field) -> None:
    field.config = replace(field.config, holdout=HoldoutConfig(0.3, "2026"))
    campaign = freeze(field, at="2026-07-01 18:00")
    found = rows(field, campaign, "cause, hour_probability, holdout_probability")
    held = [each for each in found if each[0] == "holdout"]
    assert held
    assert all(each[1:] == (None, 0.3) for each in held)
    assert all(each[1] and each[2] == 0.7 for each in found if each[0] is None)


def test_who_waits_for_another_message_was_not_sent_in_the_drawn_hour(field: Field) -> None:
    campaign = freeze(field)
    one = field.store.deliveries.claim_due(campaign.id, 10, NOON)[0][0].id
    held = ReleasedRow(one, NOON + 2 * HOUR, "another message goes first", Cause.FREQUENCY)
    field.store.deliveries.release([held], NOON + MINUTE)
    sql = "SELECT hour_probability FROM deliveries WHERE id = ?"
    assert field.store.connection.execute(sql, (one,)).fetchone() == (None,)


def test_a_test_of_texts_and_the_hours_are_drawn_apart(field: Field) -> None:
    text = 'title = "B"\nbody = "Everything must go"\n'
    (field.config.templates / "sale/en.b.toml").write_text(text, "utf-8")
    campaign = freeze(field)
    found = rows(field, campaign, "variant, hour_probability")
    kinds = {(variant, float(str(p)) == 0.5) for variant, p in found}
    assert kinds == {("a", True), ("a", False), ("b", True), ("b", False)}
    decided = field.store.experiments.find(campaign.id)
    last = max(int(str(at)) for (at,) in rows(field, campaign, "next_attempt_at"))
    assert decided is not None
    assert decided.decide_at is not None
    assert decided.decide_at > last


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"over": "2h"}, "--over"),
        ({"test_share": "20%", "variants": "a,b"}, "--test-share"),
        ({"variants": "09:00,18:00", "at": "2026-07-01"}, "--variants"),
        ({"explore": "120%"}, "--explore"),
        ({"explore": None, "explore_days": 3}, "--explore-days"),
        ({"explore_days": 9}, "--explore-days"),
    ],
)
def test_what_does_not_go_with_it_is_said(
    field: Field, wish: dict[str, object], words: str
) -> None:
    text = 'title = "B"\nbody = "Everything must go"\n'
    (field.config.templates / "sale/en.b.toml").write_text(text, "utf-8")
    with pytest.raises(PushctlError, match=words):
        plan(field, **wish)


def test_a_series_draws_anew_each_time(field: Field) -> None:
    draft = Draft(everyone=True, template="sale", every="day 12:00", explore="50%")
    series = recurring.add_series(field.store, field.config, draft, NOON)
    assert series.next_at is not None
    assert list(recurring.carry_out(field.store, field.config, series.next_at)) == []
    newest = field.store.campaigns.list_newest()[0]
    drawn = rows(field, field.store.campaigns.get(newest.name), "hour_probability")
    assert {p == 0.5 for (p,) in drawn} == {True, False}


def test_single_people_are_nobody_to_explore_with(field: Field) -> None:
    public = field.store.connection.execute("SELECT public_id FROM subscriptions").fetchone()
    with pytest.raises(UsageError, match="--to"):
        plan(field, everyone=False, to=(public[0],))
