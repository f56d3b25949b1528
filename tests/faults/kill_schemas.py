"""
Kill upgrades from every schema that there was: the old one or the newest, with all rows.

    ./run python -m tests.faults.kill_schemas --kills 200 --seed 7

Half of them get a SIGKILL before a random line of the upgrade, half at a random moment. What
is left must be sound, the old schema or the newest as a whole, none between, and with all
rows; the next start upgrades it to the newest.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import sqlite_utils.migrations

from pushctl.store import KNOWN_MIGRATIONS, Store, upgrade
from tests.support import killed, schemas

ALL = len(KNOWN_MIGRATIONS)
# What runs the migrations' statements one by one, as a module; the name is the register's.
_STATEMENTS = sys.modules["pushctl.store.schema.migrations"]
TRACED = killed.files_of(upgrade, _STATEMENTS, sqlite_utils.migrations)


def kill_once(path: Path, count: int, chance: random.Random, *, at_line: bool) -> Counter[str]:
    """Kill the upgrade of a database with *count* migrations; return what was seen."""

    def work() -> None:
        Store(path).close()

    before, found = schemas.read(path), Counter[str]()
    if at_line:
        lines = 250 + 12 * (ALL - count)  # about what there are
        found["killed"] = killed.run(work, chance.randint(1, lines), TRACED)
    else:
        found["killed"] = killed.run_for(work, chance.uniform(0, 0.5))
    reached = schemas.count_applied(path)
    found["old" if reached == count else "new" if reached == ALL else "between"] = 1
    found["lost"] = bool(schemas.find_lost(before, schemas.read(path)))
    work()
    whole = schemas.count_applied(path) == ALL
    found["lost"] |= not whole or bool(schemas.find_lost(before, schemas.read(path)))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    given = parser.parse_args()
    chance, found = random.Random(given.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        for number in range(given.kills):
            count = chance.randrange(schemas.FIRST, ALL)
            folder = Path(name) / str(number)
            folder.mkdir()
            path = schemas.make(folder / "pushctl.db", count)
            found += kill_once(path, count, chance, at_line=number % 2 == 0)
    none = {"lost": 0, "between": 0}
    print(json.dumps({"seed": given.seed, "upgrades": given.kills, **none, **found}))
    return 1 if found["lost"] or found["between"] else 0


if __name__ == "__main__":
    sys.exit(main())
