"""
How long commands take to start, as ratios to ``python -c pass`` in the same run.

    ./run python benchmarks/start.py [--repeat 9] [--project FOLDER]... [--json]

``send`` reaches 10 people at nginx on loopback, as a whole process. What a plain installation
takes is measured by its own Python. Of a *project* of yours ``stats`` is measured, too. CPU
is the least of all runs, wall time their median.
"""

import argparse
import json
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.project import Project
from benchmarks.sink import HOST, Sink

PUSHCTL = [str(Path(sys.executable).with_name("pushctl"))]
TAGS = 10_000
SEND = "pushctl send to 10"
COMPLETION = f"completion of a tag of {TAGS:,}"


def timed(command: list[str], **more: str) -> tuple[float, float]:
    """Return wall and CPU seconds of *command* as a whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, stdin=subprocess.DEVNULL, env=os.environ | more
    )
    wall = time.perf_counter() - started
    if done.returncode and command != PUSHCTL:  # that one shows the help, as of a mistake
        raise SystemExit(f"{' '.join(command)}:\n{done.stderr.decode()[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def add_tags(database: Path) -> None:
    rows = [(f"tag {number}", f"tag {number}") for number in range(TAGS)]
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany("INSERT INTO tags (name, folded) VALUES (?, ?)", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--project", type=Path, action="append", default=[])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pushctl-bench-") as folder, Sink() as sink:
        project = Project(Path(folder), 10)
        with (project.folder / "pushctl.toml").open("a") as text:
            text.write(f'\n[push.loopback]\nca = "{sink.ca}"\n')
            text.write(f'[push.loopback.hosts]\n"{HOST}" = "127.0.0.1:{sink.port}"\n')
        here = [*PUSHCTL, "--project", str(project.folder)]
        send = [*here, "send", "--everyone", "--template", "bench", "--again", "--yes"]
        add_tags(project.folder / "pushctl.db")
        completing = f"pushctl --project {project.folder} send --tag 'tag 99"
        timed([*here, "sweep"])  # it notes that the settings are sound
        commands: dict[str, Callable[[], list[str]]] = {
            "python -c pass": lambda: [sys.executable, "-c", "pass"],
            "pushctl --help": lambda: [*PUSHCTL, "--help"],
            "pushctl": lambda: PUSHCTL,
            "pushctl --version": lambda: [*PUSHCTL, "--version"],
            "pushctl send --help": lambda: [*PUSHCTL, "send", "--help"],
            "pushctl stats --help": lambda: [*PUSHCTL, "stats", "--help"],
            COMPLETION: lambda: [*PUSHCTL, completing, "tag 99"],
            "pushctl stats": lambda: [*here, "stats"],
            "pushctl check": lambda: [*here, "check"],
            "pushctl sweep, nothing due": lambda: [*here, "sweep"],
            SEND: lambda: [*send, "--name", os.urandom(4).hex()],
        }
        for folder_of in options.project:
            words = [*PUSHCTL, "--project", str(folder_of), "stats"]
            commands[f"pushctl stats, {folder_of.name}"] = lambda words=words: words  # type: ignore[misc]
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        # Sends come last: stats counts a new campaign anew.
        sends = {SEND: commands.pop(SEND)}
        for number in range(2 * options.repeat + 2):
            for name, command in (commands if number <= options.repeat else sends).items():
                more = {"_PUSHCTL_COMPLETE": "bash"} if name == COMPLETION else {}
                taken[name].append(timed(command(), **more))
    figures = {
        name: (statistics.median(wall for wall, _ in runs[1:]), min(cpu for _, cpu in runs[1:]))
        for name, runs in taken.items()
    }
    base = figures["python -c pass"]
    report = {
        name: {
            "wall_s": round(wall, 3),
            "cpu_s": round(cpu, 3),
            "wall_ratio": round(wall / base[0], 1),
            "cpu_ratio": round(cpu / base[1], 1),
        }
        for name, (wall, cpu) in figures.items()
    }
    if options.json:
        print(json.dumps(report, indent=2))
        return
    for name, row in report.items():
        print(f"{name:30}" + "".join(f"{value:>10}" for value in row.values()))


if __name__ == "__main__":
    main()
