"""
Send for minutes or hours to push services that misbehave: does memory grow, do handles?

    python tests/faults/soak.py --minutes 60 --json

One process sends campaign after campaign to 20,000 subscriptions at four push services,
as fast as it can (with --rate only while it warms up), and its workers live as long as it
does. Some answers are errors, cut short, far too long, compressed, malformed, dripping or
never come; at full speed every line of FAULTS is met hundreds of times a minute. From
outside, the resident memory and the open file handles of parent and workers are read each
second.

Memory is judged by the least-squares slopes of the parent and of the workers together,
after the warm-up. Exits 1 when one reaches its bound (1 MB an hour once the run is long
enough to tell that from noise: half an hour for the workers, two and a half hours for the
parent), when a worker takes more than it may, when handles grow, when a worker died, or
when a ledger's sum is wrong.

A worker keeps what each request in flight once needed for the next one, so it grows until
its window has been full at every service. That the first answers are slow fills the windows
at once; what grows later is a leak. --window 100 is filled in seconds.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.faults.soak_drive import Load, command  # noqa: E402
from tests.faults.soak_watch import Samples, slope, watch  # noqa: E402
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
    # These end a whole connection and all that flies on it. Where the next one dies as well,
    # the sender rightly leaves this service alone for a minute; the others keep it busy.
    {"host": WORST, "share": 0.0005, "do": "early_close", "status": 201},
    {"host": WORST, "share": 0.0005, "do": "bad_framing"},
    {"host": WORST, "share": 0.0005, "do": "reset_after", "scope": "connection"},
    {"host": WORST, "share": 0.0005, "do": "headers", "size": 2000},
    {"share": 0.0002, "do": "drip", "size": 5, "interval": 0.2},
    {"share": 0.0002, "do": "silence"},
]
SLOW = 100  # first answers that come late, for each request that the window takes
HOSTS = (sending.MOZILLA, sending.FCM, sending.WNS, sending.APPLE)


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
    parent_mb: tuple[float, float] = (0.0, 0.0)  # after the warm-up, at the end
    workers_mb: tuple[float, float] = (0.0, 0.0)  # all together
    worker_most_mb: float = 0.0  # the largest that was seen of any
    worker_bound_mb: float = 0.0
    handles: tuple[int, int] = (0, 0)  # most in the first and the last third
    workers: int = 0
    deaths: int = 0
    wrong_sums: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Say whether nothing grew and nothing went wrong."""
        return not self.find_breaches()

    def find_breaches(self) -> list[str]:
        """Return what grew or went wrong, with its figure and what it may be."""
        before, after = self.handles
        right = {
            f"parent {self.slope_parent:.0f} MB/h": self.slope_parent < self.bound_parent,
            f"workers {self.slope_workers:.0f} MB/h": self.slope_workers < self.bound_workers,
            f"worker {self.worker_most_mb:.0f} MB": self.worker_most_mb <= self.worker_bound_mb,
            f"handles {before}, then {after}": after <= before + SPARE_HANDLES,
            f"{self.deaths} deaths": self.deaths == 0,
            f"{self.wrong_sums} wrong sums": self.wrong_sums == 0,
        }
        bounds = (
            f"bounds: parent {self.bound_parent:.0f} MB/h, workers"
            f" {self.bound_workers:.0f} MB/h, a worker {self.worker_bound_mb:.0f} MB"
        )
        wrong = [what for what, so in right.items() if not so]
        return [*wrong, bounds] if wrong else []


# What a worker may take at a hundred in flight to each service; more for a wider window.
WORKER_MB = 80.0

# Connections that were reset are dialled anew, so their number is never quite the same.
SPARE_HANDLES = 24


def bound(seconds: float, noise: float) -> float:
    """Return the slope in MB/h that *seconds* of samples can tell from *noise* (MB)."""
    return max(1.0, noise * 3600 / seconds)


# What a process may come to hold without any leak: SQLite's cache and the heap's gaps move
# the parent by some megabytes; the workers stay where they are once their windows are full.
NOISE_PARENT = 2.5
NOISE_WORKERS = 0.5


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
    with service(folder, seed, load.window) as told:
        scene = sending.field(project)
        for number, host in enumerate(HOSTS):
            each = load.people // len(HOSTS)
            scene.people(each, host, first=number * each, now=sending.soon())
        scene.store.close()
        with (project / "pushctl.toml").open("a") as file:
            file.write(f'\n[push.loopback]\nca = "{told["ca"]}"\n[push.loopback.hosts]\n')
            file.writelines(f'"{name}" = "{to}"\n' for name, to in told["hosts"].items())
        samples, said = watch(
            command(project, seconds, load), seconds, cwd=ROOT, env=program.environment()
        )
    if keep is not None:
        samples.write(keep)
    return _figures(samples, json.loads(said), seconds, warm_up, load)


def _figures(
    samples: Samples, answer: dict[str, Any], seconds: float, warm_up: float, load: Load
) -> Figures:
    kept = samples.after(warm_up)
    third = max(1, len(kept.at) // 3)
    total = [own + others for own, others in zip(kept.parent, kept.workers, strict=True)]
    watched = kept.at[-1] - kept.at[0]
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
            "parent_mb": (round(kept.parent[0], 1), round(kept.parent[-1], 1)),
            "workers_mb": (round(kept.workers[0], 1), round(kept.workers[-1], 1)),
            "worker_most_mb": round(max(samples.largest), 1),
            "worker_bound_mb": WORKER_MB * max(1.0, load.window / 100),
            "handles": (max(kept.handles[:third]), max(kept.handles[-third:])),
            "workers": samples.most,
            "deaths": len(samples.met) - samples.most,
        }
    )


@contextmanager
def service(folder: Path, seed: int, window: int) -> Iterator[dict[str, Any]]:
    """Run the push service in a process of its own; yield what it tells of itself."""
    script = folder / "script.json"
    slow = {"first": SLOW * window, "delay": [0.3, 0.3]}
    script.write_text(json.dumps([slow, *FAULTS]))
    call = [sys.executable, "-m", "pushctl.demo.pushservice", "--folder", str(folder / "push")]
    call += ["--no-checks", "--no-receipts", "--script", str(script), "--seed", str(seed)]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, cwd=ROOT)
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
    parser.add_argument(
        "--rate", type=int, default=Load.rate, help="messages a second after the warm-up"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--samples", type=Path, help="write every second's into this file")
    options = parser.parse_args()
    seconds = options.minutes * 60
    warm_up = options.warm_up if options.warm_up is not None else min(180.0, seconds / 3)
    load = Load(
        options.people, options.workers, options.window, options.rate, sprint=0.8 * warm_up
    )
    with tempfile.TemporaryDirectory(prefix="pushctl-soak-") as folder:
        figures = soak(
            Path(folder),
            seconds,
            warm_up,
            load=load,
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
