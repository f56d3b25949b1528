"""Show what becomes of baskets."""

import typer

from pushctl import output
from pushctl.commands import columns, context, rows_behind, stats_shared
from pushctl.commands.options import FormatOption, SinceOption, SiteOption, UntilOption


@rows_behind.with_rows
def command(
    ctx: typer.Context,
    site: SiteOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Count baskets: left, reminded, returned, bought.

    \b
    pushctl stats basket
    pushctl stats basket --since 90d --site shop
    pushctl stats basket --csv

    Baskets of the last 30 days, unless --since says otherwise. One is abandoned once nobody
    has touched it for half an hour, or by its first reminder; then there is a day to return.
    """
    from pushctl.jobs.figures.tables import basket
    from pushctl.rules.figures.tables.basket import BASKET

    asked = stats_shared.read(ctx, site=site, since=since or "30d", until=until)
    if rows_behind.answer(ctx, BASKET, asked, format):
        return
    here = context.of(ctx)
    shown = basket.load(here.store, here.config, asked)
    empty = "No basket was abandoned or bought in that time."
    output.rows(shown.rows, columns.of(BASKET), format, empty=empty)
    stats_shared.say(shown.remarks, format)
