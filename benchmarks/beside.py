"""
Reminders beside a broadcast: how late they are while 300,000 messages go out.

    python benchmarks/beside.py --subscribers 300000 --rate 3000/s --json

While `pushctl send` runs, reminders become due every few seconds and a sweep is started for
them, as cron would. Prints the seconds from a reminder's time until the push service took
it, and how long the broadcast needed. What cron adds is up to a minute, whatever else runs.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.sink import Sink
from benchmarks.sweep import Base
from pushctl.store import Store

EACH = 100  # reminders due at once
PAUSE = 8.0  # seconds between two sweeps


def due(base: Base, first: int) -> int:
    """Make EACH enrolments behind row *first* due now; return when that was."""
    now = time.time_ns() // 1_000_000
    with Store(base.folder / "pushctl.db") as store, store.write() as connection:
        connection.execute(
            """
            UPDATE enrolments SET entered_at = :at, next_at = :now
             WHERE id > :after AND id <= :after + :each
            """,
            {"at": now - 180_000, "now": now, "after": first, "each": EACH},
        )
    return now


def accepted(base: Base, first: int) -> list[int]:
    """Return when the messages of those enrolments were taken."""
    sql = """
        SELECT d.changed_at FROM deliveries AS d
         WHERE d.enrolment_id > :after AND d.enrolment_id <= :after + :each
           AND d.status = 'accepted'
    """
    with Store(base.folder / "pushctl.db") as store:
        rows = store.connection.execute(sql, {"after": first, "each": EACH}).fetchall()
    return [at for (at,) in rows]


def measure(subscribers: int, rate: str) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="pushctl-beside-"))
    try:
        with Sink() as sink:
            base = Base(folder, sink, subscribers)
            return _run(base, subscribers, rate)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(base: Base, subscribers: int, rate: str) -> dict[str, object]:
    command = [sys.executable, "-m", "pushctl", "--project", str(base.folder), "send"]
    command += ["--everyone", "--template", "welcome", "--rate", rate, "--yes"]
    begun = time.monotonic()
    broadcast = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    late: list[float] = []
    sweeps: list[float] = []
    first = 0
    while broadcast.poll() is None and first + EACH <= subscribers // 10:
        at = due(base, first)
        sweeps.append(base.sweep().seconds)
        taken = accepted(base, first)
        if len(taken) != EACH:
            raise SystemExit(f"{len(taken)} of {EACH} reminders went out")
        late += [(when - at) / 1000 for when in taken]
        first += EACH
        time.sleep(PAUSE)
    code = broadcast.wait()
    return {
        "subscribers": subscribers,
        "rate": rate,
        "broadcast_s": round(time.monotonic() - begun, 1),
        "broadcast_exit": code,
        "sweeps": len(sweeps),
        "sweep_s": round(statistics.median(sweeps), 2),
        "sweep_worst_s": round(max(sweeps), 2),
        "late_s": round(statistics.median(late), 2),
        "late_worst_s": round(max(late), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=300_000)
    parser.add_argument("--rate", default="3000/s")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measure(given.subscribers, given.rate)
    if given.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:16} {value}")


if __name__ == "__main__":
    main()
