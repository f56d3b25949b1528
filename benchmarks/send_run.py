"""
One measured campaign of benchmarks/send.py, in a process of its own.

    python benchmarks/send_run.py PROJECT PORT CA ENCODER NAME

The clock runs from the frozen campaign to the last outcome on disk; starting the
workers is part of it. Prints {"seconds", "cpu_seconds", "sent", "failed", ...}.
"""

import json
import os
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))


def main() -> None:
    # Not at the top: each worker imports this file first, and needs none of it.
    from benchmarks.sink import HOST
    from pushctl import config as configuration
    from pushctl.jobs import broadcast, deliver
    from pushctl.store import Store

    folder, port, ca, encoder, name = sys.argv[1:]
    config = configuration.load(Path(folder) / "pushctl.toml", os.environ)
    loopback = configuration.LoopbackConfig({HOST: f"127.0.0.1:{port}"}, Path(ca))
    config = replace(config, push=replace(config.push, encoder=encoder, loopback=loopback))
    with Store(config.database) as store:
        now = time.time_ns() // 1_000_000
        wish = broadcast.Wish(everyone=True, template="bench", name=name)
        campaign = broadcast.freeze(store, broadcast.plan(store, config, wish, now), now)
        started, cpu = time.perf_counter(), _cpu()
        deliver.run(store, config, campaign, now)
        seconds = time.perf_counter() - started
        counts = store.deliveries.counts(campaign.id)
    # Children count once they have ended, which they have.
    figures = {
        "seconds": seconds,
        "cpu_seconds": _cpu() - cpu,
        "sent": counts.get("accepted", 0),
        "failed": sum(counts.values()) - counts.get("accepted", 0),
        "parent_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "worker_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "counts": counts,
    }
    print(json.dumps(figures))


def _cpu() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
