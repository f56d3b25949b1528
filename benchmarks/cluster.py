"""
The same campaign by this machine's pool and by a cluster's workers, in turns.

    ./run python benchmarks/cluster.py [--messages 20000] [--workers 1 2 3] [--repeat 3] [--delay 0]

Scheduler and workers are processes on this machine, with TLS, so they share its cores with
the push service: it shows what a message costs, and whether one coordinator keeps them busy,
not how fast several machines are. CPU is read from the kernel, in microseconds a message; a
Dask worker takes some of it while it does nothing, which is measured before and left out.
"""  # noqa: E501

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.project import Project
from benchmarks.sink import HOST
from tests.support.cluster import Cluster, running, wait_until

IDLE_SECONDS = 5.0
Figures = dict[str, float]


@contextmanager
def service(folder: Path, delay: float) -> Iterator[SimpleNamespace]:
    """Run pushctl's own push service, which reads each message and believes it."""
    script = folder / "script.json"
    script.write_text(json.dumps([{"delay": [delay, delay]}] if delay else []))
    command = [
        sys.executable,
        "-m",
        "pushctl.demo.pushservice",
        "--folder",
        str(folder / "push"),
    ]
    command += ["--no-checks", "--no-receipts", "--script", str(script)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        port = int(told["hosts"][HOST].rpartition(":")[2])
        yield SimpleNamespace(port=port, ca=told["ca"], pid=process.pid)
    finally:
        process.terminate()
        process.wait()


def read_cpu(process: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def list_processes(cluster: Cluster) -> dict[str, list[int]]:
    assert cluster.scheduler is not None
    return {
        "workers": [one.pid for one in cluster.workers],
        "scheduler": [cluster.scheduler.pid],
    }


def measure(
    project: Project,
    sink: SimpleNamespace,
    cluster: Cluster | None = None,
    idle: Mapping[str, float] = MappingProxyType({}),
) -> Figures:
    """Send to everybody; return messages a second, and CPU a message by kind of process."""
    processes = {"service": [sink.pid]} | (list_processes(cluster) if cluster else {})
    before = {kind: sum(map(read_cpu, them)) for kind, them in processes.items()}
    began = time.monotonic()
    figures = project.send(sink, "direct")
    took = time.monotonic() - began
    assert figures["sent"] == project.count, figures
    costs = {kind: sum(map(read_cpu, them)) - before[kind] for kind, them in processes.items()}
    for kind, each in idle.items():
        costs[kind] -= took * each
    costs["pushctl"] = figures["cpu_seconds"]
    rate = {"messages a second": project.count / figures["seconds"]}
    return rate | {kind: 1e6 * each / project.count for kind, each in costs.items()}


def add_up(runs: list[Figures]) -> Figures:
    return {kind: round(statistics.median(run[kind] for run in runs), 1) for kind in runs[0]}


def compare(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of each number of workers, and of the local pool beside it."""
    found: dict[str, Any] = {"messages": options.messages, "delay": options.delay}
    project = Project(folder, options.messages)
    with service(folder, options.delay) as sink:
        for count in options.workers:
            with running(folder / f"cluster-{count}", count) as cluster:
                wait_until(partial(is_complete, cluster, count), "workers are missing")
                found[f"{count} workers"] = take_turns(project, sink, cluster, options.repeat)
    return found


def take_turns(
    project: Project, sink: SimpleNamespace, cluster: Cluster, repeat: int
) -> dict[str, Figures]:
    """Send by the cluster and by as many local processes; return the medians of both."""
    file, idle = project.folder / "pushctl.toml", measure_idle(cluster)
    plain = file.read_text()
    os.environ["PUSHCTL_PUSH__WORKERS"] = str(len(cluster.workers))
    runs: dict[str, list[Figures]] = {"cluster": [], "local": []}
    for _ in range(repeat):
        file.write_text(f"{plain}\n{cluster.settings()}")
        runs["cluster"].append(measure(project, sink, cluster, idle))
        file.write_text(plain)
        runs["local"].append(measure(project, sink))
    return {kind: add_up(them) for kind, them in runs.items()}


def is_complete(cluster: Cluster, count: int) -> bool:
    """Return whether all workers have registered, as their logs say."""
    logs = [file.read_text() for file in cluster.folder.glob("w*.log")]
    return len(logs) == count and all("Registered to" in log for log in logs)


def measure_idle(cluster: Cluster) -> Figures:
    """Return the seconds of CPU a second that its processes take with nothing to do."""
    processes = list_processes(cluster)
    before = {kind: sum(map(read_cpu, them)) for kind, them in processes.items()}
    time.sleep(IDLE_SECONDS)
    return {
        kind: (sum(map(read_cpu, them)) - before[kind]) / IDLE_SECONDS
        for kind, them in processes.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds to each answer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pushctl-cluster-") as folder:
        print(json.dumps(compare(Path(folder), options), indent=2))


if __name__ == "__main__":
    main()
