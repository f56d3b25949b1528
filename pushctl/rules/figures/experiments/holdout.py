"""
What marketing brings: the people who may get it beside a control group that gets none.

Everybody who was drawn counts, whether a message ever reached them or not: who can be reached
depends on what was sent. The unit is the person, and who buys twice is one buyer.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from pushctl.rules.figures.statistics.anytime import Evidence, weigh_clicks
from pushctl.rules.figures.statistics.intervals import Interval, compare_shares
from pushctl.rules.figures.statistics.sample_ratio import ALARM, check_sample_ratio
from pushctl.rules.figures.statistics.sample_size import count_person_periods
from pushctl.rules.wording import counted

FEWEST_BUYERS = 20  # of each group: below it a look every day finds too much (mSPRT: .136)
ANYTIME = 1.8  # times the people, for whoever looks at any time

# People who buy in a week, where nothing is known of a site; and how much alike the weeks of
# one person are: who bought once is likelier to buy again.
CASE_RATE, CASE_LIKENESS = 0.03, 0.05
LIFT = 1.1  # the effect that an outlook is about: a tenth more buyers
MOST_WEEKS = 52
ADVISED = (0.1, 0.2)
MANY_PEOPLE = 300_000  # from here on a smaller group shows an effect within months


class Cause(StrEnum):
    """What can be said of two groups; code compares these, never texts."""

    NO_GROUP = "no_group"  # nobody is held out yet
    SAMPLE_RATIO = "sample_ratio"  # the groups are not as large as they were drawn
    TOO_EARLY = "too_early"
    SEEN = "seen"  # a difference, by a test that may be looked at any time
    NOT_SEEN = "not_seen"


@dataclass(frozen=True, slots=True)
class Group:
    """
    *people* of a group, those of them who reached the goal, and how many orders they made.

    *left*: how many have unsubscribed since, or their browser has.
    """

    people: int = 0
    buyers: int = 0
    orders: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class Lift:
    """
    What the others have more than the control group.

    *sample_p* is that of the sample ratio. *increment* is the difference of their shares of
    buyers (Newcombe), *total* the buyers that makes among all others, *evidence* has the ratio
    of the shares with bounds that hold at any look. All three are None unless *cause* is
    SEEN or NOT_SEEN.
    """

    cause: Cause
    sample_p: float = 1.0
    increment: Interval | None = None
    total: Interval | None = None
    evidence: Evidence | None = None

    @property
    def is_shown(self) -> bool:
        return self.cause in (Cause.SEEN, Cause.NOT_SEEN)


def compare(control: Group, others: Group, share: float) -> Lift:
    """
    Compare the *others* with the *control* group, to which *share* of all were drawn.

    The sample ratio is checked first: where it is off, something took people out of one group,
    and no figure of the two can be believed. Then it waits for 20 buyers in each.
    """
    if not control.people or not others.people:
        return Lift(Cause.NO_GROUP)
    sample_p = check_sample_ratio((control.people, others.people), (share, 1 - share))
    if sample_p < ALARM:
        return Lift(Cause.SAMPLE_RATIO, sample_p)
    if min(control.buyers, others.buyers) < FEWEST_BUYERS:
        return Lift(Cause.TOO_EARLY, sample_p)
    increment = compare_shares(control.buyers, control.people, others.buyers, others.people)
    evidence = weigh_clicks(control.buyers, others.buyers, 1 - share)
    cause = Cause.SEEN if evidence.decides else Cause.NOT_SEEN
    return Lift(cause, sample_p, increment, extend(increment, others.people), evidence)


def extend(increment: Interval, people: int) -> Interval:
    """Return what an *increment* per person makes among so many *people*."""
    value = None if increment.value is None else increment.value * people
    return Interval(value, increment.low * people, increment.high * people)


@dataclass(frozen=True, slots=True)
class BaseRate:
    """
    The share of people who buy in a week, a fraction, and how alike one person's weeks are.

    *source* says to people where it is from.
    """

    rate: float
    likeness: float
    source: str


def choose_base(people: int, weeks: int, buyers: int, squares: int) -> BaseRate:
    """
    Return the own rate of *weeks* whole weeks where it says enough, else an assumption.

    *buyers* sums up for all *people* the weeks in which each has bought, *squares* the square
    of that. Their spread tells the likeness (the intraclass correlation): a person's weeks
    have the variance W p q (1 + (W - 1) icc).
    """
    tries = people * weeks
    if tries == 0 or buyers < FEWEST_BUYERS or buyers >= tries:
        return BaseRate(
            CASE_RATE,
            CASE_LIKENESS,
            "3 % of people buy in a week, an assumption: there is no history of your own",
        )
    rate = buyers / tries
    likeness = 0.0
    if weeks > 1:
        mean = buyers / people
        variance = squares / people - mean * mean
        likeness = (variance / (weeks * rate * (1 - rate)) - 1) / (weeks - 1)
    source = (
        f"{100 * rate:.2g} % of people bought in a week, {buyers:,} of {tries:,} in your last "
        f"{counted(weeks, 'week')}"
    )
    return BaseRate(rate, min(1.0, max(0.0, likeness)), source)


def count_weeks(people: int, base: BaseRate, share: float, lift: float = LIFT) -> int | None:
    """
    Return after how many weeks a *lift* is seen in 80 % of cases, by a look at any time.

    *people* are all, *share* of them held out. The same people come again each week, so W
    weeks count as W / (1 + (W - 1) * likeness). None: never, or not within a year.
    """
    if people <= 0 or not 0 < base.rate * lift < 1 or not 0 < share < 1:
        return None
    needed = ANYTIME * count_person_periods(base.rate, base.rate * lift, share) / people
    left = 1 - needed * base.likeness
    if left <= 0:
        return None
    weeks = max(1, math.ceil(needed * (1 - base.likeness) / left))
    return weeks if weeks <= MOST_WEEKS else None
