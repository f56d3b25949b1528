"""
Kill upgrades of a database: is it the old one or the new one, and whole?

    python tests/faults/kill_upgrade.py --kills 200 --events 200000 --json

Each upgrade is of a fresh copy. Half of them get a SIGKILL at a random moment, half before
a random line of the upgrade's code. The database must then be sound and as it was, or
upgraded; in both cases the next start upgrades it to the same schema with the same rows.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import sqlite_utils.migrations

from pushctl.store import Store, upgrade
from pushctl.store.schema import m007_numbers
from tests.support import killed, older

TRACED = killed.files_of(
    upgrade, m007_numbers, sqlite_utils.migrations, sys.modules[Store.__module__]
)


def open_and_close(path: Path) -> None:
    Store(path).close()


def run(kills: int, events: int, seed: int) -> dict[str, object]:
    chance = random.Random(seed)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old = older.make(folder / "old.db", more=events)
        rows = older.read_rows(old)
        whole = killed.copy_database(old, folder / "whole" / "pushctl.db")
        began = time.monotonic()
        lines = killed.count_lines(lambda: open_and_close(whole), TRACED)
        took = time.monotonic() - began
        schema = older.read_schema(whole)
        for number in range(kills):
            path = killed.copy_database(old, folder / f"{number}" / "pushctl.db")

            def work(path: Path = path) -> None:
                open_and_close(path)

            if number % 2:
                dead = killed.run(work, chance.randint(1, lines), TRACED)
            else:
                dead = killed.run_for(work, chance.uniform(0, 1.2 * took))
            found["killed"] += dead
            found[older.read_state(path)] += 1
            found["changed"] += older.read_rows(path) != rows
            open_and_close(path)
            good = older.read_state(path) == "new" and older.read_schema(path) == schema
            found["lost"] += not good or older.read_rows(path) != rows
            for left in path.parent.iterdir():
                found["left behind"] += ".new" in left.name
                left.unlink()
    names = ("killed", "old", "new", "changed", "lost", "left behind")
    return {name: found[name] for name in names} | {"upgrades": kills, "seed": seed}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = run(given.kills, given.events, given.seed)
    print(json.dumps(figures) if given.json else figures)
    return 1 if figures["changed"] or figures["lost"] or figures["left behind"] else 0


if __name__ == "__main__":
    sys.exit(main())
