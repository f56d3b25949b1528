"""Count the answers to the invitation."""

from typing import Annotated, Literal

import typer

from pushctl import output
from pushctl.commands import columns, context, rows_behind
from pushctl.commands.options import FormatOption, Text
from pushctl.jobs.figures import filters
from pushctl.jobs.figures.tables import funnels
from pushctl.rules import units
from pushctl.rules.figures.tables.prompts import PROMPTS


@rows_behind.with_rows
def command(
    ctx: typer.Context,
    by: Annotated[
        Literal["variant", "language", "browser"], typer.Option(help="Group by this.")
    ] = "variant",
    last: Annotated[int | None, typer.Option(help="Number of days.", min=1)] = None,
    site: Annotated[Text, typer.Option(help="Only this site.")] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Count who saw, accepted or refused the invitation.

    \b
    pushctl stats prompts --by language --last 30

    Accepted is an answer to our invitation. Allowed and denied are answers to the
    browser's question. The counts are anonymous, so anybody could send false ones.
    """
    here = context.of(ctx)
    since = None if last is None else here.now - (last - 1) * units.DAY
    asked = filters.Filter(site=site, since=since, now=here.now)
    if rows_behind.answer(ctx, PROMPTS[by], asked, format, by=by):
        return
    rows = funnels.load_prompts(here.store, here.now, by, last=last, site=site)
    output.rows(rows, columns.of(PROMPTS[by]), format, empty="No invitation was seen yet.")
