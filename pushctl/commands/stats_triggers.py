"""Show what triggers bring."""

from typing import Annotated, Literal

import typer

from pushctl import output
from pushctl.commands import columns, context, rows_behind, stats_shared, update_attribution
from pushctl.commands.options import FormatOption, SinceOption, SiteOption, UntilOption


@rows_behind.with_rows
def command(
    ctx: typer.Context,
    by: Annotated[
        Literal["trigger", "step"], typer.Option(help="A row for each trigger, or step.")
    ] = "trigger",
    site: SiteOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Show who entered each trigger and reached its goal.

    \b
    pushctl stats triggers
    pushctl stats triggers --by step
    pushctl stats triggers --since 30d --csv

    The lift needs `holdout` and `goal` in the trigger: it is what people reach the goal more
    often than those who were watched and got nothing.
    """
    from pushctl.jobs.figures.tables import triggers
    from pushctl.rules.figures.tables.triggers import STEPS, TRIGGERS

    asked = stats_shared.read(ctx, site=site, since=since, until=until)
    table = STEPS if by == "step" else TRIGGERS
    if rows_behind.answer(ctx, table, asked, format, by=by):
        return
    here = context.of(ctx)
    update_attribution.refresh(here)
    load = triggers.load_steps if by == "step" else triggers.load
    shown = load(here.store, here.config, asked)
    output.rows(shown.rows, columns.of(table), format, empty="Nobody entered a trigger yet.")
    stats_shared.say(shown.remarks, format)
