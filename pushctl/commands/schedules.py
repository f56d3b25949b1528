"""List and cancel scheduled and repeated messages."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, YesOption

app = typer.Typer(
    no_args_is_help=True,
    help="""
    List and cancel scheduled messages.

    \b
    pushctl schedules list
    """,
)

_LIST = (
    output.Column("name", "Name"),
    output.Column("when", "When"),
    output.Column("next_at", "Next", kind=output.Kind.TIME),
    output.Column("there", "By the site's clock"),
    output.Column("whom", "To whom"),
    output.Column("note", "Note"),
)


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    List scheduled messages (`send --at`, `send --every`).

    \b
    pushctl schedules list
    """
    from pushctl.jobs.campaigns import recurring

    here = context.of(ctx)
    rows = recurring.list_scheduled(here.store, here.config)
    output.rows(rows, _LIST, format, empty="Nothing is scheduled.")


@app.command()
def cancel(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The name in `schedules list`.")],
    yes: YesOption = False,
) -> None:
    """
    Cancel a scheduled message, single or repeated.

    \b
    pushctl schedules cancel "news every monday 09:00"

    Messages that a series has already sent stay. To stop one of its campaigns while it is
    being sent, use `pushctl campaigns cancel`.
    """
    from pushctl.jobs.campaigns import manage, recurring

    here = context.of(ctx)
    rows = recurring.list_scheduled(here.store, here.config)
    known = {row["name"]: row["when"] for row in rows}
    if name not in known:
        here.store.schedules.recurring.get(name)  # raises NotFoundError
    if not output.confirm(f"Cancel {name!r}?", yes):
        return
    if known.get(name) == "once":
        manage.cancel(here.store, here.config, name, here.now)
    else:
        recurring.cancel(here.store, name)
    output.say(f"{name} is cancelled.")
