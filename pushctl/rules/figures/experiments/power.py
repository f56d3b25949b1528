"""
What a test can see, said before it begins.

The base rate is the own one of earlier messages, else that of the published cases.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pushctl.rules.figures.statistics.beta_binomial import Count
from pushctl.rules.figures.statistics.intervals import measure_share
from pushctl.rules.figures.statistics.sample_size import count_needed, find_detectable
from pushctl.rules.wording import counted

# Clickers per receiver in the published cases that pushctl is modelled on: they stand in
# until a site has a history of its own.
CASE_RATES = {"promotion": 0.07, "information": 0.09, "trigger": 0.13}
INFORMATION = frozenset(("news", "article", "articles", "blog", "tips", "digest"))  # topics
SMALL_AUDIENCE_PEOPLE = 5_000  # below it a part of them sees next to nothing
_BASE_PEOPLE, _BASE_CLICKERS = 100, 15  # below them a history says nothing
_HIDDEN = 1 / 3  # of the detectable difference: seen in about one test of six


@dataclass(frozen=True, slots=True)
class BaseRate:
    """
    The *rate* that the present text will probably have, a fraction, and where it is from.

    *count* is what it was counted from, None where it is that of the published cases;
    *source* says so to people.
    """

    rate: float
    count: Count | None
    source: str


@dataclass(frozen=True, slots=True)
class Size:
    """*people* an arm needs to tell *rate* from the base rate."""

    rate: float
    people: int


@dataclass(frozen=True, slots=True)
class TestForecast:
    """
    What a test of *people* people will see.

    *tested* of them take part; *smallest* is the number of the smallest arm. *detectable*
    is the lowest rate above *base* that is seen in 80 % of tests, None where there is none;
    *hidden* is a rate that is not seen. *sizes* say how many people an arm needs for
    relative differences of 10, 20, and 50 %. *sentence* and *advice* are for people;
    *advice* is "" where there is none.
    """

    people: int
    tested: int
    smallest: int
    base: float
    detectable: float | None
    hidden: float | None
    sizes: tuple[Size, ...]
    sentence: str
    advice: str

    __test__ = False  # its name is no test of pytest's


def choose_base(histories: Mapping[str, Count], kind: str) -> BaseRate:
    """
    Return the rate of the first of *histories* that has enough, else the cases' for *kind*.

    *histories*: counts by what they are of, in words ("the last messages of 'sale'").
    *kind* is a key of ``CASE_RATES``, or a topic; another is taken for a promotion.
    """
    for what, count in histories.items():
        if count.people >= _BASE_PEOPLE and _BASE_CLICKERS <= count.clickers < count.people:
            known = measure_share(count.clickers, count.people)
            source = (
                f"{what}: {count.clickers:,} of {count.people:,} clicked "
                f"({say_share(known.low)} to {say_share(known.high)})"
            )
            return BaseRate(count.clickers / count.people, count, source)
    known_kind = "information" if kind in INFORMATION else kind
    known_kind = known_kind if known_kind in CASE_RATES else "promotion"
    rate = CASE_RATES[known_kind]
    source = f"{say_share(rate)} in the published cases ({known_kind}): no history of its own"
    return BaseRate(rate, None, source)


def forecast_test(
    people: int, share: float, base: float, weights: Sequence[float]
) -> TestForecast:
    """
    Return what a test with a *share* of *people* can see, at a *base* rate.

    *people* are those whose message is expected to be accepted; *weights* are those of the
    arms, in any unit. ValueError where *base* is no rate between 0 and 1.
    """
    if not 0 < base < 1 or len(weights) < 2:
        raise ValueError("a test needs two arms and a base rate between 0 and 1")
    whole, tested = math.fsum(weights), people * share
    small, other = sorted(tested * each / whole for each in weights)[:2]
    detectable = find_detectable(base, small, other)
    hidden = base + (detectable - base) * _HIDDEN if detectable else None
    return TestForecast(
        people,
        round(tested),
        math.floor(small),
        base,
        detectable,
        hidden,
        tuple(
            Size(base * lift, count_needed(base, base * lift))
            for lift in (1.1, 1.2, 1.5)
            if base * lift < 1
        ),
        _say(round(tested), base, detectable, hidden),
        _advise(people, share, base, weights),
    )


def say_share(share: float) -> str:
    """Return *share* as a percentage with one decimal at most: 0.117 is "11.7 %"."""
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _say(tested: int, base: float, detectable: float | None, hidden: float | None) -> str:
    known, whom = say_share(base), counted(tested, "person", "people")
    if detectable is None or hidden is None:
        return f"with {whom} you will see no difference from {known} at all"
    return (
        f"with {whom} you will see {known} against {say_share(detectable)}, "
        f"not {known} against {say_share(hidden)}"
    )


def _advise(people: int, share: float, base: float, weights: Sequence[float]) -> str:
    if share >= 1 or people >= SMALL_AUDIENCE_PEOPLE:
        return ""
    everybody = forecast_test(people, 1.0, base, weights).detectable
    if everybody is None:
        return f"{people:,} people are too few for a test"
    return (
        f"below {SMALL_AUDIENCE_PEOPLE:,} people test on all of them: "
        f"you will see {say_share(base)} against {say_share(everybody)}"
    )
