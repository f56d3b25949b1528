"""
Which arm is better? Exact answers from counts of people, by the Beta-Binomial model.

Before anything is known, every rate between 0 and 1 is as likely as any other (a flat
prior). After *clickers* of *people* the rate has the distribution
Beta(1 + clickers, 1 + people - clickers).

Probabilities are sums of positive terms, so a tiny one is right to its last digit, too;
it is never 1 less a large one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import lgamma, log
from operator import mul

from pushctl.rules.figures.statistics.beta_grid import Grid, make_grid

# The sum over this many terms takes 0.02 s; the grid takes that for any counts.
_MOST_TERMS = 20_000


@dataclass(frozen=True, slots=True)
class Count:
    """*clickers* of *people*: people with one message each, never clicks or messages."""

    clickers: int
    people: int

    def __post_init__(self) -> None:
        if not 0 <= self.clickers <= self.people:
            raise ValueError(f"{self.clickers} of {self.people} people can't be")

    @property
    def shape(self) -> tuple[int, int]:
        """Alpha and beta of the distribution of the rate."""
        return 1 + self.clickers, 1 + self.people - self.clickers


@dataclass(frozen=True, slots=True)
class Standing:
    """
    What is known of one arm among all.

    *best* is the probability that its rate is the highest. *loss* is what choosing it costs
    on average: how much higher the best arm's rate is, as a fraction of people.
    """

    best: float
    loss: float


def compute_greater(one: Count, other: Count) -> float:
    """Return the probability that the rate of *one* is above that of *other*."""
    alpha, beta = one.shape
    other_alpha, other_beta = other.shape
    if alpha > _MOST_TERMS:
        return rank([one, other])[0].best

    # Evan Miller's closed form (evanmiller.org/bayesian-ab-testing.html): a sum over the
    # successes of *one*.
    whole = _log_beta(other_alpha, other_beta)
    terms = (
        math.exp(
            _log_beta(other_alpha + i, beta + other_beta)
            - log(beta + i)
            - _log_beta(1 + i, beta)
            - whole
        )
        for i in range(alpha)
    )
    return min(1.0, math.fsum(terms))


def rank(counts: Sequence[Count]) -> list[Standing]:
    """
    Return the standing of each arm, in the same order.

    Any number of people: 5 million an arm take as long as 50. The relative error is below
    1e-7.
    """
    if len(counts) == 1:
        return [Standing(1.0, 0.0)]

    grid = make_grid([each.shape for each in counts])
    return [_describe(grid, i) for i in range(len(counts))]


def _describe(grid: Grid, arm: int) -> Standing:
    """
    P(best): the arm's density times the probability that all others are below it.

    E(the best rate - the arm's): P(arm below x, and not all others below x), over all x. The
    formula of the closed form subtracts two numbers that are almost the same.
    """
    others = (row for i, row in enumerate(grid.below) if i != arm)
    below = reduce(lambda one, other: list(map(mul, one, other)), others)
    best = grid.integrate(list(map(mul, grid.densities[arm], below)))
    above = [1 - each for each in below]
    loss = grid.integrate(list(map(mul, grid.below[arm], above)))
    return Standing(min(1.0, best), max(0.0, loss))  # but for rounding


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
