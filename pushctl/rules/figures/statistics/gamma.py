"""Quantiles of chi-square and of Student's t, without scipy; upper tails are their own sums."""

import math
from statistics import NormalDist

_STEPS = 200
_CLOSE = 1e-15


def find_chi_square(share: float, degrees: float) -> float:
    """Return the value below which chi-square lies with probability *share*."""
    if not (0 < share < 1 and degrees > 0):
        raise ValueError("share in (0, 1) and degrees above 0")
    shape = degrees / 2
    # Wilson and Hilferty (1931) come close; then bisection between safe bounds, and Newton.
    normal = NormalDist().inv_cdf(share)
    guess = shape * max(1e-3, 1 - 1 / (9 * shape) + normal / (3 * math.sqrt(shape))) ** 3
    low, high = 0.0, math.inf
    point = guess
    for _ in range(_STEPS):
        lower, upper = compute_gamma(shape, point)
        # The smaller of both is exact to the last digits.
        miss = lower - share if share <= 0.5 else (1 - share) - upper
        low, high = (point, high) if miss < 0 else (low, point)
        density = math.exp((shape - 1) * math.log(point) - point - math.lgamma(shape))
        step = miss / density if density > 0 else math.inf
        following = point - step
        if not low < following < high:
            following = 2 * point if math.isinf(high) else (low + high) / 2
        if abs(following - point) <= 1e-14 * point:
            break
        point = following
    return 2 * point


def compute_gamma(shape: float, point: float) -> tuple[float, float]:
    """
    Return the lower and the upper incomplete gamma function, regularised: they add up to 1.

    A series below the mean, Legendre's continued fraction above it (Lentz's method).
    """
    if point <= 0:
        return 0.0, 1.0
    scale = math.exp(shape * math.log(point) - point - math.lgamma(shape))
    if point < shape + 1:
        term = total = 1 / shape
        step = shape
        while abs(term) > abs(total) * _CLOSE:
            step += 1
            term *= point / step
            total += term
        lower = min(1.0, scale * total)
        return lower, 1 - lower
    bottom = point + 1 - shape
    ratio, inverse = 1e300, 1 / bottom
    total = inverse
    for number in range(1, 100_000):
        factor = number * (shape - number)
        bottom += 2
        inverse = 1 / (factor * inverse + bottom or 1e-300)
        ratio = bottom + factor / ratio or 1e-300
        change = ratio * inverse
        total *= change
        if abs(change - 1) < _CLOSE:
            break
    upper = min(1.0, scale * total)
    return 1 - upper, upper


def find_t(share: float, degrees: float) -> float:
    """
    Return the value below which Student's t lies with probability *share*.

    Fisher's expansion around the normal (Abramowitz and Stegun, 26.7.5): from 20 degrees
    of freedom on it is right to five digits.
    """
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / degrees**power for power, term in enumerate(terms, 1))
