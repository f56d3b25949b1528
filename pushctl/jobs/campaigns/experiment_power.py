"""What a test will see, before it is begun."""

from pushctl.jobs.campaigns.assignment import HELD, Assignment
from pushctl.jobs.campaigns.broadcast import Plan
from pushctl.model import Millis
from pushctl.rules import units
from pushctl.rules.figures.experiments.power import (
    BaseRate,
    TestForecast,
    choose_base,
    forecast_test,
)
from pushctl.rules.figures.statistics.beta_binomial import Count
from pushctl.store import Store

# Before that its clicks were not all in.
_OLD: Millis = units.DAY


def forecast(
    store: Store, plan: Plan, made: Assignment, now: Millis
) -> tuple[TestForecast, BaseRate]:
    """Return which difference the test of a plan can see, from which rate it starts."""
    base = choose_base(_count_histories(store, plan, now - _OLD), plan.topic or "")
    tested = sum(made.count_arms())
    receivers = tested + made.counts.get(HELD, 0)
    people, share = round(receivers * made.people_share), tested / max(receivers, 1)
    weights = [arm.weight for arm in made.design.arms]
    return forecast_test(people, share, base.rate, weights), base


def _count_histories(store: Store, plan: Plan, until: Millis) -> dict[str, Count]:
    """Return how often earlier messages were clicked, those most like this one first."""
    own = store.base_rates.count_clickers(until, template=plan.template)
    found = {f"the last messages of {plan.template}": Count(*own)}
    if plan.topic is not None:
        alike = store.base_rates.count_clickers(until, topic=plan.topic)
        found[f"the last campaigns about {plan.topic}"] = Count(*alike)
    return found
