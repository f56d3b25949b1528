"""
Sets and mappings of many numbers of rows, in a bit or few bytes each.

A set of ten million numbers takes most of a gigabyte, a dictionary more. These stand by pages,
so that numbers may have large gaps, as after a restore.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, MutableMapping
from itertools import compress
from typing import TypeVar

_BITS = 14  # of a number that its page does not have
_SIZE = 1 << _BITS
_MASK = _SIZE - 1
_TYPES = {"B": 1 << 8, "H": 1 << 16, "I": 1 << 32}  # what each kind of array counts to
_EIGHT = tuple(1 << place for place in range(8))

Value = TypeVar("Value", bound=Hashable)


class NumberSet:
    """A set of whole numbers, a bit each; OverflowError for more than *most* pages of them."""

    __slots__ = ("_most", "_pages")

    def __init__(self, most: int | None = None) -> None:
        self._pages: dict[int, bytearray] = {}
        self._most = most

    def add(self, numbers: Iterable[int]) -> None:
        pages = self._pages
        for number in numbers:
            page = pages.get(number >> _BITS)
            if page is None:
                if len(pages) == self._most:
                    raise OverflowError(f"more than {self._most} pages of numbers")
                page = pages[number >> _BITS] = bytearray(_SIZE >> 3)
            page[(number & _MASK) >> 3] |= _EIGHT[number & 7]

    def has_all(self, numbers: Iterable[int]) -> bool:
        """Return whether each of *numbers* is there; TypeError for what is none."""
        find = self._pages.get
        for number in numbers:
            page = find(number >> _BITS)
            if page is None or not page[(number & _MASK) >> 3] & _EIGHT[number & 7]:
                return False
        return True

    def __bool__(self) -> bool:
        return bool(self._pages)

    def __contains__(self, number: int) -> bool:
        page = self._pages.get(number >> _BITS)
        return page is not None and page[(number & _MASK) >> 3] & _EIGHT[number & 7] > 0


def find_frequent(numbers: Iterable[int], least: int) -> NumberSet:
    """Return which of *numbers* come *least* times or more."""
    found, pages = NumberSet(), dict[int, "array[int]"]()
    if least <= 1:
        found.add(numbers)
        return found
    kind = _choose_type(least)
    reached: list[int] = []
    for number in numbers:
        page = pages.get(number >> _BITS)
        if page is None:
            page = pages[number >> _BITS] = array(kind, bytes(_SIZE * array(kind).itemsize))
        count = page[number & _MASK] + 1
        if count <= least:  # it can't be more than the array holds
            page[number & _MASK] = count
            if count == least:
                reached.append(number)
                if len(reached) == _SIZE:
                    found.add(reached)
                    reached.clear()
    found.add(reached)
    return found


def _choose_type(highest: int) -> str:
    return next(kind for kind, size in _TYPES.items() if highest < size)


class NumberMap(MutableMapping[int, Value]):
    """
    A mapping from whole numbers to values of which most are the same: a byte each as a rule.

    It goes over its numbers in their order. Values need a hash.
    """

    __slots__ = ("_codes", "_count", "_kind", "_pages", "_values")

    def __init__(self) -> None:
        self._pages: dict[int, array[int]] = {}
        self._values: list[Value] = []  # by their code less 1; 0 is nobody
        self._codes: dict[Value, int] = {}
        self._kind = "B"
        self._count = 0

    def __getitem__(self, number: int) -> Value:
        page = self._pages.get(number >> _BITS)
        code = page[number & _MASK] if page is not None else 0
        if not code:
            raise KeyError(number)
        return self._values[code - 1]

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        page = self._pages.get(number >> _BITS)
        return page is not None and page[number & _MASK] > 0

    def __setitem__(self, number: int, value: Value) -> None:
        code = self._codes.get(value) or self._add(value)
        page = self._pages.get(number >> _BITS)
        if page is None:
            page = self._pages[number >> _BITS] = self._make_page()
        self._count += not page[number & _MASK]
        page[number & _MASK] = code

    def __delitem__(self, number: int) -> None:
        if number not in self:
            raise KeyError(number)
        self._pages[number >> _BITS][number & _MASK] = 0
        self._count -= 1

    def __iter__(self) -> Iterator[int]:
        for place in sorted(self._pages):
            yield from compress(range(place << _BITS, place + 1 << _BITS), self._pages[place])

    def __len__(self) -> int:
        return self._count

    def count_values(self) -> dict[Value, int]:
        """Return how often each value is there."""
        counts: Counter[int] = Counter()
        for page in self._pages.values():
            counts.update(page)
        return {value: counts[code] for value, code in self._codes.items() if counts[code]}

    def select(self, keep: Callable[[Value], bool]) -> "NumberMap[Value]":
        """Return those whose value *keep* returns true for; it is asked once a value."""
        made = NumberMap[Value]()
        made._values, made._codes, made._kind = [*self._values], {**self._codes}, self._kind
        kept = [0, *(code for code, value in enumerate(self._values, 1) if keep(value))]
        renamed = [0] * (len(self._values) + 1)
        for code in kept:
            renamed[code] = code
        for place, page in self._pages.items():
            own = made._pages[place] = array(self._kind, map(renamed.__getitem__, page))
            made._count += _SIZE - own.count(0)
        return made

    def _add(self, value: Value) -> int:
        self._values.append(value)
        code = self._codes[value] = len(self._values)
        if code >= _TYPES[self._kind]:
            self._kind = _choose_type(code)
            for place, page in self._pages.items():
                self._pages[place] = array(self._kind, page)
        return code

    def _make_page(self) -> "array[int]":
        return array(self._kind, bytes(_SIZE * array(self._kind).itemsize))
