"""
A connection that dies takes down all that flies on it: one failure of its push service.

Servers are restarted and connections end; a hundred letters in flight at that moment are
in doubt, yet the service works. Only where the next connection dies as well, before any
answer, every letter counts and the service is left alone.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.demo.pushservice import PushService
from pushctl.model import Answer, Outcome
from pushctl.push import chunk, send_chunk
from tests.push.test_transport import letters, postbox
from tests.support import sending, wire
from tests.support.wire import Act, Request

HTTP2 = ("h2",)


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    chunk.close_sender()


def reasons(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.reason for outcome in outcomes)


def test_what_flew_on_a_lost_connection_holds_nobody_back(tmp_path: Path) -> None:
    def behave(request: Request) -> wire.Answer | str:
        if (request.connection, request.nth) == (1, 200):
            return Act.RESET
        return wire.Answer(delay=0.001)

    with wire.serve(tmp_path, behave, alpn=HTTP2) as server:
        outcomes = send_chunk(letters(1_000), postbox(tmp_path, server, window=100))
        assert max(server.bodies.values()) == 1
    said = reasons(outcomes)
    assert said["connection lost"] == 1
    assert said["connection lost with others"] >= 50
    assert said["201"] == 1_000 - 1 - said["connection lost with others"]
    doubts = [outcome for outcome in outcomes if outcome.answer is Answer.IN_DOUBT]
    assert len(doubts) == 1 + said["connection lost with others"]


def test_connections_that_die_without_an_answer_stop_the_chunk(tmp_path: Path) -> None:
    def behave(request: Request) -> wire.Answer | str:
        return Act.RESET if request.connection > 1 or request.nth > 100 else wire.Answer()

    with wire.serve(tmp_path, behave, alpn=HTTP2) as server:
        outcomes = send_chunk(letters(2_000), postbox(tmp_path, server, window=100))
    said = reasons(outcomes)
    assert said["connection lost"] >= 20
    assert said["held back"] > 1_000


def test_broken_streams_count_one_by_one(tmp_path: Path) -> None:
    def behave(request: Request) -> wire.Answer | str:
        return wire.Answer() if request.nth <= 100 else Act.CANCEL

    with wire.serve(tmp_path, behave, alpn=HTTP2) as server:
        outcomes = send_chunk(letters(2_000), postbox(tmp_path, server, window=100))
    said = reasons(outcomes)
    assert said["connection lost"] >= 20
    assert said["connection lost with others"] == 0
    assert said["held back"] > 1_000


def test_a_lost_connection_does_not_open_the_circuit(tmp_path: Path) -> None:
    act = {"after": 95, "first": 1, "do": "reset_after", "scope": "connection"}
    with PushService(checks=False) as service:
        field = sending.field(tmp_path, service)
        field.people(600)
        # After the first five, nothing is answered before the connection dies.
        service.play([{"after": 5, "first": 90, "delay": [20, 20]}, act])
        report = field.send(sending.soon())
        counts = field.counts(report.campaign)
        assert counts["in_doubt"] >= 50, "too few were in flight"
        assert counts == {"accepted": 600 - counts["in_doubt"], "in_doubt": counts["in_doubt"]}
        assert not [origin for origin in field.store.origins.list_all() if origin.paused_until]
        field.store.close()
