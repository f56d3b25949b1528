"""
Click rates of many groups by persons' sums, of millions of messages in little memory.

As ``messages.measure_rate``, for all groups at once. A click without a try (on a message that
was not accepted) has no part in the interval. Who was erased (person 0) is a different person
each time.
"""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pushctl.rules.figures.statistics.intervals import Interval, bound_by_people

Ints: TypeAlias = NDArray[np.integer]
# A row a group for each of both rates, clicks by reported and clicks by shown messages: tries,
# clicks, sums of tries * tries, tries * clicks, clicks * clicks of each person, and persons.
Sums: TypeAlias = NDArray[np.float64]

# What is true of a message, a bit each; nothing else of its marks is looked at.
BITS = {"reported": 1, "shown": 2, "clicked": 4}
_ALL = 7
_SHIFT = 3
_TRIES = (BITS["reported"], BITS["shown"])
_SLICE = 500_000


def make_sums(size: int) -> Sums:
    return np.zeros((len(_TRIES), size, 6))


def sum_messages(codes: Ints, person: Ints, marks: NDArray[np.uint8], size: int) -> Sums:
    """Return the sums of *size* groups; an entry a message in each of the columns."""
    width = int(person.max(initial=0)) + 1
    return sum_packed(pack(codes, person, marks, width), width, size)


def pack(codes: Ints, person: Ints, marks: NDArray[np.uint8], width: int) -> NDArray[np.int64]:
    """Return the messages that were tries as a number each; persons are below *width*."""
    bits = marks & np.uint8(_ALL)
    tried = (bits & np.uint8(_TRIES[0] | _TRIES[1])) > 0
    packed = codes[tried].astype(np.int64)
    packed *= width
    packed += person[tried]
    packed <<= _SHIFT
    packed |= bits[tried]
    return packed


def sum_packed(packed: NDArray[np.int64], width: int, size: int) -> Sums:
    """Return the sums of *size* groups; *packed* messages are sorted in their place."""
    packed.sort()  # of numbers alone: much faster than an order of places
    sums = make_sums(size)
    for part in _cut(packed):
        whose, bits = part >> _SHIFT, (part & _ALL).astype(np.uint8)
        group = whose // width
        first = np.ones(len(whose), np.bool_)
        first[1:] = whose[1:] != whose[:-1]
        last = np.ones(len(whose), np.bool_)
        last[:-1] = first[1:]
        alone = (first & last) | (whose == group * width)
        _add_single(sums, group[alone], bits[alone])
        several = ~alone
        if several.any():
            starts = np.flatnonzero(first[several])
            _add_several(sums, group[several], bits[several], starts)
    return sums


def _cut(packed: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield parts of what is sorted, in which all of a person's are together."""
    start = 0
    while start < len(packed):
        end = min(start + _SLICE, len(packed))
        if end < len(packed):
            above = ((packed[end - 1] >> _SHIFT) + 1) << _SHIFT
            end = int(np.searchsorted(packed, above))
        yield packed[start:end]
        start = end


def _add_single(sums: Sums, group: Ints, bits: NDArray[np.uint8]) -> None:
    """Add messages that are their person's only ones."""
    size = sums.shape[1]
    cells = np.bincount((group << _SHIFT) | bits, minlength=size << _SHIFT)
    table = cells.reshape(size, _ALL + 1)
    each = np.arange(_ALL + 1)
    for place, tried in enumerate(_TRIES):
        x = table[:, (each & tried) > 0].sum(axis=1)
        y = table[:, ((each & tried) > 0) & ((each & BITS["clicked"]) > 0)].sum(axis=1)
        sums[place] += np.stack([x, y, x, y, y, x], axis=1)


def _add_several(sums: Sums, group: Ints, bits: NDArray[np.uint8], starts: Ints) -> None:
    """Add messages of persons who have several, one behind the other from *starts*."""
    clicked = (bits & BITS["clicked"]) > 0
    for place, bit in enumerate(_TRIES):
        tries = (bits & bit) > 0
        x = np.add.reduceat(tries, starts, dtype=np.int32)
        y = np.add.reduceat(tries & clicked, starts, dtype=np.int32)
        add_people(sums[place], group[starts], x, y)


def add_people(table: Sums, group: Ints, x: Ints, y: Ints) -> None:
    """Add persons with *x* tries and *y* clicks to *table*, which has a row a group."""
    size = len(table)
    x, y = x.astype(np.float64), y.astype(np.float64)
    parts = [np.bincount(group, each, size) for each in (x, y, x * x, x * y, y * y, x > 0)]
    table += np.stack(parts, axis=1)


class BySubscription:
    """Tries and clicks of each subscription: of who it is may be asked when all are added."""

    def __init__(self, size: int) -> None:
        self._tries = np.zeros((len(_TRIES), size), np.int32)
        # Of few messages anything comes: the subscriptions of those, as they were added.
        self._clicked: tuple[list[Ints], ...] = tuple([] for _ in _TRIES)

    def add(self, subscription: Ints, marks: NDArray[np.uint8]) -> None:
        clicked = np.flatnonzero(marks & BITS["clicked"])
        for bit, tries, clicks in zip(_TRIES, self._tries, self._clicked, strict=True):
            np.add.at(tries, subscription[(marks & bit) > 0], np.int32(1))
            clicks.append(subscription[clicked[(marks[clicked] & bit) > 0]])

    def sum_up(self, codes: Ints, person: Ints, size: int) -> Sums:
        """Return the sums of *size* groups; *codes*, *person*: an entry a subscription."""
        sums = make_sums(size)
        width = int(person.max(initial=0)) + 1
        for tries, clicked, table in zip(self._tries, self._clicked, sums, strict=True):
            clicks = np.zeros(len(tries), np.int32)
            for some in clicked:
                np.add.at(clicks, some, np.int32(1))
            n, k = int(tries[0]), int(clicks[0])
            table[int(codes[0])] += (n, k, n, k, k, n)  # each of the erased is alone
            clicks[0] = 0
            # Persons are numbered by their first subscriptions: a range of them at a time.
            for first in range(0, width, _SLICE):
                rows = np.flatnonzero((person >= first) & (person < first + _SLICE))
                keys = codes[rows].astype(np.int64) * width + person[rows]
                keys, places = np.unique(keys, return_inverse=True)
                both = [np.bincount(places, each[rows], len(keys)) for each in (tries, clicks)]
                if not first:
                    both[0][places[0]] -= n
                add_people(table, keys // width, *both)
        return sums


def bound(x: float, y: float, xx: float, xy: float, yy: float, people: float) -> Interval:
    """Return y / x with its interval, from sums and sums of products over *people*."""
    rate = y / x if x else 0.0
    squares = max(yy - 2 * rate * xy + rate * rate * xx, 0.0)
    return bound_by_people(y, x, people, squares)
