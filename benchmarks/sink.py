"""
A push service for benchmarks: nginx with TLS and HTTP/2 on loopback, outside the
measured processes. It reads every body and answers 201, at once or after a delay.
"""

import datetime
import os
import shutil
import socket
import subprocess
import tempfile
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "updates.push.services.mozilla.com"
FCM = "fcm.googleapis.com"

_CONFIG = """
{modules}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000000;
    keepalive_timeout 300s;
    client_body_buffer_size 16k;
    server {{
        listen 127.0.0.1:{port} ssl http2 backlog=4096;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.key;
        ssl_session_cache shared:tls:4m;
        http2_max_concurrent_streams 128;
        location / {{ {answer} }}
    }}
}}
"""


class Sink:
    """nginx on a free port; a context manager. *delay* is in seconds."""

    def __init__(self, delay: float = 0.0) -> None:
        if shutil.which("nginx", path=_path()) is None:
            raise SystemExit(
                "This benchmark needs nginx: apt-get install nginx-light libnginx-mod-http-echo"
            )
        self.folder = Path(tempfile.mkdtemp(prefix="pushctl-sink-"))
        self.ca = self.folder / "ca.pem"
        self.port = _free_port()
        self.base = f"https://{HOST}:{self.port}"
        self._certificates()
        self._configure(delay)

    def __enter__(self) -> Self:
        command = ["nginx", "-c", str(self.folder / "nginx.conf"), "-p", str(self.folder)]
        self._process = subprocess.Popen(command, env=os.environ | {"PATH": _path()})
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise SystemExit(f"nginx did not start, see {self.folder}") from None

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def cpu_seconds(self) -> float:
        """Return the CPU time that nginx has used so far."""
        ticks = 0
        for task in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = task.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if self._process.pid in (int(fields[1]), int(task.parent.name)):
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def _configure(self, delay: float) -> None:
        modules, answer = "", "return 201;"
        if delay:
            # "return" can't wait; the echo module can.
            modules = "load_module /usr/lib/nginx/modules/ngx_http_echo_module.so;"
            answer = f'echo_status 201; echo_read_request_body; echo_sleep {delay}; echo -n "";'
        text = _CONFIG.format(
            folder=self.folder, port=self.port, answer=answer, modules=modules
        )
        (self.folder / "nginx.conf").write_text(text)

    def _certificates(self) -> None:
        authority, key = _certificate("pushctl benchmark CA", None, None)
        self.ca.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        leaf, leaf_key = _certificate(HOST, authority, key)
        (self.folder / "server.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        (self.folder / "server.key").write_bytes(
            leaf_key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def _certificate(
    name: str, issuer: x509.Certificate | None, issuer_key: ec.EllipticCurvePrivateKey | None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), True)
    )
    if issuer is not None:
        names = [
            x509.DNSName(name),
            x509.DNSName(FCM),
            x509.DNSName("localhost"),
            x509.IPAddress(ip_address("127.0.0.1")),
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    return builder.sign(issuer_key or key, hashes.SHA256()), key


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
