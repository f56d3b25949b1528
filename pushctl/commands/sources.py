"""List the sources of webhooks, and set their secrets."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, Names, Text
from pushctl.errors import InputError
from pushctl.output import Column, Format, Kind
from pushctl.rules.limits import MAX_HOOK_BYTES, MAX_SECRET_CHARACTERS

app = typer.Typer(no_args_is_help=True, help="List sources of webhooks; set their secrets.")

_COLUMNS = (
    Column("name", "Source"),
    Column("kind", "Kind"),
    Column("site", "Site", spare=True),
    Column("url", "URL for the shop"),
    Column("secrets", "Secrets", kind=Kind.NUMBER),
    Column("until", "Former one until", kind=Kind.TIME, usual=None),
    Column("words", "Further secrets", usual=None),
)
_NameArgument = Annotated[str, typer.Argument(help="The name in [sources.NAME].")]


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """
    List sources, their URLs, and whether they have a secret.

    \b
    pushctl sources list --json

    A source is a shop or another program that sends signed webhooks to the receiver.
    """
    from pushctl.jobs.project import sources

    here = context.of(ctx)
    empty = "No source: write [sources.NAME] in pushctl.toml, see docs/shops.md."
    output.rows(sources.load(here.config, here.now), _COLUMNS, format, empty=empty)


@app.command()
def secret(
    ctx: typer.Context,
    name: _NameArgument,
    keep: Annotated[
        str, typer.Option(help="How long the former secret stays valid: 7d, 1h, 0s.")
    ] = "1d",
    word: Annotated[
        Text, typer.Option(help="Set a further secret of the kind instead: buy-link.")
    ] = None,
    generate: Annotated[
        bool, typer.Option("--generate", help="Make a new secret and show it once.")
    ] = False,
) -> None:
    """
    Set the secret that verifies a source's webhooks.

    \b
    pushctl sources secret shopify
    pushctl sources secret woo --generate
    pushctl sources secret shopify --keep 7d < secret.txt

    It is read from the terminal, unseen, or from stdin, and kept in keys/sources.toml. The
    receiver knows it two seconds later. Meanwhile it goes on taking the former one.
    """
    from pushctl.jobs.project import sources
    from pushctl.rules import timing

    here = context.of(ctx)
    source = sources.find(here.config, name)
    sources.check_word(source, word)
    given = sources.generate() if generate else _read_secret(name)
    length = timing.duration(keep)
    entry = sources.set_secret(here.config, source, word, given, length, here.now)
    if generate:
        output.answer(given)
    output.say(sources.describe_change(here.config, source, entry))


@app.command("try")
def try_(
    ctx: typer.Context,
    name: _NameArgument,
    file: Annotated[Path, typer.Argument(help='The body of a delivery; "-": stdin.')],
    header: Annotated[
        Names,
        typer.Option(help='A header of it, once for each: "X-Shopify-Topic: orders/paid".'),
    ] = None,
) -> None:
    """
    Show what a source's delivery would bring in, and write nothing.

    \b
    pushctl sources try erp sample.json
    pushctl sources try shopify order.json --header "X-Shopify-Topic: orders/paid"

    Shopify and WooCommerce name the topic in a header; without it a body says nothing. The
    signature is not checked. With the kind "mapped", settings are named whose paths find
    nothing.
    """
    from pushctl.jobs.project import sources

    here = context.of(ctx)
    config, source = here.config, sources.find(here.config, name)
    heads = sources.read_headers(header or [])
    found, lacking = sources.try_delivery(config, source, _read_body(file), heads, here.now)
    for one in lacking:
        output.warn(f"sources.{name}.{one} finds nothing in it.")
    for line in found or ():
        output.answer(line)
    if found is None:
        output.say(sources.describe_nothing(source, heads))


def _read_body(file: Path) -> bytes:
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(MAX_HOOK_BYTES)
        with file.open("rb") as stream:
            return stream.read(MAX_HOOK_BYTES)
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror}") from error


def _read_secret(name: str) -> str:
    """Return the first line of stdin; on a terminal it is typed unseen."""
    if sys.stdin.isatty():
        return output.ask_unseen(f"Secret of {name} (nothing is shown):")
    return sys.stdin.readline(MAX_SECRET_CHARACTERS + 2).strip()
