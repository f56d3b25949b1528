"""``pushctl sql``: one statement on the views, read-only."""

import re
import sys
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context, update_attribution
from pushctl.commands.options import FormatOption, PeopleOption, Text, find_login
from pushctl.output import Column

_VIEWS = (
    Column("view", "View"),
    Column("column", "Column"),
    Column("type", "Type"),
    Column("meaning", "Meaning"),
)


def command(
    ctx: typer.Context,
    statement: Annotated[
        Text, typer.Argument(help='One SELECT; "-": stdin. Without: lists what can be asked.')
    ] = None,
    people: PeopleOption = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Ask the database with one SELECT, read-only.

    \b
    pushctl sql
    pushctl sql "SELECT status, count(*) FROM deliveries GROUP BY 1"
    pushctl sql --csv - < question.sql

    Only views can be asked, which have no endpoint, key, promo code or attribute. A
    statement ends after 30 s; an answer has 100,000 rows at most. docs/sql.md has the views
    and examples.
    """
    from pushctl.jobs.figures.raw_rows import access_log, free_sql

    if statement is None:
        output.rows(free_sql.list_views(), _VIEWS, format)
        return
    text = sys.stdin.read() if statement == "-" else statement
    here = context.of(ctx)
    _refresh(here, text)
    with access_log.note(here.store, here.later, "sql", find_login(), people=people) as counts:
        found = free_sql.ask(here.store, text, people=people)
        counts.append(len(found.rows))
    output.rows(found.rows, found.columns, format, empty="No row.")
    if found.note:
        output.warn(found.note)


def _refresh(here: context.Context, statement: str) -> None:
    """Bring up to date what the view ``credits`` shows, where *statement* names it."""
    if re.search(r"\bcredits\b", statement, re.IGNORECASE):
        update_attribution.refresh(here)
