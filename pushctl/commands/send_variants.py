"""What a `send` with variants tests, shown before it asks."""

from collections.abc import Callable

from pushctl.commands.context import Context
from pushctl.jobs.campaigns import experiment_power
from pushctl.jobs.campaigns.assignment import HELD, OUTSIDE, Assignment
from pushctl.jobs.campaigns.broadcast import Plan
from pushctl.rules.figures.experiments.decision import OnTie, Rule
from pushctl.rules.wording import counted, moment

_ON_TIE = {
    OnTie.BEST: "the best so far",
    OnTie.FIRST: "a",
    OnTie.STOP: "nothing",
}


def show_plan(here: Context, plan: Plan, made: Assignment, tell: Callable[[str], None]) -> None:
    """Print arms, decision, who is not compared, and which difference can be seen."""
    design = made.design
    arms = zip(design.arms, made.count_arms(), strict=True)
    forecast, base = experiment_power.forecast(here.store, plan, made, here.now)
    said = ", ".join(f"{arm.title} {count:,}" for arm, count in arms)
    # Each device gets a message; what can be seen is counted by people.
    devices = (
        f" (devices of {counted(forecast.tested, 'person', 'people')})"
        if made.people_share < 1
        else ""
    )
    tell(f"  test: {said}{devices}")
    at = moment(made.decide_at, here.config.zone)
    looks = (
        "looked at daily, decided at the latest" if design.rule is Rule.ANYTIME else "decided"
    )
    if design.has_rest:
        held = made.counts.get(HELD, 0)
        others = f"{counted(held, 'other')} {'gets' if held == 1 else 'get'} the winner"
        tell(f"  {looks} {at}: {others}, else {_ON_TIE[design.on_tie]}")
    else:
        tell(f"  {looks} {at}")
    if outside := made.counts.get(OUTSIDE, 0):
        tell(f"  not compared: {counted(outside, 'person', 'people')} for whom only a is there")
    if not design.asked:
        tell("  The template has variants; --variants a sends a alone.")
    tell(f"  {forecast.sentence}")
    tell(f"  base: {base.source}")
    if forecast.advice:
        tell(f"  {forecast.advice}")
