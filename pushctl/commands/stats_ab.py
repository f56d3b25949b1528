"""Show all tests, arm by arm."""

from typing import TYPE_CHECKING

import typer

from pushctl import output
from pushctl.commands import columns, context, rows_behind, stats_shared, update_attribution
from pushctl.commands.options import FormatOption, LastOption, SinceOption, UntilOption
from pushctl.output import Format
from pushctl.rules.figures.tables.ab import STATS
from pushctl.rules.wording import share

if TYPE_CHECKING:
    from pushctl.jobs.figures.filters import Filter

_LAST = "10"  # tests: a year of them is no table that anybody reads


@rows_behind.with_rows
def command(
    ctx: typer.Context,
    since: SinceOption = None,
    until: UntilOption = None,
    last: LastOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """
    Show tests, arm by arm: clicks, orders, revenue.

    \b
    pushctl stats ab --last 5
    pushctl stats ab --since 90d --csv

    The ten newest tests, unless --since, --until or --last says otherwise.
    Best is the probability that an arm has the highest rate; loss is what choosing it costs
    on average. `pushctl ab show` has one test with all that is to be said of it.
    """
    from pushctl.jobs.figures.tables import ab

    here = context.of(ctx)
    last = last if since or until or last else _LAST
    asked = stats_shared.read(ctx, since=since, until=until, last=last)
    if rows_behind.answer(ctx, STATS, asked, format):
        return
    update_attribution.refresh(here)
    rows = ab.list_arms(here.store, here.config, asked)
    output.rows(rows, columns.of(STATS), format, empty="No test in that time.")
    if output.is_for_people(format) and rows:
        _explain(here, asked)


def _explain(here: context.Context, asked: "Filter") -> None:
    from pushctl.rules.figures.experiments.decision import SURE

    output.gap()
    output.say(
        "Best: how likely it is that this text has the highest rate of its test. "
        f"Up to {share(SURE)} it may be chance. All about one test: pushctl ab show TEST"
    )
    known = len(here.store.experiments.list_all())
    if asked.last is not None and asked.last < known:
        output.say(f"These are the {asked.last} newest of {known} tests: --last {known}.")
