"""The embedded push service misbehaves exactly as its script says."""

import time
from collections.abc import Iterator
from typing import Any

import pycurl
import pytest

from pushctl.demo.pushservice import PushService
from pushctl.demo.pushservice.faults import FaultPicker, read
from tests.support.pushservice import HTTP1, HTTP2, Application, encrypt, post

WORD = b"{}"
TOO_LARGE = 100  # CURLE_TOO_LARGE, not named by pycurl


@pytest.fixture(scope="module")
def service() -> Iterator[PushService]:
    with PushService() as running:
        yield running


@pytest.fixture(scope="module")
def shop() -> Application:
    return Application()


@pytest.fixture(autouse=True)
def _no_trouble(service: PushService) -> Iterator[None]:
    yield
    service.play([])


@pytest.mark.parametrize("http", [HTTP1, HTTP2])
@pytest.mark.parametrize("scope", ["stream", "connection"])
def test_a_reset_before_the_body_leaves_no_receipt_one_after_it_does(
    service: PushService, shop: Application, http: int, scope: str
) -> None:
    endpoint = service.subscribe("mozilla", shop.key)
    for act, read_bodies in (("reset_before", 0), ("reset_after", 1)):
        service.play([{"do": act, "scope": scope}])
        before = len(service.receipts())
        # A body that can't arrive together with its head.
        body = encrypt(WORD) + b"x" * 200_000
        reply = post(service, endpoint, shop.headers(endpoint), body, http=http)
        assert (reply.status, reply.trouble != 0) == (0, True)
        assert len(service.receipts(before)) == read_bodies


# What to do -> what libcurl says of it over HTTP/1.1 and over HTTP/2.
HOSTILE: list[tuple[dict[str, Any], int, int]] = [
    ({"do": "silence"}, pycurl.E_OPERATION_TIMEDOUT, pycurl.E_OPERATION_TIMEDOUT),
    (
        {"do": "drip", "interval": 0.05},
        pycurl.E_OPERATION_TIMEDOUT,
        pycurl.E_OPERATION_TIMEDOUT,
    ),
    ({"do": "huge", "size": 200_000_000}, pycurl.E_WRITE_ERROR, pycurl.E_WRITE_ERROR),
    ({"do": "gzip", "size": 200_000_000}, pycurl.E_WRITE_ERROR, pycurl.E_WRITE_ERROR),
    ({"do": "informational", "size": 9_000_000}, TOO_LARGE, pycurl.E_RECV_ERROR),
    ({"do": "headers", "size": 6000}, pycurl.E_RECV_ERROR, pycurl.E_RECV_ERROR),
    ({"do": "early_close"}, pycurl.E_PARTIAL_FILE, pycurl.E_PARTIAL_FILE),
    ({"do": "bad_framing"}, pycurl.E_RECV_ERROR, pycurl.E_HTTP2),
]


@pytest.mark.parametrize(("line", "http1", "http2"), HOSTILE, ids=lambda v: str(v))
def test_hostile_answers_are_as_told(
    service: PushService, shop: Application, line: dict[str, Any], http1: int, http2: int
) -> None:
    endpoint = service.subscribe("mozilla", shop.key)
    service.play([line])
    for http, trouble in ((HTTP1, http1), (HTTP2, http2)):
        endless = trouble == pycurl.E_OPERATION_TIMEDOUT
        reply = post(
            service,
            endpoint,
            shop.headers(endpoint),
            encrypt(WORD),
            http=http,
            patience=0.7 if endless else 30,
            options=[(pycurl.ACCEPT_ENCODING, "gzip")] if line["do"] == "gzip" else [],
        )
        assert reply.trouble == trouble
        assert len(reply.body) < 2_000_000


@pytest.mark.parametrize("http", [HTTP1, HTTP2])
def test_large_answers_and_many_informational_ones_arrive_whole(
    service: PushService, shop: Application, http: int
) -> None:
    endpoint = service.subscribe("mozilla", shop.key)
    sent = (service, endpoint, shop.headers(endpoint), encrypt(WORD))
    service.play([{"do": "huge", "size": 5_000_000, "status": 200}])
    reply = post(*sent, http=http, most=10_000_000, patience=20)
    assert (reply.status, len(reply.body), reply.trouble) == (200, 5_000_000, 0)
    service.play([{"do": "informational", "size": 50}])
    assert post(*sent, http=http).status == 201


def test_an_answer_by_script_has_any_status_header_and_body(
    service: PushService, shop: Application
) -> None:
    endpoint = service.subscribe("wns", shop.key)
    host = "wns2-par02p.notify.windows.com"
    line = {
        "host": host,
        "do": "answer",
        "status": 406,
        "headers": {"Retry-After": "900", "X-WNS-Status": "appthrottled"},
        "body": "slow down",
    }
    service.play([line])
    waiting = service.deliveries()
    reply = post(service, endpoint, shop.headers(endpoint), encrypt(WORD))
    assert (reply.status, reply.headers["retry-after"], reply.body) == (
        406,
        "900",
        b"slow down",
    )
    assert waiting.empty()
    other = service.subscribe("apple", shop.key)
    assert post(service, other, shop.headers(other), encrypt(WORD)).status == 201


def test_an_answer_that_gets_lost_may_have_delivered(
    service: PushService, shop: Application
) -> None:
    endpoint = service.subscribe("fcm", shop.key)
    waiting = service.deliveries()
    service.play([{"do": "reset_after", "deliver": True}])
    assert post(service, endpoint, shop.headers(endpoint), encrypt(WORD)).status == 0
    assert waiting.get(timeout=30).endpoint == endpoint


def test_a_wrong_certificate_for_one_host_only(service: PushService, shop: Application) -> None:
    service.play([{"do": "wrong_tls", "host": "web.push.apple.com"}])
    apple, fcm = (service.subscribe(name, shop.key) for name in ("apple", "fcm"))
    refused = post(service, apple, shop.headers(apple), encrypt(WORD))
    assert refused.trouble == pycurl.E_PEER_FAILED_VERIFICATION
    assert post(service, fcm, shop.headers(fcm), encrypt(WORD)).status == 201


def test_delays_are_kept(service: PushService, shop: Application) -> None:
    endpoint = service.subscribe("mozilla", shop.key)
    service.play([{"delay": [0.2, 0.25]}])
    start = time.monotonic()
    assert post(service, endpoint, shop.headers(endpoint), encrypt(WORD)).status == 201
    assert time.monotonic() - start > 0.2


def test_dice_fall_the_same_way_with_the_same_seed() -> None:
    script = read([{"delay": [0.1, 0.2]}, {"share": 0.3, "do": "silence"}])
    one, two = ([FaultPicker(script, 7).pick("h", "/") for _ in range(1)] for _ in range(2))
    assert one == two
    dice = FaultPicker(script, 7)
    thrown = [dice.pick("fcm.googleapis.com", "/wp/x") for _ in range(2000)]
    silent = sum(fault.do == "silence" for fault, _ in thrown)
    assert 500 < silent < 700
    assert all(0.1 <= delay <= 0.2 for _, delay in thrown)


def test_a_script_counts_what_fits_a_line() -> None:
    dice = FaultPicker(
        read([{"host": "a", "after": 1, "first": 2, "do": "answer", "status": 503}])
    )
    acts = [dice.pick(host, "/")[0].do for host in ("b", "a", "a", "a", "a")]
    assert acts == ["pass", "pass", "answer", "answer", "pass"]


@pytest.mark.parametrize("line", [{"do": "explode"}, {"latency": 3}])
def test_a_script_with_unknown_words_is_refused(line: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="line 1"):
        read([line])
