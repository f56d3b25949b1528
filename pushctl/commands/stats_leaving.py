"""Count after which messages people unsubscribe."""

from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import columns, context, rows_behind, stats_shared
from pushctl.commands.options import (
    ByOption,
    FormatOption,
    SinceOption,
    SiteOption,
    UntilOption,
    check_word,
)
from pushctl.output import Format
from pushctl.rules.figures.tables import leaving as rules

if TYPE_CHECKING:
    from pushctl.jobs.figures.filters import Filter


@rows_behind.with_rows
def command(
    ctx: typer.Context,
    by: ByOption = None,
    site: SiteOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    browsers: Annotated[
        bool, typer.Option("--penalties", help="Browsers near to ending it themselves.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """
    Show which messages people leave after.

    \b
    pushctl stats leaving
    pushctl stats leaving --by campaign --since 2026-11-01
    pushctl stats leaving --by segment --csv
    pushctl stats leaving --penalties

    The last 90 days, unless --since says otherwise. A message answers for two days, or until
    the next one. By message, frequency, form, length, hour, language, browser, campaign,
    topic, segment, site, country, os, device or variant.
    """
    check_word("--by", by, rules.KINDS)
    asked = stats_shared.read(ctx, site=site, since=since or "90d", until=until)
    table = rules.PENALTIES if browsers else rules.LEAVING
    if rows_behind.answer(ctx, table, asked, format, by=by):
        return
    here = context.of(ctx)
    if browsers:
        _show_penalties(here, asked, format)
    else:
        _show(here, asked, by, format)


def _show(here: context.Context, asked: "Filter", by: str | None, format: Format) -> None:
    from pushctl.jobs.figures.tables import leaving, penalties

    found = leaving.load(here.store, here.config, asked, [by] if by else rules.USUAL)
    shown = columns.of(rules.LEAVING)
    output.rows(found.rows, shown, format, empty="No message in that time.")
    if output.is_for_people(format) and found.rows:
        output.gap()
        for remark in found.remarks:
            output.say(remark)
        near = penalties.load(here.store, asked) if by in (None, "browser") else []
        for warning in penalties.warn(near):
            output.warn(warning)


def _show_penalties(here: context.Context, asked: "Filter", format: Format) -> None:
    from pushctl.jobs.figures.tables import penalties

    rows = penalties.load(here.store, asked)
    empty = "No message to a Chrome or Safari in 30 days."
    output.rows(rows, columns.of(rules.PENALTIES), format, empty=empty)
    for remark in penalties.warn(rows):
        output.warn(remark)
