"""
Leaves out the people who have a broadcast's message already: `send` typed twice.

The same message is the same sources and values (rules/messages/content). It goes by the
subscription, as a broadcast itself does, which goes to each of a person's devices.
`campaigns retry` leaves out whom another campaign gave the mended text. Triggers and
`--every` have their own rules and leave nobody out here.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

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
    store: Store, content: bytes, receivers: Sequence[int], now: Millis, besides: str = ""
) -> tuple[Collection[int], LeftOut]:
    """
    Return which of *receivers* have a message's content already, and their counts.

    What is to come of the campaign called *besides* doesn't count: it gives way.
    """
    received: set[int] = set()
    scheduled: set[int] = set()
    wanted: set[int] = set()
    newest = ""
    for subscription, later, name in store.campaigns.list_holders(content, now - WITHIN, now):
        # Most broadcasts are nobody's second one: the set is made at the first holder.
        wanted = wanted or set(receivers)
        if subscription in wanted and not (later and name == besides):
            (scheduled if later else received).add(subscription)
            newest = name
    received -= scheduled
    return received | scheduled, LeftOut(len(received), len(scheduled), newest)
