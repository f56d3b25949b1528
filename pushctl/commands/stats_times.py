"""Count what was sent, shown and clicked by the receivers' clocks."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pushctl import output
from pushctl.commands import context, rows_behind, stats_check, stats_shared
from pushctl.commands.options import (
    FormatOption,
    LastOption,
    SinceOption,
    SiteOption,
    TopicOption,
    UntilOption,
)
from pushctl.commands.stats_campaigns import show
from pushctl.output import Format
from pushctl.rules.figures.send_times.best_hours import LEAST_OF_CELL
from pushctl.rules.figures.tables.groups import TIMES
from pushctl.rules.wording import share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushctl.rules.figures.figure import Row

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_HOURS = tuple(f"{hour:02}" for hour in range(24))


@rows_behind.with_rows
def command(
    ctx: typer.Context,
    by: Annotated[
        Literal["hour", "weekday", "cell"],
        typer.Option(help="Hour, weekday, or cell: each hour of the week."),
    ] = "hour",
    site: SiteOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    topic: TopicOption = None,
    last: LastOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """
    Count messages by hour and weekday of sending.

    \b
    pushctl stats times --since 90d
    pushctl stats times --by weekday --topic news
    pushctl stats times --by cell --csv

    Hours are those on each receiver's own clock. They compare what was sent then, not the
    hours themselves: an hour that had the best campaign looks best.
    """
    from pushctl.jobs.figures.tables import breakdowns

    asked = stats_shared.read(ctx, site=site, since=since, until=until, topic=topic, last=last)
    if rows_behind.answer(ctx, TIMES, asked, format, by=by):
        return
    here = context.of(ctx)
    stats_check.prepare(here.store)
    found = breakdowns.compare_times(here.store, here.config, asked, by)
    show(found, TIMES, format)
    if output.is_for_people(format):
        draw(by, found.rows)


def draw(by: str, rows: "Sequence[Row]") -> None:
    """Draw the rates below their table; what nobody knows, and too few, is left open."""
    rates = {str(row["value"]): _rate(row) for row in rows if row["value"] is not None}
    if all(rate is None for rate in rates.values()):
        return
    output.gap()
    title = f"CTR by {by}; below {LEAST_OF_CELL} accepted messages nothing is drawn"
    if by == "cell":
        grid = [[rates.get(f"{day} {hour}") for hour in _HOURS] for day in _DAYS]
        title = title.replace("cell", "weekday and hour")
        output.heat(title, [day[:3] for day in _DAYS], _HOURS, grid, share)
    else:
        output.bars(title, list(rates.items()), share)


def _rate(row: "Row") -> float | None:
    accepted, rate = row["accepted"], row["ctr"]
    assert isinstance(accepted, int)
    return rate if isinstance(rate, float) and accepted >= LEAST_OF_CELL else None
