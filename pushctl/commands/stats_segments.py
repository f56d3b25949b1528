"""Show how large segments were."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pushctl import output
from pushctl.commands import columns, context, rows_behind
from pushctl.commands.options import FormatOption, Names, PeriodsOption, read_periods
from pushctl.rules.figures.tables.segments import SEGMENTS
from pushctl.rules.wording import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushctl.rules.figures.figure import Row

_NONE = "No segment yet. Write one into pushctl.toml: [segments] vip = \"tag('VIP')\"."


@rows_behind.with_rows
def command(
    ctx: typer.Context,
    names: Annotated[Names, typer.Argument(help="Only these segments.")] = None,
    every: Annotated[
        Literal["day", "week", "month"], typer.Option(help="Length of one period.")
    ] = "day",
    last: PeriodsOption = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Show how segments grow, by day, week or month.

    \b
    pushctl stats segments --every week
    pushctl stats segments vip --last 30 --csv

    The sweep counts each segment once a day. Days without it, and those before pushctl
    counted, are unknown. `pushctl segments list` counts now.
    """
    from pushctl.jobs.figures import filters
    from pushctl.jobs.figures.tables import segment_sizes

    here = context.of(ctx)
    asked = filters.Filter(zone=here.config.zone, now=here.now)
    count = read_periods(last) or segment_sizes.PERIODS[every]
    if rows_behind.answer(ctx, SEGMENTS, asked, format, every=every, count=count):
        return
    rows = segment_sizes.load_sizes(
        here.config, here.store, here.now, names=names or (), every=every, last=count
    )
    output.rows(rows, columns.of(SEGMENTS), format, empty=_NONE)
    if format is output.Format.TABLE:
        _draw(rows)


def _draw(rows: "Sequence[Row]") -> None:
    """Draw a line for each segment, the oldest period first."""
    points: dict[str, list[tuple[str, float | None]]] = {}
    for row in reversed(rows):
        size = row["subscribers"]
        known = size if isinstance(size, int) else None
        points.setdefault(str(row["segment"]), []).append((str(row["start"]), known))
    for name in reversed(points):
        output.sparkline(name, points[name], lambda value: number(round(value)))
