"""
The coordinator of a send alone: what one process with SQLite bears.

    ./run python benchmarks/coordinator.py [--messages 300000] [--workers 1 --workers 2]
        [--latency 0 --latency 0.08] [--repeat 1] [--post [--encoder direct]] [--json]

Whole sends of a personalised message, whose workers accept each letter without encrypting
or posting it. In it: each claim and outcome committed with ``synchronous=FULL``, rendering,
both ways between processes, the start of the workers, and their journals with the same
records. Not in it: key agreement, encryption, libcurl, TLS, push services. With a latency
a worker waits once for all letters of its chunk, as if all were in flight at once.

CPU is what the coordinator's process takes for a message, by part; the workers' CPU is the
last column. Where other programs run, read the CPU and not the rate. "disk" is the time that
the coordinator waits for the disk, at commits and for the generation's file. CPU and disk
together are a message's time by the clock, if there is always work and a core. ``--post`` adds
whole sends that encrypt and post to nginx (benchmarks/sink.py), for benchmarks/scale.py.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.project import ROOT, Project
from benchmarks.scale_costs import measure_sync
from benchmarks.sink import Sink

PARTS = ("claiming", "rendering", "handing over", "booking", "the rest of the loop")


def measure(project: Path, options: argparse.Namespace) -> Iterator[dict]:
    """Yield the figures of each run: rates a second, CPU in microseconds a message."""
    pairs = [(one, other) for other in options.latency for one in options.workers]
    for number in range(options.repeat):
        for workers, latency in pairs:
            name = f"run-{os.getpid()}-{number}-{workers}-{latency}"
            command = [sys.executable, str(Path(__file__).parent / "coordinator_run.py")]
            command += [str(project), str(workers), str(latency), name]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
            if done.returncode:
                raise SystemExit(f"coordinator_run failed:\n{done.stderr[-3000:]}")
            found = json.loads(done.stdout.strip().splitlines()[-1])
            if found["failed"]:
                raise SystemExit(f"{found['failed']} messages were not accepted")
            sent = found["sent"]
            yield {
                "workers": workers,
                "latency": latency,
                "rate": sent / found["seconds"],
                "cpu": {part: found["cpu"][part] / sent * 1e6 for part in PARTS},
                "disk": found["disk"] / sent * 1e6,
                "worker_cpu": found["worker_cpu"] / sent * 1e6,
                "megabytes": found["megabytes"],
                "load": os.getloadavg()[0],
            }


def measure_posting(project: Project, options: argparse.Namespace) -> list[dict]:
    """Return the figures of whole sends to nginx, which also has its share of the cores."""
    rows = []
    for latency in options.latency:
        with Sink(latency) as sink:
            for workers in options.workers:
                # send_run.py reads it with all other settings.
                os.environ["PUSHCTL_PUSH__WORKERS"] = str(workers)
                before = sink.cpu_seconds()
                found = project.send(sink, options.encoder)
                sent = found["sent"]
                row = {
                    "workers": workers,
                    "latency": latency,
                    "rate": round(sent / found["seconds"]),
                    "cpu_total": round(found["cpu_seconds"] / sent * 1e6, 1),
                    "load": round(os.getloadavg()[0], 1),
                    "sink_cpu": round((sink.cpu_seconds() - before) / sent * 1e6, 1),
                }
                rows.append(row)
                print(f"posting: {row}", file=sys.stderr)
    del os.environ["PUSHCTL_PUSH__WORKERS"]
    return rows


def summarise(runs: list[dict]) -> list[dict]:
    """Return one row for each number of workers and latency: medians, the least CPU."""
    rows = []
    for key in dict.fromkeys((it["workers"], it["latency"]) for it in runs):
        same = [it for it in runs if (it["workers"], it["latency"]) == key]
        # What other programs add to CPU time is noise in one direction.
        best = min(same, key=lambda it: sum(it["cpu"].values()))
        rows.append(
            {
                "workers": key[0],
                "latency": key[1],
                "rate": round(median(it["rate"] for it in same)),
                "cpu": {part: round(value, 1) for part, value in best["cpu"].items()},
                "cpu_total": round(sum(best["cpu"].values()), 1),
                "disk": round(median(it["disk"] for it in same), 1),
                "worker_cpu": round(min(it["worker_cpu"] for it in same), 1),
                "megabytes": round(max(it["megabytes"] for it in same)),
                "load": round(median(it["load"] for it in same), 1),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--messages", type=int, default=300_000)
    parser.add_argument("--workers", type=int, action="append", help="default 1, 2, 4")
    parser.add_argument("--latency", type=float, action="append", help="seconds; 0, 0.08")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--post", action="store_true", help="also real sends, to nginx")
    parser.add_argument("--encoder", default="direct", help="of these")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.workers = options.workers or [1, 2, 4]
    options.latency = options.latency or [0.0, 0.08]
    with tempfile.TemporaryDirectory(prefix="pushctl-bench-") as folder:
        sync_ms = measure_sync(Path(folder))
        project = Project(Path(folder), options.messages)
        runs = []
        for run in measure(project.folder, options):
            total = sum(run["cpu"].values())
            print(
                f"{run['workers']} workers, {run['latency'] * 1000:.0f} ms: "
                f"{run['rate']:,.0f}/s, {total:.1f} us",
                file=sys.stderr,
            )
            runs.append(run)
        posted = measure_posting(project, options) if options.post else []
    report = {
        "rows": summarise(runs),
        "posted": posted,
        "circumstances": {
            "messages": options.messages,
            "repeat": options.repeat,
            "cores": len(os.sched_getaffinity(0)),
            "load": os.getloadavg(),
            "sync_ms": round(sync_ms, 1),
            "python": sys.version.split()[0],
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    }
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        show(report["rows"])
        for row in posted:
            print(row)


def show(rows: list[dict]) -> None:
    print("workers  latency  messages/s  coordinator  " + "  ".join(PARTS) + "  disk  worker")
    for row in rows:
        parts = "  ".join(f"{row['cpu'][part]:>{len(part)}.1f}" for part in PARTS)
        print(
            f"{row['workers']:>7}{row['latency'] * 1000:>6.0f} ms{row['rate']:>12,}"
            f"{row['cpu_total']:>10.1f} us  {parts}{row['disk']:>6.1f}"
            f"{row['worker_cpu']:>8.1f}"
        )


if __name__ == "__main__":
    main()
