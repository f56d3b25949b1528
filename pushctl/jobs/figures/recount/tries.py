"""
Tries and events of persons in groups, a number a message: memory grows with messages alone.

A number is (person << 5 | group) << 4 | what is true of the message, in bits.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import and_

from pushctl.jobs.figures.recount.shares import Sums

GROUP_BITS, FLAG_BITS = 5, 4
PERSON_BITS = GROUP_BITS + FLAG_BITS
_SHARE = PERSON_BITS + 12  # persons whose messages are looked at at once

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
                both = tried | happened
                tries = [it >> FLAG_BITS for it in share if it & tried]
                events = [it >> FLAG_BITS for it in share if it & both == both]
                cells, hits = Counter(tries), Counter(events)
                _add(groups, cells, hits, map(and_, cells, repeat(_GROUPS)))
                people = Counter([it >> GROUP_BITS for it in tries])
                hits = Counter([it >> GROUP_BITS for it in events])
                _add(codes, people, hits, map(of_person.__getitem__, people))
        return by_group, by_code


_GROUPS = (1 << GROUP_BITS) - 1


def _add(
    found: dict[int, Sums],
    tries: Mapping[int, int],
    events: Mapping[int, int],
    codes: Iterable[int],
) -> None:
    """Add the keys of *tries* to the sums of their *codes*: few differ in what they have."""
    # In C alone: no call of Python's for each of millions.
    alike = Counter(zip(codes, tries.values(), map(events.get, tries, repeat(0)), strict=True))
    for (code, x, y), people in alike.items():
        more = (1, x, y, x * x, x * y, y * y)
        found[code] = found.get(code, Sums()).add(Sums(*(people * it for it in more)))
