"""
Kill sweeps in the middle of their work: is anybody reminded twice, or never?

    python tests/faults/kill_sweep.py --kills 200 --json
    python tests/faults/kill_sweep.py --kills 200 --watch

Before each sweep some baskets are left behind long enough ago for their reminder. The
sweep gets a SIGKILL at a random moment: while it drains, decides, claims or sends. In the
end sweeps run until there is nothing to do. A duplicate is a body that the push service
read twice for one person and step; lost is an enrolment whose reminder is neither accepted nor
in doubt (G1, G2); *met* are kills after which something had been read of what that sweep sent.
With --watch it is `sweep --watch` that is killed each time.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pushctl.demo.pushservice import PushService
from pushctl.store.events import Event
from tests.support import MINUTE, program, project, sending

TRIGGER = """
[triggers.basket]
on    = "cart_updated"
tag   = "Abandoned basket 1"
steps = [{ after = "3m", template = "one", max_late = "12h" }]
"""
EACH = 100  # baskets before each kill
PATIENCE = 300.0  # seconds for the sweeps after the last kill


class Scene:
    trigger = TRIGGER

    def __init__(self, folder: Path, service: PushService) -> None:
        self.folder, self.service = folder / "project", service
        self.field = sending.field(self.folder, service)
        sending.template(self.folder, "one", title="one", body="Your basket waits")
        hosts = "\n".join(f'"{name}" = "{at}"' for name, at in service.loopback_hosts.items())
        loopback = f'[push.loopback]\nca = "{service.ca}"\n[push.loopback.hosts]\n{hosts}\n'
        project.add(self.folder, self.trigger + loopback)
        self.people = 0
        self.met = 0  # kills after which something had been read

    def fill(self) -> None:
        rows = self.field.people(EACH, tag=None, first=self.people, now=sending.soon())
        self.people += EACH
        at = sending.soon() - 4 * MINUTE
        self.field.store.events.add(
            Event(row, "cart_updated", at, at + 4 * MINUTE, {"items": [{"id": "a"}]}, f"{row}")
            for row in rows
        )

    def sweep(self, *options: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [*program.PROGRAM, "--project", str(self.folder), "sweep", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={k: v for k, v in os.environ.items() if not k.startswith("PUSHCTL_")},
        )

    def measure(self) -> float:
        """Return the seconds that a sweep takes that nobody kills."""
        began = time.monotonic()
        self.sweep().wait()
        return time.monotonic() - began

    def kill(self, chance: random.Random, seconds: float, *, watch: bool = False) -> None:
        """Kill a sweep within its first *seconds*; note whether it was sending."""
        before = len(self.service.receipts())
        process = self.sweep(*(("--watch",) if watch else ()))
        time.sleep(chance.uniform(0.05, seconds))
        process.send_signal(signal.SIGKILL)
        ended = process.wait() >= 0
        self.met += not ended and len(self.service.receipts()) > before

    def settle(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.waiting() and time.monotonic() < deadline:
            self.sweep().wait()

    def waiting(self) -> int:
        counts = self.statuses()
        return self.people - sum(counts[name] for name in ("accepted", "in_doubt"))

    def statuses(self) -> Counter[str]:
        sql = "SELECT status, count(*) FROM deliveries GROUP BY status"
        return Counter(dict(self.field.store.connection.execute(sql).fetchall()))

    def figures(self, kills: int) -> dict[str, object]:
        bodies = Counter(one.endpoint for one in self.service.receipts())
        counts = self.statuses()
        rows = self.field.store.connection
        twice = rows.execute(
            "SELECT count(*) FROM (SELECT 1 FROM enrolments GROUP BY subscription_id "
            "HAVING count(*) > 1)"
        ).fetchone()[0]
        return {
            "kills": kills,
            "met": self.met,
            "people": self.people,
            "duplicates": sum(count - 1 for count in bodies.values()) + twice,
            "lost": self.waiting(),
            "in_doubt": counts["in_doubt"],
            "accepted": counts["accepted"],
            "unread": counts["accepted"] - min(counts["accepted"], len(bodies)),
            "integrity": rows.execute("PRAGMA integrity_check").fetchone()[0],
        }


def run(kills: int, seed: int, *, watch: bool = False) -> dict[str, object]:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, PushService(checks=False) as service:
        scene = Scene(Path(folder), service)
        scene.fill()
        # On a busy machine kills after fixed times would all come before it sends.
        seconds = scene.measure() * (2.0 if watch else 1.2)
        for _ in range(kills):
            scene.fill()
            scene.kill(chance, seconds, watch=watch)
        scene.settle()
        figures = scene.figures(kills)
        scene.field.store.close()
        return figures | {"seed": seed}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--watch", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = run(given.kills, given.seed, watch=given.watch)
    print(json.dumps(figures) if given.json else figures)
    good = not (figures["duplicates"] or figures["lost"] or figures["unread"])
    return 0 if good and figures["integrity"] == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
