"""
Leaves out the people who have a broadcast's message already: `send` typed twice.

The same message is the same sources and values (rules/messages/content). It goes by the
subscription, as a broadcast itself does, which goes to each of a person's devices.
`campaigns retry` leaves out whom another campaign gave the mended text. Triggers and
`--every` have their own rules and leave nobody out here.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise

from pushctl.errors import UsageError
from pushctl.model import Json, Millis
from pushctl.rules import units
from pushctl.store import Store

WITHIN: Millis = units.DAY

# The name in a campaign's options and in its table of states.
LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many subscriptions a broadcast leaves out, and why."""

    received: int = 0  # got the same message within a day, perhaps in doubt
    scheduled: int = 0  # will get it
    campaign: str = ""  # the newest that has it

    @property
    def count(self) -> int:
        return self.received + self.scheduled

    def add(self, other: "LeftOut") -> "LeftOut":
        campaign = other.campaign or self.campaign
        return LeftOut(
            self.received + other.received, self.scheduled + other.scheduled, campaign
        )

    def describe(self) -> str:
        """Return it in words: "2 got this message within a day (campaign 'sale')"."""
        parts = []
        if self.received:
            parts.append(f"{self.received:,} got this message within a day")
        if self.scheduled:
            will = "is to get it" if self.scheduled == 1 else "are to get it"
            parts.append(f"{self.scheduled:,} {will}")
        return f"{' and '.join(parts)} (campaign {self.campaign!r})"

    def list_reasons(self) -> list[tuple[str, int]]:
        """Return (reason, count) for tables."""
        found = [
            ("got the same message within a day", self.received),
            ("is to get the same message", self.scheduled),
        ]
        return [(reason, count) for reason, count in found if count]


class NobodyLeftError(UsageError):
    """All receivers of a broadcast have its message already."""

    def __init__(self, left_out: LeftOut) -> None:
        super().__init__(
            f"Nothing was sent: {left_out.describe()}. To send it once more: --again"
        )
        self.left_out = left_out


def read_left_out(options: Json) -> LeftOut:
    """Return what the campaign with these *options* left out when it was frozen."""
    return LeftOut(**options.get(LEFT_OUT, {}))


def leave_out(
    store: Store,
    content: bytes,
    receivers: Sequence[int],
    now: Millis,
    besides: str = "",
    due: Millis = 0,
) -> tuple[Collection[int], LeftOut]:
    """
    Return which of *receivers* have a message's content already, and their counts.

    *due* is when the new one goes out first, if that is later than *now*: who got it more
    than a day before then is no repeat. What is to come of the campaign called *besides*
    doesn't count: it gives way.
    """
    since = max(now, due) - WITHIN
    # Most broadcasts are nobody's second one: this is made at the first holder.
    having: _Holders | None = None
    newest = ""
    for subscription, later, name in store.campaigns.list_holders(content, since, now):
        having = having or _Holders(receivers)
        if not (later and name == besides) and having.mark(subscription, later):
            newest = name
    if having is None:
        return (), LeftOut()
    return having, LeftOut(having.count(_RECEIVED), having.count(_SCHEDULED), newest)


_RECEIVED, _SCHEDULED = 1, 2


class _Holders(Collection[int]):
    """Who of *receivers* has a message, in a byte each: sets of ten million take a gigabyte."""

    def __init__(self, receivers: Sequence[int]) -> None:
        is_sorted = all(one < other for one, other in pairwise(receivers))
        self._rows = receivers if is_sorted else sorted(set(receivers))
        self._marks = bytearray(len(self._rows))

    def mark(self, one: int, later: bool) -> bool:
        """Note that *one* has it, or is to get it; return whether it is a receiver."""
        place = self._find(one)
        if place is None:
            return False
        self._marks[place] = max(self._marks[place], _SCHEDULED if later else _RECEIVED)
        return True

    def count(self, mark: int) -> int:
        return self._marks.count(mark)

    def _find(self, one: int) -> int | None:
        place = bisect_left(self._rows, one)
        return place if place < len(self._rows) and self._rows[place] == one else None

    def __contains__(self, one: object) -> bool:
        place = self._find(one) if isinstance(one, int) else None
        return place is not None and self._marks[place] > 0

    def __iter__(self) -> Iterator[int]:
        return compress(self._rows, self._marks)

    def __len__(self) -> int:
        return len(self._marks) - self._marks.count(0)
