"""Show what becomes of baskets."""

import typer

from pushctl import output
from pushctl.commands import columns, context
from pushctl.commands.options import FormatOption, SinceOption, SiteOption, UntilOption


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
    from pushctl.jobs.figures import basket, filters
    from pushctl.rules.figures.basket_table import BASKET

    here = context.of(ctx)
    asked = filters.read(
        here.config, here.store, here.now, site=site, since=since or "30d", until=until
    )
    shown = basket.load(here.store, here.config, asked)
    empty = "No basket was abandoned or bought in that time."
    output.rows(shown.rows, columns.of(BASKET), format, empty=empty)
    if format is output.Format.TABLE:
        for remark in shown.remarks:
            output.say(remark)
