"""
A small TLS server that answers or misbehaves as told, for tests of the transport.

It speaks HTTP/2 (through the h2 package) and HTTP/1.1, reads every body whole, counts
it by path, and does what the test's function says: answer, reset, close, refuse, hang.
"""

import contextlib
import datetime
import select
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

HOST = "push.test"


@dataclass(frozen=True)
class Request:
    """One request as the server read it; *body* is whole unless told to look early."""

    path: str
    headers: dict[str, str]
    body: bytes
    connection: int  # number of the connection, from 1
    nth: int  # number of the request on its connection, from 1


@dataclass(frozen=True)
class Answer:
    status: int = 201
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    delay: float = 0.0
    informational: int = 0  # how many 103 come before
    drip: float = 0.0  # seconds between single bytes of the body


class Act:
    """What else a server can do to a request that it has read."""

    RESET = "reset"  # TCP reset of the whole connection
    CLOSE = "close"  # close without a TLS close_notify
    SHUTDOWN = "shutdown"  # proper TLS and TCP close
    REFUSE = "refuse"  # RST_STREAM with REFUSED_STREAM: not processed
    CANCEL = "cancel"  # RST_STREAM with INTERNAL_ERROR: perhaps processed
    GOAWAY = "goaway"  # GOAWAY that names the stream before as the last; then answer those
    LEAVE = "leave"  # GOAWAY that names this very stream as the last, then a proper close
    FAREWELL = "farewell"  # GOAWAY that names no stream yet (2^31-1), then a proper close
    QUIET = "quiet"  # RST_STREAM with NO_ERROR, and no answer
    PROMISE = "promise"  # PUSH_PROMISE, which the client has forbidden
    OVERFLOW = "overflow"  # WINDOW_UPDATE beyond what a window may be
    GARBAGE = "garbage"  # bytes that are no frame and no status line
    HANG = "hang"  # nothing, ever


@dataclass
class Wire:
    """The running server: where it listens, and what it has seen."""

    port: int
    ca: Path
    behave: Callable[[Request], Answer | str]
    bodies: Counter[str] = field(default_factory=Counter)  # whole bodies read, by path
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    open: int = 0  # of them now
    protocols: Counter[str] = field(default_factory=Counter)

    _open: list[ssl.SSLSocket] = field(default_factory=list)

    def hang_up(self) -> None:
        """Close every connection in good order, as a server does with idle ones."""
        for tls in self._open:
            with contextlib.suppress(OSError):
                tls.shutdown(socket.SHUT_RDWR)

    def endpoint(self, number: int | str = 0) -> str:
        return f"https://{HOST}/push/{number}"


def certificate(
    folder: Path, *names: str, ends: datetime.timedelta = datetime.timedelta(days=2)
) -> tuple[Path, Path]:
    """Write a self-signed certificate for *names*; return its file and its key's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(built.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return cert_file, key_file


@contextlib.contextmanager
def serve(
    folder: Path,
    behave: Callable[[Request], Answer | str] = lambda request: Answer(),
    *,
    alpn: tuple[str, ...] = ("h2", "http/1.1"),
    names: tuple[str, ...] = (HOST,),
    ends: datetime.timedelta = datetime.timedelta(days=2),
) -> Iterator[Wire]:
    """Run a server on 127.0.0.1 for as long as the block lasts."""
    cert, key = certificate(folder, *names, ends=ends)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(list(alpn))
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    wire = Wire(listener.getsockname()[1], cert, behave)
    ended = threading.Event()
    threads = [threading.Thread(target=_accept, args=(listener, context, wire, ended))]
    threads[0].start()
    try:
        yield wire
    finally:
        ended.set()
        threads[0].join()
        listener.close()


def _accept(
    listener: socket.socket, context: ssl.SSLContext, wire: Wire, ended: threading.Event
) -> None:
    serving = []
    while not ended.is_set():
        if not select.select([listener], [], [], 0.05)[0]:
            continue
        raw, _ = listener.accept()
        wire.connections += 1
        number = wire.connections
        thread = threading.Thread(target=_serve, args=(raw, context, wire, number, ended))
        thread.start()
        serving.append(thread)
    for thread in serving:
        thread.join()


def _serve(
    raw: socket.socket, context: ssl.SSLContext, wire: Wire, number: int, ended: threading.Event
) -> None:
    wire.open += 1
    try:
        _speak(raw, context, wire, number, ended)
    finally:
        wire.open -= 1


def _speak(
    raw: socket.socket, context: ssl.SSLContext, wire: Wire, number: int, ended: threading.Event
) -> None:
    raw.settimeout(5)
    try:
        tls = context.wrap_socket(raw, server_side=True)
    except OSError:
        raw.close()
        return
    protocol = tls.selected_alpn_protocol() or "http/1.1"
    wire.protocols[protocol] += 1
    wire._open.append(tls)
    speak = Http2 if protocol == "h2" else Http1
    with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
        speak(tls, wire, number, ended).run()
    with contextlib.suppress(OSError):
        tls.close()


def _reset(tls: ssl.SSLSocket) -> None:
    # SO_LINGER with zero seconds makes close() send RST; detach() skips close_notify.
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.socket(fileno=tls.detach()).close()


class _Connection:
    def __init__(
        self, tls: ssl.SSLSocket, wire: Wire, number: int, ended: threading.Event
    ) -> None:
        self.tls, self.wire, self.number, self.ended = tls, wire, number, ended
        self.count = 0

    def receive(self) -> bytes:
        while not self.ended.is_set():
            if self.tls.pending() or select.select([self.tls], [], [], 0.02)[0]:
                return self.tls.recv(65536)
        return b""

    def decide(self, path: str, headers: dict[str, str], body: bytes) -> Answer | str:
        self.count += 1
        request = Request(path, headers, body, self.number, self.count)
        self.wire.bodies[path] += 1
        self.wire.requests.append(request)
        act = self.wire.behave(request)
        if isinstance(act, Answer) and act.delay:
            self.ended.wait(act.delay)
        return act

    def end(self, act: str) -> bool:
        """Do what concerns the whole connection; say whether it is over."""
        if act == Act.RESET:
            _reset(self.tls)
        elif act == Act.CLOSE:
            socket.socket(fileno=self.tls.detach()).close()
        elif act == Act.SHUTDOWN:
            self.tls.unwrap()
            self.tls.close()
        elif act == Act.GARBAGE:
            self.tls.sendall(b"\xff" * 64)
        else:
            return False
        return act != Act.GARBAGE


class Http2(_Connection):
    def run(self) -> None:
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.h2.initiate_connection()
        self.tls.sendall(self.h2.data_to_send())
        heads: dict[int, dict[str, str]] = {}
        bodies: dict[int, bytes] = {}
        while data := self.receive():
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    heads[event.stream_id] = {k.decode(): v.decode() for k, v in event.headers}
                    bodies[event.stream_id] = b""
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += event.data
                    self.h2.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
                elif isinstance(event, h2.events.StreamEnded):
                    head = heads.pop(event.stream_id)
                    act = self.decide(head[":path"], head, bodies.pop(event.stream_id))
                    if self.act(event.stream_id, act):
                        return
            self.tls.sendall(self.h2.data_to_send())

    def act(self, stream: int, act: Answer | str) -> bool:
        if isinstance(act, Answer):
            self.answer(stream, act)
        elif act == Act.REFUSE:
            self.h2.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
        elif act == Act.CANCEL:
            self.h2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
        elif act == Act.GOAWAY:
            # The package forbids to go on with the streams before.
            self.by_hand(7, 0, struct.pack(">II", max(0, stream - 2), 0))
        elif act in (Act.LEAVE, Act.FAREWELL):
            last = stream if act == Act.LEAVE else 2**31 - 1
            self.by_hand(7, 0, struct.pack(">II", last, 0))
            return self.end(Act.SHUTDOWN)
        elif act == Act.QUIET:
            self.h2.reset_stream(stream, h2.errors.ErrorCodes.NO_ERROR)
        elif act == Act.PROMISE:
            self.by_hand(5, stream, struct.pack(">I", 2) + b"\x88")
        elif act == Act.OVERFLOW:
            self.by_hand(8, 0, struct.pack(">I", 2**31 - 1))
        elif act != Act.HANG:
            self.tls.sendall(self.h2.data_to_send())
            return self.end(act)
        return False

    def by_hand(self, kind: int, stream: int, payload: bytes) -> None:
        """Send a frame that the package would not."""
        flags = 4 if kind == 5 else 0  # END_HEADERS
        head = struct.pack(">HBBBI", 0, len(payload), kind, flags, stream)
        self.tls.sendall(self.h2.data_to_send() + head + payload)

    def answer(self, stream: int, answer: Answer) -> None:
        for _ in range(answer.informational):
            if self.ended.is_set():
                return
            self.h2.send_headers(stream, [(":status", "103"), ("x-early", "1")])
            self.tls.sendall(self.h2.data_to_send())
        head = [(":status", str(answer.status)), *answer.headers]
        self.h2.send_headers(stream, head, end_stream=not answer.body)
        body = memoryview(answer.body)
        step = 1 if answer.drip else 16_000
        while body and not self.ended.is_set():
            room = min(step, self.h2.local_flow_control_window(stream))
            if not room:
                # The client has stopped reading: a bounded one resets the stream.
                self.tls.sendall(self.h2.data_to_send())
                return
            part, body = body[:room], body[room:]
            self.h2.send_data(stream, bytes(part), end_stream=not body)
            self.tls.sendall(self.h2.data_to_send())
            if answer.drip:
                self.ended.wait(answer.drip)
        self.tls.sendall(self.h2.data_to_send())


class Http1(_Connection):
    def run(self) -> None:
        buffer = b""
        while not self.ended.is_set():
            while b"\r\n\r\n" not in buffer:
                data = self.receive()
                if not data:
                    return
                buffer += data
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (n.partition(":") for n in lines)}
            size = int(headers.get("content-length", "0"))
            while len(buffer) < size:
                data = self.receive()
                if not data:
                    return
                buffer += data
            body, buffer = buffer[:size], buffer[size:]
            act = self.decide(first.split(" ")[1], headers, body)
            if isinstance(act, Answer):
                self.answer(act)
            elif act == Act.HANG:
                self.ended.wait()
            elif self.end(act):
                return

    def answer(self, answer: Answer) -> None:
        early = b"HTTP/1.1 103 Early Hints\r\nx-early: 1\r\n\r\n" * answer.informational
        head = f"HTTP/1.1 {answer.status} X\r\ncontent-length: {len(answer.body)}\r\n"
        head += "".join(f"{k}: {v}\r\n" for k, v in answer.headers)
        self.tls.sendall(early + head.encode("latin-1") + b"\r\n")
        if not answer.drip:
            self.tls.sendall(answer.body)
            return
        for byte in answer.body:
            self.tls.sendall(bytes([byte]))
            if self.ended.wait(answer.drip):
                return


def wait_until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """
    Return once *true* says so; fail after *seconds*.

    They are patience, and judge nobody's speed: on a busy machine a process may take many
    seconds to start.
    """
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)
