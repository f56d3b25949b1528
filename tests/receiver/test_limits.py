"""The receiver on the open internet: deadlines, places, rates, TLS, and what is told of it."""

import asyncio
import http.client
import json
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushctl.errors import ConfigError
from pushctl.inbox import Writer
from pushctl.model import InboxRecord
from pushctl.receiver import commit
from pushctl.receiver.addresses import Proxies
from pushctl.receiver.answers import Refusal
from pushctl.receiver.commit import Committer
from pushctl.receiver.rates import Buckets, RateLimits
from pushctl.receiver.server.tls import Certificate
from tests.faults import slow_receiver
from tests.receiver.test_commit import put
from tests.support import NOON
from tests.support import receiving as r


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0))
    one.settimeout(10)
    return one


def closed(one: socket.socket) -> bool:
    try:
        return one.recv(1) == b""
    except ConnectionResetError:
        return True


def said(one: socket.socket) -> bytes:
    """Return all that comes until the receiver closes."""
    text = b""
    try:
        while part := one.recv(65536):
            text += part
    except ConnectionResetError:
        pass
    return text


# --- whose turn it is ---------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_holds_ten_seconds_worth_and_fills_again() -> None:
    clock = Clock()
    buckets = Buckets(2, clock=clock)
    assert [buckets.take("a") for _ in range(20)] == [0.0] * 20
    assert buckets.take("a") == 0.5
    assert buckets.take("b") == 0.0
    clock.now += 0.5
    assert buckets.take("a") == 0.0
    assert buckets.take("a") == 0.5


def test_what_costs_more_waits_longer_and_never_for_ever() -> None:
    clock = Clock()
    buckets = Buckets(2, clock=clock)
    assert [buckets.take("a", 10) for _ in range(3)] == [0.0, 0.0, 5.0]
    clock.now += 5
    assert buckets.take("a", 10) == 0.0
    # As much as a whole bucket holds, where that is less.
    assert Buckets(0.1, clock=clock).take("a", 10) == 0.0


def test_subscriptions_count_for_ten_requests_of_their_address(strict: int) -> None:
    statuses = []
    for number in range(3):
        one = http.client.HTTPConnection(
            "127.0.0.1", strict, 10, source_address=("127.9.0.9", 0)
        )
        heads = {"Origin": r.ORIGIN, "Content-Type": "application/json"}
        one.request("POST", "/v1/subscribe", json.dumps(r.subscription(number)), heads)
        statuses.append(one.getresponse().status)
        one.close()
    assert statuses == [204, 429, 429]


def test_however_many_addresses_come_few_are_remembered() -> None:
    buckets = Buckets(1, most=1_000, clock=Clock())
    for number in range(50_000):
        buckets.take(str(number))
    assert len(buckets) == 1_000


def test_an_address_in_use_is_not_forgotten_for_strangers_who_pass_by() -> None:
    buckets = Buckets(0.1, most=10, clock=Clock())
    assert buckets.take("busy") == 0.0
    for number in range(100):
        buckets.take(str(number))
        assert buckets.take("busy") > 0


def test_no_rate_is_no_limit_and_remembers_nobody() -> None:
    buckets = Buckets(0)
    assert not any(buckets.take("a") for _ in range(10_000))
    assert len(buckets) == 0


def forwarded(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-forwarded-for", value.encode()) for value in values]


@pytest.mark.parametrize(
    ("peer", "told", "client"),
    [
        ("9.9.9.9", [], "9.9.9.9"),
        ("9.9.9.9", ["1.2.3.4"], "9.9.9.9"),  # no proxy of ours: its word is nothing
        ("10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6, 1.2.3.4"], "1.2.3.4"),  # the client's own invention
        ("10.0.0.1", ["6.6.6.6", "1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["1.2.3.4, 10.0.0.7"], "1.2.3.4"),
        ("10.0.0.1", ["1.2.3.4, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["1.2.3.4, "], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ("::ffff:10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", ["::ffff:1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6," * 5000 + "1.2.3.4"], "1.2.3.4"),
        ("::ffff:9.9.9.9", [], "9.9.9.9"),
        ("10.0.0.1", ["1.2.3.4:5678"], "1.2.3.4"),
        ("10.0.0.1", ["[2001:db8::1]:5678"], "2001:db8::1"),
        ("10.0.0.1", ["[10.0.0.9"], "10.0.0.9"),
        ("unix", ["1.2.3.4"], "unix"),
    ],
)
def test_the_nearest_hop_that_is_no_proxy_of_ours_is_the_client(
    peer: str, told: list[str], client: str
) -> None:
    assert Proxies(["10.0.0.0/8"]).find_client(peer, forwarded(*told)) == client


def test_a_network_of_ipv6_is_one_client() -> None:
    gate = RateLimits(0.1, 0, [])
    gate.check("2001:db8:1:2::1", [], None)
    with pytest.raises(Refusal) as refused:
        gate.check("2001:db8:1:2:ffff::9", [], None)
    assert (refused.value.status, refused.value.headers) == (429, {"retry-after": "10"})
    gate.check("2001:db8:1:3::1", [], None)


def test_a_site_has_a_limit_of_its_own() -> None:
    gate = RateLimits(0, 0.1, [])
    gate.check("1.1.1.1", [], "shop")
    with pytest.raises(Refusal, match="site rate"):
        gate.check("2.2.2.2", [], "shop")
    gate.check("1.1.1.1", [], "blog")


def test_a_proxy_that_does_not_say_for_whom_stands_for_everybody() -> None:
    gate = RateLimits(0.1, 0, ["127.0.0.0/8"])
    for _ in range(100):
        assert gate.check("127.0.0.1", [], None) == "127.0.0.1"
    gate.check("127.0.0.1", forwarded("1.2.3.4"), None)
    with pytest.raises(Refusal):
        gate.check("127.0.0.1", forwarded("1.2.3.4"), None)


# --- the door -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A receiver that trusts no proxy and gives every address little."""
    folder = tmp_path_factory.mktemp("strict")
    limits = {"trusted_proxies": [], "connections": 40, "connections_per_address": 8}
    metrics = f"127.0.0.1:{r.free_port()}"
    with r.running(folder, rate_per_address=1.0, metrics=metrics, **limits) as port:
        Strict.metrics = int(metrics.rpartition(":")[2])
        yield port


class Strict:
    metrics = 0


def from_address(port: int, source: str, count: int) -> list[http.client.HTTPResponse]:
    found = []
    body = json.dumps(r.events(1)).encode()
    for _ in range(count):
        one = http.client.HTTPConnection("127.0.0.1", port, 10, source_address=(source, 0))
        one.request("POST", "/v1/events", body, {"Origin": r.ORIGIN})
        answer = one.getresponse()
        answer.read()
        one.close()
        found.append(answer)
    return found


def test_too_many_requests_of_an_address_are_refused_before_they_are_read(strict: int) -> None:
    answers = from_address(strict, "127.9.0.1", 14)
    assert {answer.status for answer in answers[:10]} == {415}
    last = answers[-1]
    assert last.status == 429
    assert int(last.headers["retry-after"]) >= 1
    assert last.headers["access-control-allow-origin"] == r.ORIGIN
    assert last.headers["access-control-expose-headers"] == "retry-after"
    assert from_address(strict, "127.9.0.2", 1)[0].status == 415


def test_a_forged_forwarded_header_buys_nothing(strict: int) -> None:
    statuses = []
    for number in range(14):
        one = http.client.HTTPConnection(
            "127.0.0.1", strict, 10, source_address=("127.9.0.3", 0)
        )
        one.request("POST", "/v1/events", b"{}", {"X-Forwarded-For": f"8.8.{number}.1"})
        statuses.append(one.getresponse().status)
        one.close()
    assert statuses[-1] == 429


def test_an_address_has_so_many_connections_and_no_more(strict: int) -> None:
    held = [connect(strict, "127.9.1.1") for _ in range(8)]
    extra = connect(strict, "127.9.1.1")
    assert closed(extra)
    assert r.get(strict, "/healthz").status == 200
    for one in (*held, extra):
        one.close()


def test_when_all_places_are_taken_the_longest_silent_one_makes_room(strict: int) -> None:
    held = [connect(strict, f"127.9.2.{number}") for number in range(1, 41)]
    try:
        assert r.get(strict, "/healthz").status == 200
        assert closed(held[0])
        held[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert held[-1].recv(100).startswith(b"HTTP/1.1 200")
    finally:
        for one in held:
            one.close()


def test_prometheus_is_answered_on_an_address_of_its_own(strict: int) -> None:
    text = r.get(Strict.metrics, "/metrics").body.decode()
    assert 'pushctl_requests_refused_total{reason="rate",route="/v1/events"}' in text
    assert 'pushctl_connections_refused_total{reason="connections of an address"}' in text
    assert "pushctl_commit_seconds_bucket" in text
    assert "process_resident_memory_bytes" in text
    assert "127.9." not in text
    assert r.get(Strict.metrics, "/healthz").status == 200
    assert r.get(strict, "/metrics").status == 404


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("open")


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    with r.running(folder, connections=10_000) as port:
        yield port


BODY = b'{"message":"7.AAAAAAAAAAAAAAAAAAAAAA","kind":"shown","id":"one"}'
REPORT = (
    f"POST /v1/reports HTTP/1.1\r\nHost: a\r\nOrigin: {r.ORIGIN}\r\n"
    f"Content-Type: text/plain\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode() + BODY


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 17_000, b"431"),
        (b"GET /" + b"a" * 17_000, b"431"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),  # TLS to plain HTTP
        (b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: 1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded: 1\r\n\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (
            b"POST /v1/reports HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"400",
        ),
        (
            b"POST /v1/reports HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
            b"Content-Length: 6\r\n\r\nhello",
            b"400",
        ),
        (b"POST /v1/reports HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"400"),
        (
            b"POST /v1/reports HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"400",
        ),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (
            b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            b"4",
        ),
    ],
)
def test_what_is_no_plain_http_is_refused_and_closed(
    port: int, sent: bytes, status: bytes
) -> None:
    with connect(port) as one:
        one.sendall(sent)
        assert said(one).startswith(b"HTTP/1.1 " + status)


def test_a_body_in_chunks_is_bounded_as_it_comes(port: int) -> None:
    head = REPORT.partition(b"\r\n\r\n")[0].rpartition(b"\r\n")[0]
    with connect(port) as one:
        one.sendall(head + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        one.sendall(b"1000\r\n" + b"a" * 4096 + b"\r\n")
        assert said(one).startswith(b"HTTP/1.1 413")


def test_requests_sent_ahead_are_answered_in_order(port: int) -> None:
    with connect(port) as one:
        one.sendall(REPORT + b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" + REPORT)
        text = b""
        while text.count(b"HTTP/1.1") < 3:
            text += one.recv(65536)
        statuses = re.findall(rb"HTTP/1\.1 (\d+)", text)
        assert statuses == [b"204", b"200", b"204"]
        one.sendall(REPORT)
        assert one.recv(100).startswith(b"HTTP/1.1 204")


def test_a_request_in_single_bytes_is_taken(port: int) -> None:
    with connect(port) as one:
        for byte in REPORT:
            one.sendall(bytes([byte]))
        assert one.recv(100).startswith(b"HTTP/1.1 204")


def test_who_sends_hundreds_of_requests_ahead_is_shown_out(port: int) -> None:
    with connect(port) as one:
        one.sendall(REPORT * 500)
        assert said(one).count(b"HTTP/1.1") <= 20
    assert r.get(port, "/healthz").status == 200


def test_http_1_0_is_answered_and_closed(port: int) -> None:
    with connect(port) as one:
        one.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        text = said(one)
    assert text.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in text


def test_a_client_that_reads_nothing_holds_nothing(port: int) -> None:
    with connect(port) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises((TimeoutError, ConnectionError, BlockingIOError)):
            one.settimeout(0.5)
            while True:
                one.sendall(b"GET /pushctl.js HTTP/1.1\r\nHost: a\r\n\r\n" * 10)
        assert r.get(port, "/healthz").status == 200


def test_slow_and_silent_clients_are_closed_in_time_and_nobody_else_waits(port: int) -> None:
    figures = slow_receiver.attack(port, {"heads": 160, "bodies": 160, "idle": 180})
    assert figures["left_open"] == figures["refused"] == figures["normal_failed"] == 0
    assert figures["heads"] + figures["bodies"] + figures["idle"] == 500
    assert figures["heads_longest"] <= 10
    assert figures["bodies_longest"] <= 10
    assert 10 < figures["idle_longest"] <= 17
    assert figures["normal_p99_ms"] < 200


# --- the disk -----------------------------------------------------------------------------


def test_a_disk_that_is_nearly_full_is_said_before_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        committer = Committer([Writer(tmp_path)])
        running = asyncio.create_task(committer.run())
        monkeypatch.setattr(commit, "MIN_FREE_TO_RECEIVE_BYTES", 1 << 60)
        with pytest.raises(Refusal) as refused:
            await put(committer, InboxRecord("a", NOON, "/v1/events", "shop", "{}"))
        assert (refused.value.status, refused.value.word) == (503, "room")
        assert committer.full
        monkeypatch.setattr(commit, "MIN_FREE_TO_RECEIVE_BYTES", 0)
        monkeypatch.setattr(commit, "CHECK_SECONDS", 0.0)
        await put(committer, InboxRecord("a", NOON, "/v1/events", "shop", "{}"))
        assert not committer.full
        committer.close()
        await running

    asyncio.run(story())


# --- TLS ----------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> bytes:
    """Write cert.pem and key.pem for *name*; return the certificate."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", str(folder / "key.new"),
         "-out", str(folder / "cert.new")],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "key.new").rename(folder / "key.pem")
    (folder / "cert.new").rename(folder / "cert.pem")
    return (folder / "cert.pem").read_bytes()


def open_tls(port: int) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connect(port))


def shown(one: ssl.SSLSocket) -> str:
    der = one.getpeercert(True)
    assert der is not None
    return ssl.DER_cert_to_PEM_cert(der)


def ask(one: ssl.SSLSocket) -> bytes:
    one.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    return one.recv(1000)


def test_tls_without_a_proxy_and_a_renewed_certificate_without_a_restart(
    tmp_path: Path,
) -> None:
    first = certificate(tmp_path, "push.shop.example").decode()
    files = {"certificate": tmp_path / "cert.pem", "certificate_key": tmp_path / "key.pem"}
    port = r.free_port()
    process = r.launch(tmp_path, port, **files)
    try:
        r.wait_for_port(process, port)
        old = open_tls(port)
        assert shown(old).split() == first.split()
        assert ask(old).startswith(b"HTTP/1.1 200")
        second = certificate(tmp_path, "push.shop.example").decode()
        process.send_signal(1)  # SIGHUP, as certbot's deploy hook would
        end = time.monotonic() + 10
        while True:
            with open_tls(port) as new:
                assert ask(new).startswith(b"HTTP/1.1 200")
                if shown(new).split() == second.split():
                    break
            assert time.monotonic() < end
        assert ask(old).startswith(b"HTTP/1.1 200")  # nobody was dropped
        old.close()
        with connect(port) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
            assert b"HTTP/1.1 200" not in said(plain)
    finally:
        r.stop(process)


def test_a_certificate_that_is_half_renewed_is_not_used(tmp_path: Path) -> None:
    certificate(tmp_path, "a.example")
    held = Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert not held.renew()
    key = (tmp_path / "key.pem").read_bytes()
    certificate(tmp_path, "b.example")
    right = (tmp_path / "key.pem").read_bytes()
    (tmp_path / "key.pem").write_bytes(key)
    assert not held.renew()
    (tmp_path / "key.pem").write_bytes(right)
    assert held.renew()
    assert not held.renew()


def test_a_certificate_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cert\.pem"):
        Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")


def test_the_log_in_json_names_nobody(tmp_path: Path) -> None:
    port = r.free_port()
    process = r.start(tmp_path, port, log="json")
    r.post(port, "/v1/events", r.events(1), number=1)
    r.post(port, "/v1/events", r.events(1))
    lines = [json.loads(line) for line in r.stop(process).splitlines()]
    counts: dict[str, Any] = lines[-1]["counts"]
    assert counts == {"/v1/events": 1, "refused:/v1/events:unsigned": 1}
    assert lines[-1]["level"] == "info"


def test_who_opens_tls_and_says_nothing_is_closed_in_time(tmp_path: Path) -> None:
    certificate(tmp_path, "push.shop.example")
    files = {"certificate": tmp_path / "cert.pem", "certificate_key": tmp_path / "key.pem"}
    port = r.free_port()
    process = r.launch(tmp_path, port, **files)
    try:
        r.wait_for_port(process, port)
        with connect(port) as silent:
            begin = time.monotonic()
            assert closed(silent)
            assert time.monotonic() - begin < 9
    finally:
        r.stop(process)


@pytest.fixture
def few(tmp_path: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A receiver with TLS and twenty places."""
    certificate(tmp_path, "push.shop.example")
    files = {"certificate": tmp_path / "cert.pem", "certificate_key": tmp_path / "key.pem"}
    places = {"connections": 20, "connections_per_address": 10, "trusted_proxies": []}
    port = r.free_port()
    process = r.launch(tmp_path, port, **files, **places)
    try:
        r.wait_for_port(process, port)
        yield port, process
    finally:
        log = r.stop(process)
    assert "Traceback" not in log


def test_who_opens_tls_and_says_nothing_makes_room_for_others_at_once(
    few: tuple[int, subprocess.Popen[bytes]],
) -> None:
    port, _ = few
    begin = time.monotonic()
    held = [connect(port, f"127.9.7.{number}") for number in range(1, 61)]
    assert all(closed(one) for one in held[:40])  # and not only after a handshake's 5 s
    assert time.monotonic() - begin < 4
    with open_tls(port) as one:
        assert ask(one).startswith(b"HTTP/1.1 200")
    for one in held:
        one.close()


def test_who_opens_tls_and_says_nothing_does_not_hold_up_the_end(
    few: tuple[int, subprocess.Popen[bytes]],
) -> None:
    port, process = few
    with connect(port), open_tls(port) as one:
        assert ask(one).startswith(b"HTTP/1.1 200")
        begin = time.monotonic()
        process.terminate()
        assert process.wait(10) == 0
        assert time.monotonic() - begin < 4
