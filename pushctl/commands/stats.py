"""Show the figures of campaigns, subscribers and invitations."""

from typing import Annotated, Literal

import typer

from pushctl import output
from pushctl.commands import columns, context
from pushctl.commands.options import FormatOption, Text
from pushctl.jobs.figures import report
from pushctl.rules.figures import campaigns
from pushctl.rules.figures.prompts import PROMPTS
from pushctl.rules.figures.subscribers import GROWTH

app = typer.Typer()


@app.callback(invoke_without_command=True)
def stats(
    ctx: typer.Context,
    last: Annotated[
        Text, typer.Option(help="Only the last 10, or those of the last 7d.")
    ] = None,
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
        rows = (
            report.load_latest(here.store, last, here.now)
            if last
            else report.load_funnel(here.store)
        )
        total = report.sum_rows(rows) if len(rows) > 1 else None
        shown = columns.of(campaigns.STATS)
        output.rows(
            rows,
            shown,
            format,
            total=total,
            empty="No campaign in that time." if last else "No campaign yet.",
        )


@app.command()
def campaign(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The campaign's name.")],
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Show one campaign by language, browser, country, button and reason.

    \b
    pushctl stats campaign "sale 2026-11-22" --csv
    """
    store = context.of(ctx).store
    if format is output.Format.TABLE:
        output.rows(report.load_funnel(store, name), columns.of(campaigns.STATS), format)
        output.gap()
    output.rows(report.load_details(store, name), columns.of(campaigns.DETAILS), format)


@app.command()
def subscribers(
    ctx: typer.Context,
    every: Annotated[
        Literal["day", "week", "month"], typer.Option(help="Length of one period.")
    ] = "day",
    last: Annotated[int | None, typer.Option(help="Show this many.", min=1)] = None,
    site: Annotated[Text, typer.Option(help="Only this site.")] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Count new and lost subscribers by day, week or month.

    \b
    pushctl stats subscribers --every month --last 6

    Active is counted at the start of a period. Churn is the lost share of the active.
    """
    here = context.of(ctx)
    zone = report.find_zone(here.config, site)
    rows = report.load_growth(here.store, here.now, zone, every=every, last=last, site=site)
    output.rows(rows, columns.of(GROWTH), format)


@app.command()
def prompts(
    ctx: typer.Context,
    by: Annotated[
        Literal["variant", "language", "browser"], typer.Option(help="Group by this.")
    ] = "variant",
    last: Annotated[int | None, typer.Option(help="Number of days.", min=1)] = None,
    site: Annotated[Text, typer.Option(help="Only this site.")] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Count how many people saw, accepted or refused the invitation.

    \b
    pushctl stats prompts --by language --last 30

    Accepted is an answer to our invitation. Allowed and denied are answers to the
    browser's question. The counts are anonymous, so anybody could send false ones.
    """
    here = context.of(ctx)
    rows = report.load_prompts(here.store, here.now, by, last=last, site=site)
    shown = columns.of(PROMPTS[by])
    output.rows(rows, shown, format, empty="No invitation was seen yet.")
