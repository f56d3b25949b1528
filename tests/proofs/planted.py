"""
The effects planted in a generated history are found by the product's own figures.

    ./run python -m tests.proofs.planted --people 20000 --seed 7

The history (pushctl/demo/history) has effects with true values; planted.json has them. Each
line below asks the job behind a command, and holds its interval to the truth. An interval of
95 % misses one time in twenty; *--folder* asks a history that is there already. For the best
hour it makes a second history, whose broadcasts go out at hours drawn by lots: in the first
one too little is drawn for a name.
"""

import argparse
import json
import math
import sys
import tempfile
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pushctl import config as configs
from pushctl.config import Config
from pushctl.demo.history import planted
from pushctl.demo.history.generate import make
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.send_times import best_time
from pushctl.jobs.figures.tables import ab, holdout, leaving, triggers
from pushctl.model import Millis
from pushctl.rules.figures.send_times.best_hours import BLOCKS, Block
from pushctl.rules.figures.tables.leaving import FREQUENCIES
from pushctl.store import Store

UNTIL = datetime(2026, 11, 30, tzinfo=UTC)
_Z = 1.959964  # of 95 %
_DAY = 86_400_000
_OFTEN = ("4-6 a week", "7 or more")


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
    yield from find_churn(store, config, asked)


def find_churn(store: Store, config: Config, asked: Filter) -> Iterator[Found]:
    """
    Yield how many times as often people leave after frequent messages as on all other days.

    The truth is what the planted chances of all messages come to (counted here, from the rows),
    and what people do by themselves, on each row's own person-days.
    """
    kinds = ("message", "frequency")
    rows: Any = leaving.load(store, config, asked, kinds).rows
    groups = {row["value"]: row for row in rows if row["by"] == "frequency"}
    said = leaving.load(store, config, asked, ()).remarks[0].replace(",", "").split()
    lost, days = int(said[2]), int(said[5])
    left = _sum_chances(store)
    # What nobody's message is to blame for, a day.
    (message,) = (row for row in rows if row["by"] == "message")
    own = (lost - message["unsubscribed"]) / (days - message["days"])
    for word in _OFTEN:
        row = groups[word]
        others = sum(left.values()) - left[word] + own * (days - row["days"])
        expected = (left[word] / row["days"] + own) / (others / (days - row["days"]))
        yield _read(row, "ratio", f"stats leaving, {word}", expected)


def _sum_chances(store: Store) -> dict[str, float]:
    """Return how many should leave after messages, by how many their person had in 7 days."""
    person = _find_persons(store)
    sql = """
        SELECT d.subscription_id, d.sent_at FROM deliveries AS d
         WHERE d.status = 'accepted' AND d.sent_at IS NOT NULL
           AND d.subscription_id IS NOT NULL ORDER BY d.sent_at
    """
    found: dict[str, float] = defaultdict(float)
    of_browser: dict[int, deque[int]] = defaultdict(deque)
    of_person: dict[int, deque[int]] = defaultdict(deque)
    for row, at in store.connection.execute(sql):
        # As the generator counts: whole days, of a browser.
        day, days = at // _DAY, of_browser[row]
        days.append(day)
        while days[0] <= day - planted.OFTEN_DAYS:
            days.popleft()
        often = len(days) >= planted.OFTEN
        own = of_person[person[row]]
        own.append(at)
        while own[0] <= at - 7 * _DAY:
            own.popleft()
        word = next(word for most, word in FREQUENCIES if len(own) <= most)
        found[word] += planted.LEAVES * (planted.OFTEN_LEAVES if often else 1.0)
    return found


def _find_persons(store: Store) -> dict[int, int]:
    """Return the first subscription of each one's person, by the signed alias."""
    firsts: dict[tuple[int, str], int] = {}
    found: dict[int, int] = {}
    sql = "SELECT id, site_id, alias, alias_trusted FROM subscriptions ORDER BY id"
    for row, site, alias, trusted in store.connection.execute(sql):
        found[row] = firsts.setdefault((site, alias), row) if alias and trusted else row
    return found


def _read(row: Any, name: str, title: str, truth: float) -> Found:
    return Found(title, truth, row[name], row[f"{name}_low"], row[f"{name}_high"])


def _find_variant_lift(store: Store, config: Config, asked: Filter, truth: float) -> Found:
    """
    Return how many times as many messages of b are clicked as of a, over all tests.

    Mantel and Haenszel's ratio of risks, with the variance of Greenland and Robins.
    """
    tests: dict[str, dict[str, tuple[int, int]]] = {}
    for row in ab.list_arms(store, config, asked):
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


def make_hours(folder: Path, people: int, seed: int, campaigns: int) -> None:
    """Make a quarter of a year in which each broadcast goes out at all hours, by lots."""
    make(
        folder, people=people, seed=seed, until=UNTIL, days=90, campaigns=campaigns,
        deliveries=people * 200, events=people * 8, orders=people // 12, all_hours=True,
    )  # fmt: skip


def ask_best_time(folder: Path) -> best_time.BestTime:
    config = configs.load(folder / configs.FILE, {})
    with Store(config.database) as store:
        return best_time.find_best_time(store, config, Filter())


def check_hour(folder: Path) -> list[str]:
    """Print which hour is named; return what is wrong about it."""
    found = ask_best_time(folder)
    print(f"best-time, all hours by lots: {' '.join(best_time.describe(found))}")
    named = found.hours.best
    return [] if named == planted.BEST_HOUR else [f"the best hour is {named}"]


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
            folder, people = Path(made) / "history", asked.people
            make(
                folder, people=people, seed=asked.seed, until=UNTIL,
                deliveries=people * 50 // 3, events=people * 100 // 3, orders=people * 2 // 3,
            )  # fmt: skip
            wrong = check(folder, now)
            make_hours(Path(made) / "hours", 2 * people, asked.seed, people // 70)
            wrong += check_hour(Path(made) / "hours")
    sys.exit(f"{len(wrong)} not as planted" if wrong else 0)


if __name__ == "__main__":
    main()
