"""List people who reached a step of a trigger."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, Text
from pushctl.jobs.triggers import leads

_COLUMNS = (
    output.Column("subscriber", "Subscriber"),
    output.Column("alias", "Alias", usual=None),
    output.Column("state", "State"),
    output.Column("step", "Messages", kind=output.Kind.NUMBER),
    output.Column("value", "Value", kind=output.Kind.NUMBER),
    output.Column("since", "Since", kind=output.Kind.TIME, spare=True),
    output.Column("age", "Age", kind=output.Kind.DURATION),
    output.Column("about", "About", usual=""),
    output.Column("note", "Note", usual=None),
)


def command(
    ctx: typer.Context,
    trigger: Annotated[str, typer.Argument(help="A trigger of pushctl.toml.")],
    step: Annotated[int, typer.Option(min=0, help="At least this many messages sent.")] = 0,
    since: Annotated[Text, typer.Option(help="Started within this time: 30d.")] = None,
    state: Annotated[
        Text, typer.Option(help="Only this state: active, finished, cancelled.")
    ] = None,
    quorum: Annotated[int, typer.Option(min=0, help="Number of people that you need.")] = 0,
    note: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="<subscriber> <text>", help="Write a note about a subscriber."),
    ] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    List people who reached a step of a trigger.

    \b
    pushctl leads course_enquiry --since 90d --quorum 12
    pushctl leads course_enquiry --note alias:ann "wants the evening group"
    pushctl send --to alias:ann --template reminder
    """
    from pushctl.rules import timing

    here = context.of(ctx)
    for who in here.store.subscriptions.find(note[0]) if note else ():
        leads.note(here.store, who.id, note[1] if note else "")
    span = timing.duration(since) if since else None
    found = leads.list_leads(
        here.config, here.store, trigger, here.now, step=step, since=span, state=state
    )
    output.rows(found, _COLUMNS, format, empty=f"No subscriber has reached {trigger} yet.")
    if quorum:
        output.say(leads.describe_quorum(found, quorum))
