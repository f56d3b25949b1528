"""
Every answer that a push service is known to give, through the real sender into the ledger.

Each row is sent twice: to one subscription among others that are accepted, and as the
answer to all of them. What it means for one and for all differs where the fault may be
ours: a refused key deletes nobody.
"""

import contextlib
import io
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest

from pushctl import output
from pushctl.commands import send_results
from pushctl.commands.context import Context
from pushctl.demo.pushservice import PushService
from pushctl.errors import PushctlError
from pushctl.jobs.delivery import deliver
from pushctl.model import Campaign, CampaignStatus, Cause, Millis
from pushctl.rules.delivery.known_reasons import cause_of
from pushctl.rules.units import SECOND
from tests.support import sending
from tests.support.answers import (
    HOSTS,
    IN_DOUBT,
    OUR_FAULT,
    REFUSED,
    ROWS,
    THROTTLED,
    TOO_LARGE,
    Row,
    errno,
    reason,
)
from tests.support.program import pushctl
from tests.support.sending import APPLE, MOZILLA, Field, soon

GOOD = 12  # people who are accepted beside the one; more than the first five

NO_ANSWER = {
    "silence": "timeout",
    "reset_before": "connection lost",  # the body was on its way already
    "reset_after": "connection lost",
}


@pytest.fixture(scope="module")
def running() -> Iterator[PushService]:
    with PushService(checks=False) as service:
        yield service


@pytest.fixture(scope="module")
def everybody(
    tmp_path_factory: pytest.TempPathFactory, running: PushService
) -> Iterator[Field]:
    """One project for all rows; each has people of its own."""
    made = sending.field(tmp_path_factory.mktemp("matrix"), running)
    yield made
    made.store.close()


@pytest.fixture
def field(everybody: Field, running: PushService) -> Iterator[Field]:
    yield everybody
    running.play([])
    with everybody.store.write() as connection:
        # What one row taught of a service is no matter of the next.
        connection.execute("DELETE FROM origins")


class Sent(NamedTuple):
    """What a campaign left behind."""

    campaign: Campaign
    report: deliver.Report
    rows: list[int]  # subscriptions
    code: int
    now: Millis  # when it was begun
    ended: Millis


_people = iter(range(0, 10_000_000, 100))


def send(
    field: Field, service: PushService, host: str, act: dict[str, Any], *, alone: bool
) -> Sent:
    """Have *act* answer the last of thirteen people, or all of them."""
    first = next(_people)
    name = f"row {first}"
    rows = field.people(GOOD + 1, host, first=first, tag=name)
    service.play([act | ({"path": f"{first + GOOD:07}"} if alone else {})])
    now = soon()
    report = field.send(now, everyone=False, tags=(name,), name=name)
    ended = soon()
    return Sent(report.campaign, report, rows, exit_code(field, report), now, ended)


def exit_code(field: Field, report: deliver.Report) -> int:
    """Return what `pushctl send` leaves with, by the function that decides it there."""
    here = cast(Context, SimpleNamespace(store=field.store, recording=None))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            send_results.conclude(here, report, output.Format.JSON)
        except PushctlError as error:
            return error.exit_code
    return 0


def ledger(field: Field, sent: Sent, subscription: int) -> sqlite3.Row:
    """Return what stands of one receiver: status, reason, next_attempt_at, state, small."""
    sql = """
        SELECT d.status, d.reason, d.next_attempt_at, s.state, s.small_payload, d.location
          FROM deliveries AS d JOIN subscriptions AS s ON s.id = d.subscription_id
         WHERE d.campaign_id = ? AND s.id = ?
    """
    found = field.store.connection.execute(sql, (sent.campaign.id, subscription)).fetchone()
    return cast(sqlite3.Row, found)


def check_causes(field: Field, sent: Sent) -> None:
    """Fail where a reason has no cause, or another than an upgrade would give it."""
    sql = "SELECT DISTINCT reason, cause FROM deliveries WHERE campaign_id = ?"
    for why, cause in field.store.connection.execute(sql, (sent.campaign.id,)):
        assert (why is None) == (cause is None)
        assert why is None or cause_of(why) in (cause, Cause.OTHER)
        assert cause != Cause.OTHER


def held_until(field: Field) -> Millis | None:
    """Return until when the push service waits, or None."""
    origins = field.store.origins.list_all()
    return origins[0].paused_until if origins else None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_answer_to_one_among_many(field: Field, running: PushService, row: Row) -> None:
    sent = send(field, running, row.host, row.act, alone=True)
    *others, last = sent.rows
    status, why, at, state, small, _ = ledger(field, sent, last)
    assert (status, state, sent.code) == row.means.one
    assert why == row.says
    check_causes(field, sent)
    assert small == (row.means is TOO_LARGE)
    if row.means is not OUR_FAULT:  # that stops before all of them had their turn
        assert {ledger(field, sent, other)[0] for other in others} == {"accepted"}
    assert {ledger(field, sent, other)[3] for other in others} == {"active"}
    assert (held_until(field) is not None) is row.means.held[0]
    if row.wait:
        least, most = row.wait
        assert sent.now + least * SECOND <= at <= sent.ended + most * SECOND


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_same_answer_to_everybody(field: Field, running: PushService, row: Row) -> None:
    sent = send(field, running, row.host, row.act, alone=False)
    status, state, code = row.means.all
    assert sent.code == code
    assert field.counts(sent.campaign) == {status: GOOD + 1}
    assert {ledger(field, sent, one)[3] for one in sent.rows} == {state}
    until = held_until(field)
    assert (until is not None) is row.means.held[1]
    if row.means is THROTTLED:
        assert until is not None
        assert sent.now + 900 * SECOND <= until <= sent.ended + 900 * SECOND
    paused = sent.campaign.status is CampaignStatus.PAUSED
    assert paused is (code == 77)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("act", NO_ANSWER)
def test_no_answer_to_one_is_a_doubt(
    field: Field, running: PushService, act: str, host: str
) -> None:
    patience = 1.0 if act == "silence" else 30.0
    before, field.config = field.config, sending.led_to(field.config, running, timeout=patience)
    try:
        sent = send(field, running, host, {"do": act}, alone=True)
    finally:
        field.config = before
    status, why, _, state, *_ = ledger(field, sent, sent.rows[-1])
    assert (status, state, sent.code) == IN_DOUBT.one
    assert why == NO_ANSWER[act]
    check_causes(field, sent)
    assert sum(field.counts(sent.campaign).values()) == GOOD + 1


@pytest.mark.parametrize("host", HOSTS)
def test_a_wrong_certificate_is_provably_not_sent(
    field: Field, running: PushService, host: str
) -> None:
    from pushctl.push import chunk

    chunk.close_sender()  # the handshake is made once a connection
    sent = send(field, running, host, {"do": "wrong_tls", "host": host}, alone=False)
    chunk.close_sender()
    status, why, _, state, *_ = ledger(field, sent, sent.rows[0])
    # Nothing failed, and nothing arrived either: the sweeps go on.
    assert (status, state, sent.code) == ("planned", "active", 5)
    assert why == "not sent: certificate refused"
    check_causes(field, sent)
    assert field.counts(sent.campaign) == {"planned": GOOD + 1}


@pytest.mark.parametrize("host", HOSTS)
def test_a_third_redirect_puts_the_subscription_aside(
    field: Field, running: PushService, host: str
) -> None:
    act = {"do": "answer", "status": 308, "headers": {"location": f"https://{host}/else"}}
    sent = send(field, running, host, act, alone=True)
    for minute in (1, 2):
        late = deliver.Options(patience=0.0)
        now = sent.now + minute * 60 * SECOND
        deliver.run(field.store, field.config, sent.campaign, now, late)
    assert ledger(field, sent, sent.rows[-1])[0:2] == ("rejected", "308 redirect")
    assert ledger(field, sent, sent.rows[-1])[3] == "quarantined"
    assert not any("/else" in one.path for one in running.receipts())


@pytest.mark.parametrize("host", HOSTS)
def test_retries_are_given_up_after_the_sixth(
    field: Field, running: PushService, host: str
) -> None:
    sent = send(field, running, host, {"do": "answer", "status": 500}, alone=True)
    for tries in range(1, 6):
        assert ledger(field, sent, sent.rows[-1])[0] == "planned", tries
        now = sent.now + tries * 600 * SECOND
        deliver.run(
            field.store, field.config, sent.campaign, now, deliver.Options(patience=0.0)
        )
    status, why, _, state, *_ = ledger(field, sent, sent.rows[-1])
    assert (status, why, state) == ("rejected", "500 service fault, 6 times", "active")


@pytest.mark.parametrize(
    ("host", "body"), [(MOZILLA, errno(113)), (APPLE, reason("BadWebPushTopic"))]
)
def test_our_fault_is_tried_once_more_and_then_rejected(
    field: Field, running: PushService, host: str, body: str
) -> None:
    act = {"do": "answer", "status": 400, "body": body}
    sent = send(field, running, host, act, alone=True)
    late = deliver.Options(patience=0.0)
    deliver.run(field.store, field.config, sent.campaign, sent.now + SECOND, late)
    assert ledger(field, sent, sent.rows[-1])[0:4] == (
        "rejected",
        "400 bad topic",
        None,
        "active",
    )
    assert field.counts(sent.campaign) == {"accepted": GOOD, "rejected": 1}


def test_where_mozilla_keeps_a_message_is_written_down(
    field: Field, running: PushService
) -> None:
    where = "https://updates.push.services.mozilla.com/m/gAAAA"
    act = {"do": "answer", "status": 201, "headers": {"location": where}}
    sent = send(field, running, MOZILLA, act, alone=True)
    assert ledger(field, sent, sent.rows[-1])[5] == where


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.means is REFUSED and row.status in (401, 403)],
    ids=lambda row: row.name,
)
def test_after_a_wrong_key_or_sub_the_command_leaves_with_77_and_nobody_is_deleted(
    tmp_path: Path, running: PushService, row: Row
) -> None:
    field = sending.field(tmp_path)
    sending.lead_to(tmp_path, running)
    field.people(8, row.host, now=soon())
    before = len(running.receipts())
    running.play([row.act])
    run = pushctl("send", "--tag", "Sale", "--yes", cwd=tmp_path)
    running.play([])
    assert run.code == 77, run.err
    assert "Nobody was deleted" in run.err
    assert field.states() == {"active": 8}
    assert len(running.receipts(before)) == 5, "only the first few are tried"
    field.store.close()
