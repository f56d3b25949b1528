"""
What other rules would have brought, from the probabilities with which people were drawn.

Each person weighs as much as the other rules would have made their draws likelier:
w = pi_new / pi_log, multiplied over their draws. The estimate is V = sum(w r) / sum(w), the
self-normalised inverse propensity estimate (Swaminathan, Joachims 2015), with
se = sqrt(sum(w^2 (r - V)^2)) / sum(w) and the effective sample size (sum w)^2 / sum(w^2).
The unit is the person: what one person did is summed before.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import mul

from pushctl.rules.figures.statistics.intervals import Interval, Z, measure_share

LEAST_PEOPLE = 100  # effective: intervals of fewer hold the truth in 72 to 83 % of cases
SURE_PEOPLE = 400  # effective: from here on the normal interval keeps its promise
BROKEN = 3.0  # standard errors that the mean weight may be off 1


@dataclass(frozen=True, slots=True)
class Estimate:
    """
    A person's mean reward under other rules; *people* is the effective sample size.

    *share*: the reward is 0 or 1, so the interval stays within 0 and 1.
    """

    value: float
    error: float
    people: float
    share: bool = False

    @property
    def interval(self) -> Interval:
        """
        Return the interval of 95 %; with few people that of Wilson, for shares.

        So it is where nobody differs: that none of 400 bought does not say that nobody would.
        What is no share has no upper bound then: infinity.
        """
        value, error = self.value, self.error
        if error <= 0 and not self.share:
            return Interval(value, 0.0, math.inf)
        if self.share and (self.people < SURE_PEOPLE or error <= 0):
            spread = value * (1 - value)
            count = min(self.people, spread / error**2) if error > 0 else self.people
            found = measure_share(value * count, count)
            return Interval(value, found.low, found.high)
        low, high = value - Z * error, value + Z * error
        return Interval(value, max(0.0, low), min(1.0, high) if self.share else high)


def estimate(weights: Sequence[float], rewards: Sequence[float], *, share: bool) -> Estimate:
    """
    Return what a person would have brought: one weight and one reward for each.

    Raises ValueError where nobody has a weight; ``find_fault`` is asked before.
    """
    gains = [weight * reward for weight, reward in zip(weights, rewards, strict=True)]
    return estimate_sums(weights, gains, share=share)


def estimate_sums(weights: Sequence[float], gains: Sequence[float], *, share: bool) -> Estimate:
    """
    Return the same from sums within persons: of weights, and of weights times rewards.

    With *share* each reward is 0 or 1.
    """
    whole = math.fsum(weights)
    if whole <= 0:
        raise ValueError("nobody was drawn as the other rules would have drawn them")
    value = math.fsum(gains) / whole
    off = [gain - weight * value for weight, gain in zip(weights, gains, strict=True)]
    squares = math.fsum(map(mul, off, off))
    return Estimate(value, math.sqrt(squares) / whole, count_effective(weights), share)


def count_effective(weights: Iterable[float]) -> float:
    """Return how many equally weighted people say as much as these (Kish 1965)."""
    known = list(weights)
    squares = math.fsum(map(mul, known, known))
    return math.fsum(known) ** 2 / squares if squares else 0.0


def find_fault(weights: Sequence[float]) -> str | None:
    """
    Return why nothing can be said with these weights, or None.

    The mean weight is 1 where each stored probability is the one that people were drawn with,
    and no draw is missing.
    """
    count = len(weights)
    if not count:
        return "nobody was drawn"
    mean = math.fsum(weights) / count
    spread = math.fsum((weight - mean) ** 2 for weight in weights) / max(count - 1, 1)
    error = math.sqrt(spread / count)
    if abs(mean - 1) > max(BROKEN * error, 1e-9):
        return (
            f"the stored probabilities are not those of the draws: weights have the mean "
            f"{mean:.3f} where 1 was due"
        )
    return find_few(weights)


def find_few(weights: Sequence[float]) -> str | None:
    """Return why these are too few people, or None; a weight is the sum of one person's."""
    effective = count_effective(weights)
    if effective >= LEAST_PEOPLE:
        return None
    return (
        f"too few people were drawn that way: {effective:.0f} effective of the "
        f"{LEAST_PEOPLE} that it takes"
    )


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw of a person: of which choice, what came, and with which probability."""

    choice: str  # "basket/2"
    action: str  # "b"
    probability: float


Policy = Mapping[str, Mapping[str, float]]  # the new probabilities, by choice and action


def weigh(draws: Iterable[Draw], policy: Policy) -> float:
    """
    Return the weight of a person: the product over their *draws*.

    A choice that *policy* does not name stays as it was.
    """
    return math.prod(
        policy[it.choice].get(it.action, 0.0) / it.probability
        for it in draws
        if it.choice in policy
    )


def find_unsupported(draws: Iterable[Draw], policy: Policy) -> tuple[str, str] | None:
    """
    Return the choice and action that *policy* takes and that was never possible, or None.

    Possible is what was drawn from these *draws*, with a probability above 0. A draw that
    was none (probability 1) leaves every other action of its choice without support there.
    """
    drawn: dict[str, set[str]] = {}
    settled: dict[str, set[str]] = {}
    for it in draws:
        drawn.setdefault(it.choice, set()).add(it.action)
        if it.probability >= 1:
            settled.setdefault(it.choice, set()).add(it.action)
    for choice, shares in policy.items():
        wanted = [action for action, share in shares.items() if share > 0]
        for action in wanted:
            if choice in drawn and action not in drawn[choice]:
                return choice, action
        for only in settled.get(choice, ()):
            for action in wanted:
                if action != only:
                    return choice, action
    return None
