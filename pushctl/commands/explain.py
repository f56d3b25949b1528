"""Explain: one person's timeline."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption

_COLUMNS = (
    output.Column("at", "When", kind=output.Kind.TIME),
    output.Column("what", "What"),
    output.Column("trigger", "Trigger"),
    output.Column("text", "How and why"),
)
_NONE = "Nothing has happened, and nothing is to come."


def command(
    ctx: typer.Context,
    subscriber: Annotated[str, typer.Argument(help="An id, the head of one, or alias:NAME.")],
    trigger: Annotated[str | None, typer.Argument(help="Only this trigger.")] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Tell why somebody got what, and what comes next.

    \b
    pushctl explain alias:ann
    pushctl explain k3Jd92 abandoned_basket_1 --json
    """
    from pushctl.jobs import explain, triggers

    here = context.of(ctx)
    if trigger is not None:
        triggers.get(here.config, trigger)
    for who in here.store.subscriptions.find(subscriber, here.now):
        found = explain.timeline(here.config, here.store, who, here.now, trigger)
        output.rows(found, _COLUMNS, format, title=who.public_id, empty=_NONE)
