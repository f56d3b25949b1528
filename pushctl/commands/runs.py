"""What sweeps, sends, imports and others did, and how they ended."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, Text
from pushctl.output import Column, Format, Kind

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Show what sweeps, sends and imports did.

    \b
    pushctl runs list
    pushctl runs show 1204
    """,
)

_COLUMNS = (
    Column("id", "Run", kind=Kind.NUMBER),
    Column("command", "Command"),
    Column("started_at", "Began", kind=Kind.TIME),
    Column("took", "Took", kind=Kind.DURATION),
    Column("state", "State"),
    Column("exit_code", "Exit code", kind=Kind.NUMBER, spare=True),
    Column("what", "What"),
    Column("fault", "Fault", usual=None),
)
_DETAILS = (
    *_COLUMNS[:3],
    Column("finished_at", "Ended", kind=Kind.TIME),
    *_COLUMNS[3:-1],
    Column("faults", "Faults", kind=Kind.LIST),
    Column("stages", "Stages", kind=Kind.LIST),
)


@app.command("list")
def list_(
    ctx: typer.Context,
    command: Annotated[
        Text, typer.Option("--command", "-c", help="Only this one: sweep, send, import.")
    ] = None,
    since: Annotated[Text, typer.Option(help="Only newer ones: 24h, 7d.")] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those that did not end well.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many.")] = 20,
    format: FormatOption = Format.TABLE,
) -> None:
    """
    List the last runs, newest first, with how they ended.

    \b
    pushctl runs list
    pushctl runs list --failed --since 7d
    pushctl runs list --command sweep --json

    A sweep without work is not listed. States: done; troubled: done, and something has to be
    put right; refused by a push service; stopped; failed; running; died: it was killed.
    """
    from pushctl.jobs.project import run_history
    from pushctl.rules import timing

    here = context.of(ctx)
    after = 0 if since is None else here.now - timing.duration(since)
    found = run_history.list_runs(here.store, limit, command, after, failed=failed)
    output.rows(found, _COLUMNS, format, empty="No run is in the history.")


@app.command()
def show(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(help="The run, by its number.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """
    Show one run: its counts, stages, and what it stumbled over.

    \b
    pushctl runs show 1204
    """
    from pushctl.jobs.project import run_history

    found = run_history.show(context.of(ctx).store, number)
    output.record(found, _DETAILS, format)
