"""Compare the sites."""

import typer

from pushctl.commands import context, rows_behind, stats_shared
from pushctl.commands.options import (
    FormatOption,
    LastOption,
    SinceOption,
    SiteOption,
    TopicOption,
    UntilOption,
)
from pushctl.commands.stats_campaigns import show
from pushctl.output import Format
from pushctl.rules.figures.tables.groups import SITES


@rows_behind.with_rows
def command(
    ctx: typer.Context,
    site: SiteOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    topic: TopicOption = None,
    last: LastOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """
    Compare the sites: subscribers, clicks, orders, revenue.

    \b
    pushctl stats sites --since 30d
    pushctl stats sites --csv
    """
    from pushctl.jobs.figures.tables import breakdowns

    asked = stats_shared.read(ctx, site=site, since=since, until=until, topic=topic, last=last)
    if rows_behind.answer(ctx, SITES, asked, format):
        return
    here = context.of(ctx)
    show(breakdowns.compare_sites(here.store, here.config, asked), SITES, format)
