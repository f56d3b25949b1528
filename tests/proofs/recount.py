"""
Every cell of every table counted twice, on random histories: equal to the last digit.

    ./run python -m tests.proofs.recount --histories 200 --seed 7

Each history is a small project with everything odd in it (tests/support/histories.py). The
other count is plain Python over raw rows, with none of the product's code: a file of
tests/support/recount for each table, whose function ``check(history)`` compares all cells,
raises AssertionError where one differs, and returns how many it compared.
"""

import argparse
import importlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.support.histories import History, make_random_history

# Modules of tests/support/recount that have a ``check``, one a line.
CHECKS: Sequence[str] = (
    "ab",
    "answers",
    "basket",
    "holdout",
    "leaving",
    "optin",
    "performance",
    "promo",
    "sites",
    "subscribers",
    "triggers",
)


def check(history: History, names: Sequence[str] = CHECKS) -> Counter[str]:
    """Recount *history*; return how many cells each of *names* compared."""
    found: Counter[str] = Counter()
    for name in names:
        module = importlib.import_module(f"tests.support.recount.{name}")
        found[name] += module.check(history)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=CHECKS)
    asked = parser.parse_args(arguments)
    print(f"seed {asked.seed}")
    cells: Counter[str] = Counter()
    for number in range(asked.seed, asked.seed + asked.histories):
        with tempfile.TemporaryDirectory(prefix="pushctl-recount-") as folder:
            history = make_random_history(number, Path(folder) / "h", people=asked.people)
            try:
                cells += check(history, asked.only)
            except AssertionError as error:
                sys.exit(f"history {number}: {error}")
            finally:
                history.close()
    for name, count in cells.items():
        print(f"{name}: {count} cells are equal in {asked.histories} histories")


if __name__ == "__main__":
    main()
