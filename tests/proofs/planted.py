"""
The effects planted in a generated history are found by the product's own figures.

    ./run python -m tests.proofs.planted --people 20000 --seed 7

The history (pushctl/demo/history) has effects with true values; planted.json has them. Each
line below asks the job behind a command, and holds its interval to the truth. An interval of
95 % misses one time in twenty; *--folder* asks a history that is there already.
"""

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pushctl import config as configs
from pushctl.config import Config
from pushctl.demo.history.generate import make
from pushctl.jobs.figures import arm_table, best_time, holdout, triggers
from pushctl.jobs.figures.filters import Filter
from pushctl.model import Millis
from pushctl.rules.figures.best_hours import BLOCKS, Block
from pushctl.store import Store

UNTIL = datetime(2026, 11, 30, tzinfo=UTC)
_Z = 1.959964  # of 95 %


class Found(NamedTuple):
    """An effect: its true value, and what was found, with an interval of 95 %."""

    name: str
    truth: float
    value: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        return self.low <= self.truth <= self.high

    def __str__(self) -> str:
        said = "" if self.holds else ": NOT in the interval"
        found = f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"
        return f"{self.name}: {found}, truly {self.truth:.3f}{said}"


def find_effects(config: Config, store: Store, now: Millis, truths: Any) -> Iterator[Found]:
    """Yield each effect as the product's figures have it; *truths* is planted.json."""
    asked = Filter(now=now)
    yield _find_variant_lift(store, config, asked, truths["variant_b_over_a"])
    rows = triggers.load(store, config, asked).rows
    (basket,) = (row for row in rows if row["trigger"] == "basket")
    more = truths["basket_bought_when_reminded"] - truths["basket_bought_in_control_group"]
    yield _read(basket, "increment", "stats triggers, basket, points", more)
    row = holdout.load(store, config, asked).rows[0]
    ratio = truths["buyers_with_messages_over_control_group"]
    yield _read(row, "lift", "stats holdout, buyers", ratio - 1)


def _read(row: Any, name: str, title: str, truth: float) -> Found:
    return Found(title, truth, row[name], row[f"{name}_low"], row[f"{name}_high"])


def _find_variant_lift(store: Store, config: Config, asked: Filter, truth: float) -> Found:
    """
    Return how many times as many messages of b are clicked as of a, over all tests.

    Mantel and Haenszel's ratio of risks, with the variance of Greenland and Robins.
    """
    tests: dict[str, dict[str, tuple[int, int]]] = {}
    for row in arm_table.list_arms(store, config, asked):
        counts: Any = (row["clicked"], row["accepted"])
        tests.setdefault(str(row["test"]), {})[str(row["arm"])] = counts
    above = below = spread = 0.0
    for arms in tests.values():
        (a, of_a), (b, of_b) = arms["a"], arms["b"]
        both = of_a + of_b
        if not both:
            continue
        above += b * of_a / both
        below += a * of_b / both
        spread += ((a + b) * of_a * of_b - a * b * both) / both**2
    width = _Z * math.sqrt(spread / (above * below))
    ratio = above / below
    return Found(
        f"stats ab, b over a in {len(tests)} tests",
        truth,
        ratio,
        ratio * math.exp(-width),
        ratio * math.exp(width),
    )


def find_block(config: Config, store: Store, now: Millis) -> tuple[str, bool]:
    """Return what best-time says of blocks, and whether that is true."""
    found = best_time.find_best_time(store, config, Filter(now=now))
    part = found.blocks
    said = " ".join(best_time.describe(found))
    if part.best is not None:
        return said, BLOCKS[part.best] is Block.AFTER
    # Too little was drawn by lots for a name: then none may be given.
    return said, not part.enough


def check(folder: Path, now: Millis) -> list[str]:
    """Print what is found in the history in *folder*; return what isn't as planted."""
    config = configs.load(folder / configs.FILE, {})
    truths = json.loads((folder / "planted.json").read_text("utf-8"))
    wrong = []
    with Store(config.database) as store:
        for one in find_effects(config, store, now, truths):
            print(one, flush=True)
            if not one.holds:
                wrong.append(str(one))
        said, is_true = find_block(config, store, now)
        print(f"best-time: {said}")
        if not is_true:
            wrong.append(said)
    return wrong


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="a history that is there already")
    asked = parser.parse_args(arguments)
    print(f"seed {asked.seed}")
    now = int(UNTIL.timestamp() * 1000)
    if asked.folder:
        wrong = check(asked.folder, now)
    else:
        with tempfile.TemporaryDirectory(prefix="pushctl-planted-") as made:
            folder = Path(made) / "history"
            sizes = {"deliveries": 50 / 3, "events": 100 / 3, "orders": 2 / 3}
            numbers = {name: int(asked.people * each) for name, each in sizes.items()}
            make(folder, people=asked.people, seed=asked.seed, until=UNTIL, **numbers)
            wrong = check(folder, now)
    sys.exit(f"{len(wrong)} not as planted" if wrong else 0)


if __name__ == "__main__":
    main()
