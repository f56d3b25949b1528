"""Quiet hours, the frequency cap, the control group and the sunset rule hold for broadcasts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pushctl.config import HoldoutConfig, QuietConfig, SunsetConfig
from pushctl.jobs.campaigns import broadcast, recurring
from pushctl.jobs.campaigns import contact_policy as campaign_manners
from pushctl.jobs.campaigns.contact_policy import divide
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.campaigns.rehearsal import rehearse
from pushctl.jobs.delivery import deliver
from pushctl.jobs.subscribers import contact_policy
from pushctl.model import (
    Campaign,
    CampaignStatus,
    Cause,
    InteractionKind,
    SubscriptionState,
)
from pushctl.rules.contact_policy import Frequency
from pushctl.store.interactions import Interaction
from tests.support import DAY, HOUR, MINUTE, NOON, sending
from tests.support.pushservice import PushService
from tests.support.sending import Field

WEEK = 7 * DAY


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PushService]:
    with PushService(tmp_path_factory.mktemp("service"), checks=False) as running:
        yield running


@pytest.fixture
def field(tmp_path: Path, shared: PushService) -> Iterator[Field]:
    made = sending.field(tmp_path, shared)
    yield made
    made.store.close()


def ask(field: Field, now: int = NOON, **wish: object) -> broadcast.Plan:
    wish = {"everyone": True, "template": "sale", "again": True} | wish
    made = broadcast.plan(field.store, field.config, Draft(**wish), now)  # type: ignore[arg-type]
    return rehearse(field.store, field.config, made, now)


def send(field: Field, now: int = NOON, **wish: object) -> Campaign:
    campaign = broadcast.freeze(field.store, ask(field, now, **wish), now)
    carry_on(field, campaign, now)
    return campaign


def carry_on(field: Field, campaign: Campaign, now: int) -> None:
    options = deliver.Options(patience=0.0)
    deliver.run(field.store, field.config, campaign, now, options)


def causes(field: Field, campaign: Campaign) -> dict[tuple[str, str | None], int]:
    sql = """
        SELECT status, cause, count(*) FROM deliveries WHERE campaign_id = ? GROUP BY 1, 2
    """
    rows = field.store.connection.execute(sql, (campaign.id,))
    return {(status, cause): count for status, cause, count in rows}


@pytest.mark.parametrize("page", [contact_policy.PAGE, 4], ids=["all at once", "page by page"])
def test_the_parts_of_the_question_add_up(
    field: Field, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact_policy, "PAGE", page)
    monkeypatch.setattr(campaign_manners, "_AT_ONCE", page)
    field.config = replace(
        field.config,
        frequency=Frequency(messages=1),
        quiet=QuietConfig("22:00-08:00"),
        holdout=HoldoutConfig(0.3, "2026"),
    )
    send_to = field.people(10)
    send(field)
    rows = field.people(20, first=20)
    field.store.connection.execute(
        "UPDATE subscriptions SET timezone = 'Pacific/Kiritimati' WHERE id > ?", (rows[9],)
    )
    made = ask(field, NOON + MINUTE)
    assert made.judged is not None
    parts = dict(divide(made.count, made.judged, made.list_without()))
    assert sum(parts.values()) == made.count == len(send_to) + len(rows)
    assert min(parts["now"], parts["after quiet hours"], parts["over the cap"]) > 0
    campaign = broadcast.freeze(field.store, made, NOON + MINUTE)
    assert causes(field, campaign) == {
        ("planned", None): parts["now"],
        ("planned", "quiet_hours"): parts["after quiet hours"],
        ("skipped", "frequency"): parts["over the cap"],
        ("skipped", "holdout"): parts["control group"],
    }


@pytest.mark.parametrize("most", [1, 2])
def test_the_cap_finds_the_same_people_page_by_page(
    field: Field, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one person's two browsers each message counts once; of many people all are counted."""
    rows = field.people(9)
    for row in rows[:4]:
        field.store.connection.execute(
            "UPDATE subscriptions SET alias = ?, alias_trusted = 1 WHERE id = ?",
            (f"anna-{row % 2}", row),
        )
    for number, some in enumerate((rows[:3], rows[2:6], rows[5:7])):
        ids = [it.public_id for it in field.store.subscriptions.get_many(some)]
        send(field, to=tuple(ids), everyone=False, name=f"sale {number}")
    field.config = replace(field.config, frequency=Frequency(messages=most))
    at_once = ask(field, NOON + MINUTE).list_without()
    monkeypatch.setattr(contact_policy, "PAGE", 2)
    assert ask(field, NOON + MINUTE).list_without() == at_once
    assert 0 < len(at_once) < len(rows)


def test_who_waits_and_has_no_message_is_counted_once(field: Field) -> None:
    field.config = replace(field.config, quiet=QuietConfig("22:00-08:00"))
    rows = field.people(5)
    for row in rows[1:]:
        field.store.subscriptions.set_attributes(row, {"name": "Ann"})
    asleep = "UPDATE subscriptions SET timezone = 'Pacific/Kiritimati' WHERE id IN (?, ?)"
    field.store.connection.execute(asleep, rows[:2])
    made = ask(field, template=None, message="Hi {{ attributes.name }}")
    assert made.judged is not None
    parts = divide(made.count, made.judged, made.list_without())
    assert [tuple(one) for one in parts if one.people] == [
        ("now", 3),
        ("after quiet hours", 1),
        ("no message", 1),
    ]
    assert (made.later, made.without) == (1, 1)


# --- the frequency cap --------------------------------------------------------------------


def test_who_had_enough_is_left_out_and_counted(field: Field) -> None:
    field.config = replace(field.config, frequency=Frequency(messages=1))
    field.people(2)
    send(field)
    field.people(3, first=10)
    made = ask(field, NOON + HOUR)
    assert made.judged is not None
    assert [cause for *_, cause in made.judged.without.values()] == [Cause.FREQUENCY] * 2
    second = send(field, NOON + HOUR)
    assert causes(field, second) == {("accepted", None): 3, ("skipped", "frequency"): 2}
    assert causes(field, send(field, NOON + 2 * DAY)) == {("accepted", None): 5}


def test_all_devices_of_a_person_are_one_in_the_cap(field: Field) -> None:
    field.config = replace(field.config, frequency=Frequency(messages=2))
    phone, desktop, other = field.people(3)
    for row in (phone, desktop):
        field.store.subscriptions.set_alias(row, "ann", trusted=True)
    first = send(field)  # to both devices: one message
    assert causes(field, first) == {("accepted", None): 3}
    assert causes(field, send(field, NOON + HOUR)) == {("accepted", None): 3}
    third = send(field, NOON + 2 * HOUR)
    assert causes(field, third) == {("skipped", "frequency"): 3}
    assert other


def test_the_cap_may_be_ignored_by_hand_and_single_people_have_none(field: Field) -> None:
    field.config = replace(field.config, frequency=Frequency(messages=1))
    rows = field.people(2)
    name = field.store.subscriptions.get_many(rows)[0].public_id
    send(field)
    assert causes(field, send(field, NOON + HOUR, ignore_cap=True)) == {("accepted", None): 2}
    assert causes(field, send(field, NOON + HOUR, to=[name])) == {("accepted", None): 1}


def test_of_two_campaigns_for_later_only_one_takes_the_place_in_the_cap(field: Field) -> None:
    field.config = replace(field.config, frequency=Frequency(messages=1))
    field.people(2)
    at = {"at": "2026-04-29 09:00"}
    campaigns = [broadcast.freeze(field.store, ask(field, **at), NOON) for _ in range(2)]
    for one in campaigns:
        assert causes(field, one) == {("planned", None): 2}
        carry_on(field, one, NOON + DAY + HOUR)
    found = [causes(field, one) for one in campaigns]
    assert found == [{("accepted", None): 2}, {("skipped", "frequency"): 2}]


def test_what_was_sent_since_the_question_counts(field: Field) -> None:
    field.config = replace(field.config, frequency=Frequency(messages=1))
    field.people(2)
    made = ask(field)
    send(field, NOON + MINUTE)
    late = broadcast.freeze(field.store, made, NOON + 2 * MINUTE)
    assert causes(field, late) == {("skipped", "frequency"): 2}


# --- quiet hours --------------------------------------------------------------------------


def test_a_held_row_waits_for_the_end_of_the_person_s_night(field: Field) -> None:
    field.config = replace(field.config, quiet=QuietConfig("22:00-08:00"))
    field.people(1)
    (asleep,) = field.people(1, first=10)
    field.store.connection.execute(
        "UPDATE subscriptions SET timezone = 'Pacific/Kiritimati' WHERE id = ?", (asleep,)
    )
    campaign = send(field)  # 8:00 in UTC is 22:00 there
    assert causes(field, campaign) == {("accepted", None): 1, ("planned", "quiet_hours"): 1}
    carry_on(field, campaign, NOON + 9 * HOUR)
    assert causes(field, campaign)["planned", "quiet_hours"] == 1
    carry_on(field, campaign, NOON + 10 * HOUR)
    assert causes(field, campaign) == {("accepted", None): 2}


def test_what_is_of_no_use_after_the_night_expires(field: Field) -> None:
    field.config = replace(field.config, quiet=QuietConfig("07:00-12:00"))
    field.people(2)
    made = ask(field, ttl="2h")
    assert made.without == 2
    campaign = broadcast.freeze(field.store, made, NOON)
    assert causes(field, campaign) == {("expired", "quiet_hours"): 2}
    later = broadcast.freeze(field.store, ask(field, at="2026-04-29 09:00", ttl="2h"), NOON)
    carry_on(field, later, NOON + DAY + HOUR)
    assert causes(field, later) == {("expired", "quiet_hours"): 2}


def test_a_site_s_own_quiet_hours_replace_those_of_all(field: Field) -> None:
    site = replace(field.config.first_site, quiet=QuietConfig("01:00-02:00"))
    field.config = replace(field.config, quiet=QuietConfig("07:00-12:00"), sites={"shop": site})
    field.people(1)
    assert causes(field, send(field)) == {("accepted", None): 1}


# --- the control group --------------------------------------------------------------------


def test_the_control_group_gets_nothing_and_stays_the_same(field: Field) -> None:
    field.config = replace(field.config, holdout=HoldoutConfig(0.5, "2026"))
    field.people(40)
    first, second = send(field), send(field, NOON + HOUR)
    sql = "SELECT subscription_id FROM deliveries WHERE campaign_id = ? AND cause = 'holdout'"
    out = [field.store.connection.execute(sql, (one.id,)).fetchall() for one in (first, second)]
    assert out[0] == out[1]
    assert 8 <= len(out[0]) <= 32
    sql = """
        SELECT DISTINCT status, holdout_probability FROM deliveries WHERE campaign_id = ?
    """
    chances = dict(field.store.connection.execute(sql, (first.id,)).fetchall())
    assert chances == {"accepted": 0.5, "skipped": 0.5}
    field.config = replace(field.config, holdout=HoldoutConfig(0.5, "2027"))
    third = send(field, NOON + 2 * HOUR)
    sql = "SELECT subscription_id FROM deliveries WHERE campaign_id = ? AND cause = 'holdout'"
    assert field.store.connection.execute(sql, (third.id,)).fetchall() != out[0]


def test_the_control_group_is_written_for_a_campaign_for_later_too(field: Field) -> None:
    field.config = replace(field.config, holdout=HoldoutConfig(0.25, "2026"))
    field.people(40)
    campaign = broadcast.freeze(field.store, ask(field, at="2026-04-29 09:00"), NOON)
    found = causes(field, campaign)
    assert found.keys() == {("planned", None), ("skipped", "holdout")}
    sql = """
        SELECT DISTINCT status, holdout_probability FROM deliveries WHERE campaign_id = ?
    """
    chances = dict(field.store.connection.execute(sql, (campaign.id,)).fetchall())
    assert chances == {"planned": 0.75, "skipped": 0.25}


# --- the sunset rule ----------------------------------------------------------------------


def show_all(field: Field, campaign: Campaign, row: int) -> None:
    sql = "SELECT id, changed_at FROM deliveries WHERE campaign_id = ? AND subscription_id = ?"
    number, at = field.store.connection.execute(sql, (campaign.id, row)).fetchone()
    one = Interaction(number, InteractionKind.SHOWN, None, at + MINUTE, f"shown {number}")
    field.store.interactions.add(one)


def test_who_shows_nothing_is_written_to_monthly_then_no_more(field: Field) -> None:
    field.config = replace(field.config, sunset=SunsetConfig(after=4, monthly=2))
    shows, silent, never = field.people(3)
    week, got = 0, []
    while week < 22:
        campaign = send(field, NOON + week * WEEK)
        show_all(field, campaign, shows)
        if week == 0:
            show_all(field, campaign, silent)
        sql = "SELECT status FROM deliveries WHERE campaign_id = ? AND subscription_id = ?"
        row = field.store.connection.execute(sql, (campaign.id, silent)).fetchone()
        got += [week] if row[0] == "accepted" else []
        week += 1
    # Of the weeks 1 to 4 none was shown; then two more, at least 30 days apart.
    assert got == [0, 1, 2, 3, 4, 9, 14]
    assert causes(field, campaign) == {("accepted", None): 2, ("skipped", "sunset"): 1}
    made = ask(field, NOON + week * WEEK)
    assert made.judged is not None
    assert made.judged.unjudged == 1  # who never showed anything
    assert never not in made.judged.without
    # A visit ends it.
    now = NOON + week * WEEK
    field.store.connection.execute(
        "UPDATE subscriptions SET last_seen_at = ? WHERE id = ?", (now - HOUR, silent)
    )
    assert causes(field, send(field, now)) == {("accepted", None): 3}


# --- beside triggers, and by itself -------------------------------------------------------


def remind(field: Field, row: int, now: int) -> None:
    """Let a trigger's message have gone out to *row* at *now*."""
    sql = """
        INSERT INTO campaigns (name, status, template, audience, sources, trigger, step,
                               created_at)
        VALUES ('basket/1', 'running', 'sale', '', '{}', 'basket', 1, :now)
    """
    campaign = field.store.connection.execute(sql, {"now": now}).lastrowid
    sql = """
        INSERT INTO deliveries (campaign_id, subscription_id, enrolment_id, status, changed_at)
        VALUES (?, ?, 1, 'accepted', ?)
    """
    field.store.connection.execute(sql, (campaign, row, now))


def test_a_broadcast_waits_a_moment_after_a_trigger_s_message(field: Field) -> None:
    field.config = replace(field.config, frequency=Frequency(messages=9))
    reminded, _ = field.people(2)
    remind(field, reminded, NOON - MINUTE)
    campaign = send(field)
    assert causes(field, campaign) == {("accepted", None): 1, ("planned", "frequency"): 1}
    carry_on(field, campaign, NOON + 5 * MINUTE)
    assert causes(field, campaign) == {("accepted", None): 2}


def test_who_was_just_reminded_gets_a_broadcast_for_later_at_its_time(field: Field) -> None:
    field.config = replace(field.config, frequency=Frequency(messages=9))
    reminded, _ = field.people(2)
    remind(field, reminded, NOON - MINUTE)
    campaign = broadcast.freeze(field.store, ask(field, at="in 10 days"), NOON)
    sql = "SELECT next_attempt_at, cause FROM deliveries WHERE campaign_id = ?"
    rows = field.store.connection.execute(sql, (campaign.id,)).fetchall()
    assert rows == [(NOON + 10 * DAY, None)] * 2


def test_triggers_messages_count_in_a_broadcast_s_cap(field: Field) -> None:
    field.config = replace(field.config, frequency=Frequency(messages=1))
    reminded, _ = field.people(2)
    remind(field, reminded, NOON - HOUR)
    assert causes(field, send(field)) == {("accepted", None): 1, ("skipped", "frequency"): 1}


@pytest.mark.parametrize("wish", [{}, {"at": "2026-04-29 09:00"}])
def test_a_campaign_that_nobody_gets_has_ended(field: Field, wish: dict[str, str]) -> None:
    field.config = replace(field.config, holdout=HoldoutConfig(0.5, "2026"))
    field.people(12)
    first = broadcast.freeze(field.store, ask(field), NOON)
    sql = "SELECT subscription_id FROM deliveries WHERE campaign_id = ? AND cause IS NULL"
    rows = [row for (row,) in field.store.connection.execute(sql, (first.id,))]
    field.store.subscriptions.mark(rows, SubscriptionState.GONE, "410", NOON)
    made = ask(field, **wish)
    assert made.count == made.without > 0
    campaign = broadcast.freeze(field.store, made, NOON)
    assert field.store.campaigns.get_status(campaign.id) is CampaignStatus.FINISHED


def test_a_series_leaves_out_whom_the_manners_keep_from_it(field: Field) -> None:
    field.config = replace(field.config, frequency=Frequency(messages=1))
    field.people(2)
    draft = Draft(everyone=True, template="sale", every="day 09:00", name="news")
    recurring.add_series(field.store, field.config, draft, NOON)
    send(field, NOON + 30 * MINUTE)
    assert list(recurring.carry_out(field.store, field.config, NOON + HOUR)) == []
    (newest,) = field.store.campaigns.list_newest(1)
    assert newest.name.startswith("news")
    assert causes(field, newest) == {("skipped", "frequency"): 2}
    assert newest.status is CampaignStatus.FINISHED
