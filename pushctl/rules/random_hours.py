"""
Hours by lots: some people of a broadcast get it at another hour, so that hours can be compared.

Where everybody gets a campaign at the same hour, a good hour and a good text look the same.
The probability of each one's hour is kept beside their message.
"""

from dataclasses import dataclass
from datetime import tzinfo

from pushctl.model import Millis
from pushctl.rules import timing, units
from pushctl.rules.lots import lot
from pushctl.rules.timing import QuietHours

MOST_DAYS = 7
HOURS_A_DAY = units.DAY // units.HOUR


@dataclass(frozen=True, slots=True)
class Hours:
    """When one message may go out: at the *usual* time, or at one of the *others*."""

    usual: Millis
    others: tuple[Millis, ...]

    def draw(self, share: float, seed: str, person: str) -> tuple[Millis, float]:
        """
        Return when *person* gets it, and how probable that hour was.

        A *share* of people gets one of the other hours, each as likely as the next. All
        devices of a person draw the same.
        """
        count = len(self.others)
        if not count:
            return self.usual, 1.0
        if lot("explore", seed, person) >= share:
            return self.usual, 1 - share
        place = int(lot("hour", seed, person) * count)
        return self.others[place], share / count


def list_hours(at: Millis, zone: tzinfo, quiet: QuietHours | None, days: int = 1) -> Hours:
    """
    Return the hours of *days* from *at* on the clock of *zone*, without quiet ones.

    In quiet hours the usual time is their end, as for every message. An hour that comes twice
    when clocks go back is one hour.
    """
    usual = quiet.find_end(at, zone) if quiet else at
    known = {_name_hour(usual, zone)}
    others = []
    for step in range(1, days * HOURS_A_DAY):
        due = at + step * units.HOUR
        name = _name_hour(due, zone)
        if name in known or (quiet and quiet.holds(due, zone)):
            continue
        known.add(name)
        others.append(due)
    return Hours(at, tuple(others))


def _name_hour(at: Millis, zone: tzinfo) -> tuple[int, int]:
    local = timing.local(at, zone)
    return local.toordinal(), local.hour
