"""
One measured campaign of benchmarks/send.py, in a process of its own.

    python benchmarks/send_run.py PROJECT PORT CA ENCODER NAME [TEMPLATE [POOL]]

The clock runs from the frozen campaign to the last outcome on disk; starting the
workers is part of it. Prints {"seconds", "cpu_seconds", "sent", "failed", ...};
"cpu_seconds_parent" is this process's part of it, "cpu_seconds_before" planning and freezing,
"left" what was not sent, and why.
"""

import json
import os
import resource
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))


def main() -> None:
    # Not at the top: each worker imports this file first, and needs none of it.
    from benchmarks.sink import HOST
    from pushctl import config as configuration
    from pushctl.jobs.campaigns import broadcast
    from pushctl.jobs.campaigns.draft import Draft
    from pushctl.jobs.delivery import deliver
    from pushctl.store import Store
    from tests.support.rows import deliveries

    folder, port, ca, encoder, name, *more = sys.argv[1:]
    template, pool = [*more, *("bench", None)[len(more) :]]
    config = configuration.load(Path(folder) / "pushctl.toml", os.environ)
    loopback = configuration.LoopbackConfig({HOST: f"127.0.0.1:{port}"}, Path(ca))
    config = replace(config, push=replace(config.push, encoder=encoder, loopback=loopback))
    with Store(config.database) as store:
        now = time.time_ns() // 1_000_000
        wish = Draft(everyone=True, template=template, name=name, again=True, promo=pool)
        cpu = _cpu()
        campaign = broadcast.freeze(store, broadcast.plan(store, config, wish, now), now)
        before = _cpu() - cpu
        started, cpu = time.perf_counter(), _cpu()
        with Watch() as watch:
            report = deliver.run(store, config, campaign, now)
        seconds, parent = time.perf_counter() - started, _cpu() - cpu
        counts = deliveries(store, campaign.id)
        reasons = store.deliveries.count_reasons(campaign.id)
    figures = {
        "seconds": seconds,
        "cpu_seconds": parent + watch.cpu_seconds(),
        "cpu_seconds_parent": parent,
        "cpu_seconds_before": before,
        "sent": counts.get("accepted", 0),
        "failed": sum(counts.values()) - counts.get("accepted", 0),
        "parent_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "worker_mb": watch.megabytes,
        "counts": counts,
        "left": [row for row in reasons if row[0] != "accepted"],
        "notes": report.notes,
    }
    print(json.dumps(figures))


class Watch:
    """
    What the workers cost: processes that an ancestor, our child, forked and waits for.

    Their memory is the largest of samples, 20 a second.
    """

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._ancestor: Path | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def cpu_seconds(self) -> float:
        """Return what the ancestor and all workers took, once those have ended."""
        if self._ancestor is None:
            return 0.0
        fields = (self._ancestor / "stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def _look(self) -> None:
        while not self._done.wait(0.05):
            for process in _children(Path("/proc/self")):
                if b"forkserver" in (process / "cmdline").read_bytes():
                    self._ancestor = process
            for worker in _children(self._ancestor) if self._ancestor else []:
                with suppress(OSError):
                    status = (worker / "status").read_text()
                    peak = status.partition("VmHWM:")[2].split()
                    self.megabytes = max(self.megabytes, int(peak[0]) / 1024 if peak else 0)


def _children(process: Path) -> list[Path]:
    found: list[Path] = []
    for file in process.glob("task/*/children"):
        with suppress(OSError):
            found += [Path("/proc") / number for number in file.read_text().split()]
    return found


def _cpu() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


if __name__ == "__main__":
    main()
