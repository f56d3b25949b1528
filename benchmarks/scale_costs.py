"""
The constants of benchmarks/scale.py that a machine decides: measured on this one.

    ./run python benchmarks/scale_costs.py [--subscribers 100000] [--json]

Makes a project, two broadcasts to all its subscribers (planned and sent, see
coordinator_run.py) and one event of a page each, applied by ``pushctl import``. Bytes are
those of pages in the database file; microseconds are CPU.
"""

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.project import ROOT, Project
from pushctl.inbox import Writer
from pushctl.model import InboxRecord
from pushctl.rules import tokens

SYNCS = 100
BATCH = 500  # events of one append to the inbox


def measure_sync(folder: Path) -> float:
    """Return the milliseconds that the disk takes for a commit's worth of pages."""
    file = os.open(folder / "sync", os.O_WRONLY | os.O_CREAT, 0o600)
    took = []
    for _ in range(SYNCS):
        began = time.perf_counter()
        os.write(file, bytes(200_000))
        os.fsync(file)
        took.append(time.perf_counter() - began)
    os.close(file)
    return sorted(took)[SYNCS // 2] * 1000


def count_pages(database: Path) -> dict[str, int]:
    """Return the bytes of each table with its indexes, without what is free in the file."""
    sql = """
        SELECT m.tbl_name, sum(s.pgsize) FROM dbstat AS s JOIN sqlite_master AS m USING (name)
         GROUP BY 1
    """
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return dict(connection.execute(sql))
    finally:
        connection.close()


def run(command: Sequence[str]) -> tuple[str, float, float]:
    """Run a program; return what it says, its CPU seconds and its megabytes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, cpu, after.ru_maxrss / 1024


def write_events(project: Project, count: int) -> None:
    """Write an event of each subscriber to the inbox, signed as a page signs it."""
    now = time.time_ns() // 1_000_000
    connection = sqlite3.connect(project.folder / "pushctl.db")
    writer = Writer(project.folder / "inbox")
    batch: list[InboxRecord] = []
    rows = connection.execute("SELECT id, endpoint, auth FROM subscriptions LIMIT ?", (count,))
    for number, endpoint, auth in rows:
        event = {"name": "page_view", "properties": {"url": f"https://shop.example/{number}"}}
        body = json.dumps({"endpoint": endpoint, "events": [event]})
        signature = tokens.sign_request(auth, "/v1/events", now // 1000, body.encode())
        batch.append(InboxRecord(f"{number:022}", now, "/v1/events", "shop", body, signature))
        if len(batch) == BATCH:
            writer.append(batch)
            batch = []
    if batch:
        writer.append(batch)
    writer.close()
    connection.close()


def measure(folder: Path, count: int) -> dict[str, float]:
    project = Project(folder, count)
    database = project.folder / "pushctl.db"
    found = {"sync_ms": measure_sync(folder)}
    found["subscriber_bytes"] = count_pages(database)["subscriptions"] / count
    for number in range(2):
        script = [sys.executable, "benchmarks/coordinator_run.py", str(project.folder)]
        out, _, _ = run([*script, "2", "0", f"costs-{number}"])
        sent = json.loads(out.splitlines()[-1])
        for name in ("written_bytes", "plan_us", "plan_bytes"):
            found[name] = sent[name] / count
    found["message_bytes"] = count_pages(database)["deliveries"] / count / 2
    write_events(project, count)
    command = [sys.executable, "-m", "pushctl", "--project", str(project.folder), "import"]
    _, cpu, _ = run(command)
    found["event_us"] = cpu * 1e6 / count
    found["event_bytes"] = count_pages(database)["events"] / count
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--subscribers", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pushctl-bench-") as folder:
        found = measure(Path(folder), options.subscribers)
    rounded = {name: round(value, 1) for name, value in found.items()}
    if options.json:
        print(json.dumps(rounded, indent=2))
        return
    for name, value in rounded.items():
        print(f"{name:18}{value:>10,.1f}")


if __name__ == "__main__":
    main()
