"""A receiver in a process of its own, and a browser's side of the conversation."""

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pushctl import inbox
from pushctl.config import ApiConfig, Config, ReceiverConfig, Site, UnprovedConfig
from pushctl.model import InboxRecord
from pushctl.receiver import serve
from pushctl.rules import tokens
from pushctl.rules.shops import sources
from tests.support import ROOT, auth, endpoint, p256dh
from tests.support.running import PIPE, Running

Process = subprocess.Popen[bytes] | Running

ORIGIN = "https://shop.example"
KEY = tokens.encode(p256dh(999))
# Strangers' share would end a long measurement: nobody in it was ever shown a message.
UNBOUNDED = {"inbox_mb_per_address": 0, "inbox_mb": 0}


def config(folder: Path, port: int = 0, **receiver: Any) -> Config:
    """Return a project's config; *receiver* are its settings, but for three tables."""
    unproved, tables = receiver.pop("unproved", {}), receiver.pop("sources", {})
    api = receiver.pop("api", {})
    known, faults = sources.parse_all(tables, ["shop"])
    assert faults == []
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
        api=ApiConfig(**api),
        sources=known,
        receiver=ReceiverConfig(
            url=f"http://127.0.0.1:{port}", listen=f"127.0.0.1:{port}", **receiver
        ),
    )


# Below those that a system hands out by itself (Linux: from 32768): what was free a moment
# ago, or is between two receivers of one test, no other test gets by chance.
_PORTS = (20_000, 32_000)


def free_port() -> int:
    """Return a port of loopback that nothing has, and nothing gets unasked."""
    while True:
        port = random.SystemRandom().randrange(*_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def launch(folder: Path, port: int, **receiver: Any) -> subprocess.Popen[bytes]:
    """Start a receiver with *receiver* of its settings; see ReceiverConfig."""
    settings = json.dumps(receiver, default=str)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.receiving", str(folder), str(port), settings],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )


def wait_for_port(process: Process, port: int) -> None:
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
    _await_answer(process, port)
    return process


@contextlib.contextmanager
def running(folder: Path, **receiver: Any) -> Iterator[int]:
    """A receiver until the end of the block, forked (``forked``); gives its port."""
    port = free_port()
    arguments = [str(folder), str(port), json.dumps(receiver, default=str)]
    process = Running(arguments, os.environ, cwd=ROOT, stderr=PIPE, entry=f"{__name__}:main")
    _await_answer(process, port)
    try:
        yield port
    finally:
        stop(process)


def _await_answer(process: Process, port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            assert process.stderr is not None
            raise AssertionError(process.stderr.read().decode())
        try:
            if get(port, "/healthz").status == 200:
                return
        except OSError:
            time.sleep(0.02)
    process.kill()
    raise AssertionError("the receiver did not answer within 20 s")


def stop(process: Process) -> str:
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


def call(
    port: int, path: str, fields: Any = None, *, secret: str, method: str = "", **headers: str
) -> Answered:
    """Call the server API as a shop's server would: POST *fields*, or GET without any."""
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    heads = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    heads |= {name.replace("_", "-"): value for name, value in headers.items()}
    if fields is None:
        return request(port, method or "GET", path, None, heads)
    return request(port, method or "POST", path, body, heads)


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


def main() -> None:
    folder, port, settings = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    slow_disk(settings.pop("added_fsync_ms", 0))
    for name in ("certificate", "certificate_key", "geoip"):
        if name in settings:
            settings[name] = Path(settings[name])
    made = config(folder, port, **settings)
    serve.log_to_stderr(made.receiver.log)
    serve.serve(made, KEY, f"127.0.0.1:{port}")


if __name__ == "__main__":
    main()
