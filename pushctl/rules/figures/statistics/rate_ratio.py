"""
How much more often people leave after something than otherwise: two rates of events in time.

Of *events* in *days* and *others* in *other_days*, the share of all events that fall into the
first is binomial, given their sum: with the ratio r of both rates it is
r · days / (r · days + other_days). The bounds are those of the mid-P: what was seen counts
half, so that they hold 95 % on average and not far more (Rothman, Modern Epidemiology).
"""

import math
from dataclasses import dataclass

_TAIL = 0.025
_SMALL = 1e-18
_STEPS = 200


@dataclass(frozen=True, slots=True)
class Blame:
    """
    *ratio* of both rates with bounds of 95 %; *high* infinite: there were no other events.

    *excess*: events beyond those that the other days' rate would have brought. *p*: how often
    chance alone makes such a ratio.
    """

    ratio: float
    low: float
    high: float
    p: float
    excess: float
    excess_low: float
    excess_high: float


def compare(events: int, days: float, others: int, other_days: float) -> Blame | None:
    """Return what is known of the ratio; None where there was no event, or one has no days."""
    if days <= 0 or other_days <= 0 or events + others == 0:
        return None
    whole, scale = events + others, other_days / days

    def find_ratio(share: float) -> float:
        return math.inf if share >= 1 else share / (1 - share) * scale

    low = 0.0 if events == 0 else find_ratio(_solve(events, whole, above=True))
    high = math.inf if others == 0 else find_ratio(_solve(events, whole, above=False))
    even = days / (days + other_days)
    tails = (_sum_tail(events, whole, even, above=one) for one in (True, False))
    expected = others * days / other_days
    return Blame(
        events / expected if others else math.inf,
        low,
        high,
        min(1.0, 2 * min(tails)),
        events - expected,
        # Without other events nothing was to be expected: all of them are too many.
        (low - 1) * expected if others else float(events),
        (high - 1) * expected if others else float(events),
    )


def _solve(events: int, whole: int, *, above: bool) -> float:
    """
    Return the share for which the tail of *events* has its probability.

    By Newton's way: five sums where halving takes 45. It halves where a step leads outside.
    """
    low, high, at = 0.0, 1.0, (events + 0.5) / (whole + 1)
    for _ in range(_STEPS):
        off = _sum_tail(events, whole, at, above=above) - _TAIL
        # The upper tail grows with the share, the lower one shrinks.
        low, high = (at, high) if (off < 0) == above else (low, at)
        slope = _find_slope(events, whole, at)
        step = off / slope if slope else math.inf
        following = at - step if above else at + step
        if not low < following < high:
            following = (low + high) / 2
        if not low < following < high or abs(following - at) < 1e-13 * at:
            return following
        at = following
    return at


def _find_slope(events: int, whole: int, share: float) -> float:
    """Return by how much the upper mid-P tail of *events* grows with the share."""

    def weigh(place: int) -> float:
        """Return the probability of *place* events of one less than all."""
        if not 0 <= place < whole:
            return 0.0
        logs = math.lgamma(whole) - math.lgamma(place + 1) - math.lgamma(whole - place)
        logs += place * math.log(share) + (whole - 1 - place) * math.log1p(-share)
        return math.exp(logs)

    return whole / 2 * (weigh(events - 1) + weigh(events))


def _sum_tail(events: int, whole: int, share: float, *, above: bool) -> float:
    """
    Return the mid-P of a binomial tail: what lies beyond *events*, and half of *events*.

    A sum of positive terms from *events* outwards; towards the bulk it is 1 less the other.
    """
    if share <= 0 or share >= 1:
        one = events == (0 if share <= 0 else whole)
        return 0.5 if one else float((share >= 1) == above)
    if (events < whole * share) == above and events != whole * share:
        return 1 - _sum_tail(events, whole, share, above=not above)
    logs = math.lgamma(whole + 1) - math.lgamma(events + 1) - math.lgamma(whole - events + 1)
    logs += events * math.log(share) + (whole - events) * math.log1p(-share)
    first = term = math.exp(logs)
    terms, place, odds = [first / 2], events, share / (1 - share)
    while place != (whole if above else 0) and term > first * _SMALL:
        if above:
            term *= (whole - place) / (place + 1) * odds
            place += 1
        else:
            term *= place / (whole - place + 1) / odds
            place -= 1
        terms.append(term)
    return math.fsum(terms)
