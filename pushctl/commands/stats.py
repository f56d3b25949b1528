"""Show the figures of campaigns, subscribers and invitations."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import (
    columns,
    context,
    stats_ab,
    stats_basket,
    stats_campaign,
    stats_campaigns,
    stats_check,
    stats_holdout,
    stats_leaving,
    stats_optin,
    stats_promo,
    stats_prompts,
    stats_segments,
    stats_sites,
    stats_subscribers,
    stats_times,
    stats_triggers,
)
from pushctl.commands.options import FormatOption, Text
from pushctl.jobs.figures import report
from pushctl.rules.figures import campaigns

app = typer.Typer()


@app.callback(invoke_without_command=True)
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
            stats_check.run(here.store)
        else:
            _show(here, last, format)


def _show(here: context.Context, last: str | None, format: output.Format) -> None:
    progress = stats_check.show_counting
    rows = (
        report.load_latest(here.store, last, here.now, progress=progress)
        if last
        else report.load_funnel(here.store, progress=progress)
    )
    total = report.sum_rows(rows) if len(rows) > 1 else None
    empty = "No campaign in that time." if last else "No campaign yet."
    output.rows(rows, columns.of(campaigns.STATS), format, total=total, empty=empty)


app.command("campaigns")(stats_campaigns.command)
app.command("campaign")(stats_campaign.command)
app.command("times")(stats_times.command)
app.command("ab")(stats_ab.command)
app.command("promo")(stats_promo.command)
app.command("sites")(stats_sites.command)
app.command("subscribers")(stats_subscribers.command)
app.command("segments")(stats_segments.command)
app.command("prompts")(stats_prompts.command)
app.command("optin")(stats_optin.command)
app.command("triggers")(stats_triggers.command)
app.command("holdout")(stats_holdout.command)
app.command("basket")(stats_basket.command)
app.command("leaving")(stats_leaving.command)
