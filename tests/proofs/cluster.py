"""
Kill, stop and cut off parts of a cluster in full swing: does anybody get a message twice?

    ./run python -m tests.proofs.cluster --kills 100 --seed 1
    ./run python -m tests.proofs.cluster --stops 5 --partitions 5 --seed 1

A scheduler and three workers, processes of their own with TLS, send campaigns to a push
service that writes down every body that it has read. At random moments a worker, the
scheduler or the coordinator (`pushctl campaigns resume`) gets a SIGKILL; a worker or the
coordinator is stopped for longer than its lease; or a proxy between workers and coordinator
forwards nothing more. What is left of a campaign is resumed.

A duplicate is a body that the service read twice for one receiver and campaign. In doubt may
be what the coordinator's journals say was handed out and unanswered, nothing else.
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pushctl.model import Outcome
from pushctl.push import journal
from tests.faults import kill
from tests.support import cluster as cluster_support
from tests.support.cluster import Cluster, Proxy, running
from tests.support.running import Running

TARGETS = ("coordinator",) * 5 + ("worker",) * 4 + ("scheduler",)
PATIENCE = 900.0


@dataclass
class Figures(kill.Figures):
    seconds: float = 0.0
    stops: int = 0
    partitions: int = 0
    late: int = 0  # messages that arrived after the lease of a worker that was cut off


class Scene(kill.Scene):
    """A project that sends by *cluster*."""

    def __init__(
        self, folder: Path, people: int, told: dict[str, Any], cluster: Cluster
    ) -> None:
        super().__init__(folder, people, told)
        self.cluster = cluster
        with (self.folder / "pushctl.toml").open("a") as file:
            file.write(f"\n{cluster.settings()}")

    def start(self, *words: str, **variables: str) -> Running:
        # The machine may be busy: a timeout would be in doubt for another cause.
        return super().start(*words, **{"PUSHCTL_PUSH__TIMEOUT": "30", **variables})

    def flying(self) -> int:
        """Return how many letters are with workers, as the coordinator's journals tell."""
        count = 0
        for file in self.field.config.journal.glob("*.journal"):
            try:
                records = file.read_bytes()
            except FileNotFoundError:
                continue
            open_: set[int] = set()
            for record in journal.read(records):
                if isinstance(record, Outcome):
                    open_.discard(record.delivery)
                elif isinstance(record, journal.Settled):
                    open_.discard(int(record))
                else:
                    open_.add(record)
            count += len(open_)
        return count

    def watch_flight(self, seconds: float) -> int:
        """Return the most letters that are with workers at any moment of the next *seconds*."""
        most, until = self.flying(), time.monotonic() + seconds
        while time.monotonic() < until:
            most = max(most, self.flying())
            time.sleep(0.01)
        return most

    def go_on(self) -> None:
        """Have a coordinator at work: at the next campaign, when this one has ended."""
        if self.process is not None and self.process.poll() is None:
            return
        if not self.names or self.finished():
            self.freeze()
        self.resume()


@dataclass
class Trial:
    """One scene, and what was done to it."""

    scene: Scene
    cluster: Cluster
    chance: random.Random
    figures: Figures = field(default_factory=Figures)
    doubts: int = 0  # in doubt before the last blow

    def strike(self, target: str) -> None:
        """Kill *target* while letters are under way; count what that leaves in doubt."""
        self._count_doubts()
        scene = self.scene
        scene.go_on()
        if self.chance.random() < 0.9:
            scene.await_flight()  # else while it starts, claims, connects
        time.sleep(self.chance.uniform(0.0, 1.0))
        flying = scene.flying()
        process = self._choose(target)
        if process is None or process.poll() is not None:
            return  # the campaign has ended meanwhile
        process.kill()
        process.wait()
        flying = max(flying, scene.watch_flight(0.0 if target == "coordinator" else 0.3))
        self.figures.kills += 1
        self.figures.targets[target] += 1
        self._note(flying)
        self._mend(target)

    def _choose(self, target: str) -> "Running | subprocess.Popen[bytes] | None":
        if target == "coordinator":
            return self.scene.process
        if target == "scheduler":
            return self.cluster.scheduler
        alive = [one for one in self.cluster.workers if one.poll() is None]
        return self.chance.choice(alive) if alive else None

    def _mend(self, target: str) -> None:
        cluster = self.cluster
        if target == "scheduler":
            assert self.scene.process is not None
            code = self.scene.process.wait(60)
            assert code in (0, 3, 5), self.scene.errors()
            for worker in cluster.workers:
                # Without a scheduler it ends, unless it was starting just now.
                with suppress(subprocess.TimeoutExpired):
                    worker.wait(10)
                cluster_support.kill(worker)
            cluster.start_scheduler()
        cluster.workers = [one for one in cluster.workers if one.poll() is None]
        cluster.start_workers(3 - len(cluster.workers))

    def _note(self, flying: int) -> None:
        self.figures.in_flight += flying
        self.figures.in_flight_max = max(self.figures.in_flight_max, flying)

    def _count_doubts(self) -> None:
        doubts = self.scene.doubts()
        self.figures.in_doubt_max = max(self.figures.in_doubt_max, doubts - self.doubts)
        self.doubts = doubts

    def stop(self, target: str) -> None:
        """Stop *target* for longer than its lease; then let it go on."""
        scene = self.scene
        scene.go_on()
        scene.await_flight()
        process = self._choose(target)
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        self._note(scene.watch_flight(0.3))
        time.sleep(self.cluster.lease + 2.0)
        self.figures.stops += 1
        before = read_last(self.log)
        if target == "worker":
            # The kernel has ended it before it could do anything, or it had nothing to do.
            os.kill(process.pid, signal.SIGCONT)
            self._mend(target)
        else:
            self._count_late(before)
            os.kill(process.pid, signal.SIGCONT)
            self._mend(target)

    def cut_off(self, proxy: Proxy) -> None:
        """Have nothing go between workers and coordinator for longer than their leases."""
        scene = self.scene
        scene.go_on()
        scene.await_flight()
        proxy.stall()
        self._note(scene.watch_flight(0.3))
        time.sleep(self.cluster.lease + 1.0)
        self._count_late(read_last(self.log))
        self.figures.partitions += 1
        proxy.flow()
        self._mend("worker")  # on a busy machine the kernel's alarm was first

    def _count_late(self, before: int) -> None:
        """Count the messages that arrive although all leases have ended."""
        time.sleep(2.0)
        self.figures.late += read_last(self.log) - before

    @property
    def log(self) -> Path:
        return self.scene.folder.parent / "push" / "sink.log"

    def end(self) -> None:
        """Send what is left, undisturbed, and judge."""
        if self.scene.process is not None:
            self.scene.process.wait(PATIENCE)
        self._mend("worker")
        self._count_doubts()
        if self.scene.names:
            kill._end(self.scene)
        self.figures.in_doubt = self.scene.doubts()
        kill._judge(self.scene, self.log, self.figures)


def read_last(log: Path) -> int:
    """Return how many bodies the service has read."""
    return log.read_bytes().count(b"\n")


def try_out(
    folder: Path,
    act: Callable[[Trial, Proxy], None],
    *,
    people: int,
    seed: int,
    lease: float,
) -> Figures:
    """Return the figures of what *act* does to a campaign and a cluster."""
    began, chance = time.monotonic(), random.Random(seed)
    with (
        kill.service(folder, False) as told,
        running(folder / "cluster", 3, lease=lease) as cluster,
    ):
        proxy = Proxy(find_port())
        cluster.more = (
            f'listen = "127.0.0.1:{proxy.target[1]}"\naddress = "127.0.0.1:{proxy.port}"'
        )
        scene = Scene(folder, people, told, cluster)
        trial = Trial(scene, cluster, chance)
        try:
            act(trial, proxy)
            trial.end()
        finally:
            scene.close()
            proxy.close()
    trial.figures.seconds = round(time.monotonic() - began, 1)
    return trial.figures


def find_port() -> tuple[str, int]:
    """Return an address of this machine that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return "127.0.0.1", int(server.getsockname()[1])


def holds(figures: Figures) -> bool:
    return (
        figures.duplicates == figures.lost == figures.wrong_sums == figures.late == 0
        and figures.integrity == "ok"
        and figures.in_doubt <= figures.in_flight
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--stops", type=int, default=0)
    parser.add_argument("--partitions", type=int, default=0)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--lease", type=float, default=10.0, help="seconds")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--folder", type=Path, help="keep everything in this folder")
    options = parser.parse_args()

    def act(trial: Trial, proxy: Proxy) -> None:
        while trial.figures.kills < options.kills:
            trial.strike(trial.chance.choice(TARGETS))
            if sys.stderr.isatty() or trial.figures.kills % 10 == 0:
                print(f"{trial.figures.kills} kills", file=sys.stderr)
        for number in range(options.stops):
            trial.stop(("worker", "coordinator")[number % 2])
        for _ in range(options.partitions):
            trial.cut_off(proxy)

    with tempfile.TemporaryDirectory(prefix="pushctl-cluster-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        figures = try_out(
            folder, act, people=options.people, seed=options.seed, lease=options.lease
        )
    print(json.dumps(vars(figures) | {"targets": dict(figures.targets), "seed": options.seed}))
    raise SystemExit(0 if holds(figures) else 1)


if __name__ == "__main__":
    main()
