"""What an attacker would try at the door: much work for few bytes, and ways round limits."""

import http.client
import json
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pushctl.receiver.addresses import Proxies
from pushctl.receiver.server.connection import (
    MAX_AHEAD,
    MAX_AHEAD_BYTES,
    MAX_HEADERS,
    Connection,
    Limits,
    State,
)
from pushctl.receiver.server.listener import Listener
from tests.support import receiving as r

HEAD = f"POST /v1/events HTTP/1.1\r\nHost: a\r\nOrigin: {r.ORIGIN}\r\n".encode()
JSON = b"Content-Type: application/json\r\n"
READ = 256_000  # what is read of a connection in one go


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("attacked")
    with r.running(folder, trusted_proxies=[], rate_per_address=1.0) as port:
        yield port


def said(port: int, sent: bytes, source: str) -> bytes:
    """Send all of *sent* at once; return what comes back until the receiver closes."""
    text = b""
    with socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0)) as one:
        try:
            one.sendall(sent)
            while part := one.recv(65536):
                text += part
        except ConnectionError:
            pass
    return text


def signed() -> bytes:
    return b"X-Pushctl-Signature: %d.%s\r\n" % (int(time.time()), b"A" * 43)


async def nothing(scope: Any, receive: Any, send: Any) -> None: ...


def test_ten_thousand_header_lines_are_not_taken_apart(port: int) -> None:
    assert said(port, HEAD + b"a:\r\n" * (READ // 4), "127.8.0.1").startswith(b"HTTP/1.1 431")
    connection = Connection(Listener(nothing, Limits()), ("127.0.0.1", 1))
    connection.data_received(HEAD + b"a:\r\n" * (READ // 4))
    assert len(connection._requests[0].headers) == MAX_HEADERS


def test_a_hundred_header_lines_are_enough_for_anybody(port: int) -> None:
    few = b"".join(b"x-%d: 1\r\n" % number for number in range(97))
    assert said(port, HEAD + few + b"Connection: close\r\n\r\n", "127.8.0.2").startswith(
        b"HTTP/1.1 415"
    )
    assert said(port, HEAD + few + b"a: 1\r\n" * 9 + b"\r\n", "127.8.0.2").startswith(
        b"HTTP/1.1 431"
    )


def test_a_body_in_single_bytes_is_refused_once_it_is_too_long(port: int) -> None:
    chunks = (
        HEAD + JSON + signed() + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 40_000
    )
    assert said(port, chunks, "127.8.0.3").startswith(b"HTTP/1.1 413")


def test_what_is_sent_ahead_is_not_taken_apart_beyond_what_is_allowed() -> None:
    connection = Connection(Listener(nothing, Limits()), ("127.0.0.1", 1))
    connection.data_received(b"GET / HTTP/1.1\r\n\r\n" * (READ // 18))
    assert len(connection._requests) <= MAX_AHEAD + 1


def test_a_head_that_comes_in_one_piece_is_as_long_as_any_other(port: int) -> None:
    line = b"x: " + b"a" * 9_000 + b"\r\n"
    whole = HEAD + line * 2 + b"Connection: close\r\n\r\n"
    assert said(port, whole, "127.8.0.6").startswith(b"HTTP/1.1 431")
    target = b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    assert said(port, target, "127.8.0.7").startswith(b"HTTP/1.1 431")


def body_in_chunks(*, behind: bytes = b"") -> bytes:
    body = json.dumps(r.events(1)).encode()
    heads = JSON + signed() + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    return HEAD + heads + b"%x\r\n%s\r\n0\r\n%s\r\n" % (len(body), body, behind)


def test_what_stands_behind_a_body_says_nothing(port: int) -> None:
    assert said(port, body_in_chunks(), "127.8.0.8").startswith(b"HTTP/1.1 204")
    told = b"origin: https://evil.example\r\nx-forwarded-for: 1.2.3.4\r\n"
    assert said(port, body_in_chunks(behind=told), "127.8.0.9").startswith(b"HTTP/1.1 204")
    connection = Connection(Listener(nothing, Limits()), ("127.0.0.1", 1))
    connection.state = State.WORKING
    connection._busy = True
    connection.data_received(body_in_chunks(behind=told))
    assert b"x-forwarded-for" not in dict(connection._requests[0].headers)


@pytest.mark.parametrize("behind", [b"x: ", b"x"], ids=["value", "name"])
def test_what_stands_behind_a_body_has_an_end(port: int, behind: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as one:
        one.sendall(body_in_chunks(behind=behind)[:-2])
        began, sent = time.monotonic(), 0
        with pytest.raises(ConnectionError):
            while time.monotonic() < began + 10:
                sent += one.send(b"a" * 60_000)
    # What lies in the buffers between us comes on top.
    assert sent < 20_000_000
    assert time.monotonic() < began + 3


def test_what_is_sent_ahead_may_not_weigh_much(port: int) -> None:
    connection = Connection(Listener(nothing, Limits()), ("127.0.0.1", 1))
    connection.state = State.WORKING
    connection._busy = True
    large = HEAD + b"x: " + b"a" * 10_000 + b"\r\nContent-Length: 8000\r\n\r\n" + b"a" * 8_000
    connection.data_received(large * (READ // len(large)))
    assert sum(each.weight for each in connection._requests) < 2 * MAX_AHEAD_BYTES


def test_a_body_in_thousands_of_parts_is_kept_in_one() -> None:
    connection = Connection(Listener(nothing, Limits()), ("127.0.0.1", 1))
    connection.state = State.WORKING
    connection._busy = True
    connection.data_received(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"2\r\nab\r\n" * 4_000
    )
    kept = connection._requests[0]
    assert kept.size == 8_000
    assert sys.getsizeof(kept._received_body) < 20_000


def test_preflights_and_wrong_addresses_have_the_rate_of_their_address(port: int) -> None:
    for method, path, source in (
        ("OPTIONS", "/v1/tags", "127.8.0.4"),
        ("GET", "/wp-login.php", "127.8.0.5"),
    ):
        statuses = []
        for _ in range(12):
            one = http.client.HTTPConnection("127.0.0.1", port, 10, source_address=(source, 0))
            one.request(method, path, headers={"Origin": r.ORIGIN})
            statuses.append(one.getresponse().status)
            one.close()
        assert statuses[0] in (204, 404)
        assert statuses[-1] == 429


def test_a_network_of_ipv6_has_the_places_of_one_address() -> None:
    listener = Listener(nothing, Limits(per_address=3))
    network = [f"2001:db8:1:2::{number:x}" for number in range(1, 5)]
    assert [listener._admit(address) for address in network] == [True, True, True, False]
    assert listener._admit("2001:db8:1:3::1")
    assert listener._admit("::ffff:1.2.3.4")


def test_the_name_of_an_interface_is_not_kept_for_a_proxys_address() -> None:
    proxies = Proxies(["fe80::/10", "127.0.0.1"])
    for number in range(100):
        told = f"1.2.3.4, fe80::1%{'x' * 5_000}{number}".encode()
        assert proxies.find_client("127.0.0.1", [(b"x-forwarded-for", told)]) == "1.2.3.4"
    assert proxies.trusts.cache_info().currsize < 5


def test_asking_whether_it_lives_has_the_rate_of_its_address(port: int) -> None:
    statuses = []
    for _ in range(12):
        one = http.client.HTTPConnection(
            "127.0.0.1", port, 10, source_address=("127.8.0.11", 0)
        )
        one.request("GET", "/healthz")
        statuses.append(one.getresponse().status)
        one.close()
    assert (statuses[0], statuses[-1]) == (200, 429)
