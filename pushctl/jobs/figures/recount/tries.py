"""
Tries and events of persons in groups, a number a message: memory grows with messages alone.

A number is (person << 5 | group) << 4 | what is true of the message, in bits.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from pushctl.jobs.figures.recount.shares import Sums

GROUP_BITS, FLAG_BITS = 5, 4
PERSON_BITS = GROUP_BITS + FLAG_BITS
_SHARE = PERSON_BITS + 14  # persons whose messages are looked at at once

# Which bit makes a message a try, and which one makes a try an event.
Rate = tuple[int, int]
# The sums of each rate, by group or by what persons are.
ByCode = list[dict[int, Sums]]


class Tries:
    def __init__(self, rates: Sequence[Rate]) -> None:
        self._rates = rates
        self._shares: dict[int, array[int]] = {}

    def add(self, numbers: Iterable[int]) -> None:
        shares = self._shares
        for number in numbers:
            share = shares.get(number >> _SHARE)
            if share is None:
                share = shares[number >> _SHARE] = array("q")
            share.append(number)

    def sum_up(self, of_person: Sequence[int]) -> tuple[ByCode, ByCode]:
        """Return the sums by group, and over all groups by what *of_person* says."""
        by_group: ByCode = [{} for _ in self._rates]
        by_code: ByCode = [{} for _ in self._rates]
        for share in self._shares.values():
            for (tried, happened), groups, codes in zip(
                self._rates, by_group, by_code, strict=True
            ):
                tries = [it >> FLAG_BITS for it in share if it & tried]
                events = [it >> FLAG_BITS for it in share if it & tried and it & happened]
                _add(groups, _pair(tries, events), lambda cell: cell & _GROUPS)
                people = [it >> GROUP_BITS for it in tries]
                some = [it >> GROUP_BITS for it in events]
                _add(codes, _pair(people, some), of_person.__getitem__)
        return by_group, by_code


_GROUPS = (1 << GROUP_BITS) - 1


def _pair(tries: Sequence[int], events: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield each of *tries* once, with how often it and its events are there."""
    happened = Counter(events)
    for key, count in Counter(tries).items():
        yield key, count, happened.get(key, 0)


def _add(
    found: dict[int, Sums], pairs: Iterable[tuple[int, int, int]], find: Callable[[int], int]
) -> None:
    """Add persons to the sums of their codes: few of them differ in what they have."""
    alike = Counter([(find(key), x, y) for key, x, y in pairs])
    for (code, x, y), people in alike.items():
        more = (1, x, y, x * x, x * y, y * y)
        found[code] = found.get(code, Sums()).add(Sums(*(people * it for it in more)))
