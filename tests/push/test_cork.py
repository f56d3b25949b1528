"""push/cork: what is written in the block leaves at its end, in one piece."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pushctl.push.cork import hold_packets

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of a TCP connection, the second of which never waits."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
        with one, other:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            other.setblocking(False)
            yield one, other


def heard(other: socket.socket) -> bytes:
    with suppress(BlockingIOError):
        return other.recv(100)
    return b""


def test_what_is_written_in_the_block_leaves_at_its_end(pair: Pair) -> None:
    one, other = pair
    early = []
    for _ in range(5):  # the kernel holds back for a fifth of a second at most
        with hold_packets({one.fileno()}):
            one.send(b"a")
            one.send(b"b")
            early.append(heard(other))
        other.settimeout(5)
        while len(early[-1]) < 2:
            early[-1] += b"." + other.recv(100)
        other.setblocking(False)
    assert b".ab" in early
    one.send(b"c")
    other.settimeout(5)
    assert other.recv(100) == b"c", "it is not held back any more"


def test_closed_and_foreign_numbers_are_no_error(pair: Pair, tmp_path: Path) -> None:
    gone, _ = pair
    number = os.dup(gone.fileno())
    os.close(number)
    with (tmp_path / "a").open("wb") as file:
        numbers = {number, file.fileno()}
        with hold_packets(numbers):
            file.write(b"x")
        file.write(b"y")
    assert number not in numbers
    assert (tmp_path / "a").read_bytes() == b"xy"
