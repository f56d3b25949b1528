"""What holds over several runs of one campaign: stop rules, dates, signals, dead processes."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from pushctl.commands import send
from pushctl.commands.context import Context
from pushctl.demo.pushservice import PushService
from pushctl.errors import BusyError, ConfigError, InputError, UsageError
from pushctl.jobs.campaigns import broadcast, manage
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery import run as job
from pushctl.jobs.delivery.pools import pool
from pushctl.jobs.delivery.results import recovery
from pushctl.jobs.sweep import sweep
from pushctl.model import Answer, Campaign, CampaignStatus, InteractionKind, Letter, Outcome
from pushctl.output import Format
from pushctl.push import journal
from pushctl.store import Store
from pushctl.store.interactions import Interaction
from tests.support import DAY, HOUR, MINUTE, halfway, program, sending, wire
from tests.support.rows import answers_about
from tests.support.sending import APPLE, FCM, MOZILLA, Field, soon

AT_ONCE = deliver.Options(patience=0.0)


def answer(status: int, **more: Any) -> dict[str, Any]:
    return {"do": "answer", "status": status, **more}


def hourly(sender: Field, campaign: Campaign, now: int, hours: int) -> list[deliver.Report]:
    """Go on with what is due, hour after hour, as sweeps would."""
    return [
        report
        for hour in range(1, hours + 1)
        for report in deliver.run_due(sender.store, sender.config, now + hour * HOUR)
        if report.campaign.id == campaign.id
    ]


# --- rules that count over runs -------------------------------------------------------


def test_errors_are_counted_over_the_handfuls_of_a_spread_campaign(
    sender: Field, push_service: PushService
) -> None:
    push_service.play([{**answer(400), "share": 0.5}])
    sender.people(900, APPLE)
    now = soon()
    report = sender.send(now, over="10h")
    reports = hourly(sender, report.campaign, now, 10)
    assert len(reports) < 6, "no single run had two hundred answers"
    last = reports[-1].campaign
    assert last.status is CampaignStatus.PAUSED
    assert last.note == "a quarter of the last answers were errors"
    assert sender.counts(last)["planned"] > 300

    push_service.play([])
    again = deliver.run(sender.store, sender.config, last, now + 11 * HOUR, AT_ONCE)
    assert again.campaign.status is CampaignStatus.FINISHED, "who goes on has decided"
    left = "SELECT count(*) FROM meta WHERE key LIKE 'campaign.%.recent'"
    assert sender.store.connection.execute(left).fetchone() == (0,)


def test_a_service_that_refuses_us_does_not_hold_up_the_others_of_a_spread_campaign(
    sender: Field, push_service: PushService
) -> None:
    push_service.play([answer(403, host=APPLE)])
    sender.people(100, APPLE)
    sender.people(100, FCM, first=200)
    now = soon()
    report = sender.send(now, over="10m")
    (middle,) = deliver.run_due(sender.store, sender.config, now + 10 * MINUTE)
    assert middle.refused is not None
    assert "refuses us" in middle.refused
    assert middle.campaign.status is CampaignStatus.RUNNING
    assert sender.counts(report.campaign) == {"accepted": 100, "planned": 100}
    assert sender.states() == {"active": 200}

    push_service.play([])
    (last,) = deliver.run_due(sender.store, sender.config, now + 26 * MINUTE)
    assert sender.counts(last.campaign) == {"accepted": 200}


def test_a_lone_refusal_is_told_though_it_stops_nothing(
    sender: Field, push_service: PushService
) -> None:
    push_service.play([answer(403)])
    sender.people(1, APPLE)
    report = sender.send(soon())
    assert report.refused is None
    assert sender.counts(report.campaign) == {"planned": 1}
    (note,) = report.notes
    assert "refuses us (403 forbidden)" in note
    assert "nobody was deleted" in note


def test_what_a_service_asked_for_holds_for_who_accepts_the_gone_too(
    sender: Field, push_service: PushService
) -> None:
    now = soon()
    sender.store.origins.save(
        f"https://{FCM}", paused_until=now + HOUR, reason="later", rate=None, now=now
    )
    sender.people(3, FCM)
    before = len(push_service.receipts())
    report = sender.send(now, options=deliver.Options(patience=0.0, accept_mass_gone=True))
    assert sender.counts(report.campaign) == {"planned": 3}
    assert len(push_service.receipts()) == before


def test_a_shorter_pause_takes_nothing_from_a_longer_one(sender: Field) -> None:
    """Two campaigns at once, or two keys, hear different things of one push_service."""
    now, origins = soon(), sender.store.origins
    name = f"https://{FCM}"
    origins.save(name, paused_until=now + HOUR, reason="asks", rate=50.0, now=now)
    origins.save(name, paused_until=now + MINUTE, reason="fails", rate=None, now=now + 1)
    assert origins.list_all() == [(name, now + HOUR, "asks", 50.0, now + 1, False, None)]
    origins.save(name, paused_until=now + DAY, reason="more", rate=None, now=now + 2 * HOUR)
    assert origins.list_all() == [(name, now + DAY, "more", None, now + 2 * HOUR, False, None)]
    leapt = now - 365 * DAY
    origins.save(name, paused_until=leapt + MINUTE, reason="back", rate=None, now=leapt)
    assert origins.list_all() == [(name, leapt + MINUTE, "back", None, leapt, False, None)]


def test_a_service_that_fails_is_asked_once_by_each_sweep_and_not_before_its_time(
    sender: Field, push_service: PushService
) -> None:
    push_service.play([answer(503, headers={"retry-after": "600"})])
    sender.people(300)
    now, before = soon(), len(push_service.receipts())
    sender.send(now)
    asked = len(push_service.receipts()) - before
    assert asked == 5
    for minute in range(1, 10):
        list(deliver.run_due(sender.store, sender.config, now + minute * MINUTE))
    assert len(push_service.receipts()) - before == asked
    for minute in (11, 22):
        list(deliver.run_due(sender.store, sender.config, now + minute * MINUTE))
    assert len(push_service.receipts()) - before == asked + 2
    push_service.play([])
    list(deliver.run_due(sender.store, sender.config, now + 40 * MINUTE))
    assert sender.counts(sender.store.campaigns.get_by_id(1)) == {"accepted": 300}
    assert not any(origin.probing for origin in sender.store.origins.list_all())


def test_sweeps_try_again_who_was_put_aside_for_a_day(sender: Field) -> None:
    """Where nobody ever says `send`, nobody else would."""
    (row,) = sender.people(1)
    now = soon()
    sender.store.health.mark_failed(answers_about(sender.store, [row], "403 forbidden"), now)
    rehearsal = sweep.Options(rehearsal=True)
    sweep.run(sender.config, sender.store, now + HOUR, rehearsal)
    assert sender.states() == {"quarantined": 1}
    sweep.run(sender.config, sender.store, now + DAY, rehearsal)
    assert sender.states() == {"active": 1}


def test_a_pause_by_a_clock_that_leapt_holds_nobody_for_a_year(sender: Field) -> None:
    now = soon()
    sender.store.origins.save(
        f"https://{FCM}", paused_until=now + 365 * DAY, reason="later", rate=None, now=now
    )
    sender.people(3, FCM)
    assert sender.counts(sender.send(now).campaign) == {"accepted": 3}


def test_without_any_key_that_fits_nobodys_message_is_spent(sender: Field) -> None:
    sender.people(3, key="somebody")
    campaign = sender.freeze(soon())
    with pytest.raises(ConfigError, match="made with the key somebody, which is not in keys/"):
        deliver.run(sender.store, sender.config, campaign, soon(), AT_ONCE)
    assert sender.counts(campaign) == {"planned": 3}
    assert sender.store.campaigns.get_status(campaign.id) is CampaignStatus.PAUSED


# --- dates ----------------------------------------------------------------------------


def test_what_a_dead_process_left_of_a_spread_campaign_is_not_forgotten(sender: Field) -> None:
    sender.people(5)
    now = soon()
    campaign = sender.freeze(now, over="1m")
    rows, _ = sender.store.deliveries.claim_due(campaign.id, 10, now + MINUTE)
    assert len(rows) == 5
    sender.config.journal.mkdir(exist_ok=True)
    recovery.write_marker(sender.config.journal, str(campaign.id))
    no_time = deliver.Options(patience=0.0, seconds=1e-9)
    deliver.run(sender.store, sender.config, campaign, now + MINUTE, no_time)
    assert sender.counts(campaign) == {"planned": 5}
    (report,) = deliver.run_due(sender.store, sender.config, now + 2 * MINUTE)
    assert sender.counts(report.campaign) == {"accepted": 5}


def test_a_time_of_nothing_is_no_time_to_spread_over(sender: Field) -> None:
    sender.people(1)
    with pytest.raises(InputError, match="--over is more than nothing"):
        sender.freeze(soon(), over="0m")


def test_the_times_of_a_campaign_begin_when_it_is_agreed_to(sender: Field) -> None:
    """A person may think for an hour over `--over 2h`: half of it must not go out at once."""
    sender.people(20)
    here = Context(sender.config.folder)
    here.__dict__.update(config=sender.config, store=sender.store, now=soon() - HOUR)
    wish = Draft(everyone=True, template="sale", over="2h", ttl="30m")
    plan = broadcast.plan(sender.store, sender.config, wish, here.now)
    before = soon()
    send._send(here, plan, Format.JSON)
    (campaign,) = sender.store.campaigns.list_newest()
    assert sender.counts(campaign) == {"accepted": 1, "planned": 19}
    assert campaign.created_at >= before


def test_a_message_that_was_shown_is_not_sent_again(
    sender: Field, push_service: PushService
) -> None:
    push_service.play([answer(503)])
    sender.people(1)
    now = soon()
    report = sender.send(now)
    assert sender.counts(report.campaign) == {"planned": 1}
    (row,) = sender.store.connection.execute("SELECT id FROM deliveries").fetchone()
    sender.store.interactions.add(Interaction(row, InteractionKind.SHOWN, None, now, "once"))
    assert sender.counts(report.campaign) == {"accepted": 1}
    before = len(push_service.receipts())
    deliver.run(sender.store, sender.config, report.campaign, now + HOUR, AT_ONCE)
    assert len(push_service.receipts()) == before


# --- dead processes -------------------------------------------------------------------


def crashed(sender: Field, outcomes: dict[int, Outcome], **people: Any) -> Campaign:
    """
    Return a campaign whose process died with all claimed; people are told by their place.

    Of *outcomes* the journal knows the answers; the others were not begun.
    """
    for host, count in people.pop("hosts", {MOZILLA: 4}).items():
        sender.people(count, host, first=100_000 * len(host))
    campaign = sender.freeze(soon())
    rows, _ = sender.store.deliveries.claim_fresh(campaign.id, 0, 10_000, soon())
    sender.config.journal.mkdir(exist_ok=True)
    recovery.write_marker(sender.config.journal, str(campaign.id))
    told = [(rows[place].id, what) for place, what in outcomes.items()]
    with journal.Journal(
        sender.config.journal, str(campaign.id), [sending.letter(row) for row, _ in told]
    ) as kept:
        kept.write_started(row for row, _ in told)
        kept.write_answered(what._replace(delivery=row) for row, what in told)
    return campaign


def test_a_refusal_that_a_dead_process_heard_is_no_proof_against_a_subscription(
    sender: Field, push_service: PushService
) -> None:
    """What FCM has taken says nothing of our key at Mozilla's."""
    refused = Outcome(0, Answer.REFUSED, "401 key refused", 401)
    accepted = Outcome(0, Answer.ACCEPTED, "201", 201)
    campaign = crashed(sender, {0: accepted, 1: refused}, hosts={FCM: 1, MOZILLA: 1})
    no_time = deliver.Options(patience=0.0, seconds=1e-9)
    deliver.run(sender.store, sender.config, campaign, soon(), no_time)
    assert sender.counts(campaign) == {"accepted": 1, "planned": 1}
    assert sender.states() == {"active": 2}


def test_nobody_is_made_gone_for_what_a_dead_process_heard(sender: Field) -> None:
    gone = Outcome(0, Answer.GONE, "410 unsubscribed", 410)
    campaign = crashed(sender, dict.fromkeys(range(150), gone), hosts={MOZILLA: 150})
    report = deliver.run(sender.store, sender.config, campaign, soon(), AT_ONCE)
    assert sender.counts(report.campaign) == {"gone": 150}
    assert sender.states() == {"active": 150}


def test_what_can_be_taken_back_still_can_after_a_crash(sender: Field) -> None:
    at = f"https://{MOZILLA}/m/0000001"
    accepted = Outcome(0, Answer.ACCEPTED, "201", 201, None, at)
    campaign = crashed(sender, {0: accepted}, hosts={MOZILLA: 1})
    deliver.run(sender.store, sender.config, campaign, soon(), AT_ONCE)
    assert [stored for _, stored, _ in sender.store.doubts.list_stored(campaign.id)] == [at]


def test_a_cancelled_campaign_settles_what_a_dead_process_left(sender: Field) -> None:
    accepted = Outcome(0, Answer.ACCEPTED, "201", 201)
    campaign = crashed(sender, {0: accepted})
    manage.cancel(sender.store, sender.config, campaign.name, soon())
    assert sender.counts(campaign) == {"accepted": 1, "skipped": 3}


def test_a_process_that_dies_after_the_cancelling_is_settled_by_a_sweep(sender: Field) -> None:
    campaign = crashed(sender, {0: Outcome(0, Answer.ACCEPTED, "201", 201)})
    sender.store.campaigns.change_status(campaign.id, CampaignStatus.CANCELLED, soon())
    (report,) = deliver.run_due(sender.store, sender.config, soon())
    assert report.campaign.status is CampaignStatus.CANCELLED
    assert sender.counts(campaign) == {"accepted": 1, "skipped": 3}
    assert list(deliver.run_due(sender.store, sender.config, soon())) == []


def test_doubts_of_a_cancelled_campaign_are_not_planned_for_nobody(sender: Field) -> None:
    doubt = Outcome(0, Answer.IN_DOUBT, "timeout")
    campaign = crashed(sender, {0: doubt})
    manage.cancel(sender.store, sender.config, campaign.name, soon())
    assert sender.counts(campaign) == {"in_doubt": 1, "skipped": 3}
    with pytest.raises(UsageError, match="was cancelled"):
        manage.send_again(sender.store, sender.config, campaign.name, soon())
    assert sender.counts(campaign) == {"in_doubt": 1, "skipped": 3}


def test_doubts_that_a_dead_process_left_are_told(sender: Field) -> None:
    campaign = crashed(sender, {0: Outcome(0, Answer.ACCEPTED, "201", 201)})
    (sender.config.journal / f"{campaign.id}.boot").write_text("another life")
    report = deliver.run(sender.store, sender.config, campaign, soon(), AT_ONCE)
    assert (report.settled, report.sent["in_doubt"]) == (3, 3)


def test_on_a_disk_that_is_nearly_full_nothing_is_begun(
    sender: Field, push_service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "MIN_FREE_TO_SEND_BYTES", 1 << 60)
    sender.people(3)
    campaign = sender.freeze(soon())
    before = len(push_service.receipts())
    with pytest.raises(ConfigError, match="make room"):
        deliver.run(sender.store, sender.config, campaign, soon(), AT_ONCE)
    assert sender.counts(campaign) == {"planned": 3}
    assert len(push_service.receipts()) == before


def test_workers_may_die_often_in_a_long_run(sender: Field, push_service: PushService) -> None:
    push_service.play([{"delay": [0.02, 0.05]}])
    count, killed = pool.FEW + 10_000, set[int]()
    sender.people(count)

    def kill(ended: int) -> None:
        fresh = set(program.workers_of(os.getpid())) - killed
        if ended and fresh and len(killed) <= pool.MAX_DEATHS:
            victim = fresh.pop()
            killed.add(victim)
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)

    report = sender.send(soon(), options=deliver.Options(patience=0.0, progress=kill))
    assert len(killed) > pool.MAX_DEATHS
    assert report.campaign.status is CampaignStatus.FINISHED
    counts = sender.counts(report.campaign)
    assert counts["accepted"] + counts.get("in_doubt", 0) == count


def test_a_worker_that_hangs_is_given_up(
    sender: Field, push_service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "SILENT_TIMEOUTS", 1)
    monkeypatch.setattr(pool, "END_SECONDS", 1.0)
    sender.config = sending.led_to(sender.config, push_service, timeout=3.0)
    count, stopped = pool.FEW + 1_000, list[int]()
    sender.people(count)

    def hang(ended: int) -> None:
        if ended and not stopped:
            stopped.append(program.workers_of(os.getpid())[0])
            os.kill(stopped[0], signal.SIGSTOP)

    report = sender.send(soon(), options=deliver.Options(patience=0.0, progress=hang))
    assert stopped
    counts = sender.counts(report.campaign)
    assert counts["accepted"] + counts.get("in_doubt", 0) == count


def test_a_worker_that_dies_in_the_middle_of_its_answer_is_noticed(
    sender: Field, push_service: PushService
) -> None:
    """The pool waits for the rest of it; so would the run, and the end of the program."""
    push_service.play([{"delay": [0.01, 0.03]}])
    count, died = pool.FEW + 3_000, list[bool]()
    sender.people(count)

    class Doomed(pool.ProcessPool):
        def submit(self, letters: Sequence[Letter]) -> None:
            super().submit(letters)
            if len(letters) > 1 and not died:
                died.append(True)
                assert self._executor is not None
                self._executor.submit(halfway.die)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "open_pool", lambda _, postbox, *more: Doomed(4, postbox))
        report = sender.send(soon())
    assert died
    counts = sender.counts(report.campaign)
    assert counts["accepted"] + counts.get("in_doubt", 0) == count


def test_who_removes_a_lock_by_hand_begins_no_second_run(sender: Field) -> None:
    """It would take what the first has claimed for a dead process's, and send it too."""
    sender.people(1200)
    refused: list[str] = []

    def break_in(ended: int) -> None:
        if ended and not refused:
            campaign = sender.store.campaigns.get_by_id(1)
            deliver.lock_path(sender.store, campaign.id).unlink()
            with Store(sender.config.database) as store, pytest.raises(BusyError) as error:
                deliver.run(store, sender.config, campaign, soon(), AT_ONCE)
            refused.append(str(error.value))

    options = deliver.Options(patience=0.0, progress=break_in)
    report = sender.send(soon(), options=options)
    assert "is running" in refused[0]
    assert sender.counts(report.campaign) == {"accepted": 1200}


# --- signals --------------------------------------------------------------------------


def under_way(sender: Field, push_service: PushService) -> "subprocess.Popen[bytes]":
    """Start to send to many in a process group of its own; return when it has begun."""
    push_service.play([{"delay": [0.2, 0.4]}])
    sending.lead_to(sender.config.folder, push_service)
    sender.people(pool.FEW + 4_000)
    campaign = sender.freeze(soon())
    before = len(push_service.receipts())
    # Under nohup we ignore SIGHUP, and so would what we start.
    heeding = ["env", "--default-signal=HUP"]
    process = subprocess.Popen(
        [*heeding, *program.PROGRAM, "campaigns", "resume", campaign.name],
        cwd=sender.config.folder,
        env=program.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wire.wait_until(lambda: len(push_service.receipts()) > before + 200, 20)
    return process


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, CampaignStatus.PAUSED), (signal.SIGHUP, CampaignStatus.RUNNING)],
)
def test_a_signal_for_all_processes_at_once_leaves_nothing_in_doubt(
    sender: Field, push_service: PushService, number: signal.Signals, status: CampaignStatus
) -> None:
    """A push_service manager that stops its unit; a terminal that is closed."""
    process = under_way(sender, push_service)
    os.killpg(process.pid, number)
    process.wait(timeout=30)
    (campaign,) = sender.store.campaigns.list_newest()
    counts = sender.counts(campaign)
    assert set(counts) == {"accepted", "planned"}
    assert campaign.status is status
    ended = time.monotonic() + 10
    while program.workers_of(process.pid) and time.monotonic() < ended:
        pass


# --- rows of a claim that get no message ----------------------------------------------


def test_a_run_goes_on_behind_people_who_left_meanwhile(
    sender: Field, push_service: PushService
) -> None:
    """A slow campaign claims ten rows at a time: nobody is left of the first twenty."""
    rows = sender.people(25, APPLE)
    campaign = sender.freeze(now := soon(), rate="5/s")
    for one in answers_about(sender.store, rows[:20], "left"):
        sender.store.health.mark_gone([one], now)
    report = deliver.run(sender.store, sender.config, campaign, now)
    assert sender.counts(campaign) == {"skipped": 20, "accepted": 5}
    assert report.campaign.status is CampaignStatus.FINISHED
