"""
Every answer that a push service is known to give, through the real sender into the ledger.

Each row is sent twice: to one subscription among others that are accepted, and as the
answer to all of them. What it means for one and for all differs where the fault may be
ours: a refused key deletes nobody.
"""

import contextlib
import io
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest

from pushctl import output
from pushctl.commands import results
from pushctl.commands.context import Context
from pushctl.demo.pushservice import PushService
from pushctl.errors import PushctlError
from pushctl.jobs import deliver
from pushctl.model import Campaign, CampaignStatus, Millis
from tests.support import sending
from tests.support.program import pushctl
from tests.support.sending import APPLE, FCM, MOZILLA, WNS, Field, soon

SECOND = 1000
GOOD = 12  # people who are accepted beside the one; more than the first five
HOSTS = (MOZILLA, FCM, APPLE, WNS)
NAMES = {MOZILLA: "mozilla", FCM: "fcm", APPLE: "apple", WNS: "wns"}


class Means(NamedTuple):
    """What an answer leads to: the row's state, the subscription's, the exit code."""

    one: tuple[str, str, int]  # to one among many
    all: tuple[str, str, int]  # to everybody
    held: tuple[bool, bool] = (False, False)  # whether the service waits, for one and all


ACCEPTED = Means(("accepted", "active", 0), ("accepted", "active", 0))
GONE = Means(("gone", "gone", 0), ("gone", "gone", 0))
RETRY = Means(("planned", "active", 0), ("planned", "active", 0), (False, True))
THROTTLED = Means(("planned", "active", 0), ("planned", "active", 0), (False, True))
THROTTLED_ONE = Means(("planned", "active", 0), ("planned", "active", 0))
REFUSED = Means(("rejected", "quarantined", 5), ("planned", "active", 77))
OUR_FAULT = Means(("planned", "active", 77), ("planned", "active", 77))
QUARANTINE = Means(("rejected", "quarantined", 5), ("rejected", "quarantined", 5))
TOO_LARGE = Means(("rejected", "active", 5), ("rejected", "active", 5))
IN_DOUBT = Means(("in_doubt", "active", 5), ("in_doubt", "active", 5), (False, True))


@dataclass(frozen=True)
class Row:
    host: str
    status: int
    says: str | None  # the reason in the ledger
    means: Means
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    wait: tuple[int, int] | None = None  # seconds until the row's next try, least and most

    @property
    def name(self) -> str:
        text = self.body or " ".join(f"{name}: {value}" for name, value in self.headers)
        return f"{NAMES[self.host]} {self.status} {text[:40]}".strip()

    @property
    def act(self) -> dict[str, Any]:
        return {
            "do": "answer",
            "status": self.status,
            "body": self.body,
            "headers": dict(self.headers),
        }


def errno(number: int) -> str:
    return json.dumps({"errno": number, "message": "as autopush says it"})


def reason(word: str) -> str:
    return json.dumps({"reason": word})


def described(text: str) -> tuple[tuple[str, str], ...]:
    return (("x-wns-status", "dropped"), ("x-wns-error-description", text))


def after(seconds: int) -> tuple[tuple[str, str], ...]:
    return (("retry-after", str(seconds)),)


SOON = (2, 5)  # the first pause after a fault, with its jitter
QUARTER = (900, 915)

ELSEWHERE = (("location", "https://elsewhere.example/"),)

EVERYWHERE = [
    *((status, None, ACCEPTED, (), None) for status in (200, 201, 202, 204)),
    *((code, f"{code} redirect", RETRY, ELSEWHERE, SOON) for code in (301, 302, 307, 308)),
    *(
        (status, f"{status} service fault", RETRY, (), SOON) for status in (500, 502, 503, 504)
    ),
    (503, "503 service fault", RETRY, after(120), (120, 121)),
    (408, "408 request timeout", RETRY, (), SOON),
    (425, "425 too early", RETRY, (), SOON),
    (413, "413 too large", TOO_LARGE, (), None),
    (418, "418 unexpected", QUARANTINE, (), None),
]  # fmt: skip

ROWS = [
    *(
        Row(host, status, says, means, headers=headers, wait=wait)
        for host in HOSTS
        for status, says, means, headers, wait in EVERYWHERE
    ),
    # Google.
    Row(FCM, 400, "400 unauthorized registration", REFUSED, "UnauthorizedRegistration"),
    Row(FCM, 400, "400 bad request", REFUSED, "INVALID_ARGUMENT"),
    Row(
        FCM,
        403,
        "403 other key",
        REFUSED,
        "the VAPID credentials in the authorization header do not correspond to the "
        "credentials used to create the subscriptions.",
    ),
    Row(FCM, 403, "403 other key", REFUSED, "invalid sender ID"),
    Row(FCM, 403, "403 wrong audience", REFUSED, "the 'aud' claim in the JWT is wrong"),
    Row(FCM, 403, "403 invalid endpoint", QUARANTINE, "invalid push subscription endpoint"),
    Row(
        FCM,
        404,
        "404 stale",
        GONE,
        "A valid push subscription endpoint should be specified in the URL as such: /wp/",
    ),
    Row(FCM, 410, "410 unsubscribed", GONE, "push subscription has unsubscribed or expired."),
    Row(FCM, 429, "429 too many requests", THROTTLED, "", after(900), wait=QUARTER),
    # Mozilla.
    Row(MOZILLA, 400, "400 bad router", OUR_FAULT, errno(108)),
    Row(MOZILLA, 400, "400 bad encryption headers", OUR_FAULT, errno(110)),
    Row(MOZILLA, 400, "400 no TTL", OUR_FAULT, errno(111)),
    Row(MOZILLA, 400, "400 bad TTL", OUR_FAULT, errno(112)),
    Row(MOZILLA, 400, "400 bad topic", OUR_FAULT, errno(113)),
    Row(MOZILLA, 400, "400 bad TTL", OUR_FAULT, errno(114)),
    Row(MOZILLA, 401, "401 key refused", REFUSED, errno(109)),
    Row(MOZILLA, 404, "404 unknown", GONE, errno(102)),
    *(Row(MOZILLA, 410, "410 unsubscribed", GONE, errno(n)) for n in (103, 105, 106)),
    Row(MOZILLA, 413, "413 too large", TOO_LARGE, errno(104)),
    *(
        Row(MOZILLA, 502, "502 service fault", RETRY, errno(n), (), SOON)
        for n in (901, 902, 903)
    ),
    *(
        Row(MOZILLA, 503, "503 service fault", RETRY, errno(n), after(120), (120, 121))
        for n in (201, 202)
    ),
    Row(MOZILLA, 429, "429 too many requests", THROTTLED, "", after(900), wait=QUARTER),
    # Apple.
    Row(APPLE, 400, "400 bad topic", OUR_FAULT, reason("BadWebPushTopic")),
    Row(APPLE, 400, "400 bad TTL", OUR_FAULT, reason("BadTtl")),
    Row(APPLE, 400, "400 bad urgency", OUR_FAULT, reason("BadUrgency")),
    Row(APPLE, 400, "400 bad request", OUR_FAULT, reason("BadWebPushRequest")),
    Row(APPLE, 400, "400 other key", REFUSED, reason("VapidPkHashMismatch")),
    Row(APPLE, 403, "403 other key", REFUSED, reason("VapidPkHashMismatch")),
    Row(APPLE, 403, "403 token refused", REFUSED, reason("BadJwtToken")),
    Row(APPLE, 404, "404 unknown", GONE, reason("BadPath")),
    Row(APPLE, 410, "410 unsubscribed", GONE, reason("Unregistered")),
    Row(APPLE, 413, "413 too large", TOO_LARGE, reason("PayloadTooLarge")),
    Row(
        APPLE,
        429,
        "429 too many for this device",
        THROTTLED_ONE,
        reason("TooManyRequests"),
        after(900),
        wait=QUARTER,
    ),
    # Microsoft.
    Row(
        WNS,
        400,
        "400 TTL against cache policy",
        OUR_FAULT,
        headers=described("Ttl value conflicts with X-WNS-Cache-Policy."),
    ),
    Row(
        WNS,
        401,
        "401 key or channel refused",
        REFUSED,
        headers=described("The VAPID key does not match the channel."),
    ),
    Row(WNS, 404, "404 unknown channel", GONE),
    Row(WNS, 410, "410 channel expired", GONE),
    *(
        Row(
            WNS,
            status,
            says,
            THROTTLED,
            headers=(*after(900), ("x-wns-status", "appthrottled")),
            wait=QUARTER,
        )
        for status, says in ((406, "406 throttled"), (429, "429 too many requests"))
    ),
]

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
    now: Millis


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
    return Sent(report.campaign, report, rows, exit_code(field, report), now)


def exit_code(field: Field, report: deliver.Report) -> int:
    """Return what `pushctl send` leaves with, by the function that decides it there."""
    here = cast(Context, SimpleNamespace(store=field.store))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            results.conclude(here, report, output.Format.JSON)
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


def held_until(field: Field) -> Millis | None:
    """Return until when the push service waits, or None."""
    origins = field.store.origins.all()
    return origins[0].paused_until if origins else None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_answer_to_one_among_many(field: Field, running: PushService, row: Row) -> None:
    sent = send(field, running, row.host, row.act, alone=True)
    *others, last = sent.rows
    status, why, at, state, small, _ = ledger(field, sent, last)
    assert (status, state, sent.code) == row.means.one
    assert why == row.says
    assert small == (row.means is TOO_LARGE)
    if row.means is not OUR_FAULT:  # that stops before all of them had their turn
        assert {ledger(field, sent, other)[0] for other in others} == {"accepted"}
    assert {ledger(field, sent, other)[3] for other in others} == {"active"}
    assert (held_until(field) is not None) is row.means.held[0]
    if row.wait:
        least, most = row.wait
        assert sent.now + least * SECOND <= at <= sent.now + (most + 1) * SECOND


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
        assert sent.now + 900 * SECOND <= until <= sent.now + 905 * SECOND
    paused = sent.campaign.status is CampaignStatus.PAUSED
    assert paused is (code == 77)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("act", NO_ANSWER)
def test_no_answer_to_one_is_a_doubt(
    field: Field, running: PushService, act: str, host: str
) -> None:
    before, field.config = field.config, sending.led_to(field.config, running, timeout=0.3)
    try:
        sent = send(field, running, host, {"do": act}, alone=True)
    finally:
        field.config = before
    status, why, _, state, *_ = ledger(field, sent, sent.rows[-1])
    assert (status, state, sent.code) == IN_DOUBT.one
    assert why == NO_ANSWER[act]
    assert sum(field.counts(sent.campaign).values()) == GOOD + 1


@pytest.mark.parametrize("host", HOSTS)
def test_a_wrong_certificate_is_provably_not_sent(
    field: Field, running: PushService, host: str
) -> None:
    from pushctl.push import chunk

    chunk.close_office()  # the handshake is made once a connection
    sent = send(field, running, host, {"do": "wrong_tls", "host": host}, alone=False)
    chunk.close_office()
    status, why, _, state, *_ = ledger(field, sent, sent.rows[0])
    assert (status, state, sent.code) == RETRY.all
    assert why == "not sent: certificate refused"
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
