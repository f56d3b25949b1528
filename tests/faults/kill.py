"""
Kill a campaign in full swing, again and again: does anybody get a message twice, or never?

    python tests/faults/kill.py --kills 20 --json
    python tests/faults/kill.py --kills 20 --faults --json

`pushctl campaigns resume` sends to many people over a push service in a process of its
own, which writes down every body that it has read to the end. At random moments the
parent, a worker, or both get a SIGKILL; whatever is left of the campaign is resumed. With
--faults the service itself misbehaves: 5 % resets, 5 % silence, 5 % of 503, 2 % of 429 and
1 % of dripping answers.

A duplicate is a body that the service read twice for one receiver and campaign without
refusing it; lost is a planned message that never came to an end, or was booked as
accepted and never reached the service (G1, G2).
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pushctl.model import CampaignStatus, Cause, Outcome
from pushctl.push import journal
from pushctl.rules import tokens
from tests.support import program, sending
from tests.support.rows import deliveries
from tests.support.running import Running

LATENCY = {"delay": [0.002, 0.03]}
FAULTS: list[dict[str, Any]] = [
    LATENCY,
    {"share": 0.05, "do": "reset_after"},
    {"share": 0.05, "do": "silence"},
    {"share": 0.05, "do": "answer", "status": 503},
    {"share": 0.02, "do": "answer", "status": 429, "headers": {"retry-after": "1"}},
    {"share": 0.01, "do": "drip", "interval": 0.5, "size": 100},
]
PATIENCE = 600.0  # seconds that a campaign may take after the last kill
LEAP = timedelta(minutes=6)  # longer than any pause between two tries


@dataclass
class Figures:
    kills: int = 0
    duplicates: int = 0
    lost: int = 0
    in_doubt_max: int = 0  # that one kill left
    in_flight_max: int = 0  # begun and unanswered at the moment of a kill
    in_doubt: int = 0
    in_flight: int = 0  # sums over all kills
    messages: int = 0
    campaigns: int = 0
    wrong_sums: int = 0
    integrity: str = ""
    targets: Counter[str] = field(default_factory=Counter)


class Scene:
    """A project with people, and the campaign that is being killed."""

    def __init__(self, folder: Path, people: int, told: dict[str, Any]) -> None:
        self.folder = folder / "project"
        self.field = sending.field(self.folder)
        self.field.people(people, now=sending.soon())
        with (self.folder / "pushctl.toml").open("a") as file:
            file.write(f'\n[push.loopback]\nca = "{told["ca"]}"\n[push.loopback.hosts]\n')
            file.writelines(f'"{name}" = "{to}"\n' for name, to in told["hosts"].items())
        self.names: list[str] = []
        self.process: Running | None = None

    def freeze(self) -> None:
        self.names.append(self.field.freeze(sending.soon()).name)

    def resume(self) -> Running:
        return self.start("campaigns", "resume", self.names[-1])

    def sweep(self, later: timedelta) -> Running:
        """Go on with all that is due *later* than now."""
        return self.start("sweep", PUSHCTL_NOW=(datetime.now(UTC) + later).isoformat())

    def start(self, *words: str, **variables: str) -> Running:
        # Silence is to be noticed soon.
        environment = program.environment({"PUSHCTL_PUSH__TIMEOUT": "1", **variables})
        with (self.folder / "errors.log").open("ab") as errors:
            self.process = Running(words, environment, cwd=self.folder, stderr=errors)
        return self.process

    def close(self) -> None:
        if self.process is not None:
            self.process.end()

    def errors(self) -> str:
        return (self.folder / "errors.log").read_text()[-2000:]

    def status(self) -> CampaignStatus:
        return self.field.store.campaigns.get(self.names[-1]).status

    def finished(self) -> bool:
        return self.status() is CampaignStatus.FINISHED

    def flying(self) -> int:
        """Return how many letters are begun and not answered, as all journals tell."""
        count = 0
        for file in self.field.config.journal.glob("*.journal"):
            try:
                records = list(journal.read(file.read_bytes()))
            except FileNotFoundError:
                continue
            answered = {it.delivery for it in records if isinstance(it, Outcome)}
            count += len({it for it in records if isinstance(it, int)} - answered)
        return count

    def await_flight(self) -> None:
        """Return once letters are on their way, or none will be."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not self.flying():
            assert self.process is not None
            if self.process.poll() is not None:
                return
            time.sleep(0.02)

    def doubts(self) -> int:
        sql = "SELECT count(*) FROM deliveries WHERE status = 'in_doubt' AND cause = ?"
        connection = self.field.store.connection
        return int(connection.execute(sql, (Cause.SENDER_STOPPED,)).fetchone()[0])


@contextmanager
def service(folder: Path, faults: bool) -> Iterator[dict[str, Any]]:
    """Run the push service in a process of its own; yield what it tells of itself."""
    script = folder / "script.json"
    script.write_text(json.dumps(FAULTS if faults else [LATENCY]))
    command = [
        sys.executable,
        "-m",
        "pushctl.demo.pushservice",
        "--folder",
        str(folder / "push"),
    ]
    process = subprocess.Popen(
        [*command, "--no-checks", "--log", "--script", str(script)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def strike(scene: Scene, target: str, chance: random.Random) -> int | None:
    """Kill *target*; return how much was in flight, or None when it wasn't there."""
    process = scene.process
    assert process is not None
    workers = program.workers_of(process.pid)
    if target != "parent":
        if not workers:
            return None
        os.kill(chance.choice(workers), signal.SIGKILL)
    flying = scene.flying()
    if target != "worker":
        process.kill()
        process.wait()
        flying = max(flying, scene.flying())
    return flying


def kill_often(
    folder: Path, kills: int, people: int, seed: int, *, faults: bool = False
) -> Figures:
    """Return the figures of *kills* kills; the service's log is the judge."""
    chance = random.Random(seed)
    figures = Figures()
    with service(folder, faults) as told:
        scene = Scene(folder, people, told)
        try:
            _kill(scene, kills, chance, figures)
            _end(scene)
        finally:
            scene.close()
        figures.in_doubt = scene.doubts()
    _judge(scene, folder / "push" / "sink.log", figures)
    return figures


def _kill(scene: Scene, kills: int, chance: random.Random, figures: Figures) -> None:
    scene.freeze()
    process = scene.resume()
    before = 0
    while figures.kills < kills:
        if chance.random() < 0.8:
            scene.await_flight()  # else while it starts, settles, claims
        try:
            code = process.wait(chance.uniform(0.0, 1.5))
            assert code in (0, 5), scene.errors()
        except subprocess.TimeoutExpired:
            doubts = scene.doubts()
            figures.in_doubt_max = max(figures.in_doubt_max, doubts - before)
            before = doubts
            target = chance.choice(("parent", "parent", "worker", "both"))
            flying = strike(scene, target, chance)
            if flying is None:
                continue
            figures.kills += 1
            figures.targets[target] += 1
            figures.in_flight += flying
            figures.in_flight_max = max(figures.in_flight_max, flying)
        if process.poll() is not None:
            if scene.finished():
                scene.freeze()
            process = scene.resume()


def _end(scene: Scene) -> None:
    """Send what is left of the last campaign, undisturbed, and leap over its pauses."""
    deadline, later = time.monotonic() + PATIENCE, timedelta()
    process = scene.process
    assert process is not None
    process.wait(PATIENCE)
    while not scene.finished():
        assert time.monotonic() < deadline, scene.errors()
        if scene.status() is CampaignStatus.RUNNING:
            later += LEAP
            process = scene.sweep(later)
        else:
            process = scene.resume()
        process.wait(max(1.0, deadline - time.monotonic()))


def _judge(scene: Scene, log: Path, figures: Figures) -> None:
    secret = scene.field.config.secret()
    store = scene.field.store
    read: Counter[tuple[str, str]] = Counter()
    for line in log.read_text().splitlines():
        _, _, path, topic, fate = line.split("\t")
        if not fate.isdecimal():  # a refused one was read and isn't theirs
            read[path, topic] += 1
    figures.duplicates = sum(count - 1 for count in read.values() if count > 1)
    for name in scene.names:
        campaign = store.campaigns.get(name)
        topic = tokens.topic(secret, campaign.id)
        counts = deliveries(store, campaign.id)
        planned = store.connection.execute(_PLANNED).fetchone()[0]
        figures.wrong_sums += sum(counts.values()) != planned
        figures.messages += sum(counts.values())
        figures.lost += counts.get("planned", 0) + counts.get("sending", 0)
        rows = store.connection.execute(_ACCEPTED, {"campaign": campaign.id})
        for (endpoint,) in rows:
            path = "/" + endpoint.partition("://")[2].partition("/")[2]
            figures.lost += (path, topic) not in read
    figures.campaigns = len(scene.names)
    with sqlite3.connect(scene.field.config.database) as connection:
        figures.integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]
    store.close()


_PLANNED = "SELECT count(*) FROM subscriptions"
_ACCEPTED = """
    SELECT s.endpoint FROM deliveries AS d JOIN subscriptions AS s ON s.id = d.subscription_id
     WHERE d.campaign_id = :campaign AND d.status = 'accepted'
"""


def holds(figures: Figures) -> bool:
    """Return whether nothing is wrong, and only what was under way is in doubt."""
    return (
        figures.duplicates == figures.lost == figures.wrong_sums == 0
        and figures.integrity == "ok"
        and figures.in_doubt <= figures.in_flight
        and figures.in_doubt_max <= figures.in_flight_max
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--faults", action="store_true", help="a service that misbehaves")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, help="keep everything in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pushctl-kill-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        figures = kill_often(
            folder, options.kills, options.people, options.seed, faults=options.faults
        )
    shown = vars(figures) | {"targets": dict(figures.targets), "seed": options.seed}
    print(
        json.dumps(shown) if options.json else "\n".join(f"{k} {v}" for k, v in shown.items())
    )
    raise SystemExit(0 if holds(figures) else 1)


if __name__ == "__main__":
    main()
