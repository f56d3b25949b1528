"""Show what triggers bring."""

from typing import Annotated, Literal

import typer

from pushctl import output
from pushctl.commands import attributing, columns, context
from pushctl.commands.options import FormatOption, SinceOption, SiteOption, UntilOption


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
    from pushctl.jobs.figures import filters, triggers
    from pushctl.rules.figures.triggers import STEPS, TRIGGERS

    here = context.of(ctx)
    attributing.refresh(here)
    asked = filters.read(here.config, here.store, here.now, site=site, since=since, until=until)
    load = triggers.load_steps if by == "step" else triggers.load
    shown = load(here.store, here.config, asked)
    table = STEPS if by == "step" else TRIGGERS
    output.rows(shown.rows, columns.of(table), format, empty="Nobody entered a trigger yet.")
    if format is output.Format.TABLE:
        for remark in shown.remarks:
            output.say(remark)
