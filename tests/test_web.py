"""Addresses of the owner's: bounded whatever they do, and told what happened."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from pushctl import web
from pushctl.jobs.triggers import feeds
from pushctl.jobs.webhooks import ping

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
READS = web.Policy(
    method="GET",
    hosts=None,
    redirects=5,
    addresses=web.Addresses.ANY,
    most_bytes=100,
    seconds=5.0,
)


def redirect(to: str) -> bytes:
    head = f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n"
    return f"{head}Connection: close\r\n\r\n".encode()


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[str]]]:
    """Listen on loopback; each connection is handed to *answer*. Yields URL and paths asked."""
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with peer, suppress(OSError):
                        asked.append(peer.recv(4096).split()[1].decode())
                        answer(peer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook", asked


def drip(peer: socket.socket) -> None:
    """A byte now and then: each resets a timeout that begins anew with every byte."""
    peer.sendall(OK)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        peer.sendall(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize("to", ["http://127.0.0.1:99999/", "http://127.0.0.1:abc/", "//x:-1"])
def test_a_redirect_to_a_port_that_is_none_is_a_failed_request(to: str) -> None:
    with (
        answering(lambda peer: peer.sendall(redirect(to))) as (url, _),
        pytest.raises(web.WebError, match="Port"),
    ):
        web.request(url, READS)


def test_an_answer_is_read() -> None:
    with answering(lambda peer: peer.sendall(OK + b"hello")) as (url, _):
        assert web.request(url, READS) == b"hello"


def test_an_answer_that_drips_ends_in_time() -> None:
    with answering(drip) as (url, _):
        began = time.monotonic()
        with pytest.raises(web.WebError, match="can't be asked"):
            web.request(url, replace(READS, seconds=0.5, most_bytes=1_000_000))
        assert time.monotonic() - began < 3


def test_a_flood_is_cut_off() -> None:
    def flood(peer: socket.socket) -> None:
        peer.sendall(OK)
        for _ in range(1000):
            peer.sendall(bytes(100_000))

    with (
        answering(flood) as (url, _),
        pytest.raises(web.WebError, match="more than 200,000 bytes"),
    ):
        web.request(url, replace(READS, seconds=10, most_bytes=200_000))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        redirect("file:///etc/passwd"),
        b"",
    ],
)
def test_what_is_no_answer_is_an_error(answer: bytes) -> None:
    with (
        answering(lambda peer: peer.sendall(answer)) as (url, _),
        pytest.raises(web.WebError),
    ):
        web.request(url, replace(READS, seconds=2))


def test_redirects_are_followed_as_often_as_the_policy_says() -> None:
    left = 3

    def answer(peer: socket.socket) -> None:
        nonlocal left
        left -= 1
        peer.sendall(redirect("/next") if left else OK + b"found")

    with answering(answer) as (url, asked):
        assert web.request(url, replace(READS, redirects=2)) == b"found"
        assert asked == ["/hook", "/next", "/next"]
        left = 3
        with pytest.raises(web.WebError, match="more than 1 redirects"):
            web.request(url, replace(READS, redirects=1))


def test_a_redirect_is_held_to_the_hosts_of_the_policy() -> None:
    policy = replace(READS, hosts={"127.0.0.1"})
    with answering(lambda peer: peer.sendall(redirect("http://localhost:9/"))) as (url, asked):
        with pytest.raises(web.WebError, match="localhost is none of the hosts"):
            web.request(url, policy)
        assert asked == ["/hook"]
        with pytest.raises(web.WebError, match="none of the hosts"):
            web.request(url, replace(READS, hosts={"shop.example"}))
        assert asked == ["/hook"]


def test_a_stranger_s_host_must_not_lead_inside() -> None:
    with answering(lambda peer: peer.sendall(OK + b"secret")) as (url, asked):
        policy = replace(READS, addresses=web.Addresses.PUBLIC)
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(web.WebError, match="can't be asked"):
                web.request(f"http://{host}:{urlsplit(url).port}/", policy)
        assert asked == []


def test_a_body_is_posted_and_a_redirect_of_it_is_no_second_post() -> None:
    with answering(lambda peer: peer.sendall(redirect("/other"))) as (url, asked):
        assert web.request(url, replace(READS, method="POST"), body=b"a=b") == b""
        assert asked == ["/hook"]


def test_a_ping_says_whether_it_went_well() -> None:
    with answering(lambda peer: peer.sendall(OK)) as (url, asked):
        assert ping.send(url, good=True) is None
        assert ping.send(f"{url}?a=b", good=False) is None
        assert asked == ["/hook", "/hook/fail?a=b"]


def test_a_ping_that_fails_is_told_and_raises_nothing() -> None:
    assert "no web address" in str(ping.send("hook", good=True))
    assert "can't be asked" in str(ping.send("http://127.0.0.1:9/x", good=True))


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("https://ping.example/0b1c-secret?x=1", "https://ping.example/…"),
        ("https://me:secret@shop.example/feed.xml", "https://shop.example/…"),
        ("https://me:secret@shop.example:81", "https://shop.example:81"),
        ("http://shop.example/", "http://shop.example"),
        ("secret", "that address"),
        ("http://[secret", "that address"),
    ],
)
def test_warnings_name_the_host_alone(url: str, named: str) -> None:
    assert web.name_host(url) == named


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 404 Gone\r\n\r\n", redirect("/secret")])
def test_no_error_has_the_secret_of_an_address(answer: bytes) -> None:
    with answering(lambda peer: peer.sendall(answer)) as (url, _):
        whole = url.replace("://", "://me:secret@") + "/secret?secret"
        for told in (ping.send(whole, good=True), ping.send("secret", good=True)):
            assert told is not None and "secret" not in told
        with pytest.raises(web.WebError) as error:
            feeds.fetch(whole)
        assert "secret" not in str(error.value) and "127.0.0.1" in str(error.value)


def test_a_body_and_headers_go_to_the_first_address_alone() -> None:
    came: list[bytes] = []

    def answer(peer: socket.socket) -> None:
        peer.sendall(OK + b"found" if came[1:] else redirect("/next"))

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                peer, _ = listener.accept()
                with peer:
                    came.append(peer.recv(4096))
                    answer(peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        found = web.request(url, READS, body=b"secret=1", headers=["X-Token: abc"])
        thread.join(5)
    assert found == b"found"
    assert b"secret=1" in came[0] and b"X-Token" in came[0]
    assert b"secret=1" not in came[1] and b"X-Token" not in came[1]
