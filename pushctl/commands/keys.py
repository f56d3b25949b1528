"""Show, create, add and choose VAPID keys."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import FormatOption, YesOption
from pushctl.errors import InputError, UsageError
from pushctl.jobs.project import scripts

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Show, create, add and choose VAPID keys.

    \b
    pushctl keys show
    """,
)

_COLUMNS = (
    output.Column("id", "Key"),
    output.Column("use", "Use"),
    output.Column("created", "Created", kind=output.Kind.TIME),
    output.Column("subscribers", "Active subscribers", kind=output.Kind.NUMBER),
    output.Column("public", "Public key (applicationServerKey)"),
    output.Column("file", "File"),
)
# More than any form of a key has.
_MOST_BYTES = 1 << 20
_LIKE_A_KEY = re.compile(r"[\w+/-]{43}=?", re.ASCII)


@app.command()
def show(ctx: typer.Context, format: FormatOption = output.Format.TABLE) -> None:
    """
    Show the public keys that pages use to subscribe.

    \b
    pushctl keys show --csv

    New subscribers get the own key. Earlier keys are for people who came with them. A lost
    key has no file: nothing reaches its subscribers until you bring the file back.
    """
    from pushctl.jobs.project import keys

    here = context.of(ctx)
    # The receiver's machine has keys and no database.
    there = here.config.database.exists()
    found = keys.list_keys(here.config, here.store.soundness.count_keys() if there else None)
    output.rows(found, _COLUMNS, format, empty="No key yet.", tall=True)


@app.command()
def new(ctx: typer.Context, yes: YesOption = False) -> None:
    """
    Create a new key for new subscribers.

    \b
    pushctl keys new --yes

    No subscriber is lost. Earlier subscribers keep their key as long as its file is there.
    They move to the new key when they visit your site again.
    """
    from pushctl.jobs.project import keys

    config = context.of(ctx).config
    if lost := keys.count_lost(config):
        output.warn(f"{keys.describe_lost(lost)}, with a new key neither.")
    question = "Subscribers move to the new key when they visit again. Continue?"
    if output.confirm(question, yes):
        key, written = keys.renew(config)
        output.answer(key.id)
        output.say(f"Written: {key.file}. The key is also in {len(written)} files of sw/ now.")
        output.say("Put sw/ onto your web site again. Keep a copy of keys/ in a safe place.")


@app.command()
def add(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help='A private key; "-": stdin. Never the key itself.')
    ],
) -> None:
    """
    Add another service's key, for the subscribers that it has.

    \b
    pushctl keys add onesignal.pem
    pushctl keys add - < key.json

    PEM, DER, 43 characters of base64url and the output of web-push are understood. New
    subscribers never get this key; `pushctl keys use` would change that.
    """
    from pushctl.jobs.project import keys

    key, use = keys.add(context.of(ctx).config, _read_key(file))
    output.answer(key.id)
    output.say(f"Kept as {key.file}: use {use}.")
    output.say(f"Bring its people in with: pushctl subscribers import FILE --key {key.id}")
    if str(file) != "-":
        output.say(f"Delete {file}, or keep it in a safe place: who has it can send to them.")


def _read_key(file: Path) -> bytes:
    """Return the content of *file*; errors never repeat what may be a key."""
    if str(file) == "-":
        if sys.stdin.isatty():
            raise UsageError(
                "a private key is never typed on a terminal, where it can be read later. Give "
                "a file: pushctl keys add FILE, or pushctl keys add - < FILE"
            )
        return sys.stdin.buffer.read(_MOST_BYTES)
    try:
        with file.open("rb") as stream:
            return stream.read(_MOST_BYTES)
    except OSError as error:
        if _LIKE_A_KEY.fullmatch(str(file)) or len(str(file)) > 200:
            raise UsageError(
                "this looks like a private key. On the command line others can read it, and "
                "it stays in the shell's history. Write it to a file and give that."
            ) from None
        raise InputError(f"{file} can't be read: {error.strerror}") from error


@app.command()
def use(
    ctx: typer.Context,
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="A key's id as in keys show, or vapid-ID.")
    ],
    yes: YesOption = False,
) -> None:
    """
    Choose the key that new subscribers get.

    \b
    pushctl keys use Jv2xY0aB --yes

    The former one becomes a key of earlier subscribers, who move when they visit again.
    """
    from pushctl.jobs.project import keys

    # An id may begin like an option; the name of its file does not.
    key = key.removeprefix("vapid-").removesuffix(".pem")
    config = context.of(ctx).config
    question = f"New subscribers get the key {key}; others move to it. Continue?"
    if output.confirm(question, yes):
        written = keys.choose(config, key)
        output.say(f"New subscribers get {key}. It is in {len(written)} files of sw/ now.")
        output.say("Put sw/ onto your web site again, and start `pushctl receive` anew.")


@app.command()
def fill(ctx: typer.Context) -> None:
    """
    Write the key, the receiver URL and the brand into sw/ again.

    \b
    pushctl keys fill

    Run it after a change of pushctl.toml. Your other changes in these files stay.
    """
    for path in scripts.fill_scripts(context.of(ctx).config):
        output.answer(str(path))
