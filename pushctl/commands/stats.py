"""Show the figures of campaigns, subscribers and invitations."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import columns, context, loading, rows_behind, stats_check
from pushctl.commands.options import FormatOption, Text
from pushctl.jobs.figures import filters
from pushctl.jobs.figures.tables import funnels
from pushctl.rules.figures.tables import campaigns

app = typer.Typer()


@app.callback(invoke_without_command=True)
@rows_behind.with_rows
def stats(
    ctx: typer.Context,
    last: Annotated[
        Text, typer.Option(help="Only the last 10, or those of the last 7d.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Count all rows again, slowly, and compare what is kept."),
    ] = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Count accepted, shown and clicked messages.

    \b
    pushctl stats --last 7d
    pushctl stats --csv
    pushctl stats campaign "sale 2026-11-22"
    pushctl stats subscribers --every week
    pushctl stats prompts --by language

    Clicked counts people; clicks counts every click. CTR is shown twice: as a share of
    accepted messages and of shown messages. docs/figures.md explains each figure.
    """
    if ctx.invoked_subcommand is None:
        here = context.of(ctx)
        if check:
            stats_check.run(here.store, here.config)
        else:
            _show(ctx, last, format)


def _show(ctx: typer.Context, last: str | None, format: output.Format) -> None:
    here = context.of(ctx)
    count, since = filters.read_last(last, here.now)
    asked = filters.Filter(last=count, since=since, now=here.now)
    if rows_behind.answer(ctx, campaigns.STATS, asked, format):
        return
    progress = stats_check.show_counting
    rows = (
        funnels.load_latest(here.store, last, here.now, progress=progress)
        if last
        else funnels.load_funnel(here.store, progress=progress)
    )
    total = funnels.sum_rows(rows) if len(rows) > 1 else None
    empty = "No campaign in that time." if last else "No campaign yet."
    output.rows(rows, columns.of(campaigns.STATS), format, total=total, empty=empty)


for _name in (
    "campaigns",
    "campaign",
    "times",
    "ab",
    "promo",
    "sites",
    "subscribers",
    "segments",
    "prompts",
    "optin",
    "triggers",
    "holdout",
    "basket",
    "leaving",
):
    loading.add(app, _name, f"pushctl.commands.stats_{_name}")
