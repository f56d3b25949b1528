"""The tables of `pushctl stats triggers`, and what is said below them."""

from collections.abc import Mapping, Sequence

from pushctl.rules.figures.experiments.holdout import Cause, Group, Lift
from pushctl.rules.figures.figure import Bounds, Figure, Rate, Row, Table, Unit, Value
from pushctl.rules.figures.statistics.intervals import measure_share
from pushctl.rules.figures.tables.holdout import (
    CAUSE,
    MORE_REVENUE,
    SAMPLE_P,
    describe_lift,
    write_bounds,
)

TRIGGER = Figure("trigger", "the trigger's name", Unit.TEXT)
STEP = Figure("step", "the number of its step; with a test the text, too", Unit.TEXT)
ENTERED = Figure("entered", "people who entered it, without the control group")
SENT = Figure("sent", "messages that left: accepted, gone, rejected or in doubt", spare=True)
ACCEPTED = Figure("accepted", "messages that a push service took", spare=True)
SHOWN = Figure("shown", "messages that the browser reported as shown", spare=True)
CLICKED = Figure("clicked", "messages with at least one click")
UNREPORTED = Figure(
    "unreported", "accepted messages of which no report can come", spare=True, usual=0
)
REPORTED = Figure(
    "reported",
    "accepted messages but for the unreported ones",
    heading="(accepted - unreported)",
)
CTR = Rate(
    "ctr",
    numerator=CLICKED,
    denominator=REPORTED,
    heading="CTR accepted",
    bounds=Bounds.GIVEN,
)
GOAL = Figure("goal", "of those who entered, people who reached its goal in time", spare=True)
RATE = Figure(
    "rate", "goal / entered (Wilson)", Unit.SHARE, "Reached goal", bounds=Bounds.GIVEN
)
CONTROL = Figure("control", "people of its control group who would have entered", spare=True)
CONTROL_GOAL = Figure("control_goal", "of them, people who reached the goal", spare=True)
CONTROL_RATE = Figure(
    "control_rate",
    "control_goal / control (Wilson)",
    Unit.SHARE,
    "Control group",
    bounds=Bounds.GIVEN,
)
COMPARED = Figure(
    "compared",
    "people who entered since the control group began, which are those that are compared",
    spare=True,
)
LIFT = Figure(
    "increment",
    "the share that reaches the goal less that of the control group, in points (Newcombe)",
    Unit.SHARE,
    "Lift",
    bounds=Bounds.GIVEN,
)
RELATIVE = Figure(
    "lift",
    "the ratio of both shares, less 1; the bounds hold however often you look",
    Unit.SHARE,
    "Lift by ratio",
    spare=True,
    bounds=Bounds.GIVEN,
)
MORE = Figure(
    "more",
    "people who would not have reached the goal without messages: lift x compared. Where the "
    "goal is a purchase these are its incremental orders",
    heading="More",
    spare=True,
    bounds=Bounds.GIVEN,
)
P = Figure("p", "how often chance alone makes such a lift", Unit.SHARE, "p", spare=True)

ORDERS = Figure(
    "orders",
    "orders that its messages brought directly: by the last click, or their code",
    spare=True,
)
REVENUE = Figure(
    "revenue", "what those are worth, less refunds", Unit.MONEY, spare=True, usual=None
)
_MESSAGES = (SENT, ACCEPTED, SHOWN, CLICKED, UNREPORTED, ORDERS, REVENUE)
_GROUPS = (GOAL, RATE, CONTROL, CONTROL_GOAL, CONTROL_RATE, COMPARED)
_LIFT = (LIFT, RELATIVE, MORE, MORE_REVENUE, P, SAMPLE_P, CAUSE)
TRIGGERS = Table("stats triggers", (TRIGGER,), (ENTERED, *_MESSAGES, *_GROUPS, *_LIFT))
STEPS = Table("stats triggers --by step", (TRIGGER, STEP), (*_MESSAGES, CTR))

SAID_LIFT = (
    "Lift is in points: of 100 people who entered since there is a control group, how many "
    "more reach the goal than of 100 in it."
)
OVERLAP = (
    "Control groups of triggers overlap: one purchase may follow two triggers, so never add "
    "their lifts up. What all of them bring together: pushctl stats holdout."
)


def describe_goal(name: str, goal: int | None, people: int) -> dict[str, Value]:
    """Return the columns of a share of *people* who reached a goal; None: there is no goal."""
    share = None if goal is None or not people else measure_share(goal, people)
    return {name: share.value if share else None, **write_bounds(name, share, people)}


def fill_trigger(
    counts: Mapping[str, Value],
    everybody: Group | None = None,
    groups: tuple[Group, Group] | None = None,
    lift: Lift | None = None,
) -> Row:
    """
    Return a row of ``TRIGGERS`` of the *counts* of its messages.

    *everybody* who entered is None without a goal; *groups*, the control group and the others
    that it is compared with, are None where nobody was held out.
    """
    row: dict[str, Value] = {**counts}
    if everybody is not None:
        row |= {
            "goal": everybody.buyers,
            **describe_goal("rate", everybody.buyers, everybody.people),
        }
    if groups is not None and lift is not None:
        control, others = groups
        row |= {
            "control": control.people,
            "control_goal": control.buyers,
            **describe_goal("control_rate", control.buyers, control.people),
            "compared": others.people,
            **describe_lift(lift, control.people + others.people),
        }
    return TRIGGERS.fill(row)


def list_remarks(rows: Sequence[Row]) -> list[str]:
    """Return what has to be said of all triggers with a control group."""
    said = []
    early = [str(row["trigger"]) for row in rows if row.get("cause") == Cause.TOO_EARLY]
    uneven = [str(row["trigger"]) for row in rows if row.get("cause") == Cause.SAMPLE_RATIO]
    if early:
        said.append(
            f"Too early for a lift, below 20 people who reached the goal in one of the groups: "
            f"{', '.join(early)}."
        )
    if uneven:
        said.append(
            f"The groups are not as large as they were drawn, so nothing is compared: "
            f"{', '.join(uneven)}. Was their share changed?"
        )
    if any(row.get("increment") is not None for row in rows):
        said.append(SAID_LIFT)
    if sum(row.get("control") is not None for row in rows) > 1:
        said.append(OVERLAP)
    return said
