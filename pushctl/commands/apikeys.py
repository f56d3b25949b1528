"""Create, list and revoke keys of the server API."""

from typing import Annotated

import typer

from pushctl import apikeys, output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, Text, YesOption
from pushctl.errors import UsageError
from pushctl.output import Column, Format, Kind

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Create and revoke keys of the server API.

    \b
    pushctl apikeys create shop-server
    """,
)

_LIST = (
    Column("id", "Key"),
    Column("label", "Label"),
    Column("scopes", "Scopes"),
    Column("site", "Site", spare=True),
    Column("created", "Created", kind=Kind.TIME, spare=True),
    Column("expires", "Expires", kind=Kind.TIME, usual=None),
    Column("used", "Last used", kind=Kind.TIME),
    Column("state", "State"),
)
LOG = (
    Column("at", "Time", kind=Kind.TIME),
    Column("key", "Key"),
    Column("label", "Label", spare=True),
    Column("route", "Route"),
    Column("state", "State"),
    Column("items", "Items", kind=Kind.NUMBER),
    Column("refused", "Refused", kind=Kind.NUMBER, usual=0),
    Column("reason", "First reason", usual=None),
    Column("request", "Request", spare=True),
)


@app.command()
def create(
    ctx: typer.Context,
    label: Annotated[str, typer.Argument(help="Whose key it is: shop-server.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="What it may do; more than once. [default: events]")
    ] = None,
    site: Annotated[Text, typer.Option(help="Its site. [default: the only one]")] = None,
    expires: Annotated[Text, typer.Option(help="End it after this time: 365d.")] = None,
) -> None:
    """
    Create a key and show it once.

    \b
    pushctl apikeys create shop-server
    pushctl apikeys create crm --scope events --scope tags --expires 365d

    Scopes: events, tags, attributes, aliases, unsubscribe, erase, messages:person,
    messages:audience, read. Give each program a key of its own, with what it needs.
    Nobody can show the key again: put it into your server's settings at once.
    """
    from pushctl.rules.web import fields

    here = context.of(ctx)
    end = None if expires is None else here.now + _read_duration(expires)
    key, secret = apikeys.create(
        here.config.keys, fields.label(label), scope or apikeys.DEFAULT_SCOPES,
        _choose_site(here, site), here.now, end,
    )  # fmt: skip
    output.answer(secret)
    output.say(f"Key {key.id} for {', '.join(sorted(key.scopes))}. It is shown only now.")
    output.say(f"Send it as: Authorization: Bearer {apikeys.PREFIX}...  (docs/api.md)")


def _read_duration(text: str) -> int:
    from pushctl.rules import timing

    return timing.duration(text)


def _choose_site(here: context.Context, site: str | None) -> str:
    sites = here.config.sites
    if site is None:
        if len(sites) > 1:
            raise UsageError(f"which site? --site is one of {', '.join(sites)}.")
        return here.config.first_site.name
    if site not in sites:
        raise UsageError(f"there is no site {site!r}. --site is one of {', '.join(sites)}.")
    return site


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """
    List all keys, with when each was last used. No secret is shown.

    \b
    pushctl apikeys list --json
    """
    from pushctl.jobs.ingest import api_log

    here = context.of(ctx)
    # The receiver's machine has keys and no database.
    store = here.store if here.config.database.exists() else None
    found = api_log.list_keys(here.config, store, here.now)
    if format is not Format.JSON:
        found = [{**one, "scopes": ", ".join(one["scopes"])} for one in found]
    output.rows(found, _LIST, format, empty="No key yet: pushctl apikeys create LABEL")


@app.command()
def revoke(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="KEY", help="A key's id, or its label.")],
    yes: YesOption = False,
) -> None:
    """
    Revoke a key: the receiver refuses it within two seconds.

    \b
    pushctl apikeys revoke shop-server --yes

    What it has sent before stays. A revoked key can't be brought back.
    """
    here = context.of(ctx)
    key = apikeys.find(apikeys.load(here.config.keys), name)
    question = f"Nobody gets in with the key {key.id} ({output.clean(key.label)}). Revoke it?"
    if output.confirm(question, yes):
        apikeys.revoke(here.config.keys, key.id, here.now)
        output.say(f"Revoked: {key.id}.")


@app.command()
def log(
    ctx: typer.Context,
    name: Annotated[Text, typer.Argument(metavar="KEY", help="Only this key.")] = None,
    since: Annotated[Text, typer.Option(help="Only of this time: 7d.")] = None,
    last: Annotated[int, typer.Option(help="Only the newest ones.", min=1)] = 50,
    format: FormatOption = Format.TABLE,
) -> None:
    """
    Show what was done with keys: requests, reads, refusals.

    \b
    pushctl apikeys log shop-server --since 7d

    Reads and refused calls are counted by the minute. Rows are kept for 90 days.
    """
    from pushctl.jobs.ingest import api_log

    here = context.of(ctx)
    begin = here.now - _read_duration(since) if since else 0
    found = api_log.load(here.config, here.store, key=name, since=begin, last=last)
    output.rows(found, LOG, format, empty="No call yet.")
