"""Sending a campaign over a real socket: what every answer leaves in the ledger."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pushctl import lock
from pushctl.demo.pushservice import PushService
from pushctl.errors import BusyError, TemplateError
from pushctl.jobs.campaigns import manage
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.pools import pool
from pushctl.jobs.delivery.results import recovery
from pushctl.jobs.delivery.types import CLAIM, Sendable
from pushctl.jobs.figures.tables import campaign_details
from pushctl.model import (
    Answer,
    CampaignStatus,
    DeliveryStatus,
    Letter,
    Outcome,
    SubscriptionState,
)
from pushctl.push import journal, vapid
from pushctl.store import Store
from pushctl.store.ledger_rows import ClaimedRow
from tests.support import DAY, HOUR, MINUTE, SECOND, sending
from tests.support.rows import answers_about
from tests.support.sending import APPLE, FCM, MOZILLA, WNS, Field, soon

HOSTS = {MOZILLA: 401, FCM: 403, WNS: 401, APPLE: 403}


def answer(status: int, **more: Any) -> dict[str, Any]:
    return {"do": "answer", "status": status, **more}


def answered(push_service: PushService, fate: int) -> int:
    return sum(one.fate == str(fate) for one in push_service.receipts())


def sums_up(sender: Field, report: deliver.Report, planned: int) -> bool:
    """G2: every planned delivery stands in one state."""
    return sum(sender.counts(report.campaign).values()) == planned


# --- the plain way ------------------------------------------------------------------


def test_everybody_gets_the_message_once(sender: Field, push_service: PushService) -> None:
    for host in HOSTS:
        sender.people(5, host)
    before = len(push_service.receipts())
    report = sender.send(soon())
    assert sender.counts(report.campaign) == {"accepted": 20}
    assert report.campaign.status is CampaignStatus.FINISHED
    receipts = push_service.receipts(before)
    assert len({one.endpoint for one in receipts}) == len(receipts) == 20
    assert {len(one.topic or "") for one in receipts} == {32}


def test_a_second_run_of_a_finished_campaign_sends_nothing(
    sender: Field, push_service: PushService
) -> None:
    sender.people(5)
    report = sender.send(soon())
    before = len(push_service.receipts())
    again = deliver.run(sender.store, sender.config, report.campaign, soon())
    assert len(push_service.receipts()) == before
    assert again.campaign.status is CampaignStatus.FINISHED


def test_many_go_out_through_a_pool(sender: Field, push_service: PushService) -> None:
    count = pool.FEW + 500
    sender.people(count)
    before, progress = len(push_service.receipts()), []
    options = deliver.Options(patience=0.0, progress=progress.append)
    report = sender.send(soon(), options=options)
    assert sender.counts(report.campaign) == {"accepted": count}
    assert len({one.path for one in push_service.receipts(before)}) == count
    assert sum(progress) == count
    assert list(sender.config.journal.iterdir()) == []


def test_workers_write_the_letters_of_many(
    sender: Field, push_service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MANY", pool.FEW)
    sending.template(sender.config.folder, "named", title="Hi {{ attributes.name }}", body="!")
    rows = sender.people(pool.FEW + 700)
    for row in rows:
        sender.store.subscriptions.set_attributes(row, {"name": f"Ada {row}"})
    campaign = sender.freeze(soon(), template="named")
    for row in rows[-3:]:  # behind the first claim, which the coordinator writes
        sender.store.subscriptions.set_attributes(row, {"name": None})
    submitted: Counter[type] = Counter()
    submit = pool.ProcessPool.submit

    def count(one: pool.ProcessPool, letters: Sequence[Sendable]) -> None:
        submitted.update(map(type, letters))
        submit(one, letters)

    monkeypatch.setattr(pool.ProcessPool, "submit", count)
    before, progress = len(push_service.receipts()), []
    options = deliver.Options(patience=0.0, progress=progress.append)
    deliver.run(sender.store, sender.config, campaign, soon(), options)
    assert sender.counts(campaign) == {"accepted": len(rows) - 3, "rejected": 3}
    assert len({one.path for one in push_service.receipts(before)}) == len(rows) - 3
    assert sum(progress) == len(rows)
    told = sender.store.deliveries.count_reasons(campaign.id)
    assert [reason for status, reason, _ in told if status == "rejected"] == [
        "templates/named/en.toml: 'name' is undefined"
    ]
    assert submitted[ClaimedRow] >= 700 > submitted[Letter] - CLAIM
    assert list(sender.config.journal.iterdir()) == []


def test_the_text_is_in_the_receivers_language_and_counted_by_it(sender: Field) -> None:
    (sender.config.templates / "sale" / "ar.toml").write_text(
        'title = "تخفيضات"\nbody = "كل شيء يجب أن يباع"\n', "utf-8"
    )
    sender.people(2, language="ar-EG")
    sender.people(3, language=None, first=10)
    report = sender.send(soon())
    name = report.campaign.name
    _, rows = campaign_details.load_details(sender.store, sender.config, name)
    split = [row for row in rows if row["by"] == "language"]
    assert {row["value"]: row["accepted"] for row in split} == {"en": 3, "ar": 2}


# --- answers ------------------------------------------------------------------------


def test_gone_subscriptions_are_put_away_softly(
    sender: Field, push_service: PushService
) -> None:
    push_service.play([{**answer(410), "path": "0000001"}])
    sender.people(3)
    report = sender.send(soon())
    assert sender.counts(report.campaign) == {"accepted": 2, "gone": 1}
    assert sender.states() == {"active": 2, "gone": 1}
    assert sum(sender.counts(sender.send(soon(), name="next").campaign).values()) == 2


def test_who_unsubscribed_meanwhile_is_not_called_gone(sender: Field) -> None:
    rows = sender.people(2)
    sender.store.subscriptions.mark(rows[:1], SubscriptionState.UNSUBSCRIBED, "asked", soon())
    sender.store.health.mark_gone(answers_about(sender.store, rows, "410"), soon())
    assert sender.states() == {"gone": 1, "unsubscribed": 1}


def test_a_service_fault_waits_and_is_tried_again(
    sender: Field, push_service: PushService
) -> None:
    push_service.play([{**answer(503), "first": 1}])
    sender.people(3)
    now = soon()
    report = sender.send(now)
    assert sender.counts(report.campaign) == {"accepted": 2, "planned": 1}
    assert report.campaign.status is CampaignStatus.RUNNING
    assert report.next_due is not None
    assert now + 2 * SECOND <= report.next_due <= now + 5 * SECOND
    assert list(deliver.run_due(sender.store, sender.config, now)) == []
    (later,) = deliver.run_due(sender.store, sender.config, report.next_due)
    assert sender.counts(later.campaign) == {"accepted": 3}
    assert later.campaign.status is CampaignStatus.FINISHED


def test_retries_end_with_the_messages_time(sender: Field, push_service: PushService) -> None:
    push_service.play([answer(503)])
    sender.people(1)
    now = soon()
    report = sender.send(now, ttl="2m")
    (late,) = deliver.run_due(sender.store, sender.config, now + 3 * MINUTE)
    assert sender.counts(late.campaign) == {"expired": 1}
    assert late.campaign.id == report.campaign.id


def test_silence_after_the_message_was_written_is_a_doubt(
    sender: Field, push_service: PushService
) -> None:
    push_service.play([{"do": "silence", "path": "0000001"}])
    sender.config = sending.led_to(sender.config, push_service, timeout=1.0)
    sender.people(3)
    report = sender.send(soon())
    assert sender.counts(report.campaign) == {"accepted": 2, "in_doubt": 1}
    before = len(push_service.receipts())
    deliver.run(sender.store, sender.config, report.campaign, soon() + HOUR)
    assert len(push_service.receipts()) == before, "a doubt is never resent by itself"


@pytest.mark.parametrize("host", HOSTS)
def test_a_wrong_key_deletes_nobody_and_stops_after_a_few(
    sender: Field, push_service: PushService, host: str
) -> None:
    push_service.play([answer(HOSTS[host])])
    sender.people(50, host)
    before = answered(push_service, HOSTS[host])
    report = sender.send(soon())
    assert report.refused is not None
    assert "refuses us" in report.refused
    assert sender.states() == {"active": 50}
    assert sender.counts(report.campaign) == {"planned": 50}
    assert report.campaign.status is CampaignStatus.PAUSED
    assert answered(push_service, HOSTS[host]) - before == 5


def test_a_key_that_the_service_really_refuses(tmp_path: Path) -> None:
    with PushService() as strict:
        sender = sending.field(tmp_path, strict)
        other = vapid.read(vapid.create())
        for name in ("mozilla", "fcm", "apple", "wns"):
            sender.subscribed(strict, name, other.public, count=6)
        report = sender.send(soon())
        assert report.refused is not None
        assert sender.states() == {"active": 24}
        assert sender.counts(report.campaign) == {"planned": 24}
        sender.store.close()


def test_one_refused_subscription_among_good_ones_is_put_aside_for_a_day(
    sender: Field, push_service: PushService
) -> None:
    push_service.play([{**answer(403), "path": "0000007"}])
    sender.people(20, FCM)
    now = soon()
    report = sender.send(now)
    if report.waiting:  # it was among the first five: tried again once the key is proved
        (report,) = deliver.run_due(sender.store, sender.config, now + MINUTE)
        (report,) = [report]
    assert report.refused is None
    counts = sender.counts(report.campaign)
    assert counts["accepted"] == 19
    assert sender.store.health.reactivate(now + HOUR) == 0


def test_throttling_makes_the_service_wait_for_all_campaigns(
    sender: Field, push_service: PushService
) -> None:
    push_service.play([answer(429, headers={"retry-after": "900"}, host=FCM)])
    sender.people(30, FCM)
    sender.people(30, MOZILLA, first=100)
    now = soon()
    report = sender.send(now)
    assert sender.counts(report.campaign) == {"accepted": 30, "planned": 30}
    (origin,) = sender.store.origins.list_all()
    assert origin.origin == f"https://{FCM}"
    assert origin.paused_until is not None
    assert now + 900 * SECOND <= origin.paused_until <= now + 930 * SECOND
    before = answered(push_service, 429)
    other = sender.send(now + MINUTE, name="other")
    assert answered(push_service, 429) == before
    assert sender.counts(other.campaign) == {"accepted": 30, "planned": 30}
    push_service.play([])
    for late in deliver.run_due(sender.store, sender.config, now + HOUR):
        assert sender.counts(late.campaign) == {"accepted": 60}


def test_a_refused_size_is_remembered_and_smaller_next_time(
    sender: Field, push_service: PushService
) -> None:
    sending.template(sender.config.folder, "long", title="Long", body="x" * 3000)
    push_service.play([answer(413, first=1)])
    sender.people(1)
    report = sender.send(soon(), template="long")
    assert sender.counts(report.campaign) == {"rejected": 1}
    assert sender.states() == {"active": 1}
    sql = "SELECT small_payload FROM subscriptions"
    assert sender.store.connection.execute(sql).fetchone() == (1,)
    again = sender.send(soon(), template="long", name="again")
    assert sender.counts(again.campaign) == {"accepted": 1}


def test_our_own_mistake_stops_the_campaign(sender: Field, push_service: PushService) -> None:
    body = '{"errno": 113, "message": "bad topic"}'
    push_service.play([answer(400, body=body)])
    sender.people(30)
    report = sender.send(soon())
    assert report.campaign.status is CampaignStatus.PAUSED
    assert report.refused is not None
    assert "bad topic" in report.refused
    assert sender.counts(report.campaign) == {"planned": 30}


def test_many_errors_pause_a_campaign(sender: Field, push_service: PushService) -> None:
    push_service.play([{**answer(400), "share": 0.45}])  # to be put aside, each by itself
    sender.people(1500, APPLE)
    report = sender.send(soon())
    assert report.campaign.status is CampaignStatus.PAUSED
    assert report.campaign.note == "a quarter of the last answers were errors"
    assert sums_up(sender, report, 1500)
    assert sender.counts(report.campaign)["planned"] > 0


# --- too many gone ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "tripped"), [(0.0, False), (0.1, False), (0.5, True), (1.0, True)]
)
def test_a_mass_of_gone_subscriptions_stops_the_service_and_deletes_nobody(
    sender: Field, push_service: PushService, share: float, tripped: bool
) -> None:
    push_service.play([{**answer(410), "share": share}] if share else [])
    sender.people(800)
    report = sender.send(soon())
    gone = sender.states().get("gone", 0)
    assert (report.refused is not None) is tripped
    if tripped:
        assert gone == 0
        assert report.campaign.status is CampaignStatus.PAUSED
        assert report.waiting > 0
    else:
        assert gone == sender.counts(report.campaign).get("gone", 0)
    assert sums_up(sender, report, 800)


def test_a_person_can_say_that_so_many_are_gone(
    sender: Field, push_service: PushService
) -> None:
    push_service.play([answer(410)])
    sender.people(400)
    report = sender.send(soon())
    assert sender.states() == {"active": 400}
    options = deliver.Options(patience=0.0, accept_mass_gone=True)
    again = deliver.run(sender.store, sender.config, report.campaign, soon(), options)
    assert sender.counts(again.campaign) == {"gone": 400}
    assert sender.states() == {"gone": 400}


def test_where_many_used_to_be_gone_many_are_believed(
    sender: Field, push_service: PushService
) -> None:
    push_service.play([{**answer(410), "share": 0.08}])
    sender.people(1200)
    sender.send(soon(), name="first")
    push_service.play([{**answer(410), "share": 0.4}])
    report = sender.send(soon(), name="second")
    assert report.refused is None
    assert sender.counts(report.campaign)["gone"] > 200


# --- receivers that get nothing ------------------------------------------------------


def test_who_left_after_the_freeze_is_skipped_with_the_reason(sender: Field) -> None:
    rows = sender.people(3)
    campaign = sender.freeze(soon())
    sql = "UPDATE subscriptions SET state = 'unsubscribed' WHERE id = ?"
    with sender.store.write() as connection:
        connection.execute(sql, (rows[0],))
        connection.execute("DELETE FROM subscriptions WHERE id = ?", (rows[1],))
    report = deliver.run(sender.store, sender.config, campaign, soon())
    assert sender.counts(report.campaign) == {"accepted": 1, "skipped": 2}
    reasons = {row.reason for row in manage.count_states(sender.store, campaign.id)}
    assert {"meanwhile unsubscribed", "forgotten"} <= reasons


def test_who_subscribed_after_the_freeze_gets_nothing(sender: Field) -> None:
    sender.people(3)
    campaign = sender.freeze(soon())
    sender.people(3, first=50)
    report = deliver.run(sender.store, sender.config, campaign, soon())
    assert sender.counts(report.campaign) == {"accepted": 3}


def test_a_message_that_came_too_late_expires(sender: Field, push_service: PushService) -> None:
    sender.people(2)
    now = soon()
    campaign = sender.freeze(now, ttl="30m")
    before = len(push_service.receipts())
    report = deliver.run(sender.store, sender.config, campaign, now + HOUR)
    assert sender.counts(report.campaign) == {"expired": 2}
    assert len(push_service.receipts()) == before


def test_one_receiver_without_a_value_does_not_stop_the_others(sender: Field) -> None:
    sending.template(sender.config.folder, "named", title="Hi {{ attributes.name }}", body="!")
    rows = sender.people(3)
    for row in rows[:2]:
        sender.store.subscriptions.set_attributes(row, {"name": "Ada"})
    report = sender.send(soon(), template="named")
    assert sender.counts(report.campaign) == {"accepted": 2, "rejected": 1}
    (rejected,) = [
        row
        for row in manage.count_states(sender.store, report.campaign.id)
        if row.status == "rejected"
    ]
    assert "name" in rejected.reason


def test_a_template_that_works_for_nobody_stops_before_anything_is_sent(
    sender: Field, push_service: PushService
) -> None:
    sending.template(sender.config.folder, "named", title="Hi {{ attributes.name }}", body="!")
    rows = sender.people(30)
    sender.store.subscriptions.set_attributes(rows[0], {"name": "Ada"})
    campaign = sender.freeze(soon(), template="named")
    sender.store.subscriptions.set_attributes(rows[0], {"name": None})
    before = len(push_service.receipts())
    with pytest.raises(TemplateError, match="none of the first 30"):
        deliver.run(sender.store, sender.config, campaign, soon())
    assert sender.counts(campaign) == {"planned": 30}
    assert sender.store.campaigns.get_status(campaign.id) is CampaignStatus.PAUSED
    assert len(push_service.receipts()) == before


def test_a_key_that_is_not_here_skips_its_subscriptions(sender: Field) -> None:
    sender.people(2)
    sender.people(1, first=10, key="somebody")
    report = sender.send(soon())
    assert sender.counts(report.campaign) == {"accepted": 2, "skipped": 1}


# --- rates and times ----------------------------------------------------------------


def test_a_rate_spreads_the_rest_over_time(sender: Field) -> None:
    sender.people(200)
    now = soon()
    report = sender.send(now, rate="10/s")
    counts = sender.counts(report.campaign)
    assert counts["planned"] > 100
    sql = "SELECT max(next_attempt_at) FROM deliveries WHERE status = 'planned'"
    (last,) = sender.store.connection.execute(sql).fetchone()
    assert now + 15 * SECOND < last < now + 30 * SECOND


def test_who_stays_claims_what_the_rate_lets_out_soon_and_no_more(sender: Field) -> None:
    sender.people(1_000)
    options = deliver.Options(patience=5.0, seconds=0.5)
    report = sender.send(soon(), rate="100/s", options=options)
    counts = sender.counts(report.campaign)
    assert 0 < counts["accepted"] < 200
    sql = "SELECT count(*) FROM deliveries WHERE attempts > 0 OR next_attempt_at IS NOT NULL"
    (touched,) = sender.store.connection.execute(sql).fetchone()
    assert touched <= 400


def test_what_is_spread_over_hours_waits_for_the_sweeps(sender: Field) -> None:
    sender.people(100)
    now = soon()
    report = sender.send(now, over="10h")
    assert sender.counts(report.campaign) == {"accepted": 1, "planned": 99}
    (later,) = deliver.run_due(sender.store, sender.config, now + 5 * HOUR)
    assert sender.counts(later.campaign) == {"accepted": 51, "planned": 49}
    (last,) = deliver.run_due(sender.store, sender.config, now + 10 * HOUR)
    assert last.campaign.status is CampaignStatus.FINISHED


# --- other processes ----------------------------------------------------------------


def test_two_runs_of_one_campaign_do_not_overlap(sender: Field) -> None:
    sender.people(1)
    campaign = sender.freeze(soon())
    with lock.hold(deliver.lock_path(sender.store, campaign.id)):
        with pytest.raises(BusyError):
            deliver.run(sender.store, sender.config, campaign, soon())
        assert list(deliver.run_due(sender.store, sender.config, soon())) == []


def test_a_pause_by_another_process_is_noticed(
    sender: Field, push_service: PushService
) -> None:
    count = pool.FEW
    sender.people(count)
    campaign = sender.freeze(soon())

    def pause(ended: int) -> None:
        if ended:
            with Store(sender.config.database) as other:
                if other.campaigns.get_status(campaign.id) is CampaignStatus.RUNNING:
                    manage.pause(other, campaign.name, soon())

    report = deliver.run(
        sender.store, sender.config, campaign, soon(), deliver.Options(progress=pause)
    )
    counts = sender.counts(campaign)
    assert report.campaign.status is CampaignStatus.PAUSED
    assert counts["accepted"] < count
    assert set(counts) == {"accepted", "planned"}
    again = deliver.run(sender.store, sender.config, campaign, soon())
    assert sender.counts(again.campaign) == {"accepted": count}


def test_a_cancelled_campaign_skips_what_waits(sender: Field) -> None:
    sender.people(3)
    campaign = sender.freeze(soon())
    manage.cancel(sender.store, sender.config, campaign.name, soon())
    report = deliver.run(sender.store, sender.config, campaign, soon())
    assert sender.counts(report.campaign) == {"skipped": 3}
    assert report.campaign.status is CampaignStatus.CANCELLED


def test_messages_that_wait_at_mozillas_can_be_taken_back(sender: Field) -> None:
    sender.people(3, MOZILLA)
    sender.people(2, FCM, first=100)
    report = sender.send(soon())
    tally = manage.recall(sender.store, sender.config, report.campaign.name, soon())
    assert tally == {"recalled": 3}, "no other push_service takes anything back"
    reasons = {
        it.reason: it.count for it in manage.count_states(sender.store, report.campaign.id)
    }
    assert reasons == {"recalled": 3, "": 2}
    again = manage.recall(sender.store, sender.config, report.campaign.name, soon())
    assert again == {}


def test_what_a_browser_has_fetched_is_not_taken_back(tmp_path: Path) -> None:
    with PushService() as strict:
        sender = sending.field(tmp_path, strict)
        public = vapid.load(sender.config.keys)[sender.key].public
        sender.subscribed(strict, "mozilla", public, count=3)
        report = sender.send(soon())
        tally = manage.recall(sender.store, sender.config, report.campaign.name, soon())
        assert tally == {"too late": 3}
        assert {it.reason for it in manage.count_states(sender.store, 1)} == {""}
        sender.store.close()


@pytest.mark.parametrize("status", [401, 429, 503])
def test_what_a_service_will_not_take_back_now_can_be_asked_back_later(
    sender: Field, push_service: PushService, status: int
) -> None:
    sender.people(3, MOZILLA)
    report = sender.send(soon())
    push_service.play([{"do": "answer", "status": status}])
    tally = manage.recall(sender.store, sender.config, report.campaign.name, soon())
    assert tally == {manage.NOT_DONE: 3}
    push_service.play([])
    tally = manage.recall(sender.store, sender.config, report.campaign.name, soon())
    assert tally == {"recalled": 3}


# --- after a crash ------------------------------------------------------------------


def crashed(sender: Field, count: int) -> tuple[Any, list[int]]:
    """Return a campaign whose process died after claiming, and its rows."""
    sender.people(count)
    campaign = sender.freeze(soon())
    sender.store.campaigns.change_status(campaign.id, CampaignStatus.RUNNING, soon())
    rows, _ = sender.store.deliveries.claim_fresh(campaign.id, 0, count, soon())
    sender.config.journal.mkdir(exist_ok=True)
    recovery.write_marker(sender.config.journal, str(campaign.id))
    return campaign, [row.id for row in rows]


def write_journal(sender: Field, campaign: int, begun: list[int], told: list[int]) -> None:
    letters = [sending.letter(row) for row in begun]
    with journal.Journal(sender.config.journal, str(campaign), letters) as kept:
        kept.write_started(begun)
        kept.write_answered([Outcome(row, Answer.ACCEPTED, "201", 201) for row in told])


def test_after_a_crash_only_what_was_on_the_wire_is_in_doubt(
    sender: Field, push_service: PushService
) -> None:
    campaign, rows = crashed(sender, 9)
    write_journal(sender, campaign.id, rows[:6], rows[:4])
    before = len(push_service.receipts())
    (report,) = deliver.run_due(sender.store, sender.config, soon())
    assert report.settled == 2
    assert sender.counts(campaign) == {"accepted": 7, "in_doubt": 2}
    assert len(push_service.receipts()) - before == 3
    assert list(sender.config.journal.iterdir()) == []


def test_after_a_restart_of_the_machine_the_journal_proves_nothing_more(
    sender: Field, push_service: PushService
) -> None:
    campaign, rows = crashed(sender, 9)
    write_journal(sender, campaign.id, rows[:6], rows[:4])
    (sender.config.journal / f"{campaign.id}.boot").write_text("another life")
    before = len(push_service.receipts())
    (report,) = deliver.run_due(sender.store, sender.config, soon())
    assert report.settled == 5
    assert sender.counts(campaign) == {"accepted": 4, "in_doubt": 5}
    assert len(push_service.receipts()) == before


def test_a_lost_journal_leaves_all_claimed_rows_in_doubt(sender: Field) -> None:
    campaign, _ = crashed(sender, 4)
    os.remove(sender.config.journal / f"{campaign.id}.boot")
    (report,) = deliver.run_due(sender.store, sender.config, soon())
    assert report.settled == 4
    assert sender.counts(campaign) == {"in_doubt": 4}


def test_doubts_are_settled_by_a_persons_word(sender: Field, push_service: PushService) -> None:
    campaign, _ = crashed(sender, 4)
    os.remove(sender.config.journal / f"{campaign.id}.boot")
    list(deliver.run_due(sender.store, sender.config, soon()))
    assert len(list(manage.list_in_doubt(sender.store, campaign.name))) == 4
    before = len(push_service.receipts())
    assert manage.send_again(sender.store, sender.config, campaign.name, soon() + 30 * DAY) == 0
    assert sender.counts(campaign)["in_doubt"] == 4, "nobody would get them; they may have"
    assert manage.send_again(sender.store, sender.config, campaign.name, soon()) == 4
    deliver.run(sender.store, sender.config, campaign, soon())
    assert sender.counts(campaign) == {"accepted": 4}
    assert len(push_service.receipts()) - before == 4
    assert manage.assume_sent(sender.store, None, soon()) == 0


def test_a_refusal_after_a_day_and_a_week_makes_gone(sender: Field) -> None:
    (row,) = sender.people(1)
    now = soon()
    for day in (0, 2, 8):
        sender.store.health.reactivate(now + day * DAY)
        failed = answers_about(sender.store, [row], "403 forbidden")
        sender.store.health.mark_failed(failed, now + day * DAY)
        expected = "gone" if day == 8 else "quarantined"
        assert sender.states() == {expected: 1}
    assert DeliveryStatus.GONE == "gone"
