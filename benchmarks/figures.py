"""
Measure every table of figures on a large history, beside the plain query and DuckDB.

    ./run python benchmarks/figures.py FOLDER [--runs 3] [--beside]

FOLDER is a project, such as `python -m pushctl.demo.history` makes; its kept figures are
deleted first. Each command runs as a process of its own, start included: the fastest of so
many runs, its CPU seconds and its memory. --beside runs what the same counts cost by SQL on the
rows, and by DuckDB on a copy of its own: its reader of SQLite's files has to be downloaded, so
the rows are exported to CSV and loaded first, which is timed as well.
"""

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pushctl.jobs.figures.tallies import NAMES
from pushctl.store import Store

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
    "stats times",
    "stats sites",
    "stats promo",
    "stats basket",
    "stats triggers",
    "stats holdout",
    "stats segments",
    "stats subscribers",
    "stats subscribers --by country",
    "best-time",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--beside", action="store_true")
    given = parser.parse_args()
    with Store(given.folder / "pushctl.db") as store:
        names = describe(store)
        store.kept_columns.drop()
    print(json.dumps(names))
    report("stats, nothing kept", run(given.folder, "stats", 1))
    for table in TABLES:
        report(table, run(given.folder, table.format(**names), given.runs))
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
    for _ in range(runs):
        began = time.monotonic()
        child = os.posix_spawn(
            sys.executable,
            command,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)],
        )
        _, status, used = os.wait4(child, 0)
        found.append({
            "seconds": round(time.monotonic() - began, 2),
            "cpu": round(used.ru_utime + used.ru_stime, 2),
            "mb": used.ru_maxrss // 1024,
            "code": os.waitstatus_to_exitcode(status),
        })  # fmt: skip
    return min(found, key=lambda one: one["cpu"])


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
        splits = ("language", "browser", "country", "site", "variant")
        report(
            "SQL: stats campaign",
            take(lambda: [store.reports.split(NAMES, number, by) for by in splits]),
        )
        with tempfile.TemporaryDirectory() as name:
            count_by_duckdb(store, Path(name))


def count_by_duckdb(store: Store, folder: Path) -> None:
    import duckdb

    tables = {
        "deliveries": "SELECT id, campaign_id, subscription_id, status FROM deliveries",
        "interactions": "SELECT delivery_id, kind FROM interactions",
        "people": "SELECT id, country FROM subscriptions",
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
    joined = """
        SELECT {0}, count(*), count(*) FILTER (d.status = 'accepted'),
               count(*) FILTER (i.seen), count(*) FILTER (i.clicked)
          FROM deliveries AS d
          LEFT JOIN (SELECT delivery_id, true AS seen, bool_or(kind = 'clicked') AS clicked
                       FROM interactions GROUP BY 1) AS i ON i.delivery_id = d.id
          LEFT JOIN people AS p ON p.id = d.subscription_id
         GROUP BY 1
    """
    for name, by in (("stats", "d.campaign_id"), ("stats campaigns --by country", "p.country")):
        report(
            f"DuckDB: {name}", take(lambda by=by: base.execute(joined.format(by)).fetchall())
        )


if __name__ == "__main__":
    main()
