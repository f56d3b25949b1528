"""
Shares of a test that never ends: a better arm is sent more often, and none is given up.

Thompson's rule (1933): each arm gets the probability that it is the best. A floor keeps
every arm alive, so that a rule may be judged later by what another would have done.
"""

import math
from collections.abc import Sequence

from pushctl.rules.figures.statistics.beta_binomial import Count, rank

FLOOR = 0.05
_DIGITS = 6


def compute_propensities(counts: Sequence[Count], floor: float = FLOOR) -> list[float]:
    """
    Return the probability with which each arm shall be sent; they add up to 1.

    (1 - arms * floor) * P(best) + floor, with six digits; what rounding leaves goes to the
    likeliest arm. Whoever draws by them stores that very number. ValueError where the
    floors of all arms come to more than 1.
    """
    if floor < 0 or len(counts) * floor > 1:
        raise ValueError(f"{len(counts)} arms can't have {floor} each")
    best = [each.best for each in rank(counts)]
    whole = math.fsum(best)
    free = 1 - len(counts) * floor
    shares = [round(free * each / whole + floor, _DIGITS) for each in best]
    first = shares.index(max(shares))
    rest = math.fsum(each for i, each in enumerate(shares) if i != first)
    shares[first] = round(1 - rest, _DIGITS)
    return shares
