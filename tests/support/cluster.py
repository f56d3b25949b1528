"""A cluster of one scheduler and some workers on this machine, with certificates of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from tests.support import ROOT, program

START_SECONDS = 60.0


def make_certificates(folder: Path) -> None:
    """Write ca.pem, and pairs of NAME.pem and NAME-key.pem for each kind of member."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = ec.generate_private_key(ec.SECP256R1())
    _write(folder, "ca", authority, _sign("cluster", authority, "cluster", authority, ca=True))
    for name in ("scheduler", "worker", "coordinator"):
        key = ec.generate_private_key(ec.SECP256R1())
        _write(folder, name, key, _sign(name, key, "cluster", authority))
    stranger = ec.generate_private_key(ec.SECP256R1())
    _write(folder, "stranger", stranger, _sign("other", stranger, "other", stranger))


def _sign(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    by: ec.EllipticCurvePrivateKey,
    *,
    ca: bool = False,
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(by, hashes.SHA256())
    )


def _write(
    folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> None:
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    file = folder / f"{name}-key.pem"
    file.touch(mode=0o600)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@dataclass
class Cluster:
    """Processes of one cluster; *encrypted*: with TLS."""

    folder: Path
    encrypted: bool = True
    lease: float = 30.0
    port: int = 0
    scheduler: "subprocess.Popen[bytes] | None" = None
    workers: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    more: str = ""  # lines of [cluster]
    variables: dict[str, str] = field(default_factory=dict)  # of new processes
    _count: int = 0

    @property
    def address(self) -> str:
        return f"{'tls' if self.encrypted else 'tcp'}://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        """Start the scheduler, at the port that it had before."""
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        words = ["--host", "127.0.0.1", "--port", str(self.port), "--no-show"]
        self.scheduler = self._start(
            "scheduler", "scheduler", *words, "--no-dashboard", "--scheduler-file", str(file)
        )
        wait_until(file.exists, "the scheduler did not start")
        wait_until(lambda: file.read_text().endswith("}"), "the scheduler did not start")
        self.port = int(json.loads(file.read_text())["address"].rpartition(":")[2])

    def start_workers(self, count: int, *, scheduler: str | None = None) -> None:
        for _ in range(count):
            self._count += 1
            name = f"w{self._count}"
            words = [scheduler or self.address, "--nthreads", "1", "--no-nanny", "--name", name]
            words += ["--no-dashboard", "--local-directory", str(self.folder / name)]
            words += ["--host", "127.0.0.1"]
            self.workers.append(self._start(name, "worker", *words))

    def _start(self, name: str, kind: str, *words: str) -> "subprocess.Popen[bytes]":
        tls: list[str] = []
        if self.encrypted:
            certificates = self.folder / "certificates"
            if not certificates.exists():
                make_certificates(certificates)
            tls = ["--tls-ca-file", str(certificates / "ca.pem")]
            tls += ["--tls-cert", str(certificates / f"{kind}.pem")]
            tls += ["--tls-key", str(certificates / f"{kind}-key.pem")]
        (self.folder / name).mkdir(exist_ok=True)
        return subprocess.Popen(
            [sys.executable, "-m", "dask", kind, *words, *tls],
            cwd=self.folder / name,
            env=program.environment({"PYTHONPATH": str(ROOT), **self.variables}),
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / f"{name}.log").open("ab"),
        )

    def settings(self) -> str:
        """Return the table for pushctl.toml."""
        lines = ["[cluster]", f'scheduler = "{self.address}"', f"lease = {self.lease}"]
        if self.encrypted:
            at = self.folder / "certificates"
            lines += [f'ca = "{at}/ca.pem"', f'certificate = "{at}/coordinator.pem"']
            lines += [f'certificate_key = "{at}/coordinator-key.pem"']
        return "\n".join([*lines, self.more, ""])

    def end(self) -> None:
        for process in [*self.workers, *([self.scheduler] if self.scheduler else [])]:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.workers.clear()


@contextmanager
def running(
    folder: Path, workers: int, *, encrypted: bool = True, lease: float = 30.0
) -> Iterator[Cluster]:
    """Yield a cluster of a scheduler and *workers*."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder, encrypted, lease)
    try:
        cluster.start_scheduler()
        cluster.start_workers(workers)
        yield cluster
    finally:
        cluster.end()


def wait_until(condition: "object", why: str, seconds: float = START_SECONDS) -> None:
    """Return once *condition*() holds; raise AssertionError with *why* if it never does."""
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, why
        time.sleep(0.02)


class Proxy:
    """Forwards connections to *target* until it is told to stall, without closing any."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._flows = threading.Event()
        self._flows.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        self._flows.clear()

    def flow(self) -> None:
        self._flows.set()

    def close(self) -> None:
        self._listener.close()
        self._flows.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                try:
                    theirs = socket.create_connection(self.target)
                except OSError:
                    ours.close()
                    continue
                for pair in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._flows.wait()
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def is_stopped(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
