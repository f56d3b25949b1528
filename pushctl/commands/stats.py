"""Figures: what became of campaigns, and how the base of subscribers grows."""

from enum import StrEnum
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption

app = typer.Typer()

_RATES = (
    output.Column("shown", "Shown", kind=output.Kind.NUMBER),
    output.Column("clicked", "Clicked", kind=output.Kind.NUMBER),
    output.Column("clicks", "Clicks", kind=output.Kind.NUMBER, spare=True),
    output.Column("ctr", "CTR accepted", kind=output.Kind.SHARE),
    output.Column("ctr_shown", "CTR shown", kind=output.Kind.SHARE),
)
_COUNTS = (
    output.Column("planned", "Planned", kind=output.Kind.NUMBER),
    output.Column("accepted", "Accepted", kind=output.Kind.NUMBER),
    output.Column("gone", "Gone", kind=output.Kind.NUMBER, spare=True, usual=0),
)
_SHOWN = (output.Column("name", "Campaign"), *_COUNTS, *_RATES)
_FUNNEL = (
    output.Column("name", "Campaign"),
    # Not in the table: it wouldn't fit, and names begin or end with a date.
    output.Column("at", "Started", kind=output.Kind.TIME),
    *_COUNTS,
    *_RATES,
)
_DETAILS = (output.Column("by", "By"), output.Column("value", "Value"), *_COUNTS, *_RATES)
_GROWTH = (
    output.Column("start", "From"),
    output.Column("active", "Active", kind=output.Kind.NUMBER),
    output.Column("new", "New", kind=output.Kind.NUMBER),
    output.Column("shown", "Of them shown", kind=output.Kind.NUMBER),
    output.Column("back", "Back", kind=output.Kind.NUMBER),
    output.Column("unsubscribed", "Unsubscribed", kind=output.Kind.NUMBER),
    output.Column("gone", "Gone", kind=output.Kind.NUMBER),
    output.Column("quarantined", "Set aside", kind=output.Kind.NUMBER),
    output.Column("net", "Net", kind=output.Kind.NUMBER),
    output.Column("churn", "Churn", kind=output.Kind.SHARE),
)

_PROMPTS = (
    *(
        output.Column(stage, stage.capitalize(), kind=output.Kind.NUMBER)
        for stage in ("seen", "accepted", "allowed", "denied", "dismissed")
    ),
    output.Column("rate", "Allowed of seen", kind=output.Kind.SHARE),
)


class PromptsBy(StrEnum):
    VARIANT = "variant"
    LANGUAGE = "language"
    BROWSER = "browser"


class Every(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@app.callback(invoke_without_command=True)
def stats(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    Count accepted, shown, clicked.

    \b
    pushctl stats --csv
    pushctl stats campaign "sale 2026-11-22"
    pushctl stats subscribers --every week
    pushctl stats prompts --by language

    Clicked counts people, clicks every click. CTR stands on accepted messages and on
    shown ones, side by side. docs/figures.md says how each figure is counted.
    """
    from pushctl.jobs.figures import report

    if ctx.invoked_subcommand is None:
        rows = report.funnel(context.of(ctx).store)
        total = report.totals(rows) if len(rows) > 1 else None
        columns = _SHOWN if format is output.Format.TABLE else _FUNNEL
        output.rows(rows, columns, format, total=total, empty="No campaign yet.")


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
    from pushctl.jobs.figures import report

    store = context.of(ctx).store
    if format is output.Format.TABLE:
        output.rows(report.funnel(store, name), _SHOWN, format)
        output.gap()
    output.rows(report.details(store, name), _DETAILS, format)


@app.command()
def subscribers(
    ctx: typer.Context,
    every: Annotated[Every, typer.Option("--every", help="Day, week or month.")] = Every.DAY,
    last: Annotated[int | None, typer.Option("--last", help="How many of them.", min=1)] = None,
    site: Annotated[str | None, typer.Option("--site", help="Only this site.")] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Show how many people came and went, by day, week or month.

    \b
    pushctl stats subscribers --every month --last 6

    Active is at the start of the period, churn what was lost of it.
    """
    from pushctl.jobs.figures import report

    here = context.of(ctx)
    zone = report.zone_of(here.config, site)
    rows = report.growth(here.store, here.now, zone, every=every.value, last=last, site=site)
    output.rows(rows, _GROWTH, format)


@app.command()
def prompts(
    ctx: typer.Context,
    by: Annotated[PromptsBy, typer.Option("--by", help="What to compare.")] = PromptsBy.VARIANT,
    last: Annotated[
        int | None, typer.Option("--last", help="Only so many days.", min=1)
    ] = None,
    site: Annotated[str | None, typer.Option("--site", help="Only this site.")] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Show how many saw the invitation, and how far they went with it.

    \b
    pushctl stats prompts --by language --last 30

    Accepted is our own question, allowed and denied the browser's. Nobody is known at
    that time: these are counts that anybody could send, not people.
    """
    from pushctl.jobs.figures import report

    here = context.of(ctx)
    rows = report.prompts(here.store, here.now, by.value, last=last, site=site)
    first = output.Column(by.value, by.value.capitalize())
    output.rows(rows, (first, *_PROMPTS), format, empty="Nobody has seen an invitation yet.")
