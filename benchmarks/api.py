"""
Events by the server API: how many a second are durable, and how many an import applies.

A receiver's process takes batches from several connections and answers each once it is on
disk; then the inbox is imported. CPU seconds are those of each process.

    ./run python benchmarks/api.py --events 100000 --batch 500
"""

import argparse
import http.client
import json
import os
import random
import resource
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

from pushctl import apikeys
from pushctl.jobs.ingest import drain
from pushctl.push import vapid
from pushctl.store import Store
from tests.support import auth, p256dh
from tests.support import receiving as r

UNBOUNDED = {"requests_per_minute": 0, "events_per_second": 0}
_NAMES = ("cart_updated", "product_viewed", "page_view", "checkout_started")


@dataclass
class Result:
    events: int
    intake_seconds: float
    receiver_cpu: float
    p95_ms: float  # of a request
    drain_seconds: float
    drain_cpu: float
    applied: int


def make_body(number: int, batch: int, people: int, seed: int) -> bytes:
    """Return a request of *batch* events as a shop sends them; each has an id of its own."""
    chance = random.Random(seed * 1_000_003 + number)
    items = [
        {
            "alias": f"customer-{chance.randrange(people)}",
            "name": chance.choice(_NAMES),
            "id": f"e{number}-{place}",
            "at": int(time.time() * 1000) - chance.randrange(60_000),
            "properties": {
                "total": chance.randrange(100, 90_000) / 100,
                "currency": "EUR",
                "items": [{"id": f"p{chance.randrange(500)}", "name": "Lamp", "price": 19.9}],
            },
        }
        for place in range(batch)
    ]
    return json.dumps({"items": items}).encode()


def measure(
    folder: Path, *, events: int, batch: int, connections: int, people: int, seed: int
) -> Result:
    _, secret = apikeys.create(folder / "keys", "bench", ["events"], "shop", 1)
    bodies = [make_body(number, batch, people, seed) for number in range(events // batch)]
    port = r.free_port()
    process = r.start(folder, port, api=UNBOUNDED, rate_per_address=0)
    try:
        times, seconds = send_all(port, secret, bodies, connections)
        cpu = _read_cpu(process.pid)
    finally:
        r.stop(process)
    drain_seconds, drain_cpu, applied = _drain(folder, people)
    times.sort()
    p95 = times[int(len(times) * 0.95)] * 1000
    return Result(len(bodies) * batch, seconds, cpu, p95, drain_seconds, drain_cpu, applied)


def send_all(
    port: int, secret: str, bodies: list[bytes], connections: int
) -> tuple[list[float], float]:
    """Send all bodies; return the seconds of each request and of all together."""
    waiting, times, faults = iter(bodies), list[float](), list[str]()
    lock = threading.Lock()
    heads = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def send() -> None:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while True:
            with lock:
                body = next(waiting, None)
            if body is None:
                return
            began = time.monotonic()
            link.request("POST", "/v1/server/events", body, heads)
            answer = link.getresponse()
            answer.read()
            times.append(time.monotonic() - began)
            if answer.status != 202:
                faults.append(str(answer.status))

    threads = [threading.Thread(target=send) for _ in range(connections)]
    began = time.monotonic()
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    seconds = time.monotonic() - began
    if faults:
        raise AssertionError(f"not all were taken: {sorted(set(faults))}")
    return times, seconds


def _read_cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _drain(folder: Path, people: int) -> tuple[float, float, int]:
    config = r.config(folder)
    vapid.write(folder / "keys")
    with Store(config.database, create=True) as store:
        _add_people(store, people)
        now = time.time_ns() // 1_000_000 + 60_000
        began, cpu = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
        report = drain.drain(store, config, bytes(32), now)
        seconds = time.monotonic() - began
        used = resource.getrusage(resource.RUSAGE_SELF)
        if report.quarantined or report.refused:
            raise AssertionError(f"not all was applied: {report}")
        (applied,) = store.connection.execute(
            "SELECT count(*) FROM events WHERE name <> 'subscribed'"
        ).fetchone()
    spent = used.ru_utime + used.ru_stime - cpu.ru_utime - cpu.ru_stime
    return seconds, spent, int(applied)


def _add_people(store: Store, people: int) -> None:
    sql = """
        INSERT INTO subscriptions (public_id, site_id, endpoint_hash, endpoint, p256dh, auth,
                                   key_id, state_at, subscribed_at, last_seen_at, alias,
                                   alias_trusted)
        VALUES (?, ?, ?, ?, ?, ?, 'k', 1, 1, 1, ?, 1)
    """
    site, point, secret = store.sites.sync({"shop": r.ORIGIN})["shop"], p256dh(), auth()
    with store.write() as connection:
        connection.executemany(
            sql,
            (
                (f"{number:022}", site, number.to_bytes(16, "big"), f"https://x/{number}",
                 point, secret, f"customer-{number}")
                for number in range(people)
            ),
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--folder", type=Path, help="where the disk is to be measured")
    given = parser.parse_args()
    with TemporaryDirectory(dir=given.folder) as name:
        found = measure(
            Path(name), events=given.events, batch=given.batch,
            connections=given.connections, people=given.people, seed=given.seed,
        )  # fmt: skip
    print(f"seed {given.seed}: {found.events:,} events in batches of {given.batch}")
    print(
        f"durable: {found.events / found.intake_seconds:,.0f} a second, p95 of a request "
        f"{found.p95_ms:.0f} ms, receiver {found.receiver_cpu / found.events * 1e6:.0f} us of "
        "CPU each"
    )
    print(
        f"applied: {found.applied / found.drain_seconds:,.0f} a second, "
        f"{found.drain_cpu / found.applied * 1e6:.0f} us of CPU each, {found.applied:,} rows"
    )


if __name__ == "__main__":
    main()
