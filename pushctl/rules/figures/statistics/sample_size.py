"""
How many people a test needs, and which difference it can see.

At the usual promise: a difference that does not exist is "seen" in 5 % of tests at most,
and one of the stated size is seen in 80 %. The unpooled formula, rounded up.
"""

import math

from pushctl.rules.figures.statistics.intervals import Z

POWER = 0.8  # the share of tests that see a difference of the stated size
_Z_POWER = 0.841621
_SQUARE = (Z + _Z_POWER) ** 2


def count_needed(base: float, other: float) -> int:
    """
    Return how many people each arm needs to tell *other* from *base*, both fractions.

    People are those whose message is expected to be accepted. ValueError where the two
    rates are the same.
    """
    if base == other:
        raise ValueError("two equal rates can't be told apart")
    spread = base * (1 - base) + other * (1 - other)
    return math.ceil(_SQUARE * spread / (other - base) ** 2)


def find_detectable(base: float, people: float, other_people: float) -> float | None:
    """
    Return the lowest rate above *base* that is seen, with so many *people* in each arm.

    None where not even 100 % would be. It is the larger root of the sample size's formula,
    solved for the other rate.
    """
    if people <= 0 or other_people <= 0:
        return None
    own, other = _SQUARE / people, _SQUARE / other_people
    # (1 + other) x^2 - (2 base + other) x + base^2 - own base (1 - base) = 0
    half = base + other / 2
    constant = base * base - own * base * (1 - base)
    root = (half + math.sqrt(half * half - (1 + other) * constant)) / (1 + other)
    return root if root < 1 else None


def count_person_periods(base: float, other: float, share: float) -> int:
    """
    Return how many people in all it takes to tell *other* from *base*, in unequal arms.

    *share* of them are in the arm with the rate *base*. Two periods of one person count as
    two people only where they have nothing to do with each other. ValueError where the two
    rates are the same, or *share* is no part of a whole.
    """
    if base == other:
        raise ValueError("two equal rates can't be told apart")
    if not 0 < share < 1:
        raise ValueError("both arms need people")
    spread = base * (1 - base) / share + other * (1 - other) / (1 - share)
    return math.ceil(_SQUARE * spread / (other - base) ** 2)
