"""
How long commands take to start, as ratios to ``python -c pass`` in the same run.

    ./run python benchmarks/start.py [--repeat 9] [--json]

``send`` reaches 10 people at nginx on loopback, as a whole process.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.project import Project
from benchmarks.sink import HOST, Sink

PUSHCTL = [sys.executable, "-m", "pushctl"]


def timed(command: list[str]) -> tuple[float, float]:
    """Return wall and CPU seconds of *command* as a whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
    wall = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{done.stderr.decode()[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pushctl-bench-") as folder, Sink() as sink:
        project = Project(Path(folder), 10)
        with (project.folder / "pushctl.toml").open("a") as text:
            text.write(f'\n[push.loopback]\nca = "{sink.ca}"\n')
            text.write(f'[push.loopback.hosts]\n"{HOST}" = "127.0.0.1:{sink.port}"\n')
        here = [*PUSHCTL, "--project", str(project.folder)]
        send = [*here, "send", "--everyone", "--template", "bench", "--again", "--yes"]
        commands: dict[str, Callable[[], list[str]]] = {
            "python -c pass": lambda: [sys.executable, "-c", "pass"],
            "pushctl --help": lambda: [*PUSHCTL, "--help"],
            "pushctl --version": lambda: [*PUSHCTL, "--version"],
            "pushctl stats": lambda: [*here, "stats"],
            "pushctl sweep, nothing due": lambda: [*here, "sweep"],
            "pushctl send to 10": lambda: [*send, "--name", os.urandom(4).hex()],
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(options.repeat + 1):
            for name, command in commands.items():
                taken[name].append(timed(command()))
    medians = {
        name: [statistics.median(figures) for figures in zip(*runs[1:], strict=True)]
        for name, runs in taken.items()
    }
    base = medians["python -c pass"]
    report = {
        name: {
            "wall_s": round(wall, 3),
            "cpu_s": round(cpu, 3),
            "wall_ratio": round(wall / base[0], 1),
            "cpu_ratio": round(cpu / base[1], 1),
        }
        for name, (wall, cpu) in medians.items()
    }
    if options.json:
        print(json.dumps(report, indent=2))
        return
    for name, row in report.items():
        print(f"{name:30}" + "".join(f"{value:>10}" for value in row.values()))


if __name__ == "__main__":
    main()
