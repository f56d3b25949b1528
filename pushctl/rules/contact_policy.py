"""
Contact policy: at which hours and how often people get messages, and who gets none.

Triggers and broadcasts have them in common. The settings are [quiet], [frequency], [holdout]
and [sunset] of pushctl.toml; docs/sending.md explains them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pushctl.model import Cause, Millis
from pushctl.rules import timing
from pushctl.rules.lots import lot
from pushctl.rules.timing import QuietHours
from pushctl.rules.units import DAY, MINUTE

# Between two messages to a browser that shows none: "monthly".
MONTH: Millis = 30 * DAY

# Until then a message may still be shown: its browser was offline, perhaps.
_STILL_SHOWN: Millis = DAY

# Why people get no message, or a later one, though there is one for them.
CAUSES = frozenset({Cause.QUIET_HOURS, Cause.FREQUENCY, Cause.HOLDOUT, Cause.SUNSET})

TOO_LATE = "quiet hours last longer than it is of use"

# What a campaign's options have in "exempt": which limits don't hold for it.
CAP, ALL = "cap", "all"


@dataclass(frozen=True, slots=True)
class Frequency:
    """At most *messages* in any stretch of *within*, per person and site; *spacing* apart."""

    messages: int | None = None
    within: Millis = DAY
    spacing: Millis = 5 * MINUTE

    def find_free(self, sent: Sequence[Millis], now: Millis) -> Millis | None:
        """Return when the cap allows the next message, or None when it does at *now*."""
        if self.messages is None:
            return None
        recent = sorted(at for at in sent if at > now - self.within)
        if len(recent) < self.messages:
            return None
        return max(recent[-self.messages] + self.within, now + MINUTE)

    def describe(self) -> str:
        """Return the reason of who had enough."""
        return f"frequency cap: {self.messages} messages in {timing.say(self.within)}"


@dataclass(frozen=True, slots=True)
class Holdout:
    """The control group over all marketing: a *share* of people, until *name* changes."""

    share: float
    name: str

    def has(self, person: str) -> bool:
        """Return whether *person*, the public id of their first subscription, is in it."""
        return lot("holdout", self.name, person) < self.share

    def describe(self) -> str:
        return f"in the control group {self.name!r}"


@dataclass(frozen=True, slots=True)
class Sunset:
    """
    Who shows no message any more is written to monthly, then no more.

    It begins with *after* messages within *within* of which a browser has shown none;
    *monthly* more go out, a month apart. A visit, or a message that is shown, ends it.
    """

    after: int
    within: Millis
    monthly: int

    @property
    def most(self) -> int:
        """How many of a browser's last messages tell all."""
        return self.after + self.monthly + 1

    def refuse(self, times: Sequence[Millis], now: Millis) -> str | None:
        """
        Return why a browser gets no message at *now*; None: it may have one.

        *times*: when its last messages went out that it has not shown, oldest first.
        """
        ends = range(self.after - 1, len(times))
        full = (one for one in ends if times[one] - times[one - self.after + 1] <= self.within)
        end = next(full, None)
        if end is None or times[end] > now - _STILL_SHOWN:
            return None
        tries = sum(at - before >= MONTH for before, at in pairwise(times[end:]))
        if tries >= self.monthly:
            return f"shown none of {self.after} messages, nor of {self.monthly} monthly ones"
        if now - times[-1] < MONTH:
            return f"shown none of {self.after} messages: one a month"
        return None


@dataclass(frozen=True, slots=True)
class ContactPolicy:
    """What pushctl.toml says of all marketing."""

    frequency: Frequency | None = None  # None: nothing is limited
    quiet: Mapping[str, QuietHours] = field(default_factory=dict)  # by site
    holdout: Holdout | None = None
    sunset: Sunset | None = None


def describe_exempt(options: Mapping[str, object]) -> str | None:
    """Say which limits don't hold for a campaign with these options; None: all hold."""
    if options.get("exempt") == CAP:
        return "the frequency cap is ignored (--ignore-cap)"
    return "none: people were named one by one" if options.get("exempt") == ALL else None


def is_exempt(options: Mapping[str, object], which: str = ALL) -> bool:
    """Return whether a campaign with these options has no limits, or not *which*."""
    exempt = options.get("exempt", ())
    if options.get("transactional") or options.get("test"):
        return True
    return exempt in (ALL, which)
