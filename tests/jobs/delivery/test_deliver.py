"""Sending a campaign over a real socket: what every answer leaves in the ledger."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushctl import lock
from pushctl.demo.pushservice import PushService
from pushctl.errors import BusyError, TemplateError
from pushctl.jobs.campaigns import manage
from pushctl.jobs.delivery import deliver, pool, recovery
from pushctl.model import Answer, CampaignStatus, DeliveryStatus, Outcome, SubscriptionState
from pushctl.push import journal, vapid
from pushctl.store import Store
from tests.support import DAY, HOUR, MINUTE, SECOND, sending
from tests.support.sending import APPLE, FCM, MOZILLA, WNS, Field, soon

HOSTS = {MOZILLA: 401, FCM: 403, WNS: 401, APPLE: 403}


@pytest.fixture(scope="module")
def running() -> Iterator[PushService]:
    """A service that takes everything, but for what a test's script says."""
    with PushService(checks=False) as service:
        yield service


@pytest.fixture
def service(running: PushService) -> Iterator[PushService]:
    running.play([])
    yield running
    running.play([])


@pytest.fixture
def field(tmp_path: Path, service: PushService) -> Iterator[Field]:
    made = sending.field(tmp_path, service)
    yield made
    made.store.close()


def answer(status: int, **more: Any) -> dict[str, Any]:
    return {"do": "answer", "status": status, **more}


def answered(service: PushService, fate: int) -> int:
    return sum(one.fate == str(fate) for one in service.receipts())


def sums_up(field: Field, report: deliver.Report, planned: int) -> bool:
    """G2: every planned delivery stands in one state."""
    return sum(field.counts(report.campaign).values()) == planned


# --- the plain way ------------------------------------------------------------------


def test_everybody_gets_the_message_once(field: Field, service: PushService) -> None:
    for host in HOSTS:
        field.people(5, host)
    before = len(service.receipts())
    report = field.send(soon())
    assert field.counts(report.campaign) == {"accepted": 20}
    assert report.campaign.status is CampaignStatus.FINISHED
    receipts = service.receipts(before)
    assert len({one.endpoint for one in receipts}) == len(receipts) == 20
    assert {len(one.topic or "") for one in receipts} == {32}


def test_a_second_run_of_a_finished_campaign_sends_nothing(
    field: Field, service: PushService
) -> None:
    field.people(5)
    report = field.send(soon())
    before = len(service.receipts())
    again = deliver.run(field.store, field.config, report.campaign, soon())
    assert len(service.receipts()) == before
    assert again.campaign.status is CampaignStatus.FINISHED


def test_many_go_out_through_a_pool(field: Field, service: PushService) -> None:
    count = pool.FEW + 500
    field.people(count)
    before, progress = len(service.receipts()), []
    options = deliver.Options(patience=0.0, progress=progress.append)
    report = field.send(soon(), options=options)
    assert field.counts(report.campaign) == {"accepted": count}
    assert len({one.path for one in service.receipts(before)}) == count
    assert sum(progress) == count
    assert list(field.config.journal.iterdir()) == []


def test_the_text_is_in_the_receivers_language_and_counted_by_it(field: Field) -> None:
    (field.config.templates / "sale" / "ar.toml").write_text(
        'title = "تخفيضات"\nbody = "كل شيء يجب أن يباع"\n', "utf-8"
    )
    field.people(2, language="ar-EG")
    field.people(3, language=None, first=10)
    report = field.send(soon())
    split = field.store.reports.split(("accepted",), report.campaign.id, "language")
    assert {row["value"]: row["accepted"] for row in split} == {"en": 3, "ar": 2}


# --- answers ------------------------------------------------------------------------


def test_gone_subscriptions_are_put_away_softly(field: Field, service: PushService) -> None:
    service.play([{**answer(410), "path": "0000001"}])
    field.people(3)
    report = field.send(soon())
    assert field.counts(report.campaign) == {"accepted": 2, "gone": 1}
    assert field.states() == {"active": 2, "gone": 1}
    assert sum(field.counts(field.send(soon(), name="next").campaign).values()) == 2


def test_who_unsubscribed_meanwhile_is_not_called_gone(field: Field) -> None:
    rows = field.people(2)
    field.store.subscriptions.mark(rows[:1], SubscriptionState.UNSUBSCRIBED, "asked", soon())
    field.store.health.gone([(row, "410") for row in rows], soon())
    assert field.states() == {"gone": 1, "unsubscribed": 1}


def test_a_service_fault_waits_and_is_tried_again(field: Field, service: PushService) -> None:
    service.play([{**answer(503), "first": 1}])
    field.people(3)
    now = soon()
    report = field.send(now)
    assert field.counts(report.campaign) == {"accepted": 2, "planned": 1}
    assert report.campaign.status is CampaignStatus.RUNNING
    assert report.next_due is not None
    assert now + 2 * SECOND <= report.next_due <= now + 5 * SECOND
    assert list(deliver.due(field.store, field.config, now)) == []
    (later,) = deliver.due(field.store, field.config, report.next_due)
    assert field.counts(later.campaign) == {"accepted": 3}
    assert later.campaign.status is CampaignStatus.FINISHED


def test_retries_end_with_the_messages_time(field: Field, service: PushService) -> None:
    service.play([answer(503)])
    field.people(1)
    now = soon()
    report = field.send(now, ttl="2m")
    (late,) = deliver.due(field.store, field.config, now + 3 * MINUTE)
    assert field.counts(late.campaign) == {"expired": 1}
    assert late.campaign.id == report.campaign.id


def test_silence_after_the_message_was_written_is_a_doubt(
    field: Field, service: PushService
) -> None:
    service.play([{"do": "silence", "path": "0000001"}])
    field.config = sending.led_to(field.config, service, timeout=1.0)
    field.people(3)
    report = field.send(soon())
    assert field.counts(report.campaign) == {"accepted": 2, "in_doubt": 1}
    before = len(service.receipts())
    deliver.run(field.store, field.config, report.campaign, soon() + HOUR)
    assert len(service.receipts()) == before, "a doubt is never resent by itself"


@pytest.mark.parametrize("host", HOSTS)
def test_a_wrong_key_deletes_nobody_and_stops_after_a_few(
    field: Field, service: PushService, host: str
) -> None:
    service.play([answer(HOSTS[host])])
    field.people(50, host)
    before = answered(service, HOSTS[host])
    report = field.send(soon())
    assert report.refused is not None
    assert "refuses us" in report.refused
    assert field.states() == {"active": 50}
    assert field.counts(report.campaign) == {"planned": 50}
    assert report.campaign.status is CampaignStatus.PAUSED
    assert answered(service, HOSTS[host]) - before == 5


def test_a_key_that_the_service_really_refuses(tmp_path: Path) -> None:
    with PushService() as strict:
        field = sending.field(tmp_path, strict)
        other = vapid.read(vapid.create())
        for name in ("mozilla", "fcm", "apple", "wns"):
            field.subscribed(strict, name, other.public, count=6)
        report = field.send(soon())
        assert report.refused is not None
        assert field.states() == {"active": 24}
        assert field.counts(report.campaign) == {"planned": 24}
        field.store.close()


def test_one_refused_subscription_among_good_ones_is_put_aside_for_a_day(
    field: Field, service: PushService
) -> None:
    service.play([{**answer(403), "path": "0000007"}])
    field.people(20, FCM)
    now = soon()
    report = field.send(now)
    if report.waiting:  # it was among the first five: tried again once the key is proved
        (report,) = deliver.due(field.store, field.config, now + MINUTE)
        (report,) = [report]
    assert report.refused is None
    counts = field.counts(report.campaign)
    assert counts["accepted"] == 19
    assert field.store.health.try_again(now + HOUR) == 0


def test_throttling_makes_the_service_wait_for_all_campaigns(
    field: Field, service: PushService
) -> None:
    service.play([answer(429, headers={"retry-after": "900"}, host=FCM)])
    field.people(30, FCM)
    field.people(30, MOZILLA, first=100)
    now = soon()
    report = field.send(now)
    assert field.counts(report.campaign) == {"accepted": 30, "planned": 30}
    (origin,) = field.store.origins.all()
    assert origin.origin == f"https://{FCM}"
    assert origin.paused_until is not None
    assert now + 900 * SECOND <= origin.paused_until <= now + 930 * SECOND
    before = answered(service, 429)
    other = field.send(now + MINUTE, name="other")
    assert answered(service, 429) == before
    assert field.counts(other.campaign) == {"accepted": 30, "planned": 30}
    service.play([])
    for late in deliver.due(field.store, field.config, now + HOUR):
        assert field.counts(late.campaign) == {"accepted": 60}


def test_a_refused_size_is_remembered_and_smaller_next_time(
    field: Field, service: PushService
) -> None:
    sending.template(field.config.folder, "long", title="Long", body="x" * 3000)
    service.play([answer(413, first=1)])
    field.people(1)
    report = field.send(soon(), template="long")
    assert field.counts(report.campaign) == {"rejected": 1}
    assert field.states() == {"active": 1}
    sql = "SELECT small_payload FROM subscriptions"
    assert field.store.connection.execute(sql).fetchone() == (1,)
    again = field.send(soon(), template="long", name="again")
    assert field.counts(again.campaign) == {"accepted": 1}


def test_our_own_mistake_stops_the_campaign(field: Field, service: PushService) -> None:
    body = '{"errno": 113, "message": "bad topic"}'
    service.play([answer(400, body=body)])
    field.people(30)
    report = field.send(soon())
    assert report.campaign.status is CampaignStatus.PAUSED
    assert report.refused is not None
    assert "bad topic" in report.refused
    assert field.counts(report.campaign) == {"planned": 30}


def test_many_errors_pause_a_campaign(field: Field, service: PushService) -> None:
    service.play([{**answer(400), "share": 0.45}])  # to be put aside, each by itself
    field.people(1500, APPLE)
    report = field.send(soon())
    assert report.campaign.status is CampaignStatus.PAUSED
    assert report.campaign.note == "a quarter of the last answers were errors"
    assert sums_up(field, report, 1500)
    assert field.counts(report.campaign)["planned"] > 0


# --- too many gone ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "tripped"), [(0.0, False), (0.1, False), (0.5, True), (1.0, True)]
)
def test_a_mass_of_gone_subscriptions_stops_the_service_and_deletes_nobody(
    field: Field, service: PushService, share: float, tripped: bool
) -> None:
    service.play([{**answer(410), "share": share}] if share else [])
    field.people(800)
    report = field.send(soon())
    gone = field.states().get("gone", 0)
    assert (report.refused is not None) is tripped
    if tripped:
        assert gone == 0
        assert report.campaign.status is CampaignStatus.PAUSED
        assert report.waiting > 0
    else:
        assert gone == field.counts(report.campaign).get("gone", 0)
    assert sums_up(field, report, 800)


def test_a_person_can_say_that_so_many_are_gone(field: Field, service: PushService) -> None:
    service.play([answer(410)])
    field.people(400)
    report = field.send(soon())
    assert field.states() == {"active": 400}
    options = deliver.Options(patience=0.0, accept_mass_gone=True)
    again = deliver.run(field.store, field.config, report.campaign, soon(), options)
    assert field.counts(again.campaign) == {"gone": 400}
    assert field.states() == {"gone": 400}


def test_where_many_used_to_be_gone_many_are_believed(
    field: Field, service: PushService
) -> None:
    service.play([{**answer(410), "share": 0.08}])
    field.people(1200)
    field.send(soon(), name="first")
    service.play([{**answer(410), "share": 0.4}])
    report = field.send(soon(), name="second")
    assert report.refused is None
    assert field.counts(report.campaign)["gone"] > 200


# --- receivers that get nothing ------------------------------------------------------


def test_who_left_after_the_freeze_is_skipped_with_the_reason(field: Field) -> None:
    rows = field.people(3)
    campaign = field.freeze(soon())
    sql = "UPDATE subscriptions SET state = 'unsubscribed' WHERE id = ?"
    with field.store.write() as connection:
        connection.execute(sql, (rows[0],))
        connection.execute("DELETE FROM subscriptions WHERE id = ?", (rows[1],))
    report = deliver.run(field.store, field.config, campaign, soon())
    assert field.counts(report.campaign) == {"accepted": 1, "skipped": 2}
    reasons = {row.reason for row in manage.states(field.store, campaign.id)}
    assert {"meanwhile unsubscribed", "forgotten"} <= reasons


def test_who_subscribed_after_the_freeze_gets_nothing(field: Field) -> None:
    field.people(3)
    campaign = field.freeze(soon())
    field.people(3, first=50)
    report = deliver.run(field.store, field.config, campaign, soon())
    assert field.counts(report.campaign) == {"accepted": 3}


def test_a_message_that_came_too_late_expires(field: Field, service: PushService) -> None:
    field.people(2)
    now = soon()
    campaign = field.freeze(now, ttl="30m")
    before = len(service.receipts())
    report = deliver.run(field.store, field.config, campaign, now + HOUR)
    assert field.counts(report.campaign) == {"expired": 2}
    assert len(service.receipts()) == before


def test_one_receiver_without_a_value_does_not_stop_the_others(field: Field) -> None:
    sending.template(field.config.folder, "named", title="Hi {{ attributes.name }}", body="!")
    rows = field.people(3)
    for row in rows[:2]:
        field.store.subscriptions.describe(row, {"name": "Ada"})
    report = field.send(soon(), template="named")
    assert field.counts(report.campaign) == {"accepted": 2, "rejected": 1}
    (rejected,) = [
        row
        for row in manage.states(field.store, report.campaign.id)
        if row.status == "rejected"
    ]
    assert "name" in rejected.reason


def test_a_template_that_works_for_nobody_stops_before_anything_is_sent(
    field: Field, service: PushService
) -> None:
    sending.template(field.config.folder, "named", title="Hi {{ attributes.name }}", body="!")
    rows = field.people(30)
    field.store.subscriptions.describe(rows[0], {"name": "Ada"})
    campaign = field.freeze(soon(), template="named")
    field.store.subscriptions.describe(rows[0], {"name": None})
    before = len(service.receipts())
    with pytest.raises(TemplateError, match="none of the first 30"):
        deliver.run(field.store, field.config, campaign, soon())
    assert field.counts(campaign) == {"planned": 30}
    assert field.store.campaigns.status(campaign.id) is CampaignStatus.PAUSED
    assert len(service.receipts()) == before


def test_a_key_that_is_not_here_skips_its_subscriptions(field: Field) -> None:
    field.people(2)
    field.people(1, first=10, key="somebody")
    report = field.send(soon())
    assert field.counts(report.campaign) == {"accepted": 2, "skipped": 1}


# --- rates and times ----------------------------------------------------------------


def test_a_rate_spreads_the_rest_over_time(field: Field) -> None:
    field.people(200)
    now = soon()
    report = field.send(now, rate="10/s")
    counts = field.counts(report.campaign)
    assert counts["planned"] > 100
    sql = "SELECT max(next_attempt_at) FROM deliveries WHERE status = 'planned'"
    (last,) = field.store.connection.execute(sql).fetchone()
    assert now + 15 * SECOND < last < now + 30 * SECOND


def test_who_stays_claims_what_the_rate_lets_out_soon_and_no_more(field: Field) -> None:
    field.people(1_000)
    options = deliver.Options(patience=5.0, seconds=0.5)
    report = field.send(soon(), rate="100/s", options=options)
    counts = field.counts(report.campaign)
    assert 0 < counts["accepted"] < 200
    sql = "SELECT count(*) FROM deliveries WHERE attempts > 0 OR next_attempt_at IS NOT NULL"
    (touched,) = field.store.connection.execute(sql).fetchone()
    assert touched <= 400


def test_what_is_spread_over_hours_waits_for_the_sweeps(field: Field) -> None:
    field.people(100)
    now = soon()
    report = field.send(now, over="10h")
    assert field.counts(report.campaign) == {"accepted": 1, "planned": 99}
    (later,) = deliver.due(field.store, field.config, now + 5 * HOUR)
    assert field.counts(later.campaign) == {"accepted": 51, "planned": 49}
    (last,) = deliver.due(field.store, field.config, now + 10 * HOUR)
    assert last.campaign.status is CampaignStatus.FINISHED


# --- other processes ----------------------------------------------------------------


def test_two_runs_of_one_campaign_do_not_overlap(field: Field) -> None:
    field.people(1)
    campaign = field.freeze(soon())
    with lock.hold(deliver.lock_path(field.store, campaign.id)):
        with pytest.raises(BusyError):
            deliver.run(field.store, field.config, campaign, soon())
        assert list(deliver.due(field.store, field.config, soon())) == []


def test_a_pause_by_another_process_is_noticed(field: Field, service: PushService) -> None:
    count = pool.FEW
    field.people(count)
    campaign = field.freeze(soon())

    def pause(ended: int) -> None:
        if ended:
            with Store(field.config.database) as other:
                if other.campaigns.status(campaign.id) is CampaignStatus.RUNNING:
                    manage.pause(other, campaign.name, soon())

    report = deliver.run(
        field.store, field.config, campaign, soon(), deliver.Options(progress=pause)
    )
    counts = field.counts(campaign)
    assert report.campaign.status is CampaignStatus.PAUSED
    assert counts["accepted"] < count
    assert set(counts) == {"accepted", "planned"}
    again = deliver.run(field.store, field.config, campaign, soon())
    assert field.counts(again.campaign) == {"accepted": count}


def test_a_cancelled_campaign_skips_what_waits(field: Field) -> None:
    field.people(3)
    campaign = field.freeze(soon())
    manage.cancel(field.store, field.config, campaign.name, soon())
    report = deliver.run(field.store, field.config, campaign, soon())
    assert field.counts(report.campaign) == {"skipped": 3}
    assert report.campaign.status is CampaignStatus.CANCELLED


def test_messages_that_wait_at_mozillas_can_be_taken_back(field: Field) -> None:
    field.people(3, MOZILLA)
    field.people(2, FCM, first=100)
    report = field.send(soon())
    tally = manage.recall(field.store, field.config, report.campaign.name, soon())
    assert tally == {"recalled": 3}, "no other service takes anything back"
    reasons = {it.reason: it.count for it in manage.states(field.store, report.campaign.id)}
    assert reasons == {"recalled": 3, "": 2}
    again = manage.recall(field.store, field.config, report.campaign.name, soon())
    assert again == {}


def test_what_a_browser_has_fetched_is_not_taken_back(tmp_path: Path) -> None:
    with PushService() as strict:
        field = sending.field(tmp_path, strict)
        public = vapid.load(field.config.keys)[field.key].public
        field.subscribed(strict, "mozilla", public, count=3)
        report = field.send(soon())
        tally = manage.recall(field.store, field.config, report.campaign.name, soon())
        assert tally == {"too late": 3}
        assert {it.reason for it in manage.states(field.store, 1)} == {""}
        field.store.close()


@pytest.mark.parametrize("status", [401, 429, 503])
def test_what_a_service_will_not_take_back_now_can_be_asked_back_later(
    field: Field, service: PushService, status: int
) -> None:
    field.people(3, MOZILLA)
    report = field.send(soon())
    service.play([{"do": "answer", "status": status}])
    tally = manage.recall(field.store, field.config, report.campaign.name, soon())
    assert tally == {manage.NOT_DONE: 3}
    service.play([])
    tally = manage.recall(field.store, field.config, report.campaign.name, soon())
    assert tally == {"recalled": 3}


# --- after a crash ------------------------------------------------------------------


def crashed(field: Field, count: int) -> tuple[Any, list[int]]:
    """Return a campaign whose process died after claiming, and its rows."""
    field.people(count)
    campaign = field.freeze(soon())
    field.store.campaigns.change(campaign.id, CampaignStatus.RUNNING, soon())
    rows, _ = field.store.deliveries.claim_fresh(campaign.id, 0, count, soon())
    field.config.journal.mkdir(exist_ok=True)
    recovery.begin(field.config.journal, str(campaign.id))
    return campaign, [row.id for row in rows]


def write_journal(field: Field, campaign: int, begun: list[int], told: list[int]) -> None:
    letters = [sending.letter(row) for row in begun]
    with journal.Journal(field.config.journal, str(campaign), letters) as kept:
        kept.started(begun)
        kept.answered([Outcome(row, Answer.ACCEPTED, "201", 201) for row in told])


def test_after_a_crash_only_what_was_on_the_wire_is_in_doubt(
    field: Field, service: PushService
) -> None:
    campaign, rows = crashed(field, 9)
    write_journal(field, campaign.id, rows[:6], rows[:4])
    before = len(service.receipts())
    (report,) = deliver.due(field.store, field.config, soon())
    assert report.settled == 2
    assert field.counts(campaign) == {"accepted": 7, "in_doubt": 2}
    assert len(service.receipts()) - before == 3
    assert list(field.config.journal.iterdir()) == []


def test_after_a_restart_of_the_machine_the_journal_proves_nothing_more(
    field: Field, service: PushService
) -> None:
    campaign, rows = crashed(field, 9)
    write_journal(field, campaign.id, rows[:6], rows[:4])
    (field.config.journal / f"{campaign.id}.boot").write_text("another life")
    before = len(service.receipts())
    (report,) = deliver.due(field.store, field.config, soon())
    assert report.settled == 5
    assert field.counts(campaign) == {"accepted": 4, "in_doubt": 5}
    assert len(service.receipts()) == before


def test_a_lost_journal_leaves_all_claimed_rows_in_doubt(field: Field) -> None:
    campaign, _ = crashed(field, 4)
    os.remove(field.config.journal / f"{campaign.id}.boot")
    (report,) = deliver.due(field.store, field.config, soon())
    assert report.settled == 4
    assert field.counts(campaign) == {"in_doubt": 4}


def test_doubts_are_settled_by_a_persons_word(field: Field, service: PushService) -> None:
    campaign, _ = crashed(field, 4)
    os.remove(field.config.journal / f"{campaign.id}.boot")
    list(deliver.due(field.store, field.config, soon()))
    assert len(list(manage.in_doubt(field.store, campaign.name))) == 4
    before = len(service.receipts())
    assert manage.send_again(field.store, campaign.name, soon() + 30 * DAY) == 0
    assert field.counts(campaign)["in_doubt"] == 4, "nobody would get them; they may have"
    assert manage.send_again(field.store, campaign.name, soon()) == 4
    deliver.run(field.store, field.config, campaign, soon())
    assert field.counts(campaign) == {"accepted": 4}
    assert len(service.receipts()) - before == 4
    assert manage.assume_sent(field.store, None, soon()) == 0


def test_a_refusal_after_a_day_and_a_week_makes_gone(field: Field) -> None:
    (row,) = field.people(1)
    now = soon()
    for day in (0, 2, 8):
        field.store.health.try_again(now + day * DAY)
        field.store.health.failed([(row, "403 forbidden")], now + day * DAY)
        expected = "gone" if day == 8 else "quarantined"
        assert field.states() == {expected: 1}
    assert DeliveryStatus.GONE == "gone"
