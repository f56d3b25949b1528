"""
Hours drawn by lots: how often the chosen block of the week is within 3 % of the best.

    ./run python -m tests.proofs.best_time --runs 2000

Each run is a shop whose click rate goes up and down with the hour (best to worst 10, 20 or
30 %, 15 hours of each day, another curve at weekends) and whose campaigns differ by texts with
a coefficient of variation of .35. As many messages as `pushctl best-time` asks for go out at
hours drawn by lots from a week. Its own functions then measure, draw to the mean and choose.
80 % are promised of the runs in which a block is named.
"""

import argparse
import math
from dataclasses import dataclass

import numpy as np

from pushctl.rules.figures.send_times import best_hours, random_hours
from pushctl.rules.figures.send_times.best_hours import BLOCKS, Count, Week

HOURS = range(7, 22)
CAMPAIGNS = 10
BASE = 0.07
SPREAD = 0.35
SPANS = (0.1, 0.2, 0.3)


@dataclass(frozen=True)
class Found:
    """Of *runs*: in how many a block was *named*, and in how many of these it was *right*."""

    span: float
    runs: int
    named: int
    right: int

    @property
    def share(self) -> float:
        return self.right / self.named if self.named else math.nan


def prove(span: float, runs: int, sends: int, draw: np.random.Generator) -> Found:
    """Return how often the chosen block was within 3 % of the best one."""
    week = Week()
    block = np.array(
        [BLOCKS.index(week.find_block(day, hour)) for day in range(7) for hour in HOURS]
    )
    named = right = 0
    for _ in range(runs):
        rates = np.concatenate([_curve(span, draw, 5), _curve(span, draw, 2)])
        truth = np.array([rates[block == place].mean() for place in range(len(BLOCKS))])
        best = _choose(block, rates, sends, draw)
        if best is not None:
            named += 1
            right += bool(truth[best] >= 0.97 * truth.max())
    return Found(span, runs, named, right)


def _curve(span: float, draw: np.random.Generator, days: int) -> "np.ndarray":
    """Return the rates of an hour of *days*, best to worst *span*; the mean is about BASE."""
    angle = 2 * np.pi * (np.arange(len(HOURS)) - draw.uniform(0, len(HOURS))) / len(HOURS)
    return np.tile(BASE * (1 + span * (np.cos(angle) - 1) / 2), days)


def _choose(
    block: "np.ndarray", rates: "np.ndarray", sends: int, draw: np.random.Generator
) -> int | None:
    hour = draw.integers(0, len(rates), sends)
    campaign = draw.integers(0, CAMPAIGNS, sends)
    text = np.exp(draw.normal(0, SPREAD, CAMPAIGNS) - SPREAD**2 / 2)
    clicked = draw.random(sends) < np.minimum(rates[hour] * text[campaign], 1)
    person = np.arange(1, sends + 1)
    probability = np.full(sends, 1 / len(rates))
    measured = random_hours.measure_slots(
        len(BLOCKS), block[hour], campaign, person, clicked, probability
    )
    counts = [one.count if one.count.sends >= 200 else Count(0, 0) for one in measured]
    return best_hours.choose(best_hours.shrink(counts), counts)


def find_sends() -> int:
    """Return how many sends over all hours compare the blocks as well as is asked for."""
    week = Week()
    hours = [week.find_block(day, hour) for day in range(7) for hour in HOURS]
    shares = [hours.count(one) / len(hours) for one in BLOCKS]
    return round(best_hours.SENDS_FOR_BLOCKS / best_hours.balance(shares))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    draw = np.random.default_rng(asked.seed)
    sends = find_sends()
    print(f"seed {asked.seed}, {asked.runs:,} shops of each kind, {sends:,} sends each")
    for span in SPANS:
        found = prove(span, asked.runs, sends, draw)
        named = found.named / found.runs
        print(f"best to worst {span:.0%}: named {named:.1%}, within 3 % {found.share:.1%}")


if __name__ == "__main__":
    main()
