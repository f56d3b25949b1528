"""The tables of `pushctl stats holdout`, and what is said below them."""

import math
from collections.abc import Sequence

from pushctl.rules.figures.experiments.holdout import (
    ADVISED,
    FEWEST_BUYERS,
    LIFT,
    MANY_PEOPLE,
    BaseRate,
    Cause,
    Group,
    Lift,
    count_weeks,
)
from pushctl.rules.figures.experiments.power import say_share
from pushctl.rules.figures.figure import Bounds, Figure, Row, Table, Unit, Value
from pushctl.rules.figures.revenue.per_person import MIN_COMPARED_BUYERS
from pushctl.rules.figures.statistics.intervals import Interval, measure_share
from pushctl.rules.wording import counted, number

GROUP = Figure("group", "messages, or control group", Unit.TEXT)
PEOPLE = Figure("people", "who was drawn to it, whether a message reached them or not")
BUYERS = Figure("buyers", "of them, those who have bought since they were drawn")
LEFT = Figure(
    "left",
    "of them, those who are no subscribers any more: what they buy is known only where the "
    "shop itself tells of its orders",
    spare=True,
)
ORDERS = Figure("orders", "orders that they have made since, without tests", spare=True)
REVENUE = Figure("revenue", "what those orders are worth, less refunds", Unit.MONEY, spare=True)
RATE = Figure("rate", "buyers / people (Wilson)", Unit.SHARE, "Bought", bounds=Bounds.GIVEN)
RELATIVE = Figure(
    "lift",
    "how many more of them buy than of the control group: the ratio of both shares, less 1. "
    "The bounds hold however often you look",
    Unit.SHARE,
    bounds=Bounds.GIVEN,
)
INCREMENT = Figure(
    "increment",
    "the difference of both shares in points (Newcombe)",
    Unit.SHARE,
    spare=True,
    bounds=Bounds.GIVEN,
)
MORE = Figure(
    "more",
    "buyers that there would not have been without messages: increment x people",
    heading="More buyers",
    bounds=Bounds.GIVEN,
)
MORE_REVENUE = Figure(
    "more_revenue",
    "what orders are worth that there would not have been (Hall; of equal groups Welch); "
    "unknown below 100 buyers of a currency in the smaller group (20 of equal groups)",
    Unit.MONEY,
    "More revenue",
    spare=True,
    usual=None,
    bounds=Bounds.GIVEN,
)
P = Figure(
    "p",
    "how often chance alone makes such a difference, at any look",
    Unit.SHARE,
    "p",
    spare=True,
)
SAMPLE_P = Figure(
    "sample_p",
    "how often chance alone makes groups so unequal; below 0.001 nothing is compared",
    Unit.SHARE,
    "Sample ratio p",
    spare=True,
)
CAUSE = Figure("cause", ", ".join(Cause), Unit.TEXT, "State", spare=True)

_GROUP = (PEOPLE, BUYERS, RATE, LEFT, ORDERS, REVENUE)
_LIFT = (RELATIVE, INCREMENT, MORE, MORE_REVENUE, P, SAMPLE_P, CAUSE)
HOLDOUT = Table("stats holdout", (GROUP,), (*_GROUP, *_LIFT))

SHARE = Figure("share", "the share of people who are held out", Unit.SHARE)
HELD = Figure("held", "how many people that is", heading="Held out")
WEEKS = Figure(
    "weeks",
    "after how many weeks a tenth more buyers are seen in four of five cases, by who may look "
    "at any time; unknown: not within a year",
)
BASE = Figure("base", "the share of people who buy in a week without messages", Unit.SHARE)
TARGET = Figure("target", "the share that is to be told from it", Unit.SHARE, "With messages")
PLAN = Table("stats holdout --plan", (SHARE,), (HELD, WEEKS, BASE, TARGET))


def fill_groups(
    control: Group,
    others: Group,
    lift: Lift,
    revenue: Sequence[Value] = (None, None),
    more: Row | None = None,
) -> list[Row]:
    """
    Return the rows of ``HOLDOUT``: who may get messages, with the lift, and who gets none.

    *revenue* is that of the others and of the control group, *more* what there is more.
    """
    first: dict[str, Value] = {
        **_describe_group("messages", others),
        "revenue": revenue[0],
        **describe_lift(lift, control.people + others.people),
        **(more or {}),
    }
    return [first, {**_describe_group("control group", control), "revenue": revenue[1]}]


def _describe_group(name: str, group: Group) -> dict[str, Value]:
    share = measure_share(group.buyers, group.people)
    return {
        "group": name,
        "people": group.people,
        "buyers": group.buyers,
        "left": group.left,
        "orders": group.orders,
        "rate": share.value,
        **write_bounds("rate", share if group.people else None, group.people),
    }


def describe_lift(lift: Lift, people: int) -> dict[str, Value]:
    """Return the columns of a *lift*; all of its figures are unknown where none is shown."""
    evidence, more = lift.evidence, lift.total
    relative = None
    if evidence is not None and evidence.value is not None:
        relative = Interval(evidence.value - 1, evidence.low - 1, evidence.high - 1)
    if more is not None and more.value is not None:
        more = Interval(round(more.value), math.floor(more.low), math.ceil(more.high))
    found: dict[str, Value] = {}
    for name, each in (("lift", relative), ("increment", lift.increment), ("more", more)):
        found |= {name: each.value if each else None, **write_bounds(name, each, people)}
    return {
        **found,
        "p": evidence.p if evidence else None,
        "sample_p": None if lift.cause is Cause.NO_GROUP else lift.sample_p,
        "cause": lift.cause.value,
    }


def write_bounds(name: str, interval: Interval | None, people: int) -> dict[str, Value]:
    """Return the columns of an interval; none of them is known where there is none."""
    names = (f"{name}_low", f"{name}_high", f"{name}_n")
    if interval is None:
        return dict.fromkeys(names)
    return dict(zip(names, (interval.low, interval.high, people), strict=True))


def say_lift(lift: Lift, control: Group, others: Group) -> list[str]:
    """Say what came of the comparison, a sentence each."""
    match lift.cause:
        case Cause.NO_GROUP:
            return ["Nobody is held out yet, so nobody can tell what your messages bring."]
        case Cause.SAMPLE_RATIO:
            return [
                f"The groups are not as large as they were drawn (p {lift.sample_p:.2g}): "
                "something takes people out of one of them, so nothing is compared. A new "
                "share needs a new name."
            ]
        case Cause.TOO_EARLY:
            fewest = min(control.buyers, others.buyers)
            where = "the control group" if control.buyers <= others.buyers else "the others"
            return [
                f"Too early: {counted(fewest, 'buyer')} in {where}. A lift is shown from "
                f"{FEWEST_BUYERS} in each group on."
            ]
    return [_say_difference(lift)]


def say_left(control: Group, others: Group) -> list[str]:
    """Say whom nobody sees buying any more, and what that does to the comparison."""
    if not control.left and not others.left:
        return []
    gone = (
        f"{number(one.left)} of {number(one.people)} {name}"
        for one, name in ((others, "with messages"), (control, "in the control group"))
    )
    return [
        f"Left since: {' and '.join(gone)}. What they buy is known only where the shop itself "
        "tells of its orders. Without that the group that more people left seems to buy less."
    ]


def say_no_revenue() -> str:
    return (
        f"Lift in buyers only: below {MIN_COMPARED_BUYERS} buyers of a currency in the smaller "
        "group nobody can say what that is worth."
    )


def _say_difference(lift: Lift) -> str:
    evidence, total = lift.evidence, lift.total
    assert evidence is not None and evidence.value is not None and total is not None
    bounds = f"{evidence.low:.2f} to {evidence.high:.2f}"
    if lift.cause is Cause.NOT_SEEN:
        return (
            f"No difference is proved yet: {evidence.value:.2f} times as many buyers as in the "
            f"control group ({bounds}). Look again whenever you like. The bounds of more "
            "buyers are for a single look, and prove nothing here."
        )
    more = "more" if evidence.value > 1 else "fewer"
    return (
        f"Proved: {evidence.value:.2f} times as many buyers as in the control group ({bounds}, "
        f"however often you look), {abs(round(total.value or 0)):,} {more} so far."
    )


def list_plan(people: int, base: BaseRate, share: float | None) -> list[Row]:
    """Return a row of ``PLAN`` for each share that could be held out, *share* among them."""
    shares = sorted({0.02, 0.05, *ADVISED, *(() if share is None else (share,))})
    return [
        {
            "share": one,
            "held": round(people * one),
            "weeks": count_weeks(people, base, one),
            "base": base.rate,
            "target": base.rate * LIFT,
        }
        for one in shares
    ]


def say_plan(people: int, base: BaseRate, share: float | None) -> list[str]:
    """Say how long it takes until a lift is seen, and which share is advised."""
    spoken = "; ".join(
        f"{say_share(float(str(row['share'])))} held out: {_say_weeks(row['weeks'])}"
        for row in list_plan(people, base, share)
    )
    return [f"{say_base(people, base)}: {spoken}.", *advise_share(people, share)]


def say_base(people: int, base: BaseRate) -> str:
    """Say where the base rate is from, and what is to be seen."""
    return (
        f"{base.source[0].upper()}{base.source[1:]}. To tell {say_rate(base.rate * LIFT)} from "
        f"{say_rate(base.rate)} among {counted(people, 'person', 'people')}"
    )


def advise_share(people: int, share: float | None) -> list[str]:
    """Say which share is advised, where that is more than *share*."""
    if people >= MANY_PEOPLE or (share is not None and share >= ADVISED[0]):
        return []
    low, high = map(say_share, ADVISED)
    return [f"Below {MANY_PEOPLE:,} people {low} to {high} are advised."]


def _say_weeks(weeks: Value) -> str:
    return counted(weeks, "week") if isinstance(weeks, int) else "not within a year"


def say_rate(rate: float) -> str:
    """Return *rate* as a percentage, small ones with two digits: "0.31 %"."""
    if rate >= 0.02 or rate <= 0:
        return say_share(rate)
    digits = 1 - math.floor(math.log10(100 * rate))
    return f"{100 * rate:.{digits}f} %"
