"""
Send for minutes or hours to push services that misbehave: does memory grow, do handles?

    python tests/faults/soak.py --minutes 60 --json

One process sends campaign after campaign to 20,000 subscriptions at four push services,
as fast as it can, and its workers live as long as it does. Some answers are errors, cut
short, far too long, compressed, malformed, dripping or never come; every line of FAULTS
is met hundreds of times a minute. From outside, the resident memory and the open file
handles of parent and workers are read each second.

Memory is judged by the least-squares slopes of the parent and of the workers together,
after the warm-up. Exits 1 when one reaches its bound (1 MB an hour once the run is long
enough to tell that from noise: half an hour for the workers, two and a half hours for the
parent), when handles grow, when a worker died, or when a ledger's sum is wrong.

A worker keeps what each request in flight once needed for the next one, so it grows until
its window has been full at every service. At 1,000 in flight that takes long when the
machine has other work; --window 100 gets there in seconds and shows leaks alone.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.support import program, sending  # noqa: E402

WORST = sending.WNS
FAULTS: list[dict[str, Any]] = [
    {"delay": [0.002, 0.03]},
    {"share": 0.01, "do": "answer", "status": 503},
    {"share": 0.005, "do": "answer", "status": 410},
    {"share": 0.002, "do": "answer", "status": 413},
    {"share": 0.002, "do": "answer", "status": 404, "body": "x" * 3000},
    {
        "share": 0.001,
        "do": "answer",
        "status": 301,
        "headers": {"location": "https://x.example/"},
    },
    {"share": 0.0005, "do": "answer", "status": 429, "headers": {"retry-after": "1"}},
    {"share": 0.002, "do": "headers", "size": 20},
    {"share": 0.001, "do": "informational", "size": 20},
    {"share": 0.001, "do": "huge", "size": 200_000, "status": 400},
    {"share": 0.001, "do": "gzip", "size": 10_000_000, "status": 400},
    {"share": 0.002, "do": "reset_before"},
    {"share": 0.002, "do": "reset_after"},
    # These end a whole connection and all that flies on it, so the sender rightly leaves
    # this service alone for a minute; the others keep it busy.
    {"host": WORST, "share": 0.0005, "do": "early_close", "status": 201},
    {"host": WORST, "share": 0.0005, "do": "bad_framing"},
    {"host": WORST, "share": 0.0005, "do": "reset_after", "scope": "connection"},
    {"host": WORST, "share": 0.0005, "do": "headers", "size": 2000},
    {"share": 0.0002, "do": "drip", "size": 5, "interval": 0.2},
    {"share": 0.0002, "do": "silence"},
]
HOSTS = (sending.MOZILLA, sending.FCM, sending.WNS, sending.APPLE)
KEPT = 3  # campaigns in the database; older ones go, so that it doesn't grow by itself
TIMEOUT = 1.0  # seconds until silence is a doubt


@dataclass(frozen=True)
class Load:
    """How much is going on; a short run is over before a wide window is filled."""

    people: int = 20_000
    workers: int = 0  # as many as pushctl takes by itself
    window: int = 1_000  # requests in flight, for each worker and service


@dataclass
class Figures:
    minutes: float = 0.0
    messages: int = 0
    campaigns: int = 0
    per_second: int = 0
    slope_mb_per_hour: float = 0.0  # of all processes together, after the warm-up
    slope_parent: float = 0.0
    slope_workers: float = 0.0
    bound_parent: float = 0.0
    bound_workers: float = 0.0
    memory_mb: tuple[float, float] = (0.0, 0.0)  # after the warm-up, at the end
    handles: tuple[int, int] = (0, 0)  # most in the first and the last third
    workers: int = 0
    deaths: int = 0
    wrong_sums: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Say whether nothing grew and nothing went wrong."""
        return (
            self.slope_parent < self.bound_parent
            and self.slope_workers < self.bound_workers
            and self.handles[1] <= self.handles[0] + SPARE_HANDLES
            and self.deaths == self.wrong_sums == 0
        )


# Connections that were reset are dialled anew, so their number is never quite the same.
SPARE_HANDLES = 24


def bound(seconds: float, noise: float) -> float:
    """Return the slope in MB/h that *seconds* of samples can tell from *noise* (MB)."""
    return max(1.0, noise * 3600 / seconds)


# What a process may come to hold without any leak: SQLite's cache and the heap's gaps move
# the parent by some megabytes; the workers stay where they are once their windows are full.
NOISE_PARENT = 2.5
NOISE_WORKERS = 0.5


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Return the least-squares slope of *values* (MB) over *times* (s), in MB an hour."""
    middle = sum(times) / len(times)
    mean = sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in times)
    return (
        3600
        * sum((at - middle) * (it - mean) for at, it in zip(times, values, strict=True))
        / spread
    )


# --- the process that sends -----------------------------------------------------------


def drive(folder: Path, seconds: float, load: Load) -> None:
    """Send campaign after campaign for *seconds*; answer with what was sent."""
    from pushctl import config as configs
    from pushctl import push
    from pushctl.jobs import sending as job
    from pushctl.jobs.postbox import open_postbox
    from pushctl.push import vapid
    from pushctl.store import Store

    changed = {"TIMEOUT": TIMEOUT, "WORKERS": load.workers}
    wanted = {f"PUSHCTL_PUSH__{name}": str(value) for name, value in changed.items() if value}
    config = configs.load(folder / "pushctl.toml", wanted)
    (key,) = vapid.load(config.keys)
    push.executor = _kept(push.executor)
    narrowed = _narrowed(open_postbox, load.window)
    job.open_postbox = narrowed  # type: ignore[attr-defined]
    told = Figures()
    with Store(config.database) as store:
        scene = sending.Field(config, store, key)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            told.campaigns += 1
            _campaign(scene, told, load.people, deadline)
    print(json.dumps(asdict(told)), flush=True)
    # The pool was kept from being shut down; its workers die with us.
    os._exit(0)


def _kept(executor: Any) -> Any:
    """Return an *executor* whose pool outlives the run, so that its workers grow old."""
    pools: list[Any] = []

    def kept(workers: int, postbox: Any) -> Any:
        if not pools:
            pools.append(executor(workers, postbox))
            pools[0].shutdown = lambda *_, **__: None
        return pools[0]

    return kept


def _narrowed(open_postbox: Any, window: int) -> Any:
    """Return *open_postbox* with a smaller window, so that it is soon used to the full."""
    return lambda *given: replace(open_postbox(*given), window=window)


def _campaign(scene: sending.Field, told: Figures, people: int, deadline: float) -> None:
    from pushctl.jobs import deliver

    store, left = scene.store, max(0.1, deadline - time.monotonic())
    options = deliver.Options(patience=0.0, seconds=left)
    report = scene.send(sending.soon(), options=options, name=f"soak {told.campaigns}")
    _count(report, told)
    # What had to wait of this one and of those before.
    for later in deliver.due(store, scene.config, sending.soon(), options):
        _count(later, told)
    (planned,) = store.connection.execute(
        "SELECT count(*) FROM deliveries WHERE campaign_id = ?", (report.campaign.id,)
    ).fetchone()
    told.wrong_sums += planned != people
    with store.write() as connection:
        old = report.campaign.id - KEPT
        connection.execute("DELETE FROM deliveries WHERE campaign_id <= ?", (old,))
        connection.execute("DELETE FROM campaigns WHERE id <= ?", (old,))
        connection.execute("DELETE FROM subscription_changes")
        connection.execute(
            "UPDATE subscriptions SET state = 'active', failures = 0, small_payload = 0"
            " WHERE state <> 'active' OR failures OR small_payload"
        )


def _count(report: Any, told: Figures) -> None:
    for status, count in report.sent.items():
        told.outcomes[status] = told.outcomes.get(status, 0) + count
        told.messages += count


# --- the process that watches ---------------------------------------------------------


@dataclass
class Samples:
    """What was read each second: seconds, megabytes and handles."""

    at: list[float] = field(default_factory=list)
    parent: list[float] = field(default_factory=list)
    workers: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    alive: list[int] = field(default_factory=list)  # workers
    met: set[int] = field(default_factory=set)  # workers ever seen

    def take(self, parent: int, began: float) -> None:
        """Read all processes; nothing when one of them is just ending."""
        children = _children(parent)
        try:
            own, *others = [_megabytes(pid) for pid in (parent, *children)]
            if not own:
                return  # it has just ended
            handles = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in (parent, *children))
        except (OSError, IndexError):
            return
        self.at.append(time.monotonic() - began)
        self.parent.append(own)
        self.workers.append(sum(others))
        self.handles.append(handles)
        self.alive.append(len(children))
        self.met.update(children)

    def after(self, seconds: float) -> "Samples":
        first = next((n for n, at in enumerate(self.at) if at >= seconds), 0)
        return Samples(
            self.at[first:], self.parent[first:], self.workers[first:], self.handles[first:]
        )


def _children(parent: int) -> list[int]:
    """Return the sending processes below *parent*."""
    found: list[int] = []
    for file in Path(f"/proc/{parent}/task").glob("*/children"):
        try:
            found += [int(pid) for pid in file.read_text().split()]
        except OSError:
            continue
    return [pid for pid in found if _is_worker(pid)]


def _is_worker(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


_PAGE = os.sysconf("SC_PAGE_SIZE")


def _megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * _PAGE / 1e6


def soak(
    folder: Path,
    seconds: float,
    warm_up: float,
    *,
    load: Load | None = None,
    seed: int = 0,
    keep: Path | None = None,
) -> Figures:
    """
    Return the figures of *seconds* of sending; the first *warm_up* are not judged.

    All samples are written to *keep*, if it is given.
    """
    project, load = folder / "project", load or Load()
    with service(folder, seed) as told:
        scene = sending.field(project)
        for number, host in enumerate(HOSTS):
            each = load.people // len(HOSTS)
            scene.people(each, host, first=number * each, now=sending.soon())
        scene.store.close()
        with (project / "pushctl.toml").open("a") as file:
            file.write(f'\n[push.loopback]\nca = "{told["ca"]}"\n[push.loopback.hosts]\n')
            file.writelines(f'"{name}" = "{to}"\n' for name, to in told["hosts"].items())
        samples, answer = _watch(project, seconds, load)
    if keep is not None:
        rows = zip(samples.at, samples.parent, samples.workers, samples.handles, strict=True)
        lines = [",".join(f"{value:.1f}" for value in row) for row in rows]
        keep.write_text("seconds,parent,workers,handles\n" + "\n".join(lines) + "\n")
    return _figures(samples, answer, seconds, warm_up)


def _watch(project: Path, seconds: float, load: Load) -> tuple[Samples, dict[str, Any]]:
    """Run the process that sends; return what was seen of it and what it says."""
    wish = json.dumps([str(project), seconds, asdict(load)])
    command = [sys.executable, __file__, "--drive", wish]
    began, samples = time.monotonic(), Samples()
    with subprocess.Popen(
        command, cwd=ROOT, env=program.environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            while process.poll() is None:
                samples.take(process.pid, began)
                if time.monotonic() - began > seconds + 60:
                    raise SystemExit("the sending process didn't end")
                time.sleep(1.0)
        finally:
            process.kill()
        assert process.stdout is not None
        said = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"the sending process ended with {process.returncode}")
    return samples, json.loads(said)


def _figures(
    samples: Samples, answer: dict[str, Any], seconds: float, warm_up: float
) -> Figures:
    kept = samples.after(warm_up)
    third = max(1, len(kept.at) // 3)
    total = [own + others for own, others in zip(kept.parent, kept.workers, strict=True)]
    watched = kept.at[-1] - kept.at[0]
    most = max(samples.alive)
    return Figures(
        **answer
        | {
            "minutes": round(seconds / 60, 1),
            "per_second": round(answer["messages"] / seconds),
            "slope_mb_per_hour": round(slope(kept.at, total), 2),
            "slope_parent": round(slope(kept.at, kept.parent), 2),
            "slope_workers": round(slope(kept.at, kept.workers), 2),
            "bound_parent": round(bound(watched, NOISE_PARENT), 2),
            "bound_workers": round(bound(watched, NOISE_WORKERS), 2),
            "memory_mb": (round(total[0], 1), round(total[-1], 1)),
            "handles": (max(kept.handles[:third]), max(kept.handles[-third:])),
            "workers": most,
            "deaths": len(samples.met) - most,
        }
    )


@contextmanager
def service(folder: Path, seed: int) -> Iterator[dict[str, Any]]:
    """Run the push service in a process of its own; yield what it tells of itself."""
    script = folder / "script.json"
    script.write_text(json.dumps(FAULTS))
    command = [
        sys.executable,
        "-m",
        "pushctl.demo.pushservice",
        "--folder",
        str(folder / "push"),
    ]
    command += ["--no-checks", "--no-receipts", "--script", str(script), "--seed", str(seed)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--warm-up", type=float, help="seconds; default: a third, at most 180")
    parser.add_argument("--people", type=int, default=Load.people)
    parser.add_argument("--workers", type=int, default=Load.workers)
    parser.add_argument("--window", type=int, default=Load.window)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--samples", type=Path, help="write every second's into this file")
    parser.add_argument("--drive", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive:
        project, lasting, load = json.loads(options.drive)
        drive(Path(project), lasting, Load(**load))
    seconds = options.minutes * 60
    warm_up = options.warm_up if options.warm_up is not None else min(180.0, seconds / 3)
    with tempfile.TemporaryDirectory(prefix="pushctl-soak-") as folder:
        figures = soak(
            Path(folder),
            seconds,
            warm_up,
            load=Load(options.people, options.workers, options.window),
            seed=options.seed,
            keep=options.samples,
        )
    shown = asdict(figures) | {"seed": options.seed}
    print(
        json.dumps(shown) if options.json else "\n".join(f"{k} {v}" for k, v in shown.items())
    )
    raise SystemExit(0 if figures.holds else 1)


if __name__ == "__main__":
    main()
