"""
Mutated requests at a receiver, as many as you like: nothing may crash, hang or grow.

    python -m tests.faults.fuzz_receiver --requests 1000000 [--seed 7] [--json]

Every request begins as a good one of some route and is then spoiled: bytes flipped, cut,
doubled, heads repeated or removed, lengths that lie, values of other kinds. Prints how
many answers of each status came, the longest wait and the receiver's memory. A failure
names its seed, and the same seed sends the same requests.
"""

import argparse
import json
import random
import re
import resource
import selectors
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support import endpoint
from tests.support import receiving as r

CONNECTIONS = 24
SLOW = 1.0  # seconds that no answer may take
HANG = 8.0  # an unfinished request is ended by the receiver before this
MEMORY = 200 * 1024 * 1024

BODIES: dict[str, dict[str, Any]] = {
    "/v1/subscribe": r.subscription(
        1,
        language="ar",
        timezone="Asia/Riyadh",
        page="https://shop.example/?utm_source=news",
        tags=["VIP", {"name": "new", "seconds": 3600}],
        attributes={"plan": "gold", "deep": [[[1]]]},
        consent={"text": "2026-11", "at": 1_777_363_200_000},
    ),
    "/v1/unsubscribe": {"endpoint": endpoint(1)},
    "/v1/tags": {"endpoint": endpoint(1), "add": ["VIP"], "remove": ["سلّة"]},
    "/v1/identify": {"endpoint": endpoint(1), "alias": "c-7", "signature": "A" * 43},
    "/v1/events": r.events(1, items=[{"id": "lamp", "price": 49.5}]),
    "/v1/preferences": {"endpoint": endpoint(1), "pause": 60, "fewer": True},
    "/v1/forget": {"endpoint": endpoint(1)},
    "/v1/reports": {"message": "7." + "A" * 22, "kind": "shown", "id": "one"},
    "/v1/prompts": {"variant": "card", "stage": "seen", "language": "en"},
}
FILES = ("/pushctl.js", "/pushctl-sw.js?site=shop", "/healthz", "/", "/%2e%2e/etc/passwd")
STRANGE: list[Any] = [
    None, True, False, 0, -1, 2**63, 10**400, 1e308, "", "\0", "\ud800", "a" * 3000, [], {},
    [[[[[[[1]]]]]]], {"a": {"b": {"c": {"d": {"e": 1}}}}}, "\u202e\x1b[31m", "'; DROP TABLE",
    "{{7*7}}", "=cmd()", "https://127.0.0.1/", ["a"] * 200,
]  # fmt: skip
HEADS = (
    b"Content-Encoding: gzip", b"Transfer-Encoding: chunked", b"Content-Length: 5",
    b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Expect: 100-continue",
    b"Connection: close", b"Connection: upgrade\r\nUpgrade: h2c", b"X-Forwarded-For: 1, ,\xff",
    b"Origin: null", b"Origin: https://evil.example", b"Content-Type: text/plain",
    b"X-Pushctl-Signature: 9.x", b"Sec-GPC: 1", b"User-Agent: \x80\xff\x1b[31m",
    b"X: " + b"a" * 9000,
    b"Cookie: a=b", b"Range: bytes=0-", b"Accept-Encoding: gzip", b"Bad Header: 1", b": empty",
    b"Sec-CH-UA: " + b'"' * 300,
)  # fmt: skip

Chance = random.Random


def requests(seed: int) -> Iterator[bytes]:
    """Yield spoiled requests without end, always the same ones for a seed."""
    chance = Chance(seed)
    while True:
        made = spoil(chance, request(chance))
        if made:  # who says nothing at all is slow_receiver's
            yield made


def request(chance: Chance) -> bytes:
    if chance.random() < 0.1:
        return b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % chance.choice(FILES).encode()
    path = chance.choice(list(BODIES))
    body = json.dumps(twist(chance, BODIES[path])).encode()
    if chance.random() < 0.3:
        body = spoil(chance, body)
    heads = [
        b"%s %s HTTP/1.1" % (chance.choice([b"POST"] * 9 + [b"OPTIONS"]), path.encode()),
        b"Host: push.shop.example",
        b"Origin: " + r.ORIGIN.encode(),
        b"Content-Type: application/json",
        b"X-Pushctl-Signature: %d.%s" % (int(time.time()), b"A" * 43),
        b"Content-Length: %d" % len(body),
    ]
    while chance.random() < 0.3:
        heads.insert(chance.randrange(1, len(heads) + 1), chance.choice(HEADS))
    if chance.random() < 0.1:
        del heads[chance.randrange(len(heads))]
    return b"\r\n".join(heads) + b"\r\n\r\n" + body


def twist(chance: Chance, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with some of them of another kind, missing or new."""
    made = dict(fields)
    while chance.random() < 0.4:
        name = chance.choice(list(fields))
        inner = made.get(name)
        if isinstance(inner, dict) and inner and chance.random() < 0.5:
            made[name] = twist(chance, inner)
        elif chance.random() < 0.2:
            made.pop(name, None)
        elif chance.random() < 0.2:
            made["x" * chance.randrange(20)] = chance.choice(STRANGE)
        else:
            made[name] = chance.choice(STRANGE)
    return made


def spoil(chance: Chance, data: bytes) -> bytes:
    """Return *data* with a few bytes flipped, cut, doubled or put in; often unharmed."""
    while data and chance.random() < 0.25:
        at = chance.randrange(len(data))
        to = min(len(data), at + chance.randrange(1, 40))
        kind = chance.randrange(5)
        if kind == 0:
            data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + data[to:]
        elif kind == 2:
            data = data[:to] + data[at:to] * chance.randrange(1, 5) + data[to:]
        elif kind == 3:
            data = data[:at] + chance.randbytes(chance.randrange(1, 9)) + data[at:]
        else:
            data = data[:at] + chance.choice([b"\r\n", b"\0", b"{", b'"', b"\xff"]) + data[at:]
    return data


class Talk:
    """One connection with one request under way; closed after every odd answer."""

    def __init__(self, port: int, sent: bytes) -> None:
        self.sent = sent
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setblocking(False)
        self.begun = time.monotonic()
        self.text = b""
        self.rest = memoryview(sent)

    def write(self) -> bool:
        """Send what goes; say whether all of it is out."""
        try:
            self.rest = self.rest[self.socket.send(self.rest) :]
        except BlockingIOError:
            return False
        except OSError:  # it has closed already, with an answer or not
            self.rest = self.rest[:0]
        if not self.rest:
            # No more will come: a request that lacks its end is over for the receiver, too.
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                return True
        return not self.rest

    def read(self) -> bool:
        """Take what comes; say whether it is over."""
        try:
            part = self.socket.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self.text += part
        return not part


class Fuzz:
    """Many talks at a time, and what came of them."""

    def __init__(self, port: int, seed: int, count: int) -> None:
        self._port = port
        self._source = requests(seed)
        self._left = count
        self._selector = selectors.DefaultSelector()
        self.statuses: Counter[str] = Counter()
        self.slowest = 0.0
        self.faults: list[str] = []

    def run(self) -> None:
        for _ in range(CONNECTIONS):
            self._begin()
        while self._selector.get_map():
            for key, _ in self._selector.select(0.2):
                self._go_on(key.data)
            now = time.monotonic()
            for key in list(self._selector.get_map().values()):
                if now - key.data.begun > HANG:
                    self.faults.append(f"no end after {HANG:.0f} s: {key.data.sent[:300]!r}")
                    self._end(key.data)

    def _begin(self) -> None:
        if self._left:
            self._left -= 1
            talk = Talk(self._port, next(self._source))
            self._selector.register(talk.socket, selectors.EVENT_WRITE, talk)

    def _go_on(self, talk: Talk) -> None:
        if talk.rest:
            if talk.write():
                self._selector.modify(talk.socket, selectors.EVENT_READ, talk)
        elif talk.read():
            self._end(talk)

    def _end(self, talk: Talk) -> None:
        self._selector.unregister(talk.socket)
        talk.socket.close()
        took = time.monotonic() - talk.begun
        self.slowest = max(self.slowest, took)
        found = re.findall(rb"HTTP/1\.1 (\d{3})", talk.text)
        self.statuses.update(status.decode() for status in found or [b"none"])
        if any(status.startswith(b"5") for status in found):
            self.faults.append(f"{found}: {talk.sent[:300]!r}")
        if took > SLOW:
            self.faults.append(f"{took:.1f} s: {talk.sent[:300]!r}")
        self._begin()


def fuzz(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Return the figures of *count* requests; "faults" must be empty."""
    port = r.free_port()
    # The disk is not what is tried here, and a million good ones would fill it.
    receiver = r.start(folder, port, unproved=r.UNBOUNDED)
    begin = time.monotonic()
    try:
        run = Fuzz(port, seed, count)
        run.run()
        alive = r.get(port, "/healthz").status == 200
        status = Path(f"/proc/{receiver.pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024  # type: ignore[index]
    finally:
        log = r.stop(receiver)
    faults = run.faults
    if not alive:
        faults.append("the receiver does not answer any more")
    if peak > MEMORY:
        faults.append(f"{peak >> 20} MB of memory")
    if "Traceback" in log:
        faults.append(log[-2000:])
    return {
        "requests": count,
        "seed": seed,
        "seconds": round(time.monotonic() - begin, 1),
        "answers": dict(sorted(run.statuses.items())),
        "slowest_ms": round(run.slowest * 1000),
        "memory_mb": peak >> 20,
        "taken": sum(1 for _ in r.records(folder)),
        "faults": faults[:20],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as name:
        figures = fuzz(Path(name), given.requests, given.seed)
    print(json.dumps(figures, ensure_ascii=False))
    sys.exit(1 if figures["faults"] else 0)


if __name__ == "__main__":
    main()
