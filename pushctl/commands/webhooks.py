"""List webhooks, try them out, replay dead letters, show and rotate secrets."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, Text, YesOption
from pushctl.errors import DeliveryError
from pushctl.output import Column, Format, Kind
from pushctl.rules.wording import counted

app = typer.Typer(
    no_args_is_help=True,
    help="""
    List, test and replay webhooks.

    \b
    pushctl webhooks list
    pushctl webhooks test crm
    """,
)

_LIST = (
    Column("name", "Webhook"),
    Column("host", "Host"),
    Column("events", "Events", spare=True),
    Column("site", "Site", usual=None),
    Column("state", "State"),
    Column("waiting", "Waiting", kind=Kind.NUMBER),
    Column("delivered", "Today", kind=Kind.NUMBER),
    Column("dead", "Dead", kind=Kind.NUMBER, usual=0),
    Column("delivered_at", "Last", kind=Kind.TIME, spare=True),
    Column("reason", "Reason", usual=None),
)
_DEAD = (
    Column("webhook", "Webhook"),
    Column("event", "Event"),
    Column("message", "Id"),
    Column("subscriber", "Subscriber", usual=None, spare=True),
    Column("attempts", "Tries", kind=Kind.NUMBER),
    Column("reason", "Reason"),
    Column("created_at", "Happened", kind=Kind.TIME, spare=True),
    Column("changed_at", "Given up", kind=Kind.TIME),
)

NameArgument = Annotated[str, typer.Argument(help="A webhook of pushctl.toml.")]


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """
    List webhooks, with what waits and what was delivered today.

    \b
    pushctl webhooks list
    """
    from pushctl.jobs.webhooks import overview

    here = context.of(ctx)
    found = overview.list_webhooks(here.config, here.store)
    output.rows(found, _LIST, format, empty="No webhook yet. docs/webhooks.md shows how.")


@app.command()
def dead(
    ctx: typer.Context,
    name: Annotated[Text, typer.Argument(help="Only of this webhook.")] = None,
    last: Annotated[int | None, typer.Option(help="Only the newest ones.", min=1)] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """
    List dead letters: what was not taken for three days.

    \b
    pushctl webhooks dead crm

    They are kept for 30 days.
    """
    rows = context.of(ctx).store.webhooks.list_dead(name, -1 if last is None else last)
    output.rows(rows, _DEAD, format, empty="There is no dead letter.")


@app.command()
def replay(
    ctx: typer.Context,
    name: NameArgument,
    message: Annotated[
        Text, typer.Option("--id", help="Only the dead letter of this id.")
    ] = None,
    yes: YesOption = False,
) -> None:
    """
    Let dead letters wait again. The next sweep delivers them under their ids.

    \b
    pushctl webhooks replay crm
    pushctl webhooks replay crm --id msg_7hN4vQmP0sXr2kLw9eTzYa1b
    """
    from pushctl.jobs.webhooks import outbox

    here = context.of(ctx)
    outbox.get_webhook(here.config, name)
    there = sum(message in (None, it["message"]) for it in here.store.webhooks.list_dead(name))
    output.say(f"{counted(there, 'dead letter')} of {name}.")
    if there and output.confirm("Deliver again?", yes):
        again = here.store.webhooks.replay(name, message, here.now)
        output.say(f"{counted(again, 'call')} planned. The next sweep makes them.")


@app.command()
def test(ctx: typer.Context, name: NameArgument) -> None:
    """
    Call a webhook once, with a signed event of the type "test".

    \b
    pushctl webhooks test crm
    """
    from pushctl.commands import send_results
    from pushctl.jobs.webhooks import outbox

    here = context.of(ctx)
    send_results.warn_of_loopback(here)
    result = outbox.try_out(here.store, here.config, name, here.now)
    if not result.taken:
        raise DeliveryError(f"{name}: {result.why}")
    output.say(f"{name} took it: it answers {result.status}.")


@app.command()
def secret(ctx: typer.Context, name: NameArgument) -> None:
    """
    Show the secret that a webhook's calls are signed with.

    \b
    pushctl webhooks secret crm

    The receiver verifies with it: docs/webhooks.md shows how in PHP, Node and Python.
    """
    from pushctl.jobs.webhooks import outbox, secrets

    here = context.of(ctx)
    outbox.get_webhook(here.config, name)
    output.answer(secrets.ensure(here.config, name).text)


@app.command()
def rotate(ctx: typer.Context, name: NameArgument, yes: YesOption = False) -> None:
    """
    Make a new secret, and show it. For 24 hours calls are signed with both.

    \b
    pushctl webhooks rotate crm --yes

    A second rotation within that time ends the oldest secret at once.
    """
    from pushctl.jobs.webhooks import outbox, secrets

    here = context.of(ctx)
    outbox.get_webhook(here.config, name)
    if output.confirm(f"Make a new secret for {name}?", yes):
        output.answer(secrets.rotate(here.config, name, here.now).text)
        output.say("Give it to the receiver within 24 hours; so long both sign.")
