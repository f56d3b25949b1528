"""
push/transport and push/chunk against a real server on loopback that misbehaves as told.

The promise under test: no message's body reaches the service whole a second time, and
what is reported as not sent was not.
"""

import contextlib
import functools
import os
import resource
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import http_ece
import pytest
from py_vapid import Vapid02

from pushctl.errors import ConfigError
from pushctl.model import Answer, Letter, Outcome
from pushctl.push import Postbox, chunk, journal, send_chunk, vapid
from tests.support import auth, browser_key, p256dh, wire
from tests.support.wire import Act, Request, serve

KEY = vapid.read(vapid.create())
HTTP2, HTTP1 = ("h2",), ("http/1.1",)
DEATHS = [Act.RESET, Act.CLOSE, Act.SHUTDOWN, Act.GARBAGE]
ODD_FRAMES = [Act.LEAVE, Act.FAREWELL, Act.QUIET, Act.PROMISE, Act.OVERFLOW]


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    chunk.close_sender()


def letter(number: int, **changes: object) -> Letter:
    plain = Letter(
        delivery=number,
        endpoint=f"https://{wire.HOST}/push/{number}",
        p256dh=p256dh(number % 256),
        auth=auth(number % 256),
        key_id=KEY.id,
        payload=b'{"web_push": 8030}',
        ttl=3600,
        urgency="normal",
        topic=None,
    )
    return plain._replace(**changes)


def letters(count: int) -> list[Letter]:
    return [letter(number) for number in range(count)]


def postbox(folder: Path, server: wire.Wire, **changes: object) -> Postbox:
    plain = Postbox(
        contact="mailto:push@shop.example",
        keys={KEY.id: KEY.pem},
        journal=folder / "journal",
        run="7",
        allowed_hosts=(wire.HOST,),
        timeout=5.0,
        loopback={wire.HOST: f"127.0.0.1:{server.port}"},
        loopback_ca=server.ca,
    )
    return replace(plain, **changes)


def by_answer(outcomes: list[Outcome]) -> Counter[Answer]:
    return Counter(outcome.answer for outcome in outcomes)


Serve = Callable[..., contextlib.AbstractContextManager[wire.Wire]]


@pytest.fixture
def service(tmp_path: Path) -> Serve:
    return functools.partial(serve, tmp_path)


@pytest.fixture
def no_turns() -> Iterator[None]:
    """
    Let threads take turns at once.

    A service that says very much at once is a thread here: for each of 7,500 headers we
    would wait 5 ms for it, which a service elsewhere doesn't ask of us.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class TestRequests:
    def test_the_message_arrives_and_can_be_read(self, tmp_path: Path, service: Serve) -> None:
        with service() as server:
            (outcome,) = send_chunk([letter(5, payload=b"hello")], postbox(tmp_path, server))
            (request,) = server.requests
        assert outcome[:4] == (5, Answer.ACCEPTED, "201", 201)
        read = http_ece.decrypt(
            request.body, private_key=browser_key(5), auth_secret=auth(5), version="aes128gcm"
        )
        assert read == b"hello"

    def test_the_headers_are_those_of_the_rfcs(self, tmp_path: Path, service: Serve) -> None:
        topic = "x" * 32
        with service() as server:
            send_chunk(
                [letter(1, ttl=60, urgency="high", topic=topic)], postbox(tmp_path, server)
            )
            (request,) = server.requests
        headers = request.headers
        assert headers["ttl"] == "60"
        assert headers["urgency"] == "high"
        assert headers["topic"] == topic
        assert headers["content-encoding"] == "aes128gcm"
        assert headers["content-type"] == "application/octet-stream"
        assert headers["accept-encoding"] == "identity"
        assert headers["content-length"] == str(len(request.body))
        assert "expect" not in headers
        assert Vapid02.verify(headers["authorization"])
        assert headers["authorization"].endswith(f"k={KEY.public}")

    def test_without_a_topic_there_is_none(self, tmp_path: Path, service: Serve) -> None:
        with service() as server:
            send_chunk([letter(1, topic="a" * 32), letter(2)], postbox(tmp_path, server))
            topics = {r.path: r.headers.get("topic") for r in server.requests}
        assert topics == {"/push/1": "a" * 32, "/push/2": None}

    @pytest.mark.parametrize(("ttl", "policy"), [(0, "no-cache"), (1, "cache"), (60, "cache")])
    def test_microsoft_gets_its_cache_policy(
        self, tmp_path: Path, service: Serve, ttl: int, policy: str
    ) -> None:
        host = "wns2-par02p.notify.windows.com"
        with service(names=(host,)) as server:
            box = postbox(
                tmp_path,
                server,
                allowed_hosts=(".notify.windows.com",),
                loopback={host: f"127.0.0.1:{server.port}"},
            )
            (outcome,) = send_chunk(
                [letter(1, endpoint=f"https://{host}/w/?token=a%2bb", ttl=ttl)], box
            )
            (request,) = server.requests
        assert outcome.answer is Answer.ACCEPTED
        assert request.headers["x-wns-cache-policy"] == policy
        assert request.path == "/w/?token=a%2bb"  # never encoded anew

    def test_nobody_else_gets_it(self, tmp_path: Path, service: Serve) -> None:
        with service() as server:
            send_chunk([letter(1)], postbox(tmp_path, server))
            assert "x-wns-cache-policy" not in server.requests[0].headers

    def test_a_path_is_sent_as_it_is(self, tmp_path: Path, service: Serve) -> None:
        path = "/a/../b/./c//d%2Fe%zz?q=%20&r=~!*'()"
        with service() as server:
            send_chunk(
                [letter(1, endpoint=f"https://{wire.HOST}{path}")], postbox(tmp_path, server)
            )
            assert server.requests[0].path == path

    def test_each_subscription_gets_the_key_that_it_was_made_with(
        self, tmp_path: Path, service: Serve
    ) -> None:
        old = vapid.read(vapid.create())
        with service() as server:
            box = postbox(tmp_path, server, keys={KEY.id: KEY.pem, old.id: old.pem})
            send_chunk([letter(1), letter(2, key_id=old.id), letter(3)], box)
            keys = {
                r.path: r.headers["authorization"].partition(",k=")[2] for r in server.requests
            }
        assert keys == {"/push/1": KEY.public, "/push/2": old.public, "/push/3": KEY.public}

    def test_the_token_is_signed_once(self, tmp_path: Path, service: Serve) -> None:
        with service() as server:
            send_chunk(letters(50), postbox(tmp_path, server))
            assert len({r.headers["authorization"] for r in server.requests}) == 1

    def test_many_share_a_connection(self, tmp_path: Path, service: Serve) -> None:
        with service() as server:
            box = postbox(tmp_path, server)
            for start in (0, 300):
                sent = [letter(start + number) for number in range(300)]
                assert by_answer(send_chunk(sent, box)) == {Answer.ACCEPTED: 300}
            assert server.protocols == {"h2": server.connections}
            assert server.connections <= 4

    def test_http_1_does_too(self, tmp_path: Path, service: Serve) -> None:
        with service(alpn=HTTP1) as server:
            outcomes = send_chunk(letters(150), postbox(tmp_path, server))
            assert by_answer(outcomes) == {Answer.ACCEPTED: 150}
            assert server.bodies == {f"/push/{number}": 1 for number in range(150)}
            assert server.connections <= 64

    def test_where_to_delete_it_again_is_kept(self, tmp_path: Path, service: Serve) -> None:
        where = f"https://{wire.HOST}/m/gAAAA"
        with service(lambda request: wire.Answer(201, (("location", where),))) as server:
            (outcome,) = send_chunk([letter(1)], postbox(tmp_path, server))
        assert outcome.location == where

    def test_largest_payload_fits_and_larger_is_not_sent(
        self, tmp_path: Path, service: Serve
    ) -> None:
        with service() as server:
            sent = [letter(1, payload=bytes(3993)), letter(2, payload=bytes(3994))]
            outcomes = {o.delivery: o for o in send_chunk(sent, postbox(tmp_path, server))}
            assert len(server.requests[0].body) == 4096
            assert len(server.requests) == 1
        assert outcomes[1].answer is Answer.ACCEPTED
        assert (outcomes[2].answer, outcomes[2].reason) == (
            Answer.TOO_LARGE,
            "payload too large",
        )

    def test_a_bad_key_of_one_leaves_the_others_alone(
        self, tmp_path: Path, service: Serve
    ) -> None:
        with service() as server:
            sent = [
                letter(1),
                letter(2, p256dh=b"\x04" + bytes(64)),
                letter(3, key_id="unknown"),
            ]
            outcomes = {o.delivery: o for o in send_chunk(sent, postbox(tmp_path, server))}
        assert outcomes[1].answer is Answer.ACCEPTED
        assert outcomes[2][:3] == (2, Answer.QUARANTINE, "its p256dh is off the curve")
        assert outcomes[3][:3] == (3, Answer.QUARANTINE, "its key is not here")


class TestNobodyTwice:
    """G1: whatever the service does to a connection, no body arrives whole twice."""

    @pytest.mark.parametrize(
        ("alpn", "act"),
        [(HTTP1, act) for act in DEATHS] + [(HTTP2, act) for act in DEATHS + ODD_FRAMES],
        ids=lambda value: value if isinstance(value, str) else value[0],
    )
    @pytest.mark.parametrize("nth", [1, 2, 10])
    def test_a_connection_that_dies_after_the_body_was_read(
        self, tmp_path: Path, service: Serve, alpn: tuple[str, ...], nth: int, act: str
    ) -> None:
        def behave(request: Request) -> wire.Answer | str:
            return act if request.nth == nth else wire.Answer()

        with service(behave, alpn=alpn) as server:
            # Few at once over HTTP/1.1, so that each connection serves many.
            box = postbox(tmp_path, server, window=100 if alpn == HTTP2 else 4)
            # Warm: from here on each request goes over a kept connection, which is
            # where libcurl would repeat it by itself.
            outcomes = []
            for start in (0, 1, 60):
                part = [letter(start + number) for number in range(min(start, 59) + 1)]
                outcomes += send_chunk(part, box)
            bodies = server.bodies
        assert max(bodies.values()) == 1
        for outcome in outcomes:
            read = bodies[f"/push/{outcome.delivery}"]
            if outcome.answer is Answer.ACCEPTED:
                assert read == 1
            elif outcome.answer is Answer.RETRY:
                assert read == 0, outcome
            else:
                assert outcome.answer is Answer.IN_DOUBT
        assert by_answer(outcomes)[Answer.IN_DOUBT] >= 1

    @pytest.mark.parametrize("act", [Act.REFUSE, Act.GOAWAY])
    def test_what_the_service_refused_to_look_at_goes_out_again(
        self, tmp_path: Path, service: Serve, act: str
    ) -> None:
        """RFC 9113, 8.7: such a request has not been processed."""
        processed: Counter[str] = Counter()

        def behave(request: Request) -> wire.Answer | str:
            if request.connection == 1 and request.nth >= 20:
                return act if act == Act.REFUSE or request.nth == 20 else Act.HANG
            processed[request.path] += 1
            return wire.Answer()

        with service(behave, alpn=HTTP2) as server:
            box = postbox(tmp_path, server)
            outcomes = send_chunk(letters(1), box)
            outcomes += send_chunk([letter(number) for number in range(1, 60)], box)
        assert by_answer(outcomes) == {Answer.ACCEPTED: 60}
        assert set(processed.values()) == {1}
        assert len(processed) == 60

    def test_one_that_refuses_for_ever_is_given_up(
        self, tmp_path: Path, service: Serve
    ) -> None:
        def behave(request: Request) -> wire.Answer | str:
            return Act.REFUSE if request.path != "/push/0" else wire.Answer()

        with service(behave, alpn=HTTP2) as server:
            box = postbox(tmp_path, server)
            send_chunk(letters(1), box)
            (outcome,) = send_chunk([letter(1)], box)
            assert server.bodies["/push/1"] == 3
        assert (outcome.answer, outcome.reason) == (
            Answer.RETRY,
            "not sent: refused by the service",
        )

    def test_a_stream_that_breaks_is_in_doubt(self, tmp_path: Path, service: Serve) -> None:
        def behave(request: Request) -> wire.Answer | str:
            return Act.CANCEL if request.path == "/push/3" else wire.Answer()

        with service(behave, alpn=HTTP2) as server:
            outcomes = {
                o.delivery: o for o in send_chunk(letters(9), postbox(tmp_path, server))
            }
            assert max(server.bodies.values()) == 1
        assert outcomes.pop(3)[1:3] == (Answer.IN_DOUBT, "connection lost")
        assert {o.answer for o in outcomes.values()} == {Answer.ACCEPTED}

    @pytest.mark.parametrize("alpn", [HTTP2, HTTP1], ids=lambda alpn: alpn[0])
    def test_a_kept_connection_closed_in_quiet_is_replaced(
        self, tmp_path: Path, service: Serve, alpn: tuple[str, ...]
    ) -> None:
        """Nothing was in flight, so nothing is in doubt."""
        with service(alpn=alpn) as server:
            box = postbox(tmp_path, server)
            for start in range(0, 400, 100):
                outcomes = send_chunk([letter(start + n) for n in range(100)], box)
                assert by_answer(outcomes) == {Answer.ACCEPTED: 100}
                server.hang_up()
            assert max(server.bodies.values()) == 1

    @pytest.mark.parametrize("alpn", [HTTP2, HTTP1], ids=lambda alpn: alpn[0])
    def test_no_answer_in_time_is_in_doubt(
        self, tmp_path: Path, service: Serve, alpn: tuple[str, ...]
    ) -> None:
        with service(lambda request: Act.HANG, alpn=alpn) as server:
            began = time.monotonic()
            outcomes = send_chunk(letters(3), postbox(tmp_path, server, timeout=0.3))
            assert time.monotonic() - began < 3
            read = server.bodies.keys()
        # Over HTTP/1.1 the second waits for the first one's connection.
        for outcome in outcomes:
            got = f"/push/{outcome.delivery}" in read
            assert outcome.answer is (Answer.IN_DOUBT if got else Answer.RETRY)
            assert outcome.reason == ("timeout" if got else "no network: timeout")
        assert len(read) == (3 if alpn == HTTP2 else 1)


class TestNotSent:
    def check(self, outcome: Outcome, reason: str) -> None:
        assert (outcome.answer, outcome.reason) == (Answer.RETRY, reason)

    def test_nobody_listens(self, tmp_path: Path, service: Serve) -> None:
        with service() as server:
            box = postbox(tmp_path, server)
        (outcome,) = send_chunk([letter(1)], box)
        self.check(outcome, "no network: no connection")

    def test_the_name_leads_nowhere(self, tmp_path: Path, service: Serve) -> None:
        with service() as server:
            box = postbox(tmp_path, server, allowed_hosts=("push.invalid",))
            (outcome,) = send_chunk([letter(1, endpoint="https://push.invalid/x")], box)
        self.check(outcome, "no network: no address")

    def test_a_certificate_for_another_name(self, tmp_path: Path, service: Serve) -> None:
        with service(names=("other.test",)) as server:
            (outcome,) = send_chunk([letter(1)], postbox(tmp_path, server))
            assert not server.bodies
        self.check(outcome, "not sent: certificate refused")

    def test_a_certificate_that_nobody_vouches_for(
        self, tmp_path: Path, service: Serve
    ) -> None:
        with service() as server:
            (outcome,) = send_chunk([letter(1)], postbox(tmp_path, server, loopback_ca=None))
            assert not server.bodies
        self.check(outcome, "not sent: certificate refused")

    def test_what_listens_speaks_no_tls(self, tmp_path: Path, service: Serve) -> None:
        with service() as server, socket.create_server(("127.0.0.1", 0)) as plain:
            target = f"127.0.0.1:{plain.getsockname()[1]}"
            box = postbox(tmp_path, server, loopback={wire.HOST: target}, timeout=0.3)
            (outcome,) = send_chunk([letter(1)], box)
        self.check(outcome, "no network: timeout")


class TestSafeDialling:
    def test_a_name_that_leads_inside_is_not_dialled(
        self, tmp_path: Path, service: Serve
    ) -> None:
        """The hosts file names this machine; DNS rebinding would do the same."""
        with service(names=("localhost",)) as server:
            name = f"localhost:{server.port}"
            box = postbox(tmp_path, server, allowed_hosts=(name,), loopback={})
            (outcome,) = send_chunk([letter(1, endpoint=f"https://{name}/x")], box)
            assert server.connections == 0
        assert outcome[:3] == (1, Answer.BLOCKED, "address not allowed")

    def test_the_name_of_another_host_in_loopback_stays_vetted(
        self, tmp_path: Path, service: Serve
    ) -> None:
        with service(names=("localhost", wire.HOST)) as server:
            name = f"localhost:{server.port}"
            box = postbox(tmp_path, server, allowed_hosts=(name, wire.HOST))
            outcomes = {
                o.delivery: o
                for o in send_chunk([letter(1), letter(2, endpoint=f"https://{name}/x")], box)
            }
        assert outcomes[1].answer is Answer.ACCEPTED
        assert outcomes[2].answer is Answer.BLOCKED

    def test_a_host_that_is_not_allowed_is_not_dialled(
        self, tmp_path: Path, service: Serve
    ) -> None:
        with service() as server:
            box = postbox(tmp_path, server, allowed_hosts=("fcm.googleapis.com",))
            (outcome,) = send_chunk([letter(1)], box)
            assert server.connections == 0
        assert outcome[:3] == (1, Answer.BLOCKED, "address not allowed")

    def test_a_redirect_is_not_followed(self, tmp_path: Path, service: Serve) -> None:
        def behave(request: Request) -> wire.Answer:
            return wire.Answer(307, (("location", f"https://{wire.HOST}/elsewhere"),))

        with service(behave) as server:
            (outcome,) = send_chunk([letter(1)], postbox(tmp_path, server))
            assert server.bodies == {"/push/1": 1}
        assert (outcome.answer, outcome.reason) == (Answer.RETRY, "307 redirect")

    def test_the_environment_names_no_proxy(
        self, tmp_path: Path, service: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with service() as server, socket.create_server(("127.0.0.1", 0)) as proxy:
            for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
            (outcome,) = send_chunk([letter(1)], postbox(tmp_path, server))
        assert outcome.answer is Answer.ACCEPTED

    def test_a_configured_proxy_is_used(self, tmp_path: Path, service: Serve) -> None:
        with service() as server, socket.create_server(("127.0.0.1", 0)) as proxy:
            box = postbox(
                tmp_path,
                server,
                loopback={},
                timeout=0.3,
                proxy=f"http://127.0.0.1:{proxy.getsockname()[1]}",
            )
            (outcome,) = send_chunk([letter(1)], box)
            proxy.settimeout(1)
            connection, _ = proxy.accept()
            with connection:
                assert connection.recv(100).startswith(b"CONNECT push.test:443 ")
        assert outcome.reason == "no network: timeout"


class TestHostileAnswers:
    """Each is bounded in time and size, and means what its status says."""

    @pytest.mark.parametrize("alpn", [HTTP2, HTTP1], ids=lambda alpn: alpn[0])
    def test_a_huge_body_is_cut(
        self, tmp_path: Path, service: Serve, alpn: tuple[str, ...]
    ) -> None:
        answer = wire.Answer(410, (), os.urandom(50_000_000))
        with service(lambda request: answer, alpn=alpn) as server:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            began = time.monotonic()
            (outcome,) = send_chunk([letter(1)], postbox(tmp_path, server))
            assert time.monotonic() - began < 3
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert (outcome.answer, outcome.http_status) == (Answer.GONE, 410)
        assert grown < 5_000  # kilobytes; the server's own thread is in it too

    def test_a_compressed_body_is_not_unpacked(self, tmp_path: Path, service: Serve) -> None:
        answer = wire.Answer(403, (("content-encoding", "gzip"),), b"\x1f\x8b" + bytes(100))
        with service(lambda request: answer) as server:
            (outcome,) = send_chunk([letter(1)], postbox(tmp_path, server))
        assert outcome.http_status == 403

    @pytest.mark.parametrize("alpn", [HTTP2, HTTP1], ids=lambda alpn: alpn[0])
    def test_a_dripping_body_ends_with_the_deadline(
        self, tmp_path: Path, service: Serve, alpn: tuple[str, ...]
    ) -> None:
        answer = wire.Answer(201, (), bytes(500), drip=0.05)
        with service(lambda request: answer, alpn=alpn) as server:
            began = time.monotonic()
            (outcome,) = send_chunk([letter(1)], postbox(tmp_path, server, timeout=0.4))
            assert time.monotonic() - began < 2
        # The status came: that it was accepted is known.
        assert (outcome.answer, outcome.http_status) == (Answer.ACCEPTED, 201)

    @pytest.mark.parametrize("alpn", [HTTP2, HTTP1], ids=lambda alpn: alpn[0])
    def test_two_thousand_headers(
        self, tmp_path: Path, service: Serve, alpn: tuple[str, ...]
    ) -> None:
        answer = wire.Answer(201, tuple((f"x-{n}", "y" * 500) for n in range(2_000)))
        with service(lambda request: answer, alpn=alpn) as server:
            (outcome,) = send_chunk([letter(1)], postbox(tmp_path, server))
        assert outcome.answer in (Answer.ACCEPTED, Answer.IN_DOUBT)

    @pytest.mark.parametrize("alpn", [HTTP2, HTTP1], ids=lambda alpn: alpn[0])
    def test_a_flood_of_informational_answers(
        self, tmp_path: Path, service: Serve, no_turns: None, alpn: tuple[str, ...]
    ) -> None:
        with service(lambda request: wire.Answer(informational=100_000), alpn=alpn) as server:
            began = time.monotonic()
            (outcome,) = send_chunk([letter(1)], postbox(tmp_path, server, timeout=1.0))
            assert time.monotonic() - began < 4
        assert outcome.answer in (Answer.ACCEPTED, Answer.IN_DOUBT)

    def test_an_informational_answer_alone_is_none(
        self, tmp_path: Path, service: Serve
    ) -> None:
        answer = wire.Answer(informational=1, delay=9)
        with service(lambda request: replace(answer, delay=0), alpn=HTTP1) as server:
            (outcome,) = send_chunk([letter(1)], postbox(tmp_path, server))
        assert outcome.http_status == 201


class TestBrakes:
    @pytest.mark.parametrize(
        ("status", "headers", "wait"),
        [
            (429, (("retry-after", "90"),), 90_000),
            (429, (), 60_000),
            (503, (("retry-after", "120"),), 120_000),
        ],
    )
    def test_an_origin_that_asks_to_wait_gets_no_more(
        self,
        tmp_path: Path,
        service: Serve,
        status: int,
        headers: tuple[tuple[str, str], ...],
        wait: int,
    ) -> None:
        def behave(request: Request) -> wire.Answer:
            return wire.Answer() if request.nth <= 10 else wire.Answer(status, headers)

        with service(behave, alpn=HTTP2) as server:
            outcomes = send_chunk(letters(1000), postbox(tmp_path, server))
            sent = sum(server.bodies.values())
        assert len(outcomes) == 1000
        held = [outcome for outcome in outcomes if outcome.reason == "held back"]
        assert len(held) == 1000 - sent >= 800
        assert {(o.answer, o.retry_after) for o in held} == {(Answer.RETRY, wait)}

    def test_five_refusals_in_a_row_hold_the_rest(self, tmp_path: Path, service: Serve) -> None:
        with service(lambda request: wire.Answer(403), alpn=HTTP2) as server:
            outcomes = send_chunk(letters(1000), postbox(tmp_path, server))
            assert sum(server.bodies.values()) <= 200
        assert by_answer(outcomes).keys() == {Answer.REFUSED, Answer.RETRY}

    def test_scattered_refusals_hold_nothing(self, tmp_path: Path, service: Serve) -> None:
        def behave(request: Request) -> wire.Answer:
            return wire.Answer(403 if request.nth % 3 == 0 else 201)

        with service(behave, alpn=HTTP1) as server:
            outcomes = send_chunk(letters(90), postbox(tmp_path, server, window=1))
        assert by_answer(outcomes) == {Answer.ACCEPTED: 60, Answer.REFUSED: 30}

    def test_a_service_that_fails_and_fails_gets_no_more(
        self, tmp_path: Path, service: Serve
    ) -> None:
        with service(lambda request: wire.Answer(500), alpn=HTTP2) as server:
            outcomes = send_chunk(letters(1000), postbox(tmp_path, server))
            assert sum(server.bodies.values()) <= 200
        assert Counter(o.reason for o in outcomes)["held back"] >= 800

    def test_what_we_wrote_wrong_stops_at_once(self, tmp_path: Path, service: Serve) -> None:
        host = "updates.push.services.mozilla.com"
        answer = wire.Answer(400, (), b'{"errno": 111}')
        with service(lambda request: answer, alpn=HTTP2, names=(host,)) as server:
            box = postbox(
                tmp_path,
                server,
                allowed_hosts=(host,),
                loopback={host: f"127.0.0.1:{server.port}"},
                window=10,
            )
            sent = [letter(n, endpoint=f"https://{host}/wpush/v2/{n}") for n in range(300)]
            outcomes = send_chunk(sent, box)
            assert sum(server.bodies.values()) <= 20
        assert by_answer(outcomes).keys() == {Answer.OUR_FAULT, Answer.RETRY}

    def test_one_origin_in_trouble_leaves_the_others_alone(
        self, tmp_path: Path, service: Serve
    ) -> None:
        names = ("a.push.test", "b.push.test")

        def behave(request: Request) -> wire.Answer:
            bad = request.headers[":authority"].startswith("a.")
            return wire.Answer(429 if bad else 201)

        with service(behave, alpn=HTTP2, names=names) as server:
            box = postbox(
                tmp_path,
                server,
                allowed_hosts=names,
                loopback=dict.fromkeys(names, f"127.0.0.1:{server.port}"),
            )
            sent = [letter(n, endpoint=f"https://{names[n % 2]}/x/{n}") for n in range(800)]
            outcomes = send_chunk(sent, box)
        good = [outcome for outcome in outcomes if outcome.delivery % 2]
        assert by_answer(good) == {Answer.ACCEPTED: 400}

    def test_the_stop_file_ends_it(self, tmp_path: Path, service: Serve) -> None:
        stop = tmp_path / "stop"

        def behave(request: Request) -> wire.Answer:
            if request.nth == 100:
                stop.touch()
                return wire.Answer(delay=0.1)
            return wire.Answer()

        with service(behave, alpn=HTTP2) as server:
            outcomes = send_chunk(letters(5000), postbox(tmp_path, server, stop=stop))
            sent = sum(server.bodies.values())
        counts = by_answer(outcomes)
        assert counts == {Answer.ACCEPTED: sent, Answer.RETRY: 5000 - sent}
        assert sent < 4000

    def test_a_stop_file_that_was_there_before_lets_nothing_out(
        self, tmp_path: Path, service: Serve
    ) -> None:
        stop = tmp_path / "stop"
        stop.touch()
        with service() as server:
            outcomes = send_chunk(letters(20), postbox(tmp_path, server, stop=stop))
            assert server.connections == 0
        assert {o.reason for o in outcomes} == {"held back"}


class TestWindow:
    def test_it_never_holds_more_than_allowed(self, tmp_path: Path, service: Serve) -> None:
        with service(lambda request: wire.Answer(delay=0.002), alpn=HTTP1) as server:
            outcomes = send_chunk(letters(60), postbox(tmp_path, server, window=3))
            assert server.connections <= 3
        assert by_answer(outcomes) == {Answer.ACCEPTED: 60}

    def test_it_grows_while_answers_are_slow(self, tmp_path: Path, service: Serve) -> None:
        # A thread a connection answers one after another: only more connections help.
        with service(lambda request: wire.Answer(delay=0.001), alpn=HTTP2) as server:
            box = postbox(tmp_path, server)
            send_chunk(letters(1200), box)
            assert chunk.open_sender(box).transport.line(f"https://{wire.HOST}").limit > 100
            assert server.connections > 1


class TestJournal:
    def test_every_letter_stands_in_it_until_the_caller_has_committed(
        self, tmp_path: Path, service: Serve
    ) -> None:
        sent = letters(300)
        with service() as server:
            box = postbox(tmp_path, server)
            outcomes = send_chunk(sent, box)
        left = journal.recover(box.journal, "7")
        assert left.outcomes == {outcome.delivery: outcome for outcome in outcomes}
        assert left.started == set()
        journal.discard(box.journal, "7", sent[0].delivery)
        assert list(box.journal.iterdir()) == []

    def test_a_letter_is_in_it_before_its_body_is_out(
        self, tmp_path: Path, service: Serve
    ) -> None:
        unwritten = []

        def behave(request: Request) -> wire.Answer:
            records = b"".join(f.read_bytes() for f in (tmp_path / "journal").iterdir())
            number = int(request.path.rpartition("/")[2])
            if number not in list(journal.read(records)):
                unwritten.append(number)
            return wire.Answer()

        with service(behave, alpn=HTTP2) as server:
            send_chunk(letters(200), postbox(tmp_path, server))
        assert unwritten == []

    def test_without_room_for_it_nothing_is_sent(
        self, tmp_path: Path, service: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(self: journal.Journal, records: bytes) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(journal.Journal, "_write", full)
        with service() as server:
            with pytest.raises(ConfigError, match="can't be written: No space left"):
                send_chunk(letters(20), postbox(tmp_path, server))
            assert server.connections == 0

    def test_a_disk_that_fills_up_holds_back_what_was_not_begun(
        self, tmp_path: Path, service: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write, written = journal.Journal._write, list[int]()

        def fill(self: journal.Journal, records: bytes) -> None:
            written.append(len(records))
            if len(written) > 1:
                raise OSError(28, "No space left on device")
            write(self, records)

        monkeypatch.setattr(journal.Journal, "_write", fill)
        with service() as server:
            outcomes = send_chunk(letters(200), postbox(tmp_path, server))
        answers = Counter((o.answer, o.reason) for o in outcomes)
        begun = written[0] // 9
        assert answers == {
            (Answer.ACCEPTED, "201"): begun,
            (Answer.RETRY, "held back"): 200 - begun,
        }

    def test_a_journal_that_cannot_be_made_sends_nothing(
        self, tmp_path: Path, service: Serve
    ) -> None:
        (tmp_path / "journal").write_text("in the way")
        with service() as server:
            with pytest.raises(ConfigError, match="can't be written: File exists"):
                send_chunk(letters(3), postbox(tmp_path, server))
            assert server.connections == 0

    def test_a_crash_in_a_chunk_leaves_no_request_behind(
        self, tmp_path: Path, service: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def crash(*_: object) -> None:
            raise RuntimeError("a bug")

        with service(lambda request: Act.HANG, alpn=HTTP2) as server:
            box = postbox(tmp_path, server)
            with monkeypatch.context() as patch:
                patch.setattr(chunk.Chunk, "_take", crash)
                with pytest.raises(RuntimeError):
                    send_chunk(letters(3), box)
            left = journal.recover(box.journal, "7")
            assert (left.outcomes, left.started) == ({}, {0, 1, 2})


def test_another_thread_closes_no_connection_that_a_chunk_uses(
    tmp_path: Path, service: Serve
) -> None:
    with service(alpn=HTTP2) as server, chunk.sending(postbox(tmp_path, server)) as sender:
        closing = threading.Thread(target=chunk.close_sender)
        closing.start()
        closing.join(0.2)
        assert closing.is_alive()
        sender.transport.pump(0)
    closing.join()
    assert chunk._sender is None


def test_connections_made_anew_leave_nothing_open(tmp_path: Path, service: Serve) -> None:
    def handles() -> int:
        return len(os.listdir("/proc/self/fd"))

    with service(alpn=HTTP2) as server:
        box = postbox(tmp_path, server)
        seen = []
        for _ in range(12):
            send_chunk(letters(20), box)
            chunk.close_sender()
            wire.wait_until(lambda: server.open == 0)
            seen.append(handles())
    assert max(seen[2:]) <= seen[1]
