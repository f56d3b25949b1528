"""
One measured campaign of benchmarks/coordinator.py, in a process of its own.

    python benchmarks/coordinator_run.py PROJECT WORKERS LATENCY NAME [TEMPLATE]

LATENCY in seconds. Prints {"seconds", "sent", "failed", "cpu": {part: seconds}, ...}.
"""

import json
import os
import resource
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent))

if TYPE_CHECKING:
    from pushctl.model import Letter, Outcome
    from pushctl.push import Postbox

BATCH = 64  # letters that push/chunk.py journals at once


def answer(
    letters: Sequence["Letter"], postbox: "Postbox", *, latency: float = 0.0
) -> list["Outcome"]:
    """
    Do what ``push.send_chunk`` does with its journal; accept each letter after *latency*.

    All letters of a chunk are in flight at once.
    """
    from pushctl.model import Answer, Outcome
    from pushctl.push.journal import Journal

    outcomes = []
    with Journal(postbox.journal, postbox.run, letters) as journal:
        for start in range(0, len(letters), BATCH):
            journal.write_started([it.delivery for it in letters[start : start + BATCH]])
        if latency:
            time.sleep(latency)
        for start in range(0, len(letters), BATCH):
            made = [
                Outcome(it.delivery, Answer.ACCEPTED, "201", 201, latency=int(latency * 1000))
                for it in letters[start : start + BATCH]
            ]
            journal.write_answered(made)
            outcomes += made
    return outcomes


class Parts:
    """The CPU time that one thread spends in some calls, without the calls inside them."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inside = 0.0  # of the calls within the one that is measured

    def watch(self, owner: type, name: str, part: str) -> None:
        plain: Callable[..., Any] = getattr(owner, name)

        @wraps(plain)
        def call(*args: Any, **named: Any) -> Any:
            outer, self._inside, began = self._inside, 0.0, time.thread_time()
            try:
                return plain(*args, **named)
            finally:
                took = time.thread_time() - began
                self.seconds[part] += took - self._inside
                self._inside = outer + took

        setattr(owner, name, call)


class DiskWaits:
    """
    The time in which one thread waits for the disk: in a call, neither at work nor in line.

    The kernel counts how long a thread had a core and how long it waited for one; so the
    rest can be measured beside other programs too.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._counts = f"/proc/self/task/{threading.get_native_id()}/schedstat"

    def watch(self, owner: Any, name: str, first: str | None = None) -> None:
        """Measure calls of a function of *owner*; *first*: those alone with this text."""
        plain: Callable[..., Any] = getattr(owner, name)

        @wraps(plain)
        def call(*args: Any, **named: Any) -> Any:
            if first is not None and first not in args[1:2]:
                return plain(*args, **named)
            began = self._read_idle()
            try:
                return plain(*args, **named)
            finally:
                self.seconds += self._read_idle() - began

        setattr(owner, name, call)

    def _read_idle(self) -> float:
        ran, queued, _ = map(int, Path(self._counts).read_text().split())
        return time.perf_counter() - (ran + queued) / 1e9


def main() -> None:
    # Not at the top: each worker imports this file first, and needs none of it.
    from benchmarks.send_run import Watch
    from pushctl import config as configuration
    from pushctl.jobs.campaigns import broadcast
    from pushctl.jobs.campaigns.draft import Draft
    from pushctl.jobs.delivery import deliver, run
    from pushctl.jobs.delivery.claims.ledger import Ledger
    from pushctl.jobs.delivery.gates import restore_guard
    from pushctl.jobs.delivery.pools import pool, worker_format
    from pushctl.jobs.delivery.rendering.render import Renderer
    from pushctl.store import Store, connection
    from tests.support.rows import deliveries

    class _CountedWatch(Watch):
        own_seconds = 0.0

        def _look(self) -> None:
            super()._look()
            self.own_seconds = time.thread_time()

    folder, workers, latency, name, *more = sys.argv[1:]
    template = more[0] if more else "bench"
    config = configuration.load(Path(folder) / "pushctl.toml", os.environ)
    send = partial(worker_format.send, send_chunk=partial(answer, latency=float(latency)))

    def open_pool(
        config: object, postbox: "Postbox", count: int, look: object, *more: Any
    ) -> pool.Pool:
        made = pool.ProcessPool(int(workers), postbox, *more)
        made.send = send
        return made

    run.open_pool = open_pool
    parts = Parts()
    parts.watch(Ledger, "claim", "claiming")
    parts.watch(Renderer, "render", "rendering")
    parts.watch(Renderer, "prepare", "rendering")
    parts.watch(pool.ProcessPool, "submit", "handing over")
    parts.watch(pool.ProcessPool, "poll", "handing over")
    parts.watch(run.Sending, "_write", "booking")
    waits = DiskWaits()
    waits.watch(connection.Connection, "execute", "COMMIT")
    waits.watch(restore_guard, "write_generation")
    with Store(config.database) as store:
        now = time.time_ns() // 1_000_000
        wish = Draft(everyone=True, template=template, name=name, again=True)
        cpu, memory = _cpu(), _peak()
        campaign = broadcast.freeze(store, broadcast.plan(store, config, wish, now), now)
        planned = _cpu() - cpu, _peak() - memory
        waits.seconds = 0.0
        written = _written()
        began, own, cpu = time.perf_counter(), time.thread_time(), _cpu()
        with _CountedWatch() as watch:
            deliver.run(store, config, campaign, now)
        seconds = time.perf_counter() - began
        counts = deliveries(store, campaign.id)
        own, cpu, written = time.thread_time() - own, _cpu() - cpu, _written() - written
    took = dict(parts.seconds)
    took["the rest of the loop"] = own - sum(took.values())
    # The executor's threads: they pickle what goes out, and unpickle what comes back.
    took["handing over"] += cpu - own - watch.own_seconds
    figures = {
        "seconds": seconds,
        "sent": counts.get("accepted", 0),
        "failed": sum(counts.values()) - counts.get("accepted", 0),
        "cpu": took,
        "disk": waits.seconds,
        "worker_cpu": watch.cpu_seconds(),
        "megabytes": _peak() / 1e6,
        "plan_us": planned[0] * 1e6,
        "plan_bytes": planned[1],
        "written_bytes": written,
    }
    print(json.dumps(figures))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _written() -> int:
    """Return the bytes that this process has written to disk, its log and file together."""
    return int(Path("/proc/self/io").read_text().partition("\nwrite_bytes: ")[2].split()[0])


def _cpu() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


if __name__ == "__main__":
    main()
