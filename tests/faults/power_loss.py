"""
Lose power at many points of a day: is the database sound, nothing acknowledged lost, nobody
told twice, and does work go on by itself?

    ./run python -m tests.faults.power_loss --points 1000 --seed 7

A receiver takes requests, an import takes them in, a broadcast goes out, sweeps run: real
programs, all of whose writes and syncs a preloaded shim records (tests/support/power). The
record is cut at random points. What a power loss may leave there (some of what was not yet
synced, in any order, in single sectors) becomes a folder, and the same programs' own code goes
on in it, on another start of the machine. Whoever the push service had a message for by then
must get none; what the receiver had answered with 204 must be in the database.
"""

import copy
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushctl import config as configs
from pushctl.demo.pushservice import PushService
from pushctl.errors import ConfigError
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.ingest import drain
from pushctl.jobs.project import release
from pushctl.store import Store
from tests.support import power, receiving, sending
from tests.support.points import main as try_points
from tests.support.program import PROGRAM

PEOPLE = 12
REQUESTS = 12
_PATIENCE = 90  # seconds that a program may take on a busy machine


class _Told(list[Any]):
    """The push service's list of messages; each is marked in the record as it is read."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self._log = log

    def append(self, receipt: Any) -> None:
        super().append(receipt)
        power.mark(self._log, f"told {receipt.endpoint}")


class Day:
    """A recorded day: the folder as it was before, and all steps."""

    def __init__(self, home: Path, service: PushService) -> None:
        self.folder, self._log = home / "project", home / "log"
        self.before = home / "before"
        field = sending.field(self.folder, service)
        sending.lead_to(self.folder, service)
        field.people(PEOPLE)
        field.store.close()
        self.port = receiving.free_port()
        shutil.copytree(self.folder, self.before)
        self.disk = power.Disk(self.folder)
        shim = power.compile_shim(home)
        self._variables = power.make_environment(shim, self.folder, self._log)
        service._sink._receipts = _Told(self._log)
        with self._receiver():
            self._post(REQUESTS // 2)
            self._run("import")
            self._post(REQUESTS - REQUESTS // 2)
        self._run("send", "--everyone", "--template", "sale", "--yes", "--name", "first")
        self._run("sweep")
        service._sink._receipts = []
        self.steps = power.read_log(self._log)

    def _run(self, *words: str) -> None:
        command = [*PROGRAM, *words]
        subprocess.run(
            command, cwd=self.folder, env=self._variables, check=True, timeout=_PATIENCE,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    @contextmanager
    def _receiver(self) -> Iterator[None]:
        command = [*PROGRAM, "receive", "--listen", f"127.0.0.1:{self.port}"]
        process = subprocess.Popen(
            command, cwd=self.folder, env=self._variables, stderr=subprocess.PIPE
        )
        try:
            receiving.wait_for_port(process, self.port)
            yield
        finally:
            process.terminate()
            process.communicate(timeout=_PATIENCE)

    def _post(self, count: int) -> None:
        body = {"variant": "plain", "stage": "visit", "language": "en"}
        for _ in range(count):
            power.mark(self._log, "asked")
            answer = receiving.post(self.port, "/v1/prompts", body)
            assert answer.status == 204, answer.status
            power.mark(self._log, "taken")


def recover(
    folder: Path,
    service: PushService,
    seen: Counter[str],
    told: set[str],
    *,
    later: bool = True,
) -> list[str]:
    """Go on in *folder* after a power loss (*later*), or a fault; return what is wrong."""
    if later:
        for marker in (folder / "journal").glob("*.boot"):
            marker.write_text("another start of the machine")
        _keep_inode(folder / "pushctl.db.generation")
    config, wrong = configs.load(folder / "pushctl.toml", {}), []
    now = sending.soon() + 20_000  # what came a moment ago waits
    with Store(config.database) as store:
        for check in ("integrity_check", "foreign_key_check"):
            rows = store.connection.execute(f"PRAGMA {check}").fetchall()
            if rows not in ([("ok",)], []):
                wrong.append(f"{check}: {rows[:3]}")
        try:
            restore_guard.check(store, config)
        except ConfigError as error:
            wrong.append(f"it waits for a person: {error}")
            release.release(store, config, now)
        drain.drain(store, config, config.secret(), now)
        (came,) = store.connection.execute(
            "SELECT coalesce(sum(count), 0) FROM prompt_counts"
        ).fetchone()
        if not seen["taken"] <= came <= seen["asked"]:
            wrong.append(f"{came} requests of {seen['taken']} taken, {seen['asked']} asked")
        before = len(service.receipts())
        for _ in deliver.run_due(store, config, now, deliver.Options(patience=0.0)):
            pass
        again = {one.endpoint for one in service.receipts(before)} & told
        if again:
            wrong.append(f"{len(again)} people were told twice")
        left = store.connection.execute(
            "SELECT status, count(*) FROM deliveries GROUP BY 1"
        ).fetchall()
        seen.update(dict(left))
        if any(status in ("planned", "sending") for status, _ in left):
            wrong.append(f"it does not go on: {left}")
        store.runs.finish(store.runs.start("sweep", now), now, 0, {})
    return wrong


def _keep_inode(path: Path) -> None:
    """Give the guard's file the number that it has here: on the disk itself it kept it."""
    try:
        kept = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return
    raw = json.dumps(kept | {"inode": path.stat().st_ino}).encode()
    path.write_bytes(raw + b"\n")  # in place: with the same number


def replay(
    day: Day, points: int, seed: int, service: PushService, *, honest: bool = True
) -> dict[str, object]:
    """Lose power at *points* of a day; a disk that is not *honest* forgets to sync."""
    chance, disk = random.Random(seed), copy.deepcopy(day.disk)
    cuts = sorted(chance.choices(range(1, len(day.steps) + 1), k=points))
    found, seen = Counter[str](), Counter[str]()
    told: set[str] = set()
    at, faults = 0, []
    for number, cut in enumerate(cuts):
        for step in day.steps[at:cut]:
            if step.kind == "M":
                word, _, who = step.first.partition(" ")
                seen[word] += 1
                told |= {who} if word == "told" else set()
            elif honest or step.kind not in "FD":
                disk.replay(step)
        at = cut
        folder = day.folder.with_name(f"cut-{number}")
        disk.lose_power(folder, chance)
        state: Counter[str] = Counter(taken=seen["taken"], asked=seen["asked"])
        try:
            wrong = recover(folder, service, state, told)
        except Exception as error:
            wrong = [f"{type(error).__name__}: {error}"]
        found.update(in_doubt=state["in_doubt"], accepted=state["accepted"])
        found["faulty"] += bool(wrong)
        faults += [f"point {cut}: {each}" for each in wrong]
        shutil.rmtree(folder)
    kinds = power.count_kinds(day.steps)
    return {"points": points, "steps": len(day.steps), "kinds": kinds, "seed": seed,
            **dict(found), "faults": faults[:20]}  # fmt: skip


def run(points: int, seed: int, home: Path, service: PushService) -> dict[str, object]:
    """Record a day in *home*, and lose power at *points* of it."""
    return replay(Day(home, service), points, seed, service)


if __name__ == "__main__":
    os.environ.pop("LD_PRELOAD", None)
    sys.exit(try_points(run, __doc__, 50))
