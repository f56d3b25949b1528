"""
Requests to push services over HTTP/2, many at once, by libcurl in one thread.

libcurl repeats a request when a kept connection turns out dead or a stream was refused. So
that nothing is sent twice, a body can be read once and not be rewound: after it was read a
repetition fails. A request whose body was never read can't have been processed.

tests/push/test_transport.py checks this against a real server.
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
from pushctl.push import loopback_targets, request
from pushctl.push.cork import hold_packets
from pushctl.push.postbox import Postbox
from pushctl.rules.limits import MAX_ANSWER_BYTES
from pushctl.rules.web import addresses

STREAMS = 100  # on one connection; what servers commonly allow
_CONNECTIONS = 64  # to all hosts together; reached only where HTTP/2 is not spoken

# libcurl's error when it would repeat a request that the service refused to process
# (REFUSED_STREAM, or GOAWAY naming an earlier stream: RFC 9113, 8.7). Where the connection
# died, the error is the socket's or TLS's. With an older libcurl a refused request is in doubt.
_REFUSED = "necessary data rewind was not possible"
_REPORTS_REFUSED = pycurl.version_info()[2] >= 0x081300

_STREAM = 92  # CURLE_HTTP2_STREAM: not the connection, this request alone
_GAP_SECONDS = 1.0  # between two calls of libcurl: more only where this process was stopped

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
    """The end of one request: an answer, or the reason why there is none."""

    letter: Letter
    origin: str
    status: int  # 0: no answer
    headers: list[bytes]  # raw lines of all answers, the informational ones too
    body: bytes  # at most 4 KiB
    written: bool  # whether the service may have received the whole request
    blocked: bool  # no address of the host may be dialled
    refused: bool  # the service has not processed it
    fault: str  # why there is no answer: "timeout", "connection lost"
    latency: Millis
    cause: Cause | None  # of *fault*


class Transfer:
    """A libcurl handle with the options of an origin; it is used again and again."""

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
        self.has_longer = False  # whether it got more time than others
        line.prepare(self)

    def take(self, data: bytes) -> int:
        """Keep the first 4 KiB of an answer's body; then have libcurl close the connection."""
        self.body += data[: MAX_ANSWER_BYTES - len(self.body)]
        return len(data) if len(self.body) < MAX_ANSWER_BYTES else 0

    def open(self, purpose: int, address: Any) -> Any:
        """Return a socket for the address that libcurl is about to dial, if it may."""
        if not self.line.may_dial(address.addr[0], address.addr[1]):
            self.blocked = True
            return pycurl.SOCKET_BAD
        try:
            made = socket.socket(address.family, address.socktype, address.protocol)
        except OSError:
            return pycurl.SOCKET_BAD  # no file descriptor is left
        self.dialled = True
        return made

    def note_socket(self, number: int, purpose: int) -> int:
        self.line.transport.sockets.add(number)
        return int(pycurl.SOCKOPT_OK)


class Line:
    """The handles of one origin, and how many of them may be in flight."""

    def __init__(self, origin: str, transport: "Transport") -> None:
        self.origin = origin
        name = origin.removeprefix("https://")
        self.host, _, port = name.partition(":")
        self._port = int(port or 443)
        self.transport = transport
        self._target = transport.targets.get(name) or transport.targets.get(self.host)
        self.idle: list[Transfer] = []
        self.in_flight = 0
        self.limit = min(STREAMS, transport.window)
        self.answered = 0  # since the window last grew
        self._most = transport.window
        self.protocols: set[int] = set()  # HTTP versions of its answers, as libcurl counts
        self.served = False  # whether there was an answer since a connection was lost
        self._lost_at = 0.0
        self._forgives = False

    def may_dial(self, address: str, port: int) -> bool:
        if self._target is not None:
            return (address, port) == (self._target.address, self._target.port)
        if self.transport.proxy:
            return True  # the operator's own proxy has to check addresses
        return port == self._port and addresses.is_public(address)

    def prepare(self, transfer: Transfer) -> None:
        """Set the options of all requests to this origin."""
        set_option = transfer.curl.setopt
        for option, value in self.transport.options:
            set_option(option, value)
        set_option(pycurl.WRITEFUNCTION, transfer.take)
        set_option(pycurl.HEADERFUNCTION, transfer.headers.append)
        set_option(pycurl.OPENSOCKETFUNCTION, transfer.open)
        set_option(pycurl.SOCKOPTFUNCTION, transfer.note_socket)
        if self._target is not None:
            set_option(pycurl.CONNECT_TO, [f"{self.host}:{self._port}:{self._target.text}"])
            if self.transport.loopback_ca is not None:
                set_option(pycurl.CAINFO, str(self.transport.loopback_ca))

    def is_same_loss(self, began: float, now: float) -> bool:
        """
        Return whether a lost request that began at *began* belongs to a loss counted before.

        All requests of a lost connection are one failure of a service that had answered.
        When the next connection is lost before any answer, each request is a failure.
        """
        if began < self._lost_at and self._forgives:
            return True
        self._forgives, self.served, self._lost_at = self.served, False, now
        return False

    def note_protocol(self, protocol: int) -> None:
        """Note the HTTP version of an answer."""
        if protocol not in self.protocols:
            self.protocols.add(protocol)
            if protocol != pycurl.CURL_HTTP_VERSION_2_0:
                self._most = min(self._most, _CONNECTIONS)  # one request on each
                self.limit = min(self.limit, self._most)

    def reports_refused(self, curl: pycurl.Curl) -> bool:
        """
        Return whether the error _REFUSED means that *curl*'s request was refused.

        Over HTTP/1.1 it also means that a kept connection was closed in good order; so
        every answer from this origin must have been HTTP/2.
        """
        return (
            _REPORTS_REFUSED
            and self.protocols == {pycurl.CURL_HTTP_VERSION_2_0}
            and curl.getinfo(pycurl.OS_ERRNO) == 0
        )

    def grow(self) -> None:
        """
        Widen the window, which was full while this process had nothing to do.

        By half for each windowful of answers: it has to reach rate times latency, which
        is a thousand at 50 ms.
        """
        if 2 * self.answered < self.limit:
            return
        self.answered = 0
        self.limit = min(self.limit + self.limit // 2 + 1, self._most)

    def shrink(self) -> None:
        """Halve the window, after a failure of the service."""
        self.limit = max(self.limit // 2, 8)


class Transport:
    """The connections of this process: ``start`` takes requests, ``pump`` returns replies."""

    def __init__(self, postbox: Postbox) -> None:
        self.window, self.proxy = max(1, postbox.window), postbox.proxy
        self.targets = loopback_targets.parse_targets(postbox.loopback)
        self.loopback_ca = postbox.loopback_ca
        self._timeout = max(1, int(postbox.timeout * 1000))
        self.options = request.make_options(
            postbox.timeout, postbox.proxy, authorities.find_file()
        )
        self.lines: dict[str, Line] = {}
        self.in_flight = 0
        self._transfers: dict[int, Transfer] = {}
        self.sockets: set[int] = set()  # file descriptors of connections, some closed
        self._performed = time.perf_counter()  # when libcurl last ran
        self._unwritten = False  # whether a request was started since libcurl last ran
        self._multi = _make_multi()

    def drop_dead_connections(self) -> None:
        """
        Drop all connections when a peer has closed one; call it with nothing in flight.

        libcurl checks that at most once a second; a batch on a dead connection would be in
        doubt without need.
        """
        poll = select.poll()
        for number in self.sockets:
            poll.register(number, select.POLLRDHUP)
        events = dict(poll.poll(0))
        self.sockets -= {number for number, event in events.items() if event & select.POLLNVAL}
        if self.sockets & events.keys():
            self._multi.close()
            self._multi = _make_multi()
            self.sockets.clear()

    def line(self, origin: str) -> Line:
        line = self.lines.get(origin)
        if line is None:
            line = self.lines[origin] = Line(origin, self)
        return line

    def start(self, line: Line, letter: Letter, head: Sequence[str], body: bytes) -> None:
        """Hand one request to libcurl; nothing is written before the next ``pump``."""
        transfer = line.idle.pop() if line.idle else Transfer(line)
        set_option = transfer.curl.setopt
        set_option(pycurl.URL, letter.endpoint)
        if transfer.head is not head:
            set_option(pycurl.HTTPHEADER, head)
            transfer.head = head
        if transfer.size != len(body):
            set_option(pycurl.POSTFIELDSIZE, len(body))
            transfer.size = len(body)
        if transfer.has_longer:
            set_option(pycurl.TIMEOUT_MS, self._timeout)
            transfer.has_longer = False
        transfer.letter = letter
        transfer.upload = io.BytesIO(body)
        transfer.blocked = transfer.dialled = False
        set_option(pycurl.READFUNCTION, transfer.upload.read)
        transfer.began = time.perf_counter()
        self._transfers[id(transfer.curl)] = transfer
        self._multi.add_handle(transfer.curl)
        self._unwritten = True
        line.in_flight += 1
        self.in_flight += 1

    def _allow_for_standstill(self) -> None:
        """
        Give what is in flight the whole timeout again, where this process was stopped.

        libcurl looks at the time before it reads the answers that have come meanwhile.
        """
        now = time.perf_counter()
        performed, self._performed = self._performed, now
        if now - performed < _GAP_SECONDS:
            return
        for transfer in self._transfers.values():
            lasted = int((now - transfer.began) * 1000)
            transfer.curl.setopt(pycurl.TIMEOUT_MS, self._timeout + lasted)
            transfer.has_longer = True

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

    def register(self, poll: "select.poll", seconds: float) -> float:
        """Add libcurl's sockets to *poll*; return for how many milliseconds it may wait."""
        readable, writable, _ = self._multi.fdset()
        for number in readable:
            poll.register(number, select.POLLIN)
        for number in writable:
            poll.register(number, select.POLLOUT | (select.POLLIN * (number in readable)))
        due = self._multi.timeout()
        return 1000 * seconds if due < 0 else min(1000 * seconds, due)

    def close(self) -> None:
        """Close all connections; requests in flight get no answer."""
        for transfer in self._transfers.values():
            self._multi.remove_handle(transfer.curl)
            transfer.curl.close()
        self._transfers.clear()
        self._multi.close()
        # Not left to the garbage collector: a handle holds some kilobytes in C.
        for line in self.lines.values():
            for transfer in line.idle:
                transfer.curl.close()
        self.lines.clear()

    def _perform(self) -> list[Reply]:
        self._allow_for_standstill()
        if self._unwritten:
            self._unwritten = False
            with hold_packets(self.sockets):
                self._multi.perform()
        else:
            self._multi.perform()
        replies: list[Reply] = []
        remaining = 1
        while remaining:
            remaining, done, failed = self._multi.info_read()
            ended = time.perf_counter()
            for curl in done:
                replies.append(self._finish(curl, 0, "", ended))
            for curl, code, message in failed:
                replies.append(self._finish(curl, code, message, ended))
        return replies

    def _finish(self, curl: pycurl.Curl, code: int, message: str, ended: float) -> Reply:
        transfer = self._transfers.pop(id(curl))
        line = transfer.line
        self._multi.remove_handle(curl)
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        if status:
            line.answered += 1
            line.note_protocol(curl.getinfo(pycurl.INFO_HTTP_VERSION))
        line.in_flight -= 1
        self.in_flight -= 1
        line.idle.append(transfer)
        refused = message == _REFUSED and line.reports_refused(curl)
        written = transfer.upload.tell() > 0 and not refused
        # An idle handle may live for long: it mustn't hold a hostile answer's headers.
        headers, body = transfer.headers[:], transfer.body
        transfer.headers.clear()
        transfer.body = b""
        fault, cause = "", None
        if not code:
            line.served = True
        elif refused:
            fault, cause = "refused by the service", Cause.REQUEST_REFUSED
        else:
            fault, cause = _describe_fault(code, written)
            lost = cause is Cause.CONNECTION_LOST and code != _STREAM
            if lost and line.is_same_loss(transfer.began, ended):
                fault, cause = "connection lost with others", Cause.CONNECTION_LOST_WITH_OTHERS
        return Reply(
            transfer.letter,
            line.origin,
            status if status >= 200 else 0,  # an informational answer is none
            headers,
            body,
            written,
            transfer.blocked and not transfer.dialled,
            refused,
            fault,
            int((ended - transfer.began) * 1000),
            cause,
        )


def _make_multi() -> pycurl.CurlMulti:
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
    multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, STREAMS)
    multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, _CONNECTIONS)
    multi.setopt(pycurl.M_MAXCONNECTS, 2 * _CONNECTIONS)
    return multi


def _describe_fault(code: int, written: bool) -> tuple[str, Cause]:
    if not written:
        return _COULD_NOT.get(code, f"curl {code}"), Cause.NO_CONNECTION
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return "timeout", Cause.TIMEOUT
    if code in (pycurl.E_FTP_WEIRD_SERVER_REPLY, pycurl.E_HTTP2):
        return "bad answer", Cause.BAD_ANSWER
    return "connection lost", Cause.CONNECTION_LOST
