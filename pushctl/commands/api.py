"""What servers sent to the API."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.apikeys import LOG
from pushctl.commands.options import FormatOption, Text
from pushctl.output import Format

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Show what servers sent to the API.

    \b
    pushctl api log
    """,
)


@app.callback()
def _group() -> None:
    """Keep `log` a verb: a group of one would be that verb itself."""


@app.command()
def log(
    ctx: typer.Context,
    refused: Annotated[bool, typer.Option("--refused", help="Only what was refused.")] = False,
    key: Annotated[Text, typer.Option(help="Only this key: its id or label.")] = None,
    since: Annotated[Text, typer.Option(help="Only of this time: 7d.")] = None,
    last: Annotated[int, typer.Option(help="Only the newest ones.", min=1)] = 50,
    format: FormatOption = Format.TABLE,
) -> None:
    """
    List the requests of servers, newest first, and what became of them.

    \b
    pushctl api log --refused --since 1d

    A request may have refused items while the others are applied; the first reason is
    shown, and GET /v1/requests/ID tells all. Calls that were not taken at all (a wrong key,
    a missing scope, another form) are counted by the minute.
    """
    from pushctl.jobs.ingest import api_log
    from pushctl.rules import timing

    here = context.of(ctx)
    begin = here.now - timing.duration(since) if since else 0
    found = api_log.load(
        here.config, here.store, key=key, since=begin, last=last, refused=refused
    )
    output.rows(found, LOG, format, empty="No call was refused." if refused else "No call yet.")
