"""Show one campaign in detail."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import columns, context, rows_behind, stats_shared, update_attribution
from pushctl.commands.options import FormatOption, SinceOption, SiteOption, UntilOption
from pushctl.commands.stats_campaigns import show
from pushctl.rules.figures.tables.groups import CAMPAIGNS, DETAILS


@rows_behind.with_rows
def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The campaign's name.")],
    site: SiteOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Show a campaign by language, browser, country and more.

    \b
    pushctl stats campaign "sale 2026-11-22" --csv
    pushctl stats campaign abandoned_basket_1/2 --since 30d

    Also by variant, by hour of sending on the receiver's own clock, by age (how long they
    had been a subscriber), by button, and by state and reason: why messages were left out
    or failed.
    """
    from pushctl.jobs.figures.tables import campaign_details

    here = context.of(ctx)
    asked = stats_shared.read(ctx, site=site, since=since, until=until)
    if rows_behind.answer(ctx, DETAILS, asked, format, campaign=name):
        return
    update_attribution.refresh(here)
    answer, details = campaign_details.load_details(here.store, here.config, name, asked)
    if format is output.Format.TABLE:
        show(answer, CAMPAIGNS, format)
        output.gap()
    output.rows(details, columns.of(DETAILS), format)
