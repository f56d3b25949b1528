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
    List scheduled messages and reports.

    \b
    pushctl schedules list
    """
    from pushctl.jobs.reports import schedule

    here = context.of(ctx)
    rows = schedule.list_all(here.store, here.config)
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
    here = context.of(ctx)
    when = _find(here, name)
    if not output.confirm(f"Cancel {name!r}?", yes):
        return
    _cancel(here, name, when)
    output.say(f"{name} is cancelled.")


def _find(here: context.Context, name: str) -> str:
    """Return when *name* is due, in words; raises NotFoundError."""
    from pushctl.jobs.reports import schedule

    for row in schedule.list_all(here.store, here.config):
        if row["name"] == name:
            return str(row["when"])
    here.store.schedules.recurring.get(name)  # raises NotFoundError
    return ""


def _cancel(here: context.Context, name: str, when: str) -> None:
    from pushctl.jobs.campaigns import manage, recurring

    if when == "once":
        manage.cancel(here.store, here.config, name, here.now)
    else:
        recurring.cancel(here.store, name)
