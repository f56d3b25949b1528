"""
Measure every table of figures on a large history, beside the plain query and DuckDB.

    ./run python benchmarks/figures.py FOLDER [--runs 3] [--keep] [--beside] [--check]

FOLDER is a project, such as `python -m pushctl.demo.history` makes; its kept figures are
deleted first. Each command runs as a process of its own, start included, with its modules
compiled as by an installation, and once more before it is measured, so that what it keeps is
there: the fastest of so many runs, its CPU seconds, how many times those of `python -c pass` at
that moment, and its memory. --beside runs what the same counts
cost by SQL on the rows, and by DuckDB on a copy of its own: its reader of SQLite's files has to
be downloaded, so the rows are exported to CSV and loaded first, which is timed as well. What is
kept stays with --keep, and --check runs `stats --check`, the longest of all.
"""

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pushctl.jobs.figures.columns.status_counts import NAMES
from pushctl.store import Store

# Each run would compile hundreds of files with it.
UNCOMPILED = ("PYTHONDONTWRITEBYTECODE",)
CACHE = Path(tempfile.gettempdir()) / "pushctl-benchmark-bytecode"
TABLES = (
    "stats",
    "stats --last 7d",
    "campaigns list",
    "stats campaign {largest}",
    "stats campaigns",
    "stats campaigns --by country",
    "stats campaigns --by topic",
    "stats campaigns --since 30d",
    "stats campaigns --site {site}",
    "stats campaigns --by weekday",
    "stats times",
    "stats sites",
    "stats ab",
    "stats optin",
    "stats leaving",
    "stats promo",
    "stats basket",
    "stats triggers",
    "stats holdout",
    "stats segments",
    "stats subscribers",
    "stats subscribers --by country",
    "stats subscribers --show cohorts",
    "stats subscribers --show reach",
    "best-time",
    "forecast --scores",
    "replay --outcome --since 300d",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    for option in ("--keep", "--beside", "--check"):
        parser.add_argument(option, action="store_true")
    given = parser.parse_args()
    with Store(given.folder / "pushctl.db") as store:
        names = describe(store)
        if not given.keep:
            store.kept_columns.drop()
            store.kept_pages.drop()
    print(json.dumps(names))
    run(given.folder, "stats --help", 1)  # compiles
    if not given.keep:
        report("stats, nothing kept", run(given.folder, "stats", 1))
    for table in TABLES:
        report(table, run(given.folder, table.format(**names), given.runs))
    if given.check:
        report("stats --check", run(given.folder, "stats --check", 1))
    if given.beside:
        compare(given.folder, str(names["largest"]))


def describe(store: Store) -> dict[str, str | int]:
    """Return the sizes of the history, its largest campaign and its first site."""

    def read(sql: str) -> str | int:
        value: str | int = store.connection.execute(sql).fetchone()[0]
        return value

    counts = {
        table: read(f"SELECT count(*) FROM {table}")
        for table in ("subscriptions", "campaigns", "deliveries", "interactions", "orders")
    }
    largest = """
        SELECT name FROM campaigns WHERE id = (SELECT campaign_id FROM deliveries
                                                GROUP BY 1 ORDER BY count(*) DESC LIMIT 1)
    """
    site = "SELECT name FROM sites ORDER BY id LIMIT 1"
    return {**counts, "largest": read(largest), "site": read(site)}


def run(folder: Path, words: str, runs: int) -> dict[str, float]:
    """Return the shortest run: seconds, CPU seconds, memory in MB; code other than 0 is one."""
    # A name may have spaces: it is the last word.
    parts = words.split(" ", 2) if words.startswith("stats campaign ") else words.split(" ")
    command = [sys.executable, "-m", "pushctl", "--project", str(folder), *parts, "--json"]
    if words == "stats --check":
        command.pop()
    found = []
    if runs > 1:
        spawn(command)
    for _ in range(runs):
        nothing = min(spawn([sys.executable, "-c", "pass"])["cpu"] for _ in range(3))
        one = spawn(command)
        found.append({**one, "times pass": round(one["cpu"] / max(nothing, 0.001))})
    return min(found, key=lambda one: one["cpu"])


def spawn(command: list[str]) -> dict[str, float]:
    """Run *command* without its output; return what it took."""
    began = time.monotonic()
    settings = {name: text for name, text in os.environ.items() if name not in UNCOMPILED}
    child = os.posix_spawn(
        command[0],
        command,
        {**settings, "PYTHONPYCACHEPREFIX": str(CACHE)},
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)],
    )
    _, status, used = os.wait4(child, 0)
    return {
        "seconds": round(time.monotonic() - began, 2),
        "cpu": round(used.ru_utime + used.ru_stime, 3),
        "user": round(used.ru_utime, 3),
        "mb": used.ru_maxrss // 1024,
        "code": os.waitstatus_to_exitcode(status),
    }


def report(name: str, found: dict[str, float]) -> None:
    print(f"{name:32} {json.dumps(found)}", flush=True)


def take(work: Callable[[], object]) -> dict[str, float]:
    began, cpu = time.monotonic(), time.process_time()
    work()
    return {
        "seconds": round(time.monotonic() - began, 2),
        "cpu": round(time.process_time() - cpu, 2),
    }


def compare(folder: Path, largest: str) -> None:
    """Count all campaigns, and the largest by country, by SQL and by DuckDB."""
    with Store(folder / "pushctl.db") as store:
        number = store.campaigns.get(largest).id
        report("SQL: stats", take(lambda: store.reports.load_funnel(NAMES)))
        for name, by in (("stats campaigns", "d.campaign_id"), ("--by country", "s.country")):
            report(f"SQL: {name}", take(partial(read_all, store, JOINED.format(by))))
        one = JOINED.format("s.country").replace(
            "WHERE true", f"WHERE d.campaign_id = {number}"
        )
        report("SQL: stats campaign, country", take(partial(read_all, store, one)))
        with tempfile.TemporaryDirectory() as folder_of_duckdb:
            count_by_duckdb(store, Path(folder_of_duckdb))


# What both databases understand: the rows alone, without any figure that is made of them.
JOINED = """
    SELECT {0}, count(*), sum(CASE WHEN d.status = 'accepted' THEN 1 ELSE 0 END),
           count(i.delivery_id), sum(i.clicked)
      FROM deliveries AS d
      LEFT JOIN (SELECT delivery_id,
                        max(CASE WHEN kind = 'clicked' THEN 1 ELSE 0 END) AS clicked
                   FROM interactions GROUP BY 1) AS i ON i.delivery_id = d.id
      LEFT JOIN subscriptions AS s ON s.id = d.subscription_id
     WHERE true GROUP BY 1
"""


def read_all(store: Store, sql: str) -> None:
    store.connection.execute(sql).fetchall()


def count_by_duckdb(store: Store, folder: Path) -> None:
    import duckdb

    tables = {
        "deliveries": "SELECT id, campaign_id, subscription_id, status FROM deliveries",
        "interactions": "SELECT delivery_id, kind FROM interactions",
        "subscriptions": "SELECT id, country FROM subscriptions",
    }
    base = duckdb.connect(str(folder / "figures.duckdb"))

    def load() -> None:
        for name, sql in tables.items():
            file = folder / f"{name}.csv"
            with file.open("w", newline="") as out:
                cursor = store.connection.execute(sql)
                writer = csv.writer(out)
                writer.writerow(column[0] for column in cursor.description)
                writer.writerows(cursor)
            base.execute(f"CREATE TABLE {name} AS SELECT * FROM read_csv('{file}')")
            file.unlink()

    report("DuckDB: export and load", take(load))
    for name, by in (("stats campaigns", "d.campaign_id"), ("--by country", "s.country")):
        report(f"DuckDB: {name}", take(partial(base.execute, JOINED.format(by))))


if __name__ == "__main__":
    main()
