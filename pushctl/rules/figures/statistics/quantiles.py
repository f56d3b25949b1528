"""
Quantiles of Student's t and of the Beta-Binomial, from the standard library alone.

The tests hold them to scipy's.
"""

import math

_STEPS = 500  # of the continued fraction; it ends long before
_EXACT = 1e-14
_HALVINGS = 200
_TINY = 1e-300


def find_student_quantile(level: float, freedom: float) -> float:
    """
    Return the quantile of Student's t: *level* is between 0 and 1, *freedom* above 0.

    *freedom*, the degrees of freedom, need not be whole. ValueError where either is not so.
    """
    if not 0 < level < 1 or freedom <= 0:
        raise ValueError("a quantile needs a level between 0 and 1, and degrees of freedom")
    if level == 0.5:
        return 0.0
    tail = min(level, 1 - level)
    low, high = 0.0, 1.0
    while _measure_tail(high, freedom) > tail:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if _measure_tail(middle, freedom) > tail:
            low = middle
        else:
            high = middle
    return math.copysign((low + high) / 2, level - 0.5)


def _measure_tail(value: float, freedom: float) -> float:
    """Return the chance that t is above *value*, which is not negative."""
    return measure_beta(freedom / (freedom + value * value), freedom / 2, 0.5) / 2


def measure_beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b) (DLMF 8.17)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):  # where the fraction of the other side ends sooner
        return 1 - measure_beta(1 - x, b, a)
    log = a * math.log(x) + b * math.log1p(-x) - _log_beta(a, b)
    return math.exp(log) * _continue_fraction(x, a, b) / a


def _continue_fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of DLMF 8.17.22, by Lentz's method."""
    value, above, below = 1.0, 1.0, 1 - (a + b) * x / (a + 1)
    below = 1 / (below or _TINY)
    value = below
    for step in range(1, _STEPS):
        even = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
        for part in (even, odd):
            below = 1 / ((1 + part * below) or _TINY)
            above = (1 + part / above) or _TINY
            value *= above * below
        if abs(above * below - 1) < _EXACT:
            break
    return value


def find_beta_binomial_quantiles(
    levels: tuple[float, ...], people: int, a: float, b: float
) -> tuple[int, ...]:
    """
    Return the smallest counts of *people* whose chance to be reached is each of *levels*.

    *levels* rise; the rate is Beta(*a*, *b*). It takes one step a count.
    """
    found: list[int] = []
    chance = math.exp(_log_beta(a, people + b) - _log_beta(a, b))
    whole, count = chance, 0
    for level in levels:
        while whole < level and count < people:
            chance *= (people - count) * (a + count) / ((count + 1) * (people - count - 1 + b))
            count += 1
            whole += chance
        found.append(count)
    return tuple(found)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
