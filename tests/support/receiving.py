"""A receiver in a process of its own, and a browser's side of the conversation."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pushctl import inbox
from pushctl.config import Config, ReceiverConfig, Site, UnprovedConfig
from pushctl.model import InboxRecord
from pushctl.receiver import serve
from pushctl.rules import tokens
from tests.support import ROOT, auth, endpoint, p256dh

ORIGIN = "https://shop.example"
KEY = tokens.encode(p256dh(999))
# Strangers' share would end a long measurement: nobody in it was ever shown a message.
UNBOUNDED = {"inbox_mb_per_address": 0, "inbox_mb": 0}


def config(folder: Path, port: int = 0, **receiver: Any) -> Config:
    """Return a project's config; *receiver* are its settings, *unproved* those of its own."""
    unproved = receiver.pop("unproved", {})
    return Config(
        file=folder / "pushctl.toml",
        contact="mailto:push@shop.example",
        sites={"shop": Site("shop", ORIGIN, origins=("https://www.shop.example",))},
        database=folder / "pushctl.db",
        inbox=folder / "inbox",
        templates=folder / "templates",
        keys=folder / "keys",
        journal=folder / "journal",
        unproved=UnprovedConfig(**unproved),
        receiver=ReceiverConfig(
            url=f"http://127.0.0.1:{port}", listen=f"127.0.0.1:{port}", **receiver
        ),
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch(folder: Path, port: int, **receiver: Any) -> subprocess.Popen[bytes]:
    """Start a receiver with *receiver* of its settings; see ReceiverConfig."""
    settings = json.dumps(receiver, default=str)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.receiving", str(folder), str(port), settings],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )


def wait_for_port(process: subprocess.Popen[bytes], port: int) -> None:
    """Return when something listens there; fail when the process ends."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            assert process.stderr is not None
            raise AssertionError(process.stderr.read().decode())
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        time.sleep(0.02)
    raise AssertionError("nothing listened within 20 s")


def start(folder: Path, port: int, **receiver: Any) -> subprocess.Popen[bytes]:
    """Start a receiver for *folder* and return when it answers."""
    process = launch(folder, port, **receiver)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            assert process.stderr is not None
            raise AssertionError(process.stderr.read().decode())
        try:
            if get(port, "/healthz").status == 200:
                return process
        except OSError:
            time.sleep(0.02)
    process.kill()
    raise AssertionError("the receiver did not answer within 20 s")


@contextlib.contextmanager
def running(folder: Path, **receiver: Any) -> Iterator[int]:
    """A receiver until the end of the block; gives its port."""
    port = free_port()
    process = start(folder, port, **receiver)
    try:
        yield port
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> str:
    """End a receiver as an init system does; return what it logged."""
    process.send_signal(signal.SIGTERM)
    try:
        _, errors = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError("the receiver did not stop within 20 s") from None
    return errors.decode()


class Answered:
    """An answer, read whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self) -> Any:
        return json.loads(self.body)


def get(port: int, path: str, **headers: str) -> Answered:
    return request(port, "GET", path, None, headers)


def request(
    port: int, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
) -> Answered:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, dict(headers))
        return Answered(connection.getresponse())
    finally:
        connection.close()


def post(
    port: int, path: str, fields: Any, *, number: int | None = None, **headers: str
) -> Answered:
    """POST *fields* as the shop's page would; signed by browser *number* if given."""
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    heads = {"Origin": ORIGIN, "Content-Type": "application/json"}
    if number is not None:
        heads["X-Pushctl-Signature"] = tokens.sign_request(
            auth(number), path, int(time.time()), body
        )
    heads |= {name.replace("_", "-"): value for name, value in headers.items()}
    return request(port, "POST", path, body, heads)


def subscription(number: int = 0, **more: Any) -> dict[str, Any]:
    """The body of a subscribe request of browser *number*."""
    keys = {"p256dh": tokens.encode(p256dh(number)), "auth": tokens.encode(auth(number))}
    return {
        "subscription": {"endpoint": endpoint(number), "keys": keys, "expirationTime": None},
        "key": KEY,
        **more,
    }


def events(number: int = 0, name: str = "cart_updated", **properties: Any) -> dict[str, Any]:
    event = {
        "id": tokens.encode(os.urandom(16)),
        "name": name,
        "at": 1_777_363_200_000,
        "properties": properties,
    }
    return {"endpoint": endpoint(number), "events": [event]}


def records(folder: Path) -> list[InboxRecord]:
    """Return what stands in the inbox of *folder*; bad lines fail the test."""
    found = []
    for entry in inbox.read(folder / "inbox", {}):
        if isinstance(entry.item, inbox.BadLine):
            raise AssertionError(entry.item.reason)  # noqa: TRY004
        if isinstance(entry.item, InboxRecord):
            found.append(entry.item)
    return found


def slow_disk(milliseconds: float) -> None:
    """Make this process wait at every fdatasync, as for a disk that is slower."""
    real = os.fdatasync

    def slow(handle: int) -> None:
        time.sleep(milliseconds / 1000)
        real(handle)

    os.fdatasync = slow  # type: ignore[assignment]


def main(folder: Path, port: int, settings: dict[str, Any]) -> None:
    slow_disk(settings.pop("added_fsync_ms", 0))
    for name in ("certificate", "certificate_key", "geoip"):
        if name in settings:
            settings[name] = Path(settings[name])
    made = config(folder, port, **settings)
    serve.log_to_stderr(made.receiver.log)
    serve.serve(made, KEY, f"127.0.0.1:{port}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
