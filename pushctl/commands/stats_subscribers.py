"""Count new and lost subscribers, who is reached, and who stays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pushctl import output
from pushctl.commands import columns, context, rows_behind, stats_shared
from pushctl.commands.options import (
    ByOption,
    FormatOption,
    PeriodsOption,
    SinceOption,
    SiteOption,
    UntilOption,
    check_word,
    read_periods,
)
from pushctl.errors import UsageError
from pushctl.rules.figures.figure import Row, Table
from pushctl.rules.figures.tables import subscribers
from pushctl.rules.wording import number

if TYPE_CHECKING:
    from pushctl.jobs.figures.filters import Filter

EveryOption = Annotated[
    Literal["hour", "day", "week", "month"] | None, typer.Option(help="Length of one period.")
]
ShowOption = Annotated[
    Literal["growth", "reach", "cohorts"],
    typer.Option(help="Growth; reach by age of subscription; who stays."),
]


@rows_behind.with_rows
def command(
    ctx: typer.Context,
    every: EveryOption = None,
    last: PeriodsOption = None,
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
    by = _check(show, by, periods=bool(every or last), limited=bool(since or until))
    length = every or "day"
    count = read_periods(last) or subscribers.PERIODS[length]
    table = _choose(show, by)
    if table is subscribers.SPLIT and by != "month":
        since = since or "30d"
    asked = stats_shared.read(ctx, site=site, since=since, until=until)
    if rows_behind.answer(ctx, table, asked, format, by=by, every=length, count=count):
        return
    rows = _load(context.of(ctx), table, asked, by, length, count)
    output.rows(rows, columns.of(table), format, empty="No subscriber yet.")
    if table is subscribers.GROWTH and rows and output.is_for_people(format):
        draw(rows, chart=chart)


def _check(show: str, by: str | None, *, periods: bool, limited: bool) -> str | None:
    """Return by what it is grouped; raises UsageError for options that don't go together."""
    if periods and (by or limited or show != "growth"):
        raise UsageError("--every and --last show growth by periods: leave out the others.")
    if by and show == "reach":
        raise UsageError("reach is by age alone: leave out --by.")
    check_word("--by", by, subscribers.GROUPS)
    return "site" if show == "growth" and limited and not by else by


def _choose(show: str, by: str | None) -> Table:
    growth = subscribers.SPLIT if by else subscribers.GROWTH
    return {"reach": subscribers.REACH, "cohorts": subscribers.COHORTS}.get(show, growth)


def _load(
    here: context.Context,
    table: Table,
    asked: "Filter",
    by: str | None,
    every: str,
    count: int,
) -> Sequence[Row]:
    if table is subscribers.REACH:
        from pushctl.jobs.figures.tables import reach

        return reach.load_reach(here.store, asked)

    from pushctl.jobs.figures.tables import subscribers as job

    if table is subscribers.COHORTS:
        return job.load_cohorts(here.store, asked, by or "month")
    if table is subscribers.SPLIT:
        return job.load_split(here.store, asked, by or "country")
    return job.load_growth(
        here.store, asked.now, asked.zone, every=every, last=count, site=asked.site
    )


def draw(rows: Sequence[Row], *, chart: bool) -> None:
    """Draw how many were active, the oldest of *rows* first: a line, or a curve."""
    active = [(str(row["start"]), _count(row["active"])) for row in reversed(rows)]
    output.gap()
    (output.curve if chart else output.sparkline)("Active", active, _show)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _show(value: float) -> str:
    return number(round(value))  # ticks of a curve lie between people
