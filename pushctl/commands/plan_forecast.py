"""The forecast that `send` and `apply` show before they ask."""

from typing import TYPE_CHECKING

from pushctl import output
from pushctl.commands.context import Context

if TYPE_CHECKING:
    from pushctl.jobs.campaigns.broadcast import Plan


def foresee(here: Context, plan: "Plan", dry_run: bool) -> "Plan":
    """Print what *plan* will bring; return it with that, to be kept when it is sent."""
    from pushctl.jobs.campaigns import forecast as job
    from pushctl.jobs.figures.forecasts.table import list_forecast

    tell = output.propose if dry_run else output.say
    plan, fault = job.foresee(here.store, here.config, plan, here.now)
    for line in list_forecast(plan.forecast):
        tell(f"  {line}")
    if fault:
        tell(f"  {fault}")
    return plan
