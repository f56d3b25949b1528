"""Count the way from a new visitor to a subscriber."""

from typing import Annotated, Literal

import typer

from pushctl import output
from pushctl.commands import columns, context, rows_behind, stats_shared
from pushctl.commands.options import FormatOption, SinceOption, SiteOption, UntilOption
from pushctl.jobs.figures.tables import optin
from pushctl.rules.figures.tables.prompts import OPTIN


@rows_behind.with_rows
def command(
    ctx: typer.Context,
    by: Annotated[
        Literal["variant", "language", "browser"], typer.Option(help="Group by this.")
    ] = "variant",
    site: SiteOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Count how many new visitors see the invitation and agree.

    \b
    pushctl stats optin --since 30d

    A visit is the first one of a browser that could be asked. Days before visits were counted
    are left out of rates of visits. The counts are anonymous: anybody could send false ones.
    """
    asked = stats_shared.read(ctx, site=site, since=since, until=until)
    if rows_behind.answer(ctx, OPTIN[by], asked, format, by=by, visits=True):
        return
    rows = optin.load_optin(context.of(ctx).store, asked, by)
    output.rows(rows, columns.of(OPTIN[by]), format, empty="No invitation was seen yet.")
