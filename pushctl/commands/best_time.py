"""Show the best time to send."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from pushctl import output
from pushctl.commands import columns, context, stats_check
from pushctl.commands.options import (
    FormatOption,
    SinceOption,
    SiteOption,
    TopicOption,
    UntilOption,
)

if TYPE_CHECKING:
    from pushctl.jobs.figures.send_times.best_time import BestTime, Part
    from pushctl.rules.figures.figure import Row

_NOTHING = (
    "No message has a time of sending yet. `pushctl send --at best` takes an hour before or "
    "after work."
)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def command(
    ctx: typer.Context,
    site: SiteOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    topic: TopicOption = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Show the best time to send.

    \b
    pushctl best-time
    pushctl best-time --topic promotion --since 90d --csv

    It compares messages by the hour of sending on each receiver's own clock: before, at and
    after work and the weekend, then single hours where enough was sent. Campaigns differ more
    than hours do: `send --explore 10%` draws hours by lots, and then the hours answer.
    """
    from pushctl.jobs.figures import filters
    from pushctl.jobs.figures.send_times import best_time
    from pushctl.rules.figures.tables.best_time import BEST_TIME

    here = context.of(ctx)
    asked = filters.read(
        here.config, here.store, here.now, site=site, since=since, until=until, topic=topic
    )
    stats_check.prepare(here.store)
    found = best_time.find_best_time(here.store, here.config, asked)
    rows = [BEST_TIME.fill(row) for row in _list_rows(found)]
    output.rows(rows, columns.of(BEST_TIME), format, empty=_NOTHING)
    _tell(best_time.describe(found), format)
    _show_cells(found, format)


def _tell(sentences: list[str], format: output.Format) -> None:
    """Print what has to be known to read the table; beside CSV on stderr."""
    for sentence in sentences:
        if format is output.Format.TABLE:
            output.answer(output.fit(sentence, sys.stdout))
        else:
            output.say(sentence)


def _list_rows(found: "BestTime") -> "Iterator[Row]":
    from pushctl.rules.figures.send_times.best_hours import BLOCKS, HOURS

    if not any(one.sends for one in found.blocks.measured):
        return
    yield from _fill("block", [str(block) for block in BLOCKS], found.blocks)
    if found.hours.enough:
        yield from _fill("hour", [f"{hour:02}:00" for hour in range(HOURS)], found.hours)


def _fill(kind: str, names: list[str], part: "Part") -> "Iterator[Row]":
    for place, (name, one) in enumerate(zip(names, part.measured, strict=True)):
        known = one.rate.value is not None
        yield {
            "kind": kind,
            "slot": name,
            "sends": one.sends,
            "people": one.people,
            "campaigns": one.campaigns,
            "ctr": one.rate.value,
            "ctr_low": one.rate.low if known else None,
            "ctr_high": one.rate.high if known else None,
            "ctr_n": one.people,
            "expected": part.shrunk.rates[place] if part.shrunk and one.sends else None,
            "best": "best" if part.best == place else None,
        }


def _show_cells(found: "BestTime", format: output.Format) -> None:
    """Draw the cells below a table: a picture, and nothing to choose by."""
    if format is not output.Format.TABLE:
        return
    if not any(value is not None for row in found.cells for value in row):
        return
    hours = [f"{hour:02}" for hour in range(24)]
    output.gap()
    title = "CTR by weekday and hour: a picture only, no cell has enough to choose by"
    output.heat(title, _DAYS, hours, found.cells, lambda value: f"{value:.1%}")
