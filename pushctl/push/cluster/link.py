"""
A worker's connection to the coordinator, and its lease.

One thread uses it: nothing here blocks but ``open`` and ``ask``, so that the same thread
drives libcurl in between.
"""

import json
import pickle
import select
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress

import pushctl
from pushctl.push import clock
from pushctl.push.cluster import wire
from pushctl.push.cluster.wire import BrokenFrameError, Kind, Ticket
from pushctl.push.postbox import Postbox

CONNECT_SECONDS = 20.0
_SIZE = 1 << 18

# Parts of a lease: it is renewed six times; nothing is begun in its last fifth, and in the
# last tenth what is in flight is cut off: libcurl may still wait for a connection.
_RENEWALS, _BEGINS, _ENDS = 6, 0.8, 0.9


class RefusedError(Exception):
    """The coordinator does not want this worker."""


class Lease:
    """
    The time up to which this process may send.

    Counted from the moment before it was asked for, so it ends before the coordinator
    thinks so. Where this process can't look at the clock, because it was stopped, the kernel
    ends it at that moment: a signal that nobody handles comes before any other instruction.
    """

    def __init__(self) -> None:
        self._from = self._seconds = 0.0
        self._asked: dict[int, float] = {}
        self._number = 0
        self._renew_at = 0.0

    def grant(self, asked_at: float, seconds: float) -> None:
        self._from, self._seconds = asked_at, seconds
        self._asked.clear()
        left = asked_at + seconds - clock.read_seconds()
        self._renew_at = asked_at + seconds / _RENEWALS
        if left > 0:
            signal.setitimer(signal.ITIMER_REAL, left)

    def give_back(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._seconds = 0.0

    def ask_again(self, now: float) -> int | None:
        """Return the number under which to ask for a renewal, if it is time to."""
        if now < self._renew_at:
            return None
        self._renew_at = now + self._seconds / _RENEWALS
        self._number += 1
        self._asked[self._number] = now
        return self._number

    def extend(self, number: int, seconds: float) -> None:
        asked_at = self._asked.pop(number, None)
        if asked_at is not None and seconds > 0:
            self.grant(asked_at, seconds)

    def may_begin(self) -> bool:
        return clock.read_seconds() < self._from + _BEGINS * self._seconds

    def has_ended(self) -> bool:
        return clock.read_seconds() >= self._from + _ENDS * self._seconds


class Link:
    """The connection; *lost* once it is of no more use."""

    def __init__(self, connection: socket.socket, worker: str) -> None:
        self._socket = connection
        self._in, self._out = bytearray(), bytearray()
        self.lost = False
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(0)
        said = {"worker": worker, "version": pushctl.__version__, "protocol": wire.PROTOCOL}
        kind, body = self.ask(Kind.HELLO, json.dumps(said).encode(), CONNECT_SECONDS)
        if kind is Kind.REFUSED:
            self.close()
            raise RefusedError(body.decode("utf-8", "replace"))
        if kind is not Kind.WELCOME:
            raise BrokenFrameError(f"{kind.name} for a greeting")
        self.postbox: Postbox = pickle.loads(body)  # noqa: S301 - from the coordinator

    def send(self, kind: Kind, body: bytes = b"") -> None:
        self._out += wire.pack(kind, body)
        self.flush()

    def flush(self) -> bool:
        """Write what can be written at once; return whether that was all."""
        try:
            while self._out:
                sent = self._socket.send(self._out[:_SIZE])
                del self._out[:sent]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
            pass
        except OSError:
            self.lost = True
        return not self._out

    def receive(self) -> Iterator[tuple[Kind, bytes]]:
        """Yield the frames that have come."""
        try:
            while data := self._socket.recv(_SIZE):
                self._in += data
            self.lost = True
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            pass
        except OSError:
            self.lost = True
        while len(self._in) >= wire.HEAD.size:
            kind, size = wire.read_head(bytes(self._in[: wire.HEAD.size]))
            end = wire.HEAD.size + size
            if len(self._in) < end:
                return
            body = bytes(self._in[wire.HEAD.size : end])
            del self._in[:end]
            yield kind, body

    def ask(self, kind: Kind, body: bytes, seconds: float) -> tuple[Kind, bytes]:
        """Send a frame and wait for the next that comes; raises OSError where none does."""
        self.send(kind, body)
        until = clock.read_seconds() + seconds
        while True:
            for frame in self.receive():
                if frame[0] not in (Kind.STOP, Kind.WITHHELD, Kind.EXTENDED, Kind.LAST):
                    return frame  # the others are about the chunk before
            left = until - clock.read_seconds()
            if self.lost or left <= 0:
                self.close()
                raise ConnectionError("the coordinator does not answer")
            self.wait(left)

    def register(self, poll: select.poll) -> None:
        """Have *poll* return when something comes, or what waits to be written can be."""
        if not self.lost:
            poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._out else 0))

    def wait(self, seconds: float) -> None:
        poll = select.poll()
        self.register(poll)
        poll.poll(max(0.0, seconds) * 1000)
        self.flush()

    def close(self) -> None:
        self.lost = True
        with suppress(OSError):
            self._socket.close()


def connect(ticket: Ticket, context: ssl.SSLContext | None) -> socket.socket:
    """Return a connection to the coordinator; raises OSError."""
    if ticket.encrypted != (context is not None):
        raise RefusedError("the worker has no certificates, or the coordinator has none")
    connection = socket.create_connection(ticket.address, CONNECT_SECONDS)
    if context is None:
        return connection
    try:
        return context.wrap_socket(connection)
    except BaseException:
        connection.close()
        raise
