"""Show one person's timeline."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, Text
from pushctl.jobs.triggers import describe, explain

if TYPE_CHECKING:
    from pushctl.model import Subscription

_WHO = output.Column("subscriber", "Subscriber")
_COLUMNS = (
    output.Column("at", "When", kind=output.Kind.TIME),
    output.Column("what", "What"),
    output.Column("trigger", "Trigger"),
    output.Column("text", "How and why"),
)
_NONE = "Nothing has happened, and nothing is planned."


def command(
    ctx: typer.Context,
    subscriber: Annotated[str, typer.Argument(help="An id, its beginning, or alias:NAME.")],
    trigger: Annotated[Text, typer.Argument(help="Only this trigger.")] = None,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    Show a person's history and next steps.

    \b
    pushctl explain alias:ann
    pushctl explain k3Jd92 abandoned_basket_1 --json
    """
    here = context.of(ctx)
    people = here.store.subscriptions.find(subscriber, here.now)
    if format is not output.Format.TABLE:
        every = (line for who in people for line in _load_timeline(here, who, trigger))
        output.rows(every, (_WHO, *_COLUMNS), format)
        return
    for who in people:
        lines = _load_timeline(here, who, trigger)
        output.rows(lines, _COLUMNS, title=who.public_id, empty=_NONE)


def _load_timeline(
    here: context.Context, who: "Subscription", trigger: str | None
) -> list[dict[str, object]]:
    if trigger is not None:
        describe.check_name(here.config, here.store, trigger)
    found = explain.timeline(here.config, here.store, who, here.now, trigger)
    return [asdict(moment) | {"subscriber": who.public_id} for moment in found]
