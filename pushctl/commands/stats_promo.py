"""Show what became of promo codes."""

import typer

from pushctl import output
from pushctl.commands import columns, context, rows_behind, stats_shared
from pushctl.commands.options import FormatOption, SinceOption, SiteOption, UntilOption
from pushctl.output import Format
from pushctl.rules.figures.tables.promo import PROMO


@rows_behind.with_rows
def command(
    ctx: typer.Context,
    site: SiteOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """
    Show pools of promo codes: given out, redeemed, revenue.

    \b
    pushctl stats promo --since 30d
    pushctl stats promo --csv

    Revenue is that of every order with a code of the pool, also where a later click of
    another message has the order (see `pushctl stats campaigns`).
    """
    from pushctl.jobs.figures.tables import promo

    asked = stats_shared.read(ctx, site=site, since=since, until=until)
    if rows_behind.answer(ctx, PROMO, asked, format):
        return
    here = context.of(ctx)
    rows = promo.load_pools(here.store, here.config, asked)
    output.rows(rows, columns.of(PROMO), format, empty="There is no pool of promo codes.")
