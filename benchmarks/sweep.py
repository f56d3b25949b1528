"""
What a sweep costs: with nothing to do, and with 3,000 reminders due.

    python benchmarks/sweep.py --subscribers 300000 --json

A tenth of the base is on its way through a trigger. Whole processes are measured, as cron
starts them, from a file that is in the page cache; messages go over TLS to nginx on the
same machine. Prints {"idle_s", "due_s", "peak_mb", ...}: seconds (medians) and MB.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.sink import HOST, Sink
from pushctl.push import vapid
from pushctl.rules.units import DAY
from pushctl.store import Store
from tests.support import auth, p256dh

DUE = 3_000
ROUNDS = 3
KEYS = 200
FAR = 400 * DAY
TRIGGER = """
[triggers.basket]
on        = "cart_updated"
cancel_on = ["cart_emptied"]
tag       = "Abandoned basket 1"
audience  = "not tag('staff')"
goal      = { event = "purchase", within = "24h" }
quiet     = "04:00-04:01"
steps = [
  { after = "3m",  template = "abandoned_basket_1", ttl = "30m" },
  { after = "90m", template = "abandoned_basket_discount", promo = "BASKET15", from = "shown" },
]
[frequency]
messages = 5
"""


class Run(NamedTuple):
    """One sweep: wall and processor time (workers included), the largest process's peak."""

    seconds: float
    cpu: float
    peak: float  # MB
    said: str


class Base:
    """A project with many subscribers, made by SQL."""

    def __init__(self, folder: Path, sink: Sink, subscribers: int) -> None:
        self.folder = folder / "project"
        self.armed = 0
        self._init(sink)
        (key,) = vapid.load(self.folder / "keys")
        with Store(self.folder / "pushctl.db") as store:
            self._fill(store, subscribers, key)
        self.sweep()

    def _init(self, sink: Sink) -> None:
        command = [sys.executable, "-m", "pushctl", "init", str(self.folder)]
        command += ["--origin=https://shop.example", "--contact=mailto:bench@shop.example"]
        subprocess.run(command, check=True, capture_output=True)
        with (self.folder / "pushctl.toml").open("a") as file:
            file.write(TRIGGER)
            file.write(f'[push.loopback]\nca = "{sink.ca}"\n[push.loopback.hosts]\n')
            file.write(f'"{HOST}" = "127.0.0.1:{sink.port}"\n')

    def _fill(self, store: Store, count: int, key: str) -> None:
        now = time.time_ns() // 1_000_000
        context = json.dumps(
            {"event": {}, "value": 20, "cart": {"names": ["Lamp"], "count": 1}}
        )
        store.sites.sync({"shop": "https://shop.example"})
        with store.write() as connection:
            connection.execute("CREATE TEMP TABLE keys (n INTEGER, p BLOB, a BLOB)")
            rows = [(n, p256dh(n), auth(n)) for n in range(KEYS)]
            connection.executemany("INSERT INTO keys VALUES (?, ?, ?)", rows)
            connection.execute(
                """
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
                INSERT INTO subscriptions (id, public_id, site_id, endpoint_hash, endpoint,
                    p256dh, auth, key_id, state_at, language, subscribed_at, last_seen_at)
                SELECT i, printf('%022d', i), 1, randomblob(16),
                       printf('https://%s/wpush/v2/%08d', :host, i) || hex(randomblob(60)),
                       k.p, k.a, :key, :now, 'en', :now, :now
                  FROM n JOIN keys AS k ON k.n = i % :keys
                """,
                {"count": count, "host": HOST, "key": key, "now": now, "keys": KEYS},
            )
            connection.execute(
                """
                INSERT INTO enrolments (trigger, subscription_id, occurrence, state,
                                        entered_at, next_at, context, changed_at)
                SELECT 'basket', id, 'event:' || id, 'active', :now, :far, :context, :now
                  FROM subscriptions WHERE id <= :enrolments
                """,
                {
                    "now": now,
                    "far": now + FAR,
                    "context": context,
                    "enrolments": max(count // 10, ROUNDS * DUE),
                },
            )
        store.connection.execute("ANALYZE")
        store.checkpoint()

    def arm(self) -> None:
        """Make the next 3,000 enrolments due."""
        now = time.time_ns() // 1_000_000
        with Store(self.folder / "pushctl.db") as store, store.write() as connection:
            changed = connection.execute(
                """
                UPDATE enrolments SET entered_at = :at, next_at = :now
                 WHERE id > :after AND id <= :after + :due
                """,
                {"at": now - 240_000, "now": now, "after": self.armed, "due": DUE},
            )
            if changed.rowcount != DUE:
                raise SystemExit("too few subscribers for this many due")
        self.armed += DUE

    def sweep(self) -> "Run":
        """Run a sweep, as cron does."""
        command = [sys.executable, "-m", "pushctl", "--project", str(self.folder), "sweep"]
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"the sweep ended with {status}: {said}")
        seconds = time.perf_counter() - begun
        return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said)


def measure(subscribers: int) -> dict[str, float]:
    folder = Path(tempfile.mkdtemp(prefix="pushctl-sweep-"))
    try:
        with Sink() as sink:
            base = Base(folder, sink, subscribers)
            bare = [_bare() for _ in range(10)]
            idle = [base.sweep() for _ in range(10)]
            assert not any(run.said for run in idle), idle
            due = []
            for _ in range(ROUNDS):
                base.arm()
                due.append(base.sweep())
                assert f"{DUE:,} accepted" in due[-1].said, due[-1]
            size = (base.folder / "pushctl.db").stat().st_size
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "subscribers": subscribers,
        "idle_s": round(statistics.median(run.seconds for run in idle), 4),
        "idle_cpu_s": round(statistics.median(run.cpu for run in idle), 4),
        "python_s": round(statistics.median(bare), 4),
        "due_s": round(statistics.median(run.seconds for run in due), 3),
        "due_cpu_s": round(statistics.median(run.cpu for run in due), 3),
        "due": DUE,
        "peak_mb": round(max(run.peak for run in due), 1),
        "database_mb": round(size / 1e6, 1),
    }


def _bare() -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=300_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measure(given.subscribers)
    if given.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:14} {value:,}")


if __name__ == "__main__":
    main()
