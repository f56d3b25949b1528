"""
Clients that are slow or silent, thousands of them, beside one who only wants to be served.

    python -m tests.faults.slow_receiver --heads 2000 --bodies 2000 --idle 5000

Slow heads and bodies come a byte a second and never end; idle connections have asked
once and say nothing more. Each comes from an address of its own in 127.0.0.0/8. Prints
one JSON line: after how long the receiver had closed the last of each kind, and how long
the normal client's requests took meanwhile.
"""

import argparse
import contextlib
import json
import multiprocessing
import multiprocessing.synchronize
import resource
import selectors
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support import receiving as r

HEAD = f"POST /v1/events HTTP/1.1\r\nHost: push.shop.example\r\nOrigin: {r.ORIGIN}\r\n"
SIGNATURE = "X-Pushctl-Signature: {seconds}." + "A" * 43 + "\r\n"
LONGEST = 40.0  # seconds to wait for the receiver to close them all

Kinds = dict[str, int]


def first_words(kind: str) -> bytes:
    if kind == "heads":
        return HEAD.encode()
    if kind == "idle":
        return b"GET /healthz HTTP/1.1\r\nHost: push.shop.example\r\n\r\n"
    signature = SIGNATURE.format(seconds=int(time.time()))
    more = "Content-Type: application/json\r\nContent-Length: 4000\r\n\r\n{"
    return (HEAD + signature + more).encode()


class Crowd:
    """The slow ones: opened one after the other, and watched until all are closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._waiting = selectors.DefaultSelector()
        self._opened: dict[socket.socket, tuple[str, float]] = {}
        self.closed: dict[str, list[float]] = {"heads": [], "bodies": [], "idle": []}
        self.refused = 0
        self._last = time.monotonic()

    def open(self, kind: str, number: int) -> None:
        one = socket.socket()
        try:
            one.bind(
                (f"127.{number >> 16 & 255 | 1}.{number >> 8 & 255}.{number & 255 | 1}", 0)
            )
            one.settimeout(10)
            one.connect(("127.0.0.1", self._port))
            one.sendall(first_words(kind))
        except OSError:
            self.refused += 1
            one.close()
            return
        one.setblocking(False)
        self._waiting.register(one, selectors.EVENT_READ)
        self._opened[one] = (kind, time.monotonic())
        self.look()

    def look(self, wait: float = 0.0) -> None:
        """Note who was closed; let the slow ones say a letter more each second."""
        for key, _ in self._waiting.select(wait):
            one = key.fileobj
            assert isinstance(one, socket.socket)
            try:
                gone = one.recv(4096) == b""
            except BlockingIOError:
                continue
            except OSError:
                gone = True
            if gone:
                self._close(one)
        if time.monotonic() - self._last > 1:
            self._last = time.monotonic()
            for one, (kind, _) in list(self._opened.items()):
                if kind != "idle":
                    with contextlib.suppress(OSError):
                        one.send(b"a")

    def _close(self, one: socket.socket) -> None:
        kind, since = self._opened.pop(one)
        self._waiting.unregister(one)
        one.close()
        self.closed[kind].append(time.monotonic() - since)

    def wait(self) -> Kinds:
        """Return how many of each kind are still open after LONGEST."""
        end = time.monotonic() + LONGEST
        while self._opened and time.monotonic() < end:
            self.look(0.05)
        kinds = [kind for kind, _ in self._opened.values()]
        return {kind: kinds.count(kind) for kind in self.closed}


def normal_client(
    port: int,
    ready: multiprocessing.synchronize.Event,
    stop: multiprocessing.synchronize.Event,
    found: Any,
) -> None:
    """One who asks and is answered, on a new connection each time."""
    took: list[float] = []
    failed = 0
    while not stop.is_set():
        begin = time.perf_counter()
        try:
            done = r.post(port, "/v1/events", r.events(1), number=1).status == 204
        except OSError:
            done = False
        took.append(time.perf_counter() - begin)
        failed += not done
        ready.set()
        time.sleep(0.01)
    found.put((took, failed))


def attack(port: int, kinds: Kinds) -> dict[str, Any]:
    """Return the figures of one attack on the receiver at *port*."""
    context = multiprocessing.get_context("spawn")
    ready, stop, found = context.Event(), context.Event(), context.Queue()
    client = context.Process(target=normal_client, args=(port, ready, stop, found))
    client.start()
    if not ready.wait(60):
        raise AssertionError("the normal client was never answered")
    crowd = Crowd(port)
    begin = time.monotonic()
    number = 0
    while any(number < count for count in kinds.values()):
        for kind, count in kinds.items():
            if number < count:
                crowd.open(kind, number * 3 + list(kinds).index(kind))
        number += 1
    opening = time.monotonic() - begin
    left = crowd.wait()
    stop.set()
    took, failed = found.get(timeout=60)
    client.join()
    took.sort()
    return {
        **{kind: len(times) for kind, times in crowd.closed.items()},
        "left_open": sum(left.values()),
        "refused": crowd.refused,
        "opening_seconds": round(opening, 1),
        **{
            f"{kind}_longest": round(max(times, default=0.0), 1)
            for kind, times in crowd.closed.items()
        },
        "normal_requests": len(took),
        "normal_failed": failed,
        "normal_p50_ms": round(took[len(took) // 2] * 1000, 1),
        "normal_p99_ms": round(took[int(len(took) * 0.99)] * 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for kind, count in (("heads", 2000), ("bodies", 2000), ("idle", 5000)):
        parser.add_argument(f"--{kind}", type=int, default=count)
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as name:
        with r.running(Path(name), connections=20_000) as port:
            kinds = {"heads": given.heads, "bodies": given.bodies, "idle": given.idle}
            figures = attack(port, kinds)
        json.dump(figures, sys.stdout)
        print()


if __name__ == "__main__":
    main()
