"""What holds over several runs of one campaign: stop rules, dates, signals, dead processes."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pushctl.commands import send
from pushctl.commands.context import Context
from pushctl.demo.pushservice import PushService
from pushctl.errors import ConfigError, InputError, UsageError
from pushctl.jobs.campaigns import broadcast, manage
from pushctl.jobs.delivery import deliver, pool, recovery
from pushctl.jobs.delivery import run as job
from pushctl.jobs.sweep import sweep
from pushctl.model import Answer, Campaign, CampaignStatus, InteractionKind, Letter, Outcome
from pushctl.output import Format
from pushctl.push import journal
from pushctl.store.interactions import Interaction
from tests.support import DAY, HOUR, MINUTE, halfway, program, sending, wire
from tests.support.sending import APPLE, FCM, MOZILLA, Field, soon

AT_ONCE = deliver.Options(patience=0.0)


@pytest.fixture(scope="module")
def running() -> Iterator[PushService]:
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


def hourly(field: Field, campaign: Campaign, now: int, hours: int) -> list[deliver.Report]:
    """Go on with what is due, hour after hour, as sweeps would."""
    return [
        report
        for hour in range(1, hours + 1)
        for report in deliver.due(field.store, field.config, now + hour * HOUR)
        if report.campaign.id == campaign.id
    ]


# --- rules that count over runs -------------------------------------------------------


def test_errors_are_counted_over_the_handfuls_of_a_spread_campaign(
    field: Field, service: PushService
) -> None:
    service.play([{**answer(400), "share": 0.5}])
    field.people(900, APPLE)
    now = soon()
    report = field.send(now, over="10h")
    reports = hourly(field, report.campaign, now, 10)
    assert len(reports) < 6, "no single run had two hundred answers"
    last = reports[-1].campaign
    assert last.status is CampaignStatus.PAUSED
    assert last.note == "a quarter of the last answers were errors"
    assert field.counts(last)["planned"] > 300

    service.play([])
    again = deliver.run(field.store, field.config, last, now + 11 * HOUR, AT_ONCE)
    assert again.campaign.status is CampaignStatus.FINISHED, "who goes on has decided"
    left = "SELECT count(*) FROM meta WHERE key LIKE 'campaign.%.recent'"
    assert field.store.connection.execute(left).fetchone() == (0,)


def test_a_service_that_refuses_us_does_not_hold_up_the_others_of_a_spread_campaign(
    field: Field, service: PushService
) -> None:
    service.play([answer(403, host=APPLE)])
    field.people(100, APPLE)
    field.people(100, FCM, first=200)
    now = soon()
    report = field.send(now, over="10m")
    (middle,) = deliver.due(field.store, field.config, now + 10 * MINUTE)
    assert middle.refused is not None
    assert "refuses us" in middle.refused
    assert middle.campaign.status is CampaignStatus.RUNNING
    assert field.counts(report.campaign) == {"accepted": 100, "planned": 100}
    assert field.states() == {"active": 200}

    service.play([])
    (last,) = deliver.due(field.store, field.config, now + 26 * MINUTE)
    assert field.counts(last.campaign) == {"accepted": 200}


def test_a_lone_refusal_is_told_though_it_stops_nothing(
    field: Field, service: PushService
) -> None:
    service.play([answer(403)])
    field.people(1, APPLE)
    report = field.send(soon())
    assert report.refused is None
    assert field.counts(report.campaign) == {"planned": 1}
    (note,) = report.notes
    assert "refuses us (403 forbidden)" in note
    assert "nobody was deleted" in note


def test_what_a_service_asked_for_holds_for_who_accepts_the_gone_too(
    field: Field, service: PushService
) -> None:
    now = soon()
    field.store.origins.note(
        f"https://{FCM}", paused_until=now + HOUR, reason="later", rate=None, now=now
    )
    field.people(3, FCM)
    before = len(service.receipts())
    report = field.send(now, options=deliver.Options(patience=0.0, accept_mass_gone=True))
    assert field.counts(report.campaign) == {"planned": 3}
    assert len(service.receipts()) == before


def test_a_shorter_pause_takes_nothing_from_a_longer_one(field: Field) -> None:
    """Two campaigns at once, or two keys, hear different things of one service."""
    now, origins = soon(), field.store.origins
    name = f"https://{FCM}"
    origins.note(name, paused_until=now + HOUR, reason="asks", rate=50.0, now=now)
    origins.note(name, paused_until=now + MINUTE, reason="fails", rate=None, now=now + 1)
    assert origins.all() == [(name, now + HOUR, "asks", 50.0, now + 1, False)]
    origins.note(name, paused_until=now + DAY, reason="more", rate=None, now=now + 2 * HOUR)
    assert origins.all() == [(name, now + DAY, "more", None, now + 2 * HOUR, False)]
    leapt = now - 365 * DAY
    origins.note(name, paused_until=leapt + MINUTE, reason="back", rate=None, now=leapt)
    assert origins.all() == [(name, leapt + MINUTE, "back", None, leapt, False)]


def test_a_service_that_fails_is_asked_once_by_each_sweep_and_not_before_its_time(
    field: Field, service: PushService
) -> None:
    service.play([answer(503, headers={"retry-after": "600"})])
    field.people(300)
    now, before = soon(), len(service.receipts())
    field.send(now)
    asked = len(service.receipts()) - before
    assert asked == 5
    for minute in range(1, 10):
        list(deliver.due(field.store, field.config, now + minute * MINUTE))
    assert len(service.receipts()) - before == asked
    for minute in (11, 22):
        list(deliver.due(field.store, field.config, now + minute * MINUTE))
    assert len(service.receipts()) - before == asked + 2
    service.play([])
    list(deliver.due(field.store, field.config, now + 40 * MINUTE))
    assert field.counts(field.store.campaigns.by_id(1)) == {"accepted": 300}
    assert not any(origin.probing for origin in field.store.origins.all())


def test_sweeps_try_again_who_was_put_aside_for_a_day(field: Field) -> None:
    """Where nobody ever says `send`, nobody else would."""
    (row,) = field.people(1)
    now = soon()
    field.store.health.failed([(row, "403 forbidden")], now)
    rehearsal = sweep.Options(rehearsal=True)
    sweep.run(field.config, field.store, now + HOUR, rehearsal)
    assert field.states() == {"quarantined": 1}
    sweep.run(field.config, field.store, now + DAY, rehearsal)
    assert field.states() == {"active": 1}


def test_a_pause_by_a_clock_that_leapt_holds_nobody_for_a_year(field: Field) -> None:
    now = soon()
    field.store.origins.note(
        f"https://{FCM}", paused_until=now + 365 * DAY, reason="later", rate=None, now=now
    )
    field.people(3, FCM)
    assert field.counts(field.send(now).campaign) == {"accepted": 3}


def test_without_any_key_that_fits_nobodys_message_is_spent(field: Field) -> None:
    field.people(3, key="somebody")
    campaign = field.freeze(soon())
    with pytest.raises(ConfigError, match="made with the key somebody, which is not in keys/"):
        deliver.run(field.store, field.config, campaign, soon(), AT_ONCE)
    assert field.counts(campaign) == {"planned": 3}
    assert field.store.campaigns.status(campaign.id) is CampaignStatus.PAUSED


# --- dates ----------------------------------------------------------------------------


def test_what_a_dead_process_left_of_a_spread_campaign_is_not_forgotten(field: Field) -> None:
    field.people(5)
    now = soon()
    campaign = field.freeze(now, over="1m")
    rows, _ = field.store.deliveries.claim_due(campaign.id, 10, now + MINUTE)
    assert len(rows) == 5
    field.config.journal.mkdir(exist_ok=True)
    recovery.begin(field.config.journal, str(campaign.id))
    no_time = deliver.Options(patience=0.0, seconds=1e-9)
    deliver.run(field.store, field.config, campaign, now + MINUTE, no_time)
    assert field.counts(campaign) == {"planned": 5}
    (report,) = deliver.due(field.store, field.config, now + 2 * MINUTE)
    assert field.counts(report.campaign) == {"accepted": 5}


def test_a_time_of_nothing_is_no_time_to_spread_over(field: Field) -> None:
    field.people(1)
    with pytest.raises(InputError, match="--over is more than nothing"):
        field.freeze(soon(), over="0m")


def test_the_times_of_a_campaign_begin_when_it_is_agreed_to(field: Field) -> None:
    """A person may think for an hour over `--over 2h`: half of it must not go out at once."""
    field.people(20)
    here = Context(field.config.folder)
    here.__dict__.update(config=field.config, store=field.store, now=soon() - HOUR)
    wish = broadcast.Wish(everyone=True, template="sale", over="2h", ttl="30m")
    plan = broadcast.plan(field.store, field.config, wish, here.now)
    before = soon()
    send._send(here, plan, Format.JSON)
    (campaign,) = field.store.campaigns.all()
    assert field.counts(campaign) == {"accepted": 1, "planned": 19}
    assert campaign.created_at >= before


def test_a_message_that_was_shown_is_not_sent_again(field: Field, service: PushService) -> None:
    service.play([answer(503)])
    field.people(1)
    now = soon()
    report = field.send(now)
    assert field.counts(report.campaign) == {"planned": 1}
    (row,) = field.store.connection.execute("SELECT id FROM deliveries").fetchone()
    field.store.interactions.add(Interaction(row, InteractionKind.SHOWN, None, now, "once"))
    assert field.counts(report.campaign) == {"accepted": 1}
    before = len(service.receipts())
    deliver.run(field.store, field.config, report.campaign, now + HOUR, AT_ONCE)
    assert len(service.receipts()) == before


# --- dead processes -------------------------------------------------------------------


def crashed(field: Field, outcomes: dict[int, Outcome], **people: Any) -> Campaign:
    """
    Return a campaign whose process died with all claimed; people are told by their place.

    Of *outcomes* the journal knows the answers; the others were not begun.
    """
    for host, count in people.pop("hosts", {MOZILLA: 4}).items():
        field.people(count, host, first=100_000 * len(host))
    campaign = field.freeze(soon())
    rows, _ = field.store.deliveries.claim_fresh(campaign.id, 0, 10_000, soon())
    field.config.journal.mkdir(exist_ok=True)
    recovery.begin(field.config.journal, str(campaign.id))
    told = [(rows[place].id, what) for place, what in outcomes.items()]
    with journal.Journal(
        field.config.journal, str(campaign.id), [sending.letter(row) for row, _ in told]
    ) as kept:
        kept.started(row for row, _ in told)
        kept.answered(what._replace(delivery=row) for row, what in told)
    return campaign


def test_a_refusal_that_a_dead_process_heard_is_no_proof_against_a_subscription(
    field: Field, service: PushService
) -> None:
    """What FCM has taken says nothing of our key at Mozilla's."""
    refused = Outcome(0, Answer.REFUSED, "401 key refused", 401)
    accepted = Outcome(0, Answer.ACCEPTED, "201", 201)
    campaign = crashed(field, {0: accepted, 1: refused}, hosts={FCM: 1, MOZILLA: 1})
    no_time = deliver.Options(patience=0.0, seconds=1e-9)
    deliver.run(field.store, field.config, campaign, soon(), no_time)
    assert field.counts(campaign) == {"accepted": 1, "planned": 1}
    assert field.states() == {"active": 2}


def test_nobody_is_made_gone_for_what_a_dead_process_heard(field: Field) -> None:
    gone = Outcome(0, Answer.GONE, "410 unsubscribed", 410)
    campaign = crashed(field, dict.fromkeys(range(150), gone), hosts={MOZILLA: 150})
    report = deliver.run(field.store, field.config, campaign, soon(), AT_ONCE)
    assert field.counts(report.campaign) == {"gone": 150}
    assert field.states() == {"active": 150}


def test_what_can_be_taken_back_still_can_after_a_crash(field: Field) -> None:
    at = f"https://{MOZILLA}/m/0000001"
    accepted = Outcome(0, Answer.ACCEPTED, "201", 201, None, at)
    campaign = crashed(field, {0: accepted}, hosts={MOZILLA: 1})
    deliver.run(field.store, field.config, campaign, soon(), AT_ONCE)
    assert [stored for _, stored, _ in field.store.doubts.stored(campaign.id)] == [at]


def test_a_cancelled_campaign_settles_what_a_dead_process_left(field: Field) -> None:
    accepted = Outcome(0, Answer.ACCEPTED, "201", 201)
    campaign = crashed(field, {0: accepted})
    manage.cancel(field.store, field.config, campaign.name, soon())
    assert field.counts(campaign) == {"accepted": 1, "skipped": 3}


def test_a_process_that_dies_after_the_cancelling_is_settled_by_a_sweep(field: Field) -> None:
    campaign = crashed(field, {0: Outcome(0, Answer.ACCEPTED, "201", 201)})
    field.store.campaigns.change(campaign.id, CampaignStatus.CANCELLED, soon())
    (report,) = deliver.due(field.store, field.config, soon())
    assert report.campaign.status is CampaignStatus.CANCELLED
    assert field.counts(campaign) == {"accepted": 1, "skipped": 3}
    assert list(deliver.due(field.store, field.config, soon())) == []


def test_doubts_of_a_cancelled_campaign_are_not_planned_for_nobody(field: Field) -> None:
    doubt = Outcome(0, Answer.IN_DOUBT, "timeout")
    campaign = crashed(field, {0: doubt})
    manage.cancel(field.store, field.config, campaign.name, soon())
    assert field.counts(campaign) == {"in_doubt": 1, "skipped": 3}
    with pytest.raises(UsageError, match="was cancelled"):
        manage.send_again(field.store, campaign.name, soon())
    assert field.counts(campaign) == {"in_doubt": 1, "skipped": 3}


def test_doubts_that_a_dead_process_left_are_told(field: Field) -> None:
    campaign = crashed(field, {0: Outcome(0, Answer.ACCEPTED, "201", 201)})
    (field.config.journal / f"{campaign.id}.boot").write_text("another life")
    report = deliver.run(field.store, field.config, campaign, soon(), AT_ONCE)
    assert (report.settled, report.sent["in_doubt"]) == (3, 3)


def test_on_a_disk_that_is_nearly_full_nothing_is_begun(
    field: Field, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "MIN_FREE_TO_SEND_BYTES", 1 << 60)
    field.people(3)
    campaign = field.freeze(soon())
    before = len(service.receipts())
    with pytest.raises(ConfigError, match="make room"):
        deliver.run(field.store, field.config, campaign, soon(), AT_ONCE)
    assert field.counts(campaign) == {"planned": 3}
    assert len(service.receipts()) == before


def test_workers_may_die_often_in_a_long_run(field: Field, service: PushService) -> None:
    service.play([{"delay": [0.02, 0.05]}])
    count, killed = pool.FEW + 10_000, set[int]()
    field.people(count)

    def kill(ended: int) -> None:
        fresh = set(program.workers_of(os.getpid())) - killed
        if ended and fresh and len(killed) <= pool.MAX_DEATHS:
            victim = fresh.pop()
            killed.add(victim)
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)

    report = field.send(soon(), options=deliver.Options(patience=0.0, progress=kill))
    assert len(killed) > pool.MAX_DEATHS
    assert report.campaign.status is CampaignStatus.FINISHED
    counts = field.counts(report.campaign)
    assert counts["accepted"] + counts.get("in_doubt", 0) == count


def test_a_worker_that_hangs_is_given_up(
    field: Field, service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "SILENT_TIMEOUTS", 1)
    monkeypatch.setattr(pool, "END_SECONDS", 1.0)
    field.config = sending.led_to(field.config, service, timeout=3.0)
    count, stopped = pool.FEW + 1_000, list[int]()
    field.people(count)

    def hang(ended: int) -> None:
        if ended and not stopped:
            stopped.append(program.workers_of(os.getpid())[0])
            os.kill(stopped[0], signal.SIGSTOP)

    report = field.send(soon(), options=deliver.Options(patience=0.0, progress=hang))
    assert stopped
    counts = field.counts(report.campaign)
    assert counts["accepted"] + counts.get("in_doubt", 0) == count


def test_a_worker_that_dies_in_the_middle_of_its_answer_is_noticed(
    field: Field, service: PushService
) -> None:
    """The pool waits for the rest of it; so would the run, and the end of the program."""
    service.play([{"delay": [0.01, 0.03]}])
    count, died = pool.FEW + 3_000, list[bool]()
    field.people(count)

    class Doomed(pool.ProcessPool):
        def submit(self, letters: Sequence[Letter]) -> None:
            super().submit(letters)
            if len(letters) > 1 and not died:
                died.append(True)
                assert self._executor is not None
                self._executor.submit(halfway.die)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "open_pool", lambda _, postbox, count: Doomed(4, postbox))
        report = field.send(soon())
    assert died
    counts = field.counts(report.campaign)
    assert counts["accepted"] + counts.get("in_doubt", 0) == count


# --- signals --------------------------------------------------------------------------


def under_way(field: Field, service: PushService) -> "subprocess.Popen[bytes]":
    """Start to send to many in a process group of its own; return when it has begun."""
    service.play([{"delay": [0.2, 0.4]}])
    sending.lead_to(field.config.folder, service)
    field.people(pool.FEW + 4_000)
    campaign = field.freeze(soon())
    before = len(service.receipts())
    # Under nohup we ignore SIGHUP, and so would what we start.
    heeding = ["env", "--default-signal=HUP"]
    process = subprocess.Popen(
        [*heeding, *program.PROGRAM, "campaigns", "resume", campaign.name],
        cwd=field.config.folder,
        env=program.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wire.wait_until(lambda: len(service.receipts()) > before + 200, 20)
    return process


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, CampaignStatus.PAUSED), (signal.SIGHUP, CampaignStatus.RUNNING)],
)
def test_a_signal_for_all_processes_at_once_leaves_nothing_in_doubt(
    field: Field, service: PushService, number: signal.Signals, status: CampaignStatus
) -> None:
    """A service manager that stops its unit; a terminal that is closed."""
    process = under_way(field, service)
    os.killpg(process.pid, number)
    process.wait(timeout=30)
    (campaign,) = field.store.campaigns.all()
    counts = field.counts(campaign)
    assert set(counts) == {"accepted", "planned"}
    assert campaign.status is status
    ended = time.monotonic() + 10
    while program.workers_of(process.pid) and time.monotonic() < ended:
        pass
