"""When an alert is on: what is, against what is usual."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from pushctl.rules.figures.statistics.intervals import measure_share
from pushctl.rules.figures.statistics.rate_ratio import compare
from pushctl.rules.wording import counted, share

# Fewer are no reason to wake anybody.
_FEWEST_LOST = 5
_FEWEST_EXPECTED = 3.0
_FEWEST_CAMPAIGNS = 3
_FEWEST_ACCEPTED = 100


class State(StrEnum):
    LEARNING = "learning"  # below seven days of history: nobody knows what is usual
    QUIET = "quiet"
    ON = "on"


class Verdict(NamedTuple):
    state: State
    text: str  # what is, against what is usual


class Sent(NamedTuple):
    """A campaign: how many of its messages were accepted, and how many people clicked."""

    name: str
    topic: str | None
    accepted: int
    clicked: int


LEARNING = Verdict(State.LEARNING, "less than 7 days of history")


def judge_churn(
    lost: int, days: float, usual: int, usual_days: float, factor: float
) -> Verdict:
    """On: *factor* times as often as usual, and not by chance (the bounds of 95 %)."""
    found = compare(lost, days, usual, usual_days)
    often = usual / usual_days * days if usual_days else 0.0
    text = f"{counted(lost, 'unsubscription')} in {_write_days(days)}, usually {often:.1f}"
    if found is None or lost < _FEWEST_LOST or found.ratio < factor or found.low <= 1:
        return Verdict(State.QUIET, text)
    return Verdict(State.ON, text)


def judge_ctr(latest: Sequence[Sent], earlier: Sequence[Sent], factor: float) -> Verdict:
    """
    On: one of *latest* has less than *factor* times the usual CTR of its topic.

    And not by chance: the upper bound of its rate is below the usual one, which is that of
    *earlier* campaigns about the same topic, together.
    """
    texts = []
    known = False
    for one in latest:
        alike = [it for it in earlier if it.topic == one.topic and it.accepted]
        accepted = sum(it.accepted for it in alike)
        if one.accepted < _FEWEST_ACCEPTED or len(alike) < _FEWEST_CAMPAIGNS:
            continue
        known = True
        usual = sum(it.clicked for it in alike) / accepted
        now = measure_share(one.clicked, one.accepted)
        rate = one.clicked / one.accepted
        text = f"{one.name}: {share(rate)} clicked, usually {share(usual)}"
        if rate < factor * usual and now.high < usual:
            return Verdict(State.ON, text)
        texts.append(text)
    if known:
        return Verdict(State.QUIET, texts[0])
    return Verdict(State.QUIET, "no campaign with 100 messages and three others on its topic")


def judge_purchases(bought: int, expected: float, hours: float) -> Verdict:
    """On: nobody bought, where *expected* are usual at these hours of the day."""
    usually = f"usually {expected:.1f} at these hours"
    text = f"{counted(bought, 'purchase')} in {hours:g} h, {usually}"
    is_on = bought == 0 and expected >= _FEWEST_EXPECTED
    return Verdict(State.ON if is_on else State.QUIET, text)


def judge_queue(waiting: int, above: int, stretch: str) -> Verdict:
    which = counted(waiting, "message waits", "messages wait")
    text = f"{which} for {stretch} or longer"
    return Verdict(State.ON if waiting > above else State.QUIET, text)


def _write_days(days: float) -> str:
    return f"{days * 24:g} h"
