"""
Numbers of rows folded into places, which have no gaps: columns are indexed by these.

After a restore the numbers of all tables go on a billion further on (``store/restoring.py``).
A column by number would have an entry for each of those that nobody ever got: gigabytes. So
pages of numbers without a row are left out. Where there is no such gap, numbers are places.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pushctl.store import Store

Whole: TypeAlias = NDArray[np.integer]

_BITS = 14  # of a number that its page does not have


class Folding:
    """
    The places of numbers up to *last*, of which some stand on each of *pages* and 0.

    Places go from 0 to below ``size``, in the order of the numbers; 0 stays 0, which is nobody.
    """

    def __init__(self, pages: Sequence[int], last: int) -> None:
        known = np.unique(np.array([0, *pages], np.int64))
        begins = np.ones(len(known), np.bool_)
        begins[1:] = np.diff(known) > 1
        # Stretches of numbers: where each begins, and where it has ended.
        self._starts = known[begins] << _BITS
        lasts = np.append(np.flatnonzero(begins)[1:] - 1, len(known) - 1)
        self._ends = (known[lasts] + 1) << _BITS
        self._ends[-1] = min(int(self._ends[-1]), max(last + 1, int(self._starts[-1]) + 1))
        lengths = self._ends - self._starts
        self._firsts = np.cumsum(lengths) - lengths
        self._shifts = self._starts - self._firsts
        self.size = int(lengths.sum())

    def fold(self, numbers: Whole) -> Whole:
        """Return the place of each of *numbers*; 0 for those that came since, or are none."""
        if not len(numbers) or (numbers.max() < self._ends[0] and numbers.min() >= 0):
            return numbers
        stretch = np.searchsorted(self._starts, numbers, side="right") - 1
        known = (numbers > 0) & (numbers < self._ends[stretch])
        return np.where(known, numbers - self._shifts[stretch], 0)

    def unfold(self, places: Whole) -> Whole:
        """Return the numbers that have *places*."""
        if len(self._starts) == 1:
            return places
        stretch = np.searchsorted(self._firsts, places, side="right") - 1
        found: Whole = places + self._shifts[stretch]
        return found


def load_folding(store: Store, source: str = "subscriptions") -> Folding:
    """Return the places of all rows of the table *source*, as it is now."""
    last = store.kept_pages.find_highest(source)
    return Folding(store.kept_pages.list_pages(source, _BITS), last)


def make_folding(numbers: Iterable[int]) -> Folding:
    """Return the places of *numbers*, at least of these."""
    known = np.fromiter(numbers, np.int64)
    return Folding(np.unique(known >> _BITS).tolist(), int(known.max(initial=0)))
