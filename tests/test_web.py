"""Addresses of the owner's: bounded whatever they do, and told what happened."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from pushctl import web
from pushctl.jobs.sweep import ping

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


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


def test_an_answer_is_read() -> None:
    with answering(lambda peer: peer.sendall(OK + b"hello")) as (url, _):
        assert web.get(url, seconds=5, most=100) == b"hello"


def test_an_answer_that_drips_ends_in_time() -> None:
    with answering(drip) as (url, _):
        began = time.monotonic()
        with pytest.raises(web.WebError, match="can't be asked"):
            web.get(url, seconds=0.5, most=1_000_000)
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
        web.get(url, seconds=10, most=200_000)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n"
        b"Connection: close\r\n\r\n",
        b"",
    ],
)
def test_what_is_no_answer_is_an_error(answer: bytes) -> None:
    with (
        answering(lambda peer: peer.sendall(answer)) as (url, _),
        pytest.raises(web.WebError),
    ):
        web.get(url, seconds=2, most=100)


def test_a_ping_says_whether_it_went_well() -> None:
    with answering(lambda peer: peer.sendall(OK)) as (url, asked):
        assert ping.send(url, good=True) is None
        assert ping.send(f"{url}?a=b", good=False) is None
        assert asked == ["/hook", "/hook/fail?a=b"]


def test_a_ping_that_fails_is_told_and_raises_nothing() -> None:
    assert "no web address" in str(ping.send("hook", good=True))
    assert "can't be asked" in str(ping.send("http://127.0.0.1:9/x", good=True))
