"""
Requests to push services over HTTP/2, many at once, by libcurl in one thread.

What makes it fit to send nothing twice: a request's body is read from us once and can't
be rewound. libcurl repeats a request by itself when a kept connection turns out dead
or a stream was refused; for a body that it has already read it has to fail instead. And
a request whose body was never read can't have been carried out.

tests/push/test_transport.py holds a real server against each of these claims.
"""

import io
import select
import socket
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import pycurl

from pushctl import authorities
from pushctl.model import Cause, Letter, Millis
from pushctl.push import dial, request
from pushctl.push.cork import corked
from pushctl.push.postbox import Postbox
from pushctl.rules.limits import MAX_ANSWER_BYTES
from pushctl.rules.web import addresses

STREAMS = 100  # on one connection; what servers commonly allow
_CONNECTIONS = 64  # to all hosts together; reached only where HTTP/2 is not spoken

# What libcurl says first, and only, when it wanted to repeat a request that the service
# refused to look at (REFUSED_STREAM, or GOAWAY naming an earlier stream: RFC 9113,
# 8.7). Where the connection died instead, the first word is the socket's or TLS's.
# Older ones say something else; there a refused request is in doubt.
_REFUSED = "necessary data rewind was not possible"
_TELLS_REFUSED = pycurl.version_info()[2] >= 0x081300

_STREAM = 92  # CURLE_HTTP2_STREAM: not the connection, this request alone

_COULD_NOT = {
    pycurl.E_COULDNT_RESOLVE_HOST: "no address",
    pycurl.E_COULDNT_RESOLVE_PROXY: "no address of the proxy",
    pycurl.E_COULDNT_CONNECT: "no connection",
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_SSL_CONNECT_ERROR: "TLS failed",
    pycurl.E_PEER_FAILED_VERIFICATION: "certificate refused",
    pycurl.E_SSL_CACERT_BADFILE: "CA file unreadable",
}


class Reply(NamedTuple):
    """What came of one request, in the wire's own words."""

    letter: Letter
    origin: str
    status: int  # 0: no answer
    headers: list[bytes]  # raw lines of all answers, the informational ones too
    body: bytes  # at most 4 KiB
    written: bool  # whether the service may have got the request whole
    blocked: bool  # every address was one that may not be dialled
    refused: bool  # the service said that it has not looked at it
    fault: str  # why there is no answer: "timeout", "connection lost"
    latency: Millis
    cause: Cause | None  # the same for the program; None: there is one


class Flight:
    """A libcurl handle with its options set once for an origin, used again and again."""

    __slots__ = (
        "began",
        "blocked",
        "body",
        "curl",
        "dialled",
        "head",
        "headers",
        "letter",
        "line",
        "size",
        "upload",
    )

    def __init__(self, line: "Line") -> None:
        self.line = line
        self.curl = pycurl.Curl()
        self.head: Sequence[str] | None = None
        self.size = -1
        self.body = b""
        self.headers: list[bytes] = []
        self.letter: Letter
        self.upload: io.BytesIO
        self.blocked = self.dialled = False
        self.began = 0.0
        line.prepare(self)

    def take(self, data: bytes) -> int:
        """Keep the first 4 KiB of an answer's body; then have libcurl hang up."""
        self.body += data[: MAX_ANSWER_BYTES - len(self.body)]
        return len(data) if len(self.body) < MAX_ANSWER_BYTES else 0

    def open(self, purpose: int, address: Any) -> Any:
        """Vet the address that libcurl is about to dial; make its socket or refuse."""
        if not self.line.may_dial(address.addr[0], address.addr[1]):
            self.blocked = True
            return pycurl.SOCKET_BAD
        try:
            made = socket.socket(address.family, address.socktype, address.protocol)
        except OSError:
            return pycurl.SOCKET_BAD  # no handle is left: as good as unreachable
        self.dialled = True
        return made

    def opened(self, number: int, purpose: int) -> int:
        """Take note of the socket that libcurl connects."""
        self.line.transport.sockets.add(number)
        return int(pycurl.SOCKOPT_OK)


class Line:
    """All requests to one origin: idle handles, and how many may be in flight."""

    def __init__(self, origin: str, transport: "Transport") -> None:
        self.origin = origin
        name = origin.removeprefix("https://")
        self.host, _, port = name.partition(":")
        self._port = int(port or 443)
        self.transport = transport
        self._target = transport.targets.get(name) or transport.targets.get(self.host)
        self.idle: list[Flight] = []
        self.flying = 0
        self.limit = min(STREAMS, transport.window)
        self.answered = 0  # since the window last grew
        self._most = transport.window
        self.protocols: set[int] = set()  # HTTP versions of its answers, as libcurl counts
        self.served = False  # whether anything was answered since a connection was lost
        self._lost_at = 0.0
        self._forgives = False

    def may_dial(self, address: str, port: int) -> bool:
        if self._target is not None:
            return (address, port) == (self._target.address, self._target.port)
        if self.transport.proxy:
            return True  # the operator's own; who is behind it, it has to vet
        return port == self._port and addresses.is_public(address)

    def prepare(self, flight: Flight) -> None:
        """Set what is the same for every request to this origin."""
        set_option = flight.curl.setopt
        for option, value in self.transport.options:
            set_option(option, value)
        set_option(pycurl.WRITEFUNCTION, flight.take)
        set_option(pycurl.HEADERFUNCTION, flight.headers.append)
        set_option(pycurl.OPENSOCKETFUNCTION, flight.open)
        set_option(pycurl.SOCKOPTFUNCTION, flight.opened)
        if self._target is not None:
            self_port = f"{self.host}:{self._port}"
            set_option(pycurl.CONNECT_TO, [f"{self_port}:{self._target.text}"])
            if self.transport.loopback_ca is not None:
                set_option(pycurl.CAINFO, str(self.transport.loopback_ca))

    def lost_too(self, began: float, now: float) -> bool:
        """
        Say whether a request that began at *began* was lost with one that is counted.

        What flew when a connection died is one failure of a service that had answered;
        when the next dies too before any answer, each request is.
        """
        if began < self._lost_at and self._forgives:
            return True
        self._forgives, self.served, self._lost_at = self.served, False, now
        return False

    def speaks(self, protocol: int) -> None:
        """Take note of the HTTP version of an answer."""
        if protocol not in self.protocols:
            self.protocols.add(protocol)
            if protocol != pycurl.CURL_HTTP_VERSION_2_0:
                self._most = min(self._most, _CONNECTIONS)  # one request on each
                self.limit = min(self.limit, self._most)

    def tells_refused(self, curl: pycurl.Curl) -> bool:
        """
        Say whether libcurl's word for it is enough that *curl*'s request was refused.

        Over HTTP/1.1 the same words come when a kept connection was closed in good
        order; so every answer from this origin must have been HTTP/2.
        """
        return (
            _TELLS_REFUSED
            and self.protocols == {pycurl.CURL_HTTP_VERSION_2_0}
            and curl.getinfo(pycurl.OS_ERRNO) == 0
        )

    def grow(self) -> None:
        """
        Let more fly: the window was full and this process had nothing to do.

        Half as much again for each windowful of answers: what flies has to reach
        rate times latency, and 50 ms away that is a thousand.
        """
        if 2 * self.answered < self.limit:
            return
        self.answered = 0
        self.limit = min(self.limit + self.limit // 2 + 1, self._most)

    def shrink(self) -> None:
        """Let fewer fly: the service is in trouble."""
        self.limit = max(self.limit // 2, 8)


class Transport:
    """The connections of this process; requests go in with ``start``, come out of ``pump``."""

    def __init__(self, postbox: Postbox) -> None:
        self.window, self.proxy = max(1, postbox.window), postbox.proxy
        self.targets = dial.targets(postbox.loopback)
        self.loopback_ca = postbox.loopback_ca
        self.options = request.options(postbox.timeout, postbox.proxy, authorities.find_file())
        self.lines: dict[str, Line] = {}
        self.flying = 0
        self._flights: dict[int, Flight] = {}
        self.sockets: set[int] = set()  # file descriptors of connections, some closed
        self._unwritten = False  # whether a request was handed over since libcurl ran
        self._multi = _multi()

    def leave_the_dead(self) -> None:
        """
        Drop all connections when one has been closed by its peer while nothing flew.

        libcurl looks for that itself, but at most once a second; a batch given to a
        dead connection before that would be in doubt for no reason.
        """
        poll = select.poll()
        for number in self.sockets:
            poll.register(number, select.POLLRDHUP)
        events = dict(poll.poll(0))
        self.sockets -= {number for number, event in events.items() if event & select.POLLNVAL}
        if self.sockets & events.keys():
            self._multi.close()
            self._multi = _multi()
            self.sockets.clear()

    def line(self, origin: str) -> Line:
        line = self.lines.get(origin)
        if line is None:
            line = self.lines[origin] = Line(origin, self)
        return line

    def start(self, line: Line, letter: Letter, head: Sequence[str], body: bytes) -> None:
        """Hand one request to libcurl; nothing is written before the next ``pump``."""
        flight = line.idle.pop() if line.idle else Flight(line)
        set_option = flight.curl.setopt
        set_option(pycurl.URL, letter.endpoint)
        if flight.head is not head:
            set_option(pycurl.HTTPHEADER, head)
            flight.head = head
        if flight.size != len(body):
            set_option(pycurl.POSTFIELDSIZE, len(body))
            flight.size = len(body)
        flight.letter = letter
        flight.upload = io.BytesIO(body)
        flight.blocked = flight.dialled = False
        set_option(pycurl.READFUNCTION, flight.upload.read)
        flight.began = time.perf_counter()
        self._flights[id(flight.curl)] = flight
        self._multi.add_handle(flight.curl)
        self._unwritten = True
        line.flying += 1
        self.flying += 1

    def pump(self, wait: float) -> list[Reply]:
        """
        Let libcurl write and read what it can; return what has ended.

        Waits up to *wait* seconds for something to happen when nothing is ready.
        """
        replies = self._perform()
        if not replies and wait > 0:
            self._multi.select(wait)
            replies = self._perform()
        return replies

    def close(self) -> None:
        """Hang up; what is in flight gets no answer."""
        for flight in self._flights.values():
            self._multi.remove_handle(flight.curl)
            flight.curl.close()
        self._flights.clear()
        self._multi.close()
        # At once, not when Python gets round to it: a handle holds some kilobytes in C.
        for line in self.lines.values():
            for flight in line.idle:
                flight.curl.close()
        self.lines.clear()

    def _perform(self) -> list[Reply]:
        if self._unwritten:
            self._unwritten = False
            with corked(self.sockets):
                self._multi.perform()
        else:
            self._multi.perform()
        replies: list[Reply] = []
        remaining = 1
        while remaining:
            remaining, done, failed = self._multi.info_read()
            ended = time.perf_counter()
            for curl in done:
                replies.append(self._land(curl, 0, "", ended))
            for curl, code, message in failed:
                replies.append(self._land(curl, code, message, ended))
        return replies

    def _land(self, curl: pycurl.Curl, code: int, message: str, ended: float) -> Reply:
        flight = self._flights.pop(id(curl))
        line = flight.line
        self._multi.remove_handle(curl)
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        if status:
            line.answered += 1
            line.speaks(curl.getinfo(pycurl.INFO_HTTP_VERSION))
        line.flying -= 1
        self.flying -= 1
        line.idle.append(flight)
        refused = message == _REFUSED and line.tells_refused(curl)
        written = flight.upload.tell() > 0 and not refused
        # An idle handle may wait for long: it mustn't hold a hostile answer's headers.
        headers, body = flight.headers[:], flight.body
        flight.headers.clear()
        flight.body = b""
        fault, cause = "", None
        if not code:
            line.served = True
        elif refused:
            fault, cause = "refused by the service", Cause.REQUEST_REFUSED
        else:
            fault, cause = _fault(code, written)
            lost = cause is Cause.CONNECTION_LOST and code != _STREAM
            if lost and line.lost_too(flight.began, ended):
                fault, cause = "connection lost with others", Cause.CONNECTION_LOST_WITH_OTHERS
        return Reply(
            flight.letter,
            line.origin,
            # An informational answer is none.
            status if status >= 200 else 0,
            headers,
            body,
            written,
            flight.blocked and not flight.dialled,
            refused,
            fault,
            int((ended - flight.began) * 1000),
            cause,
        )


def _multi() -> pycurl.CurlMulti:
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
    multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, STREAMS)
    multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, _CONNECTIONS)
    multi.setopt(pycurl.M_MAXCONNECTS, 2 * _CONNECTIONS)
    return multi


def _fault(code: int, written: bool) -> tuple[str, Cause]:
    if not written:
        return _COULD_NOT.get(code, f"curl {code}"), Cause.NO_CONNECTION
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return "timeout", Cause.TIMEOUT
    if code in (pycurl.E_FTP_WEIRD_SERVER_REPLY, pycurl.E_HTTP2):
        return "bad answer", Cause.BAD_ANSWER
    return "connection lost", Cause.CONNECTION_LOST
