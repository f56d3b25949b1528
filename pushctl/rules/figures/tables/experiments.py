"""Figures of tests and of their arms, as `pushctl ab` shows them."""

from collections.abc import Mapping, Sequence

from pushctl.rules.figures.experiments.decision import SURE, Finding
from pushctl.rules.figures.experiments.decision import Arm as Counted
from pushctl.rules.figures.experiments.power import forecast_test
from pushctl.rules.figures.figure import Figure, Rate, Row, Table, Unit
from pushctl.rules.figures.statistics.intervals import Interval, compare_shares, divide_shares
from pushctl.rules.figures.statistics.sample_ratio import ALARM
from pushctl.rules.wording import counted, share

NAME = Figure("name", "the campaign's name, or trigger and step: basket/1", Unit.TEXT, "Test")
STATE = Figure(
    "state", "testing, decided, stopped, or replaced by new arms of that step", Unit.TEXT
)
ARMS = Figure("arms", "what is compared", Unit.TEXT)
DIFFER = Figure(
    "differ", "what the arms differ in: text, template or time", Unit.TEXT, usual="text"
)
SHARE = Figure(
    "test_share", "share of people who take part", Unit.SHARE, "Share", spare=True, usual=1.0
)
RULE = Figure(
    "rule",
    "fixed: decided once; anytime: at any look; bandit: never, better arms are sent more often",
    Unit.TEXT,
    spare=True,
)
DECIDES = Figure("decide_at", "when it is decided at the latest", Unit.MOMENT, "Decides")
DECIDED = Figure("decided_at", "when it was decided", Unit.MOMENT, spare=True, usual=None)
WINNER = Figure("winner", "the arm that goes to the others", Unit.TEXT, usual=None)
WHY = Figure("why", "why that is the winner, or why there is none", Unit.TEXT, spare=True)

LIST = Table(
    "ab list", (NAME, STATE), (ARMS, DIFFER, WINNER, DECIDES, SHARE, RULE, DECIDED, WHY)
)

ARM = Figure("arm", "the arm's letter, and what it sends", Unit.TEXT)
WEIGHT = Figure("weight", "its planned share of people", Unit.SHARE, spare=True)
ASSIGNED = Figure("assigned", "people who fell to the arm", heading="People")
ACCEPTED = Figure("accepted", "of them, those whose message was accepted and can report")
SHOWN = Figure("shown", "of them, those who were shown it, as far as is known", spare=True)
CLICKED = Figure("clicked", "of the accepted ones, those who clicked: people, not clicks")
CTR = Rate("ctr", numerator=CLICKED, denominator=ACCEPTED, heading="CTR")
CTR_RANGE = Figure("ctr_range", "the 95 % interval of the CTR (Wilson)", Unit.TEXT, "95 %")
CTR_LOW = Figure("ctr_low", "lower bound of the CTR (Wilson, 95 %)", Unit.SHARE, "CTR low")
CTR_HIGH = Figure("ctr_high", "upper bound of the CTR", Unit.SHARE, "CTR high")
BEST = Figure("best", "probability that this arm is the best of all", Unit.SHARE)
LOSS = Figure(
    "loss",
    "how much CTR choosing this arm costs on average, against the best one",
    Unit.SHARE,
)
DIFFERENCE = Figure(
    "difference", "its CTR less that of the first arm; a difference in points", Unit.SHARE
)
DIFFERENCE_LOW = Figure(
    "difference_low", "lower bound of the difference (Newcombe, 95 %)", Unit.SHARE
)
DIFFERENCE_HIGH = Figure("difference_high", "upper bound of the difference", Unit.SHARE)
UNSUBSCRIBED = Figure(
    "unsubscribed", "of the accepted ones, those who unsubscribed since", spare=True, usual=0
)
GONE = Figure(
    "gone", "of the accepted ones, those whose subscription ended since", spare=True, usual=0
)
BARRED = Figure(
    "barred", "why it can't win: it makes more people leave; else empty", Unit.TEXT, usual=""
)

_LANGUAGES = 5  # named, of those that are left out
_COUNTS = (ASSIGNED, ACCEPTED, SHOWN, CLICKED, CTR)
_EXACT = (CTR_LOW, CTR_HIGH, BEST, LOSS, DIFFERENCE, DIFFERENCE_LOW, DIFFERENCE_HIGH)
SHOW = Table(
    "ab show", (ARM,), (*_COUNTS, CTR_RANGE, BEST, LOSS, UNSUBSCRIBED, GONE)
)  # on a terminal
SHOW_EXACT = Table(
    "ab show", (ARM,), (WEIGHT, *_COUNTS, *_EXACT, UNSUBSCRIBED, GONE, BARRED)
)  # as CSV and JSON


def describe_arm(arm: Counted, finding: Finding, first: Counted, title: str) -> Row:
    """Return the row of *arm*, whose name for people is *title*, with all its figures."""
    rate = finding.rate if arm.accepted else None
    than_first = compare_arms(first, arm) if arm is not first else None
    if than_first is not None and than_first.value is None:
        than_first = None
    return SHOW_EXACT.fill(
        {
            "arm": title,
            "weight": arm.weight,
            "assigned": arm.assigned,
            "accepted": arm.accepted,
            "shown": arm.shown,
            "clicked": arm.clickers,
            "ctr_range": _say_range(rate) if rate else None,
            "ctr_low": rate.low if rate else None,
            "ctr_high": rate.high if rate else None,
            "best": finding.best,
            "loss": finding.loss,
            "difference": than_first.value if than_first else None,
            "difference_low": than_first.low if than_first else None,
            "difference_high": than_first.high if than_first else None,
            "unsubscribed": arm.unsubscribed,
            "gone": arm.gone,
            "barred": finding.barred,
        }
    )


def compare_arms(one: Counted, other: Counted) -> Interval:
    """Return how much higher the CTR of *other* is."""
    return compare_shares(one.clickers, one.accepted, other.clickers, other.accepted)


def list_remarks(
    arms: Sequence[Counted],
    findings: Sequence[Finding],
    others: Mapping[str, int],
    languages: Mapping[str, int],
) -> list[str]:
    """
    Return what a table of *arms* can't say, a sentence each.

    *others* counts who is not compared: ``outside`` had no choice (*languages* counts those
    by language), ``waiting`` get the winner, ``winner`` got it.
    """
    first, *rest = arms
    said = [
        _say_difference(first, arm)
        for arm in rest
        if first.accepted and arm.accepted and first.clickers + arm.clickers
    ]
    if said:
        said.append(_say_which(findings))
    said += [f"{each.variant} can't win: {each.barred}." for each in findings if each.barred]
    if count := others.get("outside", 0):
        named = [f"{language} {each:,}" for language, each in languages.items()]
        more = ["..."] if len(named) > _LANGUAGES else []
        said.append(
            f"{counted(count, 'message is', 'messages are')} left out "
            f"({', '.join([*named[:_LANGUAGES], *more])}): there was no choice, such as in a "
            "language without a file of another arm. They get a."
        )
    if count := others.get("winner", 0):
        other = counted(count, "other message")
        said.append(f"{other} carried the winner; they are not compared.")
    if count := others.get("waiting", 0):
        waits = counted(count, "other message waits", "other messages wait")
        said.append(f"{waits} for the winner.")
    return said


def say_sample_ratio(p: float) -> str:
    if p < ALARM:
        return (
            f"People did NOT fall to the arms as planned (p = {p:.2g}): no figure here holds."
        )
    return f"People fell to the arms as planned (p = {p:.2g})."


def say_shares(shares: Mapping[str, float]) -> str:
    """Return with which probability each arm of a test that never ends is sent now."""
    said = ", ".join(f"{variant} {share(each)}" for variant, each in shares.items())
    return f"Sent from now on: {said}."


def say_outlook(arms: Sequence[Counted]) -> str:
    """Return what a test of so many people can see, or "" where nothing is known yet."""
    first, accepted = arms[0], sum(each.accepted for each in arms)
    if not 0 < first.clickers < first.accepted:
        return ""
    base, weights = first.clickers / first.accepted, [each.weight for each in arms]
    sentence = forecast_test(accepted, 1.0, base, weights).sentence
    return f"{sentence[0].upper()}{sentence[1:]} (in four tests of five)."


def _say_difference(first: Counted, arm: Counted) -> str:
    points = compare_arms(first, arm)
    times = divide_shares(first.clickers, first.accepted, arm.clickers, arm.accepted)
    value = arm.clickers / arm.accepted - first.clickers / first.accepted
    return (
        f"{arm.variant} against {first.variant}: {100 * value:+.1f} points "
        f"({100 * points.low:+.1f} to {100 * points.high:+.1f}), "
        f"{times.value:.2f} times ({times.low:.2f} to {times.high:.2f})."
    )


def _say_which(findings: Sequence[Finding]) -> str:
    """Return which text was better, and whether that may be chance."""
    best, ahead = max((each.best or 0.0, each.variant) for each in findings)
    if best > SURE:
        return f"{ahead} is better: the probability of that is {share(best)}."
    return (
        f"{ahead} is ahead, and that may be chance: it is the better one with a "
        f"probability of {share(best)}. Above {share(SURE)} it would be clear."
    )


def _say_range(rate: Interval) -> str:
    return f"{100 * rate.low:.1f} to {100 * rate.high:.1f}"
