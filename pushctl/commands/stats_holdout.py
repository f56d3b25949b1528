"""Show what marketing brings, by the control group that gets none."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import columns, context, rows_behind, stats_shared
from pushctl.commands.options import FormatOption, SinceOption, SiteOption, UntilOption


@rows_behind.with_rows
def command(
    ctx: typer.Context,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show how long each share would take.")
    ] = False,
    site: SiteOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Compare people who get messages with the control group.

    \b
    pushctl stats holdout
    pushctl stats holdout --plan
    pushctl stats holdout --site shop --since 2026-11-01 --json

    [holdout] in pushctl.toml keeps a share of people from all marketing. The lift may be
    looked at any day; it is shown from 20 buyers in each group on.
    """
    from pushctl.jobs.figures.tables import holdout
    from pushctl.rules.figures.tables import holdout as holdout_table

    asked = stats_shared.read(ctx, site=site, since=since, until=until)
    table = holdout_table.PLAN if plan else holdout_table.HOLDOUT
    if rows_behind.answer(ctx, table, asked, format):
        return
    here = context.of(ctx)
    shown = holdout.load(here.store, here.config, asked)
    rows = shown.plan if plan else shown.rows
    if rows or format is not output.Format.TABLE:
        output.rows(rows, columns.of(table), format)
    stats_shared.say(shown.plan_remarks if plan else shown.remarks, format)
