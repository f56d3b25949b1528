"""Rates of hours without what is chance, and how many sends it takes."""

import random

import pytest

from pushctl.rules.figures.send_times import best_hours
from pushctl.rules.figures.send_times.best_hours import Block, Count, Week

# methods-figures.md, section 7
CELLS = [
    Count(*each)
    for each in [(20, 400), (30, 500), (45, 450), (27, 300), (8, 200), (20, 250), (42, 350),
                 (9, 150)]
]  # fmt: skip


def test_rates_are_drawn_to_the_mean() -> None:
    found = best_hours.shrink(CELLS)
    assert found is not None
    assert found.mean == pytest.approx(0.0773077, abs=5e-8)
    assert found.alike == pytest.approx(0.00750061, abs=5e-9)
    assert found.prior == pytest.approx(132.323, abs=5e-4)
    assert found.rates[0] == pytest.approx(0.0567880, abs=5e-8)
    assert found.rates[6] == pytest.approx(0.108288, abs=5e-7)
    assert best_hours.choose(found, CELLS) == 6


def test_where_slots_differ_less_than_chance_would_no_difference_is_seen() -> None:
    even = [Count(70, 1000), Count(71, 1000), Count(69, 1000)]
    found = best_hours.shrink(even)
    assert found is not None
    assert found.alike <= 0
    assert found.prior is None
    assert found.rates == (found.mean,) * 3
    assert best_hours.choose(found, even) is None


@pytest.mark.parametrize(
    "counts", [[], [Count(1, 10)], [Count(0, 10), Count(0, 10)], [Count(5, 5), Count(5, 5)]]
)
def test_what_cannot_be_compared_gives_nothing(counts: list[Count]) -> None:
    assert best_hours.shrink(counts) is None
    assert best_hours.choose(None, counts) is None


def test_a_slot_without_sends_is_never_chosen() -> None:
    counts = [Count(0, 0), Count(50, 1000), Count(100, 1000)]
    found = best_hours.shrink(counts)
    assert found is not None
    assert found.rates[0] == found.mean
    assert best_hours.choose(found, counts) == 2


def test_many_sends_at_one_hour_help_little() -> None:
    assert best_hours.balance([100, 100, 100, 100]) == pytest.approx(400)
    assert best_hours.balance([1_000_000, 100, 100, 100]) == pytest.approx(533, rel=0.01)
    assert best_hours.balance([100, 0]) == 0
    assert best_hours.balance([]) == 0


def test_the_blocks_are_the_whole_week() -> None:
    week = Week()
    hours = [hour for block in Block for hour in week.list_hours(block)]
    assert sorted(hours) == [(day, hour) for day in range(7) for hour in range(24)]
    assert week.find_block(0, 8) is Block.BEFORE
    assert week.find_block(4, 9) is Block.WORK
    assert week.find_block(4, 17) is Block.AFTER
    assert week.find_block(5, 9) is Block.WEEKEND
    assert Week(8, 16, frozenset({4, 5})).find_block(6, 8) is Block.WORK


def test_the_numbers_of_people_keep_the_promise() -> None:
    """With even sends by lots the chosen block is within 3 % of the best in 80 % of cases."""
    draw = random.Random(3)
    week, right, chosen = Week(), 0, 0
    for _ in range(150):
        peak = draw.uniform(7, 22)
        rates = [0.07 * (1 - 0.02 * abs(hour - peak)) for hour in range(7, 22)]
        slots: dict[Block, list[float]] = {block: [] for block in Block}
        for day in range(7):
            for hour, rate in zip(range(7, 22), rates, strict=True):
                slots[week.find_block(day, hour)].append(rate)
        truth = [sum(each) / len(each) for each in slots.values()]
        sends = [best_hours.SENDS_FOR_BLOCKS // 4] * 4
        counts = [
            Count(draw.gauss(n * p, (n * p * (1 - p)) ** 0.5), n)
            for n, p in zip(sends, truth, strict=True)
        ]
        best = best_hours.choose(best_hours.shrink(counts), counts)
        if best is not None:
            chosen += 1
            right += truth[best] >= 0.97 * max(truth)
    assert chosen > 75
    assert right / chosen > 0.8
