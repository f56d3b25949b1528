"""
How many are still there after a time: Kaplan and Meier (1958), with late entry.

Who is watched from an age on (*entry*) counts from then: at risk at time t is who has
entry < t <= exit. Ignoring that would count the survivors among those who came earlier, and
not the lost. The curve starts where enough are at risk, and is conditional on being there
then. Bounds: Greenwood's variance on ln(-ln S) (Kalbfleisch and Prentice, 1980).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pushctl.rules.figures.statistics.intervals import Interval, Z, measure_share

Times = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LEAST = 10  # at risk where a curve starts


@dataclass(frozen=True, eq=False)
class Curve:
    """The share that is still there, after each time at which somebody was lost."""

    start: int | None  # the age from which it counts; None: too few for a curve
    until: int  # nobody was watched longer
    times: Times
    share: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]  # Greenwood's sum
    entry: Times  # sorted, as are
    exit: Times

    def read(self, at: int) -> Interval:
        """Return the share after *at*; unknown before the start, and once nobody is watched."""
        if self.start is None or at < self.start or at > self.until:
            return Interval(None, 0.0, 1.0)
        place = int(np.searchsorted(self.times, at, side="right")) - 1
        watched = self._count_at_risk(at)
        if place < 0:  # nobody was lost: the bounds of as many who all stayed
            return measure_share(watched, watched) if watched else Interval(None, 0.0, 1.0)
        share, spread = float(self.share[place]), float(self.spread[place])
        if share == 0.0:
            return Interval(0.0, 0.0, 1.0)
        width = Z * math.sqrt(spread) / abs(math.log(share))
        return Interval(share, share ** math.exp(width), share ** math.exp(-width))

    def _count_at_risk(self, at: int) -> int:
        """Return how many are watched at the age *at*, or just after their entry."""
        entered = np.searchsorted(self.entry, max(at, 1), side="left")
        return int(entered - np.searchsorted(self.exit, at, side="left"))


def estimate(entry: Times, exit: Times, lost: Bools, least: int = LEAST) -> Curve:
    """
    Return the curve of those watched from *entry* to *exit*; *lost*: they left then.

    Times are whole numbers of any unit, since a person came. Who leaves as they enter was
    never at risk.
    """
    kept = exit > entry
    entries, exits = np.sort(entry[kept]), np.sort(exit[kept])
    start = _find_start(entries, exits, least)
    times, losses = np.unique(exit[kept & lost], return_counts=True)
    if start is None:
        times, losses = times[:0], losses[:0]
    else:
        times, losses = times[times > start], losses[times > start]
    at_risk = np.searchsorted(entries, times, side="left") - np.searchsorted(
        exits, times, side="left"
    )
    left = at_risk - losses
    with np.errstate(divide="ignore"):
        spread = np.cumsum(losses / (at_risk * left.astype(np.float64)), dtype=np.float64)
    share = np.cumprod(left / at_risk, dtype=np.float64)
    until = int(exits[-1]) if len(exits) else 0
    return Curve(start, until, times, share, spread, entries, exits)


def _find_start(entries: Times, exits: Times, least: int) -> int | None:
    """Return the first age at which *least* are watched."""
    ages = np.unique(entries)
    watched = np.searchsorted(entries, ages, side="right") - np.searchsorted(
        exits, ages, side="right"
    )
    enough = np.flatnonzero(watched >= least)
    return int(ages[enough[0]]) if len(enough) else None
