"""
What a number of subscribers takes, and where one coordinator ends: the model of docs/scale.md.

    ./run python benchmarks/scale.py [--subscribers 100000000] [--cores 8] [--json]
    ./run python benchmarks/scale.py --check coordinator.json

Prints a table from the constants below, each of which was measured; docs/scale.md says how.
``--check`` takes what `benchmarks/coordinator.py --json` printed, and holds each measured
rate against the rate that the model predicts from the CPU of one of the rows alone.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

SECOND = 1_000_000  # microseconds
CHUNK = 500  # letters that a worker has at a time (jobs/delivery/pools/pool.py)
SLOTS = 2  # chunks for each worker, one of them waiting
CLAIM = 2_000  # rows that one transaction claims at most (jobs/delivery/types.py)


@dataclass(frozen=True)
class Costs:
    """What one unit costs; microseconds are CPU of one core."""

    coordinator_us: float = 19.6  # a message: claimed, handed over, booked
    worker_us: float = 183.0  # a message: written, encrypted, posted (`direct`)
    turbo_us: float = 83.0  # the same with `turbo`
    sync_ms: float = 2.6  # until the disk has a commit
    syncs: int = 2  # of each turn: the commit, and the generation beside the database
    subscriber_bytes: int = 522
    message_bytes: int = 130
    event_bytes: int = 196
    written_bytes: int = 900  # to disk, a message: log and file together
    event_us: float = 180.0  # to apply one from the inbox
    receiver_events: int = 15_300  # a second, one process
    backup_us: float = 35.0  # a kilobyte
    plan_us: float = 27.0  # a subscriber of a broadcast: found, rehearsed, frozen
    plan_bytes: int = 26  # of memory, while it is planned


@dataclass(frozen=True)
class Setting:
    workers: int
    latency: float  # seconds
    cores: float  # that coordinator and workers share; workers elsewhere: set apart
    apart: bool = False  # the workers have cores of their own
    others_us: float = 0.0  # what else each message costs on these cores: a push service
    rivals: float = 0.0  # other processes that want a core, on average


def find_limits(costs: Costs, setting: Setting) -> dict[str, float]:
    """Return messages a second by what limits them; the least one is the rate."""
    # Of a shared machine each process that wants a core gets its part.
    share = 1.0
    if setting.rivals:
        share = min(1.0, setting.cores / (setting.rivals + 1))
    turn = min(CLAIM, CHUNK * SLOTS * setting.workers)
    waits = costs.syncs * costs.sync_ms * 1000 / turn
    chunk = CHUNK * costs.worker_us / share + setting.latency * SECOND
    limits = {
        "coordinator": SECOND / (costs.coordinator_us / share + waits),
        "workers": setting.workers * CHUNK * SECOND / chunk,
    }
    if not setting.apart:
        each = costs.coordinator_us + costs.worker_us + setting.others_us
        limits["cores"] = setting.cores * SECOND / each
    return limits


def predict(costs: Costs, setting: Setting) -> tuple[float, str]:
    """Return messages a second, and what limits them."""
    limits = find_limits(costs, setting)
    name = min(limits, key=lambda it: limits[it])
    return limits[name], name


def count_saturating(costs: Costs, latency: float) -> int:
    """Return how many workers with cores of their own one coordinator keeps busy."""
    workers = 1
    while predict(costs, Setting(workers, latency, 0, apart=True))[1] == "workers":
        workers += 1
    return workers


def size_up(costs: Costs, subscribers: int, cores: int) -> dict[str, str]:
    """Return what *subscribers* take, each with its unit."""

    def gigabytes(each: float) -> str:
        return f"{subscribers * each / 1e9:,.2f} GB"

    def last(each_us: float) -> str:
        seconds = subscribers * each_us / SECOND
        if seconds < 120:
            return f"{seconds:,.0f} s"
        return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"

    kept = costs.subscriber_bytes + 10 * costs.message_bytes + 10 * costs.event_bytes
    # Two workers a core, and a service 80 ms away.
    setting = Setting(2 * cores, 0.08, cores)
    plain, plain_limit = predict(costs, setting)
    turbo, turbo_limit = predict(replace(costs, worker_us=costs.turbo_us), setting)
    peak = 3 * subscribers / 86400  # events a second: one a day each, thrice as dense at noon
    return {
        "database: subscribers": gigabytes(costs.subscriber_bytes),
        "each broadcast adds": gigabytes(costs.message_bytes),
        "with ten broadcasts, ten events each": gigabytes(kept),
        "backup of that, one core": last(kept / 1000 * costs.backup_us),
        "a broadcast planned, one core": last(costs.plan_us),
        "memory while it is planned": gigabytes(costs.plan_bytes),
        "messages/s, plain": f"{plain:,.0f} ({plain_limit})",
        "a broadcast sent, plain": last(SECOND / plain),
        "messages/s, turbo": f"{turbo:,.0f} ({turbo_limit})",
        "a broadcast sent, turbo": last(SECOND / turbo),
        "written to disk meanwhile": gigabytes(costs.written_bytes),
        "receivers, an event a day each": f"{peak / costs.receiver_events:,.2f}",
        "those events applied, one core": last(costs.event_us),
    }


def check(report: dict) -> list[dict]:
    """Return measured and predicted rates; CPU is that of the rows with least."""
    rows, posted, circumstances = report["rows"], report["posted"], report["circumstances"]
    free = Costs(
        coordinator_us=min(row["cpu_total"] for row in rows),
        worker_us=min(row["worker_cpu"] for row in rows),
        sync_ms=circumstances["sync_ms"],
    )
    found = [compare(row, free, circumstances["cores"], 0.0, "accept") for row in rows]
    if posted:
        whole = min(row["cpu_total"] for row in posted)
        costs = replace(free, worker_us=whole - free.coordinator_us)
        sink = min(row["sink_cpu"] for row in posted)
        found += [compare(it, costs, circumstances["cores"], sink, "post") for it in posted]
    return found


def compare(row: dict, costs: Costs, cores: float, others_us: float, do: str) -> dict:
    # A load of two is our own.
    rivals = max(0.0, row["load"] - 2)
    setting = Setting(row["workers"], row["latency"], cores, others_us=others_us, rivals=rivals)
    rate, name = predict(costs, setting)
    return {
        "workers": row["workers"],
        "latency": row["latency"],
        "do": do,
        "load": row["load"],
        "measured": row["rate"],
        "predicted": round(rate),
        "error": round(rate / row["rate"] - 1, 2),
        "limit": name,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--subscribers", type=int, action="append")
    parser.add_argument("--cores", type=int, default=8)
    parser.add_argument("--check", type=Path, help="what coordinator.py --json printed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    costs = Costs()
    if options.check is not None:
        rows = check(json.loads(options.check.read_text()))
        if options.json:
            print(json.dumps(rows, indent=2))
        else:
            show_check(rows)
        return
    sizes = options.subscribers or [300_000, 1_000_000, 10_000_000, 100_000_000]
    tables = {size: size_up(costs, size, options.cores) for size in sizes}
    saturating = {latency: count_saturating(costs, latency) for latency in (0.0, 0.08)}
    if options.json:
        told = {"costs": asdict(costs), "sizes": tables, "saturating": saturating}
        print(json.dumps(told, indent=2))
        return
    show(tables)
    for latency, workers in saturating.items():
        print(f"one coordinator keeps {workers} workers busy at {latency * 1000:.0f} ms")


def show(tables: dict[int, dict[str, str]]) -> None:
    print(" " * 38 + "".join(f"{size:>22,}" for size in tables))
    for what in next(iter(tables.values())):
        print(f"{what:38}" + "".join(f"{table[what]:>22}" for table in tables.values()))


def show_check(rows: Sequence[dict]) -> None:
    print("workers  do      latency  load   measured  predicted  error  limit")
    for row in rows:
        place = f"{row['workers']:>7}  {row['do']:6}{row['latency'] * 1000:>6.0f} ms"
        print(
            f"{place}{row['load']:>6.1f}{row['measured']:>11,}{row['predicted']:>11,}"
            f"{row['error']:>+7.0%}  {row['limit']}"
        )


if __name__ == "__main__":
    main()
