"""Count new and lost subscribers, who is reached, and who stays."""

from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from pushctl import output
from pushctl.commands import columns, context
from pushctl.commands.options import (
    ByOption,
    FormatOption,
    SinceOption,
    SiteOption,
    UntilOption,
    check_word,
)
from pushctl.errors import UsageError
from pushctl.rules.figures import subscribers
from pushctl.rules.figures.figure import Row, Table
from pushctl.rules.wording import number

EveryOption = Annotated[
    Literal["hour", "day", "week", "month"] | None, typer.Option(help="Length of one period.")
]
ShowOption = Annotated[
    Literal["growth", "reach", "cohorts"],
    typer.Option(help="Growth; reach by age of subscription; who stays."),
]


def command(
    ctx: typer.Context,
    every: EveryOption = None,
    last: Annotated[int | None, typer.Option(help="Show this many.", min=1)] = None,
    show: ShowOption = "growth",
    by: ByOption = None,
    site: SiteOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    chart: Annotated[bool, typer.Option("--chart", help="Draw the active as a curve.")] = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Count new and lost subscribers by hour, day, week or month.

    \b
    pushctl stats subscribers --every month --last 6
    pushctl stats subscribers --last 30 --chart
    pushctl stats subscribers --by country --since 30d
    pushctl stats subscribers --show cohorts
    pushctl stats subscribers --show reach

    Active is counted at the start of a period. Churn is the share of them that was lost. With
    --by, growth is that of one time (--since, else the last 30 days); cohorts are by month.
    """
    if (every or last) and (by or since or until or show != "growth"):
        raise UsageError("--every and --last show growth by periods: leave out the others.")
    if by and show == "reach":
        raise UsageError("reach is by age alone: leave out --by.")
    if show == "growth" and (since or until) and not by:
        by = "site"
    table, rows = _load(ctx, show, by, (site, since, until), every or "day", last)
    output.rows(rows, columns.of(table), format, empty="No subscriber yet.")
    if table is subscribers.GROWTH and rows and output.is_for_people(format):
        draw(rows, chart=chart)


def _load(
    ctx: typer.Context,
    show: str,
    by: str | None,
    limits: tuple[str | None, str | None, str | None],
    every: str,
    last: int | None,
) -> tuple[Table, list[Row]]:
    from pushctl.jobs.figures import filters
    from pushctl.jobs.figures import subscribers as job

    here = context.of(ctx)
    site, since, until = limits
    if show == "growth" and by is None:
        zone = filters.find_zone(here.config, site)
        rows = job.load_growth(here.store, here.now, zone, every=every, last=last, site=site)
        return subscribers.GROWTH, rows
    if by is not None:
        check_word("--by", by, job.GROUPS)
    if show == "growth" and by != "month":
        since = since or "30d"
    asked = filters.read(here.config, here.store, here.now, site=site, since=since, until=until)
    if show == "reach":
        return subscribers.REACH, job.load_reach(here.store, asked)
    if show == "cohorts":
        return subscribers.COHORTS, job.load_cohorts(here.store, asked, by or "month")
    return subscribers.SPLIT, job.load_split(here.store, asked, by or "country")


def draw(rows: Sequence[Row], *, chart: bool) -> None:
    """Draw how many were active, the oldest of *rows* first: a line, or a curve."""
    active = [(str(row["start"]), _count(row["active"])) for row in reversed(rows)]
    output.gap()
    (output.curve if chart else output.sparkline)("Active", active, _show)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _show(value: float) -> str:
    return number(round(value))  # ticks of a curve lie between people
