"""What other rules would have brought: estimates by inverse probability."""

import math
import random

import pytest

from pushctl.rules.figures.experiments import counterfactual
from pushctl.rules.figures.experiments.counterfactual import Draw

# methods-figures.md, section 6: arm, propensity, reward
ROWS = [
    ("A", 0.5, 0), ("B", 0.5, 1), ("A", 0.5, 1), ("B", 0.5, 0), ("B", 0.7, 1), ("A", 0.3, 0),
    ("B", 0.7, 0), ("B", 0.7, 1), ("B", 0.9, 0), ("B", 0.9, 1), ("A", 0.1, 1), ("B", 0.9, 0),
]  # fmt: skip


def always(arm: str) -> list[float]:
    policy = {"x": {arm: 1.0}}
    return [
        counterfactual.weigh([Draw("x", drawn, chance)], policy) for drawn, chance, _ in ROWS
    ]


@pytest.mark.parametrize(
    ("arm", "value", "error", "people"),
    [("A", 9 / 13, 0.238492, 2.52239), ("B", 94 / 183, 0.181532, 7.57327)],
)
def test_the_estimate_of_always_one_arm(
    arm: str, value: float, error: float, people: float
) -> None:
    found = counterfactual.estimate(always(arm), [row[2] for row in ROWS], share=True)
    assert found.value == pytest.approx(value, abs=1e-12)
    assert found.error == pytest.approx(error, abs=5e-7)
    assert found.people == pytest.approx(people, abs=5e-6)


def test_steps_multiply() -> None:
    halves = [Draw(f"basket/{step}", "a", 0.5) for step in range(1, 6)]
    policy = {f"basket/{step}": {"a": 1.0} for step in range(1, 6)}
    assert counterfactual.weigh(halves, policy) == 32
    chance = math.prod(it.probability for it in halves)
    assert chance == 1 / 32


def test_a_choice_that_stays_as_it_was_weighs_nothing() -> None:
    draws = [Draw("basket/1", "a", 0.5), Draw("basket/2", "b", 0.1)]
    assert counterfactual.weigh(draws, {"basket/1": {"a": 0.75, "b": 0.25}}) == 1.5
    assert counterfactual.weigh(draws, {"basket/1": {"b": 1.0}}) == 0


def test_few_effective_people_are_refused() -> None:
    fault = counterfactual.find_fault([0.0, 2.0] * 99)
    assert fault is not None
    assert "99 effective of the 100" in fault
    assert counterfactual.find_fault([0.0, 2.0] * 101) is None


def test_a_broken_log_is_told() -> None:
    """Arms drawn at 80:20, and 50:50 written down."""
    draw = random.Random(1)
    arms = ["a" if draw.random() < 0.8 else "b" for _ in range(2_000)]
    weights = [counterfactual.weigh([Draw("x", arm, 0.5)], {"x": {"a": 1.0}}) for arm in arms]
    fault = counterfactual.find_fault(weights)
    assert fault is not None
    assert "not those of the draws" in fault
    assert counterfactual.find_fault([0.9] * 500) is not None
    assert counterfactual.find_fault([1.0] * 500) is None
    assert counterfactual.find_fault([]) == "nobody was drawn"


def test_what_was_never_possible_is_named() -> None:
    draws = [Draw("x", "a", 0.5), Draw("x", "b", 0.5), Draw("y", "a", 1.0)]
    assert counterfactual.find_unsupported(draws, {"x": {"a": 0.9, "b": 0.1}}) is None
    assert counterfactual.find_unsupported(draws, {"x": {"a": 0.9, "c": 0.1}}) == ("x", "c")
    assert counterfactual.find_unsupported(draws, {"x": {"a": 1.0, "c": 0.0}}) is None
    assert counterfactual.find_unsupported(draws, {"y": {"a": 1.0}}) is None
    assert counterfactual.find_unsupported(draws, {"y": {"b": 1.0}}) == ("y", "b")
    settled = [*draws, Draw("x", "a", 1.0)]
    assert counterfactual.find_unsupported(settled, {"x": {"a": 0.5, "b": 0.5}}) == ("x", "b")


def test_with_few_people_the_interval_is_wilsons() -> None:
    weights = [0.0, 2.0] * 150
    rewards = [0.0, 0.0] * 150
    rewards[1] = 1.0
    found = counterfactual.estimate(weights, rewards, share=True)
    assert found.people == pytest.approx(150)
    assert 0 < found.interval.low < found.value < found.interval.high
    none = counterfactual.estimate(weights, [0.0] * 300, share=True)
    assert none.interval.low == 0
    assert none.interval.high == pytest.approx(0.02497, abs=5e-5)  # Wilson, 0 of 150


def test_what_nobody_did_has_an_interval_with_a_width() -> None:
    none = counterfactual.estimate([1.0] * 1000, [0.0] * 1000, share=True)
    assert none.interval.low == 0
    assert none.interval.high == pytest.approx(0.003827, abs=5e-6)  # Wilson, 0 of 1000
    everybody = counterfactual.estimate([1.0] * 1000, [1.0] * 1000, share=True)
    assert everybody.interval.low == pytest.approx(1 - 0.003827, abs=5e-6)
    assert everybody.interval.high == 1
    # Of sums (orders of a person) nothing says how large they could be.
    sums = counterfactual.estimate([1.0] * 1000, [0.0] * 1000, share=False)
    assert (sums.interval.low, sums.interval.high) == (0, math.inf)


@pytest.mark.parametrize("people", [300, 800])
def test_intervals_cover_the_truth(people: int) -> None:
    draw = random.Random(11)
    covered, runs = 0, 80
    for _ in range(runs):
        rate = {"a": draw.uniform(0.02, 0.12), "b": draw.uniform(0.02, 0.12)}
        chance = draw.uniform(0.2, 0.8)
        new = draw.random()
        truth = new * rate["a"] + (1 - new) * rate["b"]
        weights, rewards = [], []
        for _ in range(people):
            arm = "a" if draw.random() < chance else "b"
            drawn = Draw("x", arm, chance if arm == "a" else 1 - chance)
            weights.append(counterfactual.weigh([drawn], {"x": {"a": new, "b": 1 - new}}))
            rewards.append(float(draw.random() < rate[arm]))
        interval = counterfactual.estimate(weights, rewards, share=True).interval
        covered += interval.low <= truth <= interval.high
    assert 0.88 <= covered / runs <= 0.99
