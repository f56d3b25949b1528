"""
Which arm of a test goes to the others? Counts in, a decision with its reasons out.

The unit is the person, with one message each. The rules, in this sequence:

1. People must have fallen to the arms as planned (p < 0.001 is an alarm): else nobody wins.
2. An arm that makes more people leave can't win: one that loses more than all other arms
   together, with a probability above 0.975, by unsubscribes or by ends of subscriptions.
3. Below ``MIN_ACCEPTED`` people in an arm, or ``MIN_CLICKERS`` clickers in all, nothing
   is known yet: it is a tie.
4. At a fixed time the winner is the arm whose rate is above that of every other arm with a
   probability above 0.975 each. Who looks at any time needs evidence of 20 against every
   other arm instead (``anytime``).
5. A tie is broken as ``OnTie`` says. *best* is the arm with the smallest expected loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pushctl.rules.figures.statistics.anytime import EVIDENCE, compute_evidence
from pushctl.rules.figures.statistics.beta_binomial import (
    Count,
    Standing,
    compute_greater,
    rank,
)
from pushctl.rules.figures.statistics.intervals import Interval, measure_share
from pushctl.rules.figures.statistics.sample_ratio import ALARM, check_sample_ratio

# Both sides together are 5 % where two arms are equal (methods: a winner at 0.95 is found
# in 10 % of them).
SURE = 0.975
MIN_ACCEPTED = 30
MIN_CLICKERS = 15


class Rule(StrEnum):
    """When a winner may be named."""

    FIXED = "fixed"  # once, at the time that was fixed before
    ANYTIME = "anytime"  # at any look


class OnTie(StrEnum):
    """What happens when nobody has won at the end."""

    BEST = "best"  # the arm with the smallest expected loss goes out
    FIRST = "first"  # the first arm goes out
    STOP = "stop"  # nothing goes out


class Cause(StrEnum):
    """Why a decision is as it is."""

    WON = "won"
    LEFT = "left"  # the others are barred: they make more people leave
    TIE_BEST = "tie_best"
    TIE_FIRST = "tie_first"
    TIE_STOP = "tie_stop"
    WAITING = "waiting"  # not decided at this look; there will be more
    SAMPLE_RATIO = "sample_ratio"  # people did not fall to the arms as planned


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """
    What is counted of one arm: people, never messages or clicks.

    *assigned* fell to it, whatever became of their message; who never had the choice (a
    language without the arm's file) is in no count. *accepted* are those of them whose
    message a push service took and whose click would be reported; *clickers*, *unsubscribed*
    (at their own wish, since) and *gone* (their subscription ended since) are some of them.
    *shown* is a lower bound, None where it is unknown. *weight* is the planned share in any
    unit.
    """

    variant: str
    weight: float
    assigned: int
    accepted: int
    clickers: int
    shown: int | None = None
    unsubscribed: int = 0
    gone: int = 0

    @property
    def count(self) -> Count:
        return Count(self.clickers, self.accepted)


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What is found about one arm.

    *rate* is clickers of accepted with its interval. *best* is the probability that the
    arm is the best, *loss* what choosing it costs (a fraction of people, in the mean); both
    None where no arm has a message accepted. *barred* says why it can't win, else "".
    """

    variant: str
    rate: Interval
    best: float | None
    loss: float | None
    barred: str


@dataclass(frozen=True, slots=True)
class Decision:
    """
    *winner* goes to the others; None: nothing goes out, or not yet.

    *why* is a sentence for people; code asks *cause*. *sample_p* is the check of the sample
    ratio.
    """

    winner: str | None
    cause: Cause
    why: str
    sample_p: float


def decide(
    arms: Sequence[Arm],
    rule: Rule = Rule.FIXED,
    on_tie: OnTie = OnTie.BEST,
    final: bool = True,
) -> Decision:
    """
    Return the decision about *arms*, the first of which is the present text.

    With ``Rule.FIXED`` call it once, at the fixed time. With ``Rule.ANYTIME`` call it as
    often as you like, *final* only at the end: ties wait until then.
    """
    sample_p = check_sample_ratio(
        [each.assigned for each in arms], [each.weight for each in arms]
    )
    if sample_p < ALARM:
        why = _explain_ratio(arms, sample_p)
        return Decision(None, Cause.SAMPLE_RATIO, why, sample_p)

    few = _find_few(arms)
    allowed = [each for each in arms if not find_harm(each, arms)]
    winner = None if few else _find_winner(allowed, rule)
    if winner is not None:
        why = _explain_win(rule, len(allowed) - 1)
        return Decision(winner.variant, Cause.WON, why, sample_p)
    if rule is Rule.ANYTIME and not final:
        why = few or "no arm is ahead for sure; the test goes on"
        return Decision(None, Cause.WAITING, why, sample_p)
    barred = len(arms) - len(allowed)
    return Decision(*_break_tie(allowed, barred, few, on_tie), sample_p)


def describe(arms: Sequence[Arm]) -> list[Finding]:
    """Return what the counts say of each arm, whatever is decided."""
    known = any(each.accepted for each in arms)
    standings: list[Standing | None] = list(rank([each.count for each in arms]))
    return [
        Finding(
            arm.variant,
            measure_share(arm.clickers, arm.accepted),
            standing.best if known and standing else None,
            standing.loss if known and standing else None,
            find_harm(arm, arms),
        )
        for arm, standing in zip(arms, standings, strict=True)
    ]


def find_harm(arm: Arm, arms: Sequence[Arm]) -> str:
    """Return how *arm* makes more people leave than the others of *arms* together, or ""."""
    others = [each for each in arms if each is not arm]
    people = sum(each.accepted for each in others)
    if not arm.accepted or not people:
        return ""
    for name, own, rest in (
        ("unsubscribed", arm.unsubscribed, sum(each.unsubscribed for each in others)),
        ("are gone", arm.gone, sum(each.gone for each in others)),
    ):
        left, others_left = min(own, arm.accepted), min(rest, people)
        if compute_greater(Count(left, arm.accepted), Count(others_left, people)) > SURE:
            return f"{own:,} of {arm.accepted:,} {name}, {rest:,} of {people:,} with other arms"
    return ""


def _find_winner(allowed: Sequence[Arm], rule: Rule) -> Arm | None:
    """Return the arm that beats every other one."""
    if len(allowed) < 2:
        return None
    for arm in allowed:
        if all(_beats(arm, each, rule) for each in allowed if each is not arm):
            return arm
    return None


def _break_tie(
    allowed: Sequence[Arm], barred: int, few: str, on_tie: OnTie
) -> tuple[str | None, Cause, str]:
    tie = few or "no arm is ahead for sure"
    if on_tie is OnTie.STOP or not allowed:
        return None, Cause.TIE_STOP, f"{tie}; nothing more is sent (on_tie = stop)"
    if len(allowed) == 1 and barred:
        return allowed[0].variant, Cause.LEFT, "every other arm makes more people leave"
    # A flat prior takes the arm of which least is known for the best.
    if on_tie is OnTie.FIRST or few:
        return allowed[0].variant, Cause.TIE_FIRST, f"{tie}; the first arm goes out"

    standings = rank([each.count for each in allowed])
    best = min(range(len(allowed)), key=lambda i: standings[i].loss)
    loss = 100 * standings[best].loss
    why = f"{tie}; the arm with the smallest expected loss goes out ({loss:.2g} points)"
    return allowed[best].variant, Cause.TIE_BEST, why


def _beats(arm: Arm, other: Arm, rule: Rule) -> bool:
    if rule is Rule.FIXED:
        return compute_greater(arm.count, other.count) > SURE
    share = arm.weight / (arm.weight + other.weight)
    ahead = arm.clickers * (1 - share) > other.clickers * share
    return ahead and compute_evidence(other.clickers, arm.clickers, share) >= EVIDENCE


def _find_few(arms: Sequence[Arm]) -> str:
    least = min(arms, key=lambda arm: arm.accepted)
    clickers = sum(each.clickers for each in arms)
    if least.accepted < MIN_ACCEPTED:
        return (
            f"arm {least.variant} has {least.accepted:,} accepted messages; "
            f"a comparison needs {MIN_ACCEPTED}"
        )
    if clickers < MIN_CLICKERS:
        return f"{clickers:,} people clicked; a comparison needs {MIN_CLICKERS}"
    return ""


def _explain_win(rule: Rule, others: int) -> str:
    whom = "the other arm" if others == 1 else f"each of the {others} other arms"
    if rule is Rule.ANYTIME:
        return f"the evidence against {whom} is {EVIDENCE:.0f} or more, at any look"
    return f"it is better than {whom} with a probability above {100 * SURE:.1f} %"


def _explain_ratio(arms: Sequence[Arm], p: float) -> str:
    whole, people = sum(each.weight for each in arms), sum(each.assigned for each in arms)
    parts = ", ".join(
        f"{each.variant} {each.assigned:,} of {people * each.weight / whole:,.0f}"
        for each in arms
    )
    return (
        f"people did not fall to the arms as planned ({parts}; p = {p:.2g}): "
        "something leaves people out by arm, so no figure of this test holds"
    )
