"""
Did people fall to the arms as planned? Where not, something left people out by arm, and no
figure of the test can be believed.

It counts persons assigned, never messages accepted or shown: those may depend on the arm.
"""

import math
from collections.abc import Iterator, Sequence
from math import lgamma, log

ALARM = 0.001  # a smaller p is no accident
_FEW = 5  # expected people of an arm, below which chi-square is wrong
_MOST_OUTCOMES = 200_000  # listed one by one: 0.5 s


def check_sample_ratio(assigned: Sequence[int], weights: Sequence[float]) -> float:
    """
    Return p: how often chance alone strays as far from *weights* as *assigned* does.

    Chi-square; where an arm expects fewer than five people, the exact multinomial test: the
    sum over all outcomes that are no likelier than this one. Where those are too many, the
    smallest arms are counted as one. 1.0 where nobody is assigned.
    """
    whole, people = math.fsum(weights), sum(assigned)
    arms = sorted(
        (weight / whole, count) for count, weight in zip(assigned, weights, strict=True)
    )
    if people == 0 or len(arms) < 2:
        return 1.0
    if people * arms[0][0] >= _FEW:
        return compute_chi_square_p(arms)
    if math.comb(people + len(arms) - 1, len(arms) - 1) <= _MOST_OUTCOMES:
        return compute_exact_p(arms)
    return compute_chi_square_p(_merge_small(arms, people))


def compute_upper_chi_square(value: float, degrees: int) -> float:
    """
    Return the probability that chi-square with so many *degrees* of freedom is higher.

    A sum of positive terms from 1/2 or 1 upwards: the upper incomplete gamma function.
    """
    half = value / 2
    if half <= 0:
        return 1.0
    shape = 0.5 if degrees % 2 else 1.0
    upper = math.erfc(math.sqrt(half)) if degrees % 2 else math.exp(-half)
    while shape < degrees / 2:
        upper += math.exp(shape * log(half) - half - lgamma(shape + 1))
        shape += 1
    return min(1.0, upper)


def compute_chi_square_p(arms: Sequence[tuple[float, int]]) -> float:
    """Return p by chi-square; *arms* are (share, people) of each, the shares adding up to 1."""
    people = sum(count for _, count in arms)
    if len(arms) < 2:
        return 1.0
    value = math.fsum((count - people * share) ** 2 / (people * share) for share, count in arms)
    return compute_upper_chi_square(value, len(arms) - 1)


def compute_exact_p(arms: Sequence[tuple[float, int]]) -> float:
    """Return p by the exact multinomial test; *arms* are (share, people) of each."""
    people = sum(count for _, count in arms)
    logs = [log(share) for share, _ in arms]

    def weigh(outcome: Sequence[int]) -> float:
        parts = (
            count * each - lgamma(count + 1) for count, each in zip(outcome, logs, strict=True)
        )
        return math.fsum(parts)

    # Equal probabilities may differ by a rounding error.
    seen = weigh([count for _, count in arms]) + 1e-7
    likely = (weigh(outcome) for outcome in _list_outcomes(people, len(arms)))
    total = math.fsum(math.exp(each + lgamma(people + 1)) for each in likely if each <= seen)
    return min(1.0, total)


def _list_outcomes(people: int, arms: int) -> Iterator[tuple[int, ...]]:
    if arms == 1:
        yield (people,)
        return
    for count in range(people + 1):
        for rest in _list_outcomes(people - count, arms - 1):
            yield (count, *rest)


def _merge_small(arms: Sequence[tuple[float, int]], people: int) -> list[tuple[float, int]]:
    """Return *arms*, smallest first, as fewer ones that expect five people or more each."""
    merged = list(arms)
    while len(merged) > 1 and people * merged[0][0] < _FEW:
        (share, count), (other, others), *rest = merged
        merged = sorted([(share + other, count + others), *rest])
    return merged
