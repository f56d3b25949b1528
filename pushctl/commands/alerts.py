"""List alerts and try them out."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption
from pushctl.errors import DeliveryError
from pushctl.output import Column, Format, Kind

app = typer.Typer(
    no_args_is_help=True,
    help="""
    List and test alerts.

    \b
    pushctl alerts list
    pushctl alerts test churn
    """,
)

_LIST = (
    Column("name", "Alert"),
    Column("kind", "Kind"),
    Column("site", "Site", usual=None),
    Column("way", "Tells by"),
    Column("state", "State"),
    Column("since", "Since", kind=Kind.TIME, spare=True),
    Column("text", "Now"),
    Column("told", "Told", usual=None),
    Column("told_at", "Told at", kind=Kind.TIME, spare=True, usual=None),
    Column("failure", "Failure", usual=None),
)


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """
    List alerts, what they see now, and what they told last.

    \b
    pushctl alerts list
    pushctl alerts list --json
    """
    from pushctl.jobs.webhooks import alerts

    here = context.of(ctx)
    rows = alerts.list_alerts(here.store, here.config, here.now)
    output.rows(rows, _LIST, format, empty="No alert yet. docs/alerts.md shows how.")


@app.command()
def test(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="An alert of pushctl.toml.")],
) -> None:
    """
    Tell once by an alert's way, with the state "test".

    \b
    pushctl alerts test churn
    """
    from pushctl.jobs.webhooks import alerts

    here = context.of(ctx)
    one = alerts.get(here.config, name)
    found = alerts.look(here.store, here.config, one, here.now)
    told = alerts.tell(here.store, here.config, one, "test", found.text, here.now)
    if told.why:
        raise DeliveryError(f"alert {name}: {told.why}")
    output.say(f"Told by {one.way}: {found.text}.")
