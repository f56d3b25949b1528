"""After a restore, only what was due before may have gone out; the rest keeps its time."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pushctl.demo.pushservice import PushService
from pushctl.jobs.campaigns import manage, recurring
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.project.release import list_waiting, release
from pushctl.jobs.sweep import sweep
from pushctl.model import CampaignStatus, Millis
from pushctl.push import chunk
from pushctl.rules import timing
from pushctl.store import Store, restoring
from pushctl.store.ledger_rows import FinishedRow
from tests.support import DAY, HOUR, MINUTE, NOON, sending
from tests.support.program import pushctl
from tests.support.sending import Field
from tests.support.shop import Shop

WELCOME = """
[triggers.welcome]
on    = "subscribed"
tag   = "New here"
steps = [
  { after = "1m", template = "one", max_late = "1h" },
  { after = "3d", template = "two" },
  { after = "7d", template = "three" },
]
"""
# A purchase ends it: what came after the backup is lost.
GOAL = WELCOME.replace("[triggers.welcome]", "[triggers.nudge]").replace(
    'tag   = "New here"', 'goal = { event = "purchase", within = "9d" }'
)


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    with PushService(checks=False) as service:
        made = sending.field(tmp_path, service)
        restore_guard.accept(made.store, made.config)
        yield made
        made.store.close()


def set_back(field: Field) -> None:
    """Make the database look older than what was sent from here."""
    number = restore_guard.load_generation(field.store)
    restore_guard.write_generation(field.config, number + 3)


def list_due(field: Field, campaign: int) -> list[tuple[str, Millis]]:
    sql = "SELECT status, next_attempt_at FROM deliveries WHERE campaign_id = ? ORDER BY id"
    return field.store.connection.execute(sql, (campaign,)).fetchall()


def test_tomorrows_campaign_goes_out_tomorrow_and_once(field: Field) -> None:
    field.people(3)
    campaign = field.freeze(at="tomorrow 09:00")
    ((_, due), *_) = list_due(field, campaign.id)
    set_back(field)

    assert release(field.store, field.config, NOON + HOUR)["messages"] == 0
    assert list_due(field, campaign.id) == [("planned", due)] * 3
    assert field.store.campaigns.get("sale 2026-04-28").status is CampaignStatus.SCHEDULED
    sweep.run(field.config, field.store, due - MINUTE)
    assert field.counts(campaign) == {"planned": 3}
    for _ in range(2):
        sweep.run(field.config, field.store, due + MINUTE)
    assert field.counts(campaign) == {"accepted": 3}


def test_where_some_were_due_the_others_keep_their_time(field: Field) -> None:
    early, late = field.people(2)
    zones = [("Asia/Kathmandu", early), ("America/Los_Angeles", late)]
    with field.store.write() as connection:
        connection.executemany("UPDATE subscriptions SET timezone = ? WHERE id = ?", zones)
    campaign = field.freeze(at="tomorrow 09:00", local=True)
    (_, first), (_, second) = list_due(field, campaign.id)
    set_back(field)

    (row,) = list_waiting(field.store, field.config, first)
    assert (row.name, row.set_aside, row.to_come, row.next_at) == (
        campaign.name, 1, 1, second,
    )  # fmt: skip
    release(field.store, field.config, first)
    assert list_due(field, campaign.id) == [("in_doubt", first), ("planned", second)]
    sweep.run(field.config, field.store, second)
    assert field.counts(campaign) == {"in_doubt": 1, "accepted": 1}
    assert field.store.campaigns.get(campaign.name).status is CampaignStatus.FINISHED


def test_a_paused_campaign_stays_paused_with_what_is_to_come(field: Field) -> None:
    field.people(4)
    campaign = field.freeze(over="4h")
    manage.pause(field.store, campaign.name, NOON)
    set_back(field)
    release(field.store, field.config, NOON + 2 * HOUR)
    assert field.counts(campaign) == {"in_doubt": 3, "planned": 1}
    assert field.store.campaigns.get(campaign.name).status is CampaignStatus.PAUSED


def test_the_command_lists_what_it_sets_aside_and_what_is_to_come(field: Field) -> None:
    field.people(3)
    field.freeze(sending.soon(), name="now")
    field.freeze(sending.soon(), name="tomorrow", at="tomorrow 09:00")
    daily = Draft(everyone=True, template="sale", every="day 09:00")
    recurring.add_series(field.store, field.config, daily, NOON)
    set_back(field)
    run = pushctl("release", "--yes", cwd=field.config.folder)
    table = [line.split("\t")[:4] for line in run.out.splitlines()]
    assert (run.code, table) == (0, [
        ["Name", "Kind", "Set aside", "To come"],
        ["now", "campaign", "3", "0"],
        ["tomorrow", "campaign", "0", "3"],
        ["sale every day 09:00", "series", "1", "1"],
    ])  # fmt: skip
    assert "pushctl in-doubt resend NAME" in run.err
    assert "Set aside: 3 messages" in run.err


def test_resend_keeps_due_times_and_sweeps_carry_them_out(field: Field) -> None:
    """A release of an earlier version has put tomorrow's messages in doubt."""
    field.people(2)
    campaign = field.freeze(sending.soon(), name="later", at="tomorrow 09:00")
    ((_, due), *_) = list_due(field, campaign.id)
    with field.store.write() as connection:
        connection.execute("UPDATE deliveries SET status = 'in_doubt'")
        connection.execute("UPDATE campaigns SET status = 'finished'")

    run = pushctl("in-doubt", "resend", "later", "--yes", cwd=field.config.folder)
    assert (run.code, "at their own time, the first at 20" in run.err) == (0, True)
    assert list_due(field, campaign.id) == [("planned", due)] * 2
    sweep.run(field.config, field.store, due - MINUTE)
    assert field.counts(campaign) == {"planned": 2}
    sweep.run(field.config, field.store, due)
    assert field.counts(campaign) == {"accepted": 2}


def test_a_message_whose_time_has_passed_is_sent_again_at_once(field: Field) -> None:
    field.people(2)
    campaign = field.freeze(NOON)
    rows, _ = field.store.deliveries.claim_fresh(campaign.id, 0, 9, NOON)
    field.store.deliveries.finish([FinishedRow(one.id, "in_doubt") for one in rows], NOON)
    assert manage.send_again(field.store, field.config, campaign.name, NOON + 1) == 2
    assert list_due(field, campaign.id) == [("planned", NOON + 1)] * 2
    deliver.run(field.store, field.config, campaign, NOON + 2)
    assert field.counts(campaign) == {"accepted": 2}


def test_a_series_on_everybodys_own_clock_goes_to_those_whose_time_is_to_come(
    field: Field,
) -> None:
    early, late = field.people(2)
    zones = [("Asia/Kathmandu", early), ("America/Los_Angeles", late)]
    with field.store.write() as connection:
        connection.executemany("UPDATE subscriptions SET timezone = ? WHERE id = ?", zones)
    wish = Draft(everyone=True, template="sale", every="wednesday 09:00", local=True)
    series = recurring.add_series(field.store, field.config, wish, NOON)
    set_back(field)
    kathmandu = timing.instant(
        (timing.local(NOON, timing.UTC) + timedelta(days=1)).date(),
        timing.clock("09:00"),  # type: ignore[arg-type]
        timing.zone("Asia/Kathmandu"),
    )

    release(field.store, field.config, kathmandu + MINUTE)
    (campaign,) = field.store.campaigns.list_newest()
    rows = field.store.connection.execute("SELECT subscription_id, status FROM deliveries")
    assert rows.fetchall() == [(late, "planned")]
    assert campaign.status is CampaignStatus.SCHEDULED
    (after,) = field.store.schedules.recurring.list_all()
    assert after.next_at == (series.next_at or 0) + 7 * DAY


def test_a_step_that_is_to_come_still_comes(swept_shop: Shop) -> None:
    swept_shop.declare(WELCOME + GOAL)
    ann, bob = swept_shop.person(), swept_shop.person()
    swept_shop.event(ann, "subscribed", NOON)
    for minute in (1, 7):
        swept_shop.sweep(NOON + minute * MINUTE)
    assert len(swept_shop.sent) == 2  # of both triggers, five minutes apart
    swept_shop.event(bob, "subscribed", NOON + DAY)
    swept_shop.sweep(NOON + DAY)  # bob's first step is due in a minute

    counts = release(swept_shop.store, swept_shop.config, NOON + DAY + HOUR)
    assert counts["enrolments"] == 3
    (welcome,) = swept_shop.store.enrolments.list_active(ann)
    assert (welcome.trigger, welcome.next_at) == ("welcome", NOON + 3 * DAY)
    assert swept_shop.store.enrolments.list_active(bob) == []
    assert swept_shop.store.subscriptions.get(str(ann), 0).tags == ("New here",)
    for day in (3, 4, 7, 8):
        swept_shop.sweep(NOON + day * DAY)
    assert [one.campaign for one in swept_shop.sent if one.person == ann][-2:] == [
        "welcome/2", "welcome/3",
    ]  # fmt: skip
    assert not any(one.person == bob for one in swept_shop.sent)


def test_a_message_put_off_to_the_morning_goes_with_its_enrolment(swept_shop: Shop) -> None:
    swept_shop.declare(GOAL)
    ann = swept_shop.person()
    swept_shop.event(ann, "subscribed", NOON)
    swept_shop.sweep(NOON + MINUTE, show=False)
    with swept_shop.store.write() as connection:
        later = NOON + 8 * HOUR
        connection.execute(
            "UPDATE deliveries SET status = 'planned', next_attempt_at = ?", (later,)
        )
    release(swept_shop.store, swept_shop.config, NOON + HOUR)
    (row,) = swept_shop.store.connection.execute("SELECT status, cause FROM deliveries")
    assert row == ("skipped", "enrolment_ended")


def test_the_counts_go_by_the_index_of_states(field: Field) -> None:
    field.people(1)
    field.freeze(NOON)
    seen: list[str] = []
    field.store.connection.set_trace_callback(seen.append)
    list(restoring.list_waiting(field.store, NOON))
    restoring.hold_back(field.store, NOON)
    field.store.connection.set_trace_callback(None)
    for sql in seen:
        if "deliveries" in sql:
            plan = field.store.connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
            assert not [text for *_, text in plan if text.startswith("SCAN deliveries")], sql


def test_a_project_without_triggers_in_its_file_ends_what_it_does_not_know(
    swept_shop: Shop,
) -> None:
    swept_shop.declare(WELCOME)
    ann = swept_shop.person()
    swept_shop.event(ann, "subscribed", NOON)
    swept_shop.sweep(NOON + MINUTE)
    swept_shop.declare("")
    assert release(swept_shop.store, swept_shop.config, NOON + HOUR)["enrolments"] == 1


def test_what_waited_for_the_network_may_have_gone_out_before_its_time(field: Field) -> None:
    """A run that finds the network back sends it early: see Deliveries.hasten."""
    field.people(3)
    loopback, campaign = field.config.push.loopback, field.freeze()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        hosts = {**loopback.hosts, sending.MOZILLA: place}
        cut = replace(field.config.push, loopback=replace(loopback, hosts=hosts))
        options = deliver.Options(patience=0.0, unattended=True)
        deliver.run(field.store, replace(field.config, push=cut), campaign, NOON, options)
    chunk.close_sender()
    ((status, due), *_) = list_due(field, campaign.id)
    assert (status, due > NOON) == ("planned", True)
    copy = field.config.folder / "backup.db"
    field.store.connection.execute("VACUUM INTO ?", (str(copy),))
    deliver.run(field.store, field.config, campaign, NOON + 1, deliver.Options(patience=0.0))
    assert field.counts(campaign) == {"accepted": 3}, "before its time"

    field.store.close()
    copy.replace(field.config.database)
    field.store = Store(field.config.database)
    ((_, due), *_) = list_due(field, campaign.id)
    (row,) = list_waiting(field.store, field.config, NOON + 2)
    assert (row.set_aside, row.to_come, row.next_at) == (3, 0, None)
    assert release(field.store, field.config, NOON + 2)["messages"] == 3
    sweep.run(field.config, field.store, due + MINUTE)
    assert field.counts(campaign) == {"in_doubt": 3}
