"""Unsubscribe people: a command of `pushctl subscribers`."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import YesOption
from pushctl.rules.wording import counted


def unsubscribe(
    ctx: typer.Context,
    subscribers: Annotated[
        list[str],
        typer.Argument(
            metavar="SUBSCRIBER", help="Ids, their beginnings, or signed alias:NAME."
        ),
    ],
    yes: YesOption = False,
) -> None:
    """
    Unsubscribe people who asked you for it; their data stays.

    \b
    pushctl subscribers unsubscribe 1tQ9mX
    pushctl subscribers unsubscribe alias:customer-7 --yes

    They get no message any more, planned ones included. Only they can undo it: by the
    invitation or a button on your site. To erase a person, use `forget`.
    """
    from pushctl.jobs.subscribers import unsubscribe

    here = context.of(ctx)
    people = unsubscribe.find_people(here.store, subscribers)
    question = f"{counted(len(people), 'browser')} will get no message any more. Continue?"
    if output.confirm(question, yes):
        count = unsubscribe.unsubscribe(here.store, people, here.now)
        output.say(f"{count} unsubscribed, {len(people) - count} were it already.")
