"""List and revoke what people agreed to in forms, for channels beside push."""

from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption
from pushctl.rules.wording import counted

app = typer.Typer(
    no_args_is_help=True,
    help="""
    List and revoke consents to channels.

    \b
    pushctl consents list --channel sms
    pushctl consents revoke alias:ann --channel sms
    """,
)

_COLUMNS = (
    output.Column("at", "When", kind=output.Kind.TIME),
    output.Column("id", "Subscriber"),
    output.Column("alias", "Alias", usual=None, spare=True),
    output.Column("channel", "Channel"),
    output.Column("text", "Agreed to"),
    output.Column("page", "Page", usual=None, spare=True),
    output.Column("revoked_at", "Revoked", kind=output.Kind.TIME, usual=None),
)
_NONE = "No consent yet. A form gives one: docs/triggers.md, A second channel."


@app.command("list")
def list_(
    ctx: typer.Context,
    channel: Annotated[
        str | None, typer.Option("--channel", help="Only this channel: sms.")
    ] = None,
    revoked: Annotated[bool, typer.Option("--revoked", help="Also the revoked ones.")] = False,
    format: FormatOption = output.Format.TABLE,
) -> None:
    """
    List consents with the words that people agreed to.

    \b
    pushctl consents list --channel sms --csv
    """
    from pushctl.rules.triggers.consents import fold_channel

    here = context.of(ctx)
    given = here.store.channel_consents.list_given(fold_channel(channel), revoked=revoked)
    output.rows(given, _COLUMNS, format, empty=_NONE)


@app.command()
def revoke(
    ctx: typer.Context,
    who: Annotated[str, typer.Argument(help="A subscriber: an id or alias:NAME.")],
    channel: Annotated[str, typer.Option("--channel", help="The channel: sms.")],
) -> None:
    """
    Revoke a person's consent on all their devices. Steps that need it skip them.

    \b
    pushctl consents revoke alias:ann --channel sms
    """
    from pushctl.jobs.subscribers import channel_consents

    here = context.of(ctx)
    count = channel_consents.revoke(here.store, who, channel, here.now)
    output.say(f"{counted(count, 'consent')} to {channel} revoked.")
