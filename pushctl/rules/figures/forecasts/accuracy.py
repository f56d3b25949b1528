"""
How good forecasts were: coverage, pinball loss, CRPS of three quantiles.

The pinball loss is proper: nobody lowers it by telling other quantiles than they believe
(Gneiting and Raftery 2007).
"""

from pushctl.rules.figures.forecasts.forecast import LEVELS, Range


def measure_pinball(level: float, told: float, came: float) -> float:
    """Return the loss of having told the quantile *told* of a *level*, when *came* came."""
    return max(level * (came - told), (level - 1) * (came - told))


def measure_crps(told: Range, came: float) -> float:
    """Return twice the mean pinball loss of the three: CRPS as far as they tell it."""
    losses = [
        measure_pinball(level, each, came)
        for level, each in zip(LEVELS, told.levels, strict=True)
    ]
    return 2 * sum(losses) / len(losses)


def covers(told: Range, came: float) -> bool:
    """Return whether *came* lies within P10 and P90, as four of five should."""
    return told.p10 <= came <= told.p90
