"""Compare campaigns, and messages by topic, country, hour and the like."""

from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import columns, context, rows_behind, stats_check, stats_shared
from pushctl.commands.options import (
    ByOption,
    FormatOption,
    LastOption,
    SinceOption,
    SiteOption,
    Text,
    TopicOption,
    UntilOption,
    check_word,
)
from pushctl.output import Format
from pushctl.rules.columns import has_too_many_amounts
from pushctl.rules.figures.figure import Table
from pushctl.rules.figures.tables import groups

if TYPE_CHECKING:
    from pushctl.jobs.figures.tables.breakdowns import Answer

SortOption = Annotated[
    Text, typer.Option("--sort", help=f"Highest first: {', '.join(groups.SORTS)}.")
]
BestOption = Annotated[
    bool, typer.Option("--best", help="Best first, by what the rate surely is.")
]


@rows_behind.with_rows
def command(
    ctx: typer.Context,
    by: ByOption = None,
    sort: SortOption = None,
    best: BestOption = False,
    site: SiteOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    topic: TopicOption = None,
    last: LastOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """
    Compare campaigns: clicks, orders, revenue.

    \b
    pushctl stats campaigns --since 30d --best
    pushctl stats campaigns --topic news --sort revenue
    pushctl stats campaigns --by country --since 2026-11-01
    pushctl stats campaigns --by month --csv

    Grouped by campaign, topic, site, language, country, browser, os, device, variant, hour,
    weekday, day, week, month, or age (how long the receiver had been a subscriber). Every
    rate has its interval of 95 %, and the person is its unit. Orders are those that a click
    or a promo code brought about; influenced ones stand apart.
    """
    from pushctl.jobs.figures.breakdown import dimensions
    from pushctl.jobs.figures.tables import breakdowns

    asked = stats_shared.read(ctx, site=site, since=since, until=until, topic=topic, last=last)
    check_word("--sort", sort, groups.SORTS)
    check_word("--by", by, dimensions.COMPARED)
    table = groups.GROUPS if by else groups.CAMPAIGNS
    if rows_behind.answer(ctx, table, asked, format, by=by):
        return
    here = context.of(ctx)
    stats_check.prepare(here.store)
    by = by or "campaign"
    found = breakdowns.compare(here.store, here.config, asked, by, sort=sort, best=best)
    show(found, table, format)


def show(answer: "Answer", table: Table, format: Format) -> None:
    """Print *answer*, and to people what is to be said of it."""
    total = answer.total if len(answer.rows) > 1 else None
    empty = "No message in that selection."
    output.rows(answer.rows, columns.of(table), format, total=total, empty=empty)
    if output.is_for_people(format) and answer.rows:
        output.gap()
        for remark in answer.remarks:
            output.say(remark)
        rows = [*answer.rows, total or {}]
        if any(has_too_many_amounts(row.get("revenue")) for row in rows):
            output.say(
                "More currencies than fit: --csv has all. For one sum write currency and rates "
                "into [figures]: docs/attribution.md"
            )
