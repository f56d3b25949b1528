"""Show, create, add, choose and retire VAPID keys."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context
from pushctl.commands.options import DryRunOption, FormatOption, YesOption
from pushctl.errors import InputError, UsageError
from pushctl.jobs.project import scripts
from pushctl.rules.wording import counted

if TYPE_CHECKING:
    from pushctl.jobs.project.retire_keys import Loss

KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="A key's id as in keys show, or vapid-ID.")
]

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Show, create, choose and retire VAPID keys.

    \b
    pushctl keys show
    """,
)

_COLUMNS = (
    output.Column("id", "Key"),
    output.Column("use", "Use"),
    output.Column("created", "Created", kind=output.Kind.TIME),
    output.Column("until", "Kept until", kind=output.Kind.TIME, spare=True),
    output.Column("subscribers", "Active subscribers", kind=output.Kind.NUMBER),
    output.Column("public", "Public key (applicationServerKey)"),
    output.Column("file", "File"),
)
_HOLDERS = (
    output.Column("site", "Site"),
    output.Column("active", "Active subscribers", kind=output.Kind.NUMBER),
    output.Column("quarantined", "In quarantine", kind=output.Kind.NUMBER),
    output.Column("last_seen_at", "Last seen", kind=output.Kind.TIME),
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

    New subscribers get the own key. Earlier keys are for people who came with them. A retired
    key had nobody left; its private half is kept for 90 days. A lost key has no file: nothing
    reaches its subscribers until you bring the file back.
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

    here = context.of(ctx)
    key, use = keys.add(here.config, _read_key(file))
    output.answer(key.id)
    output.say(f"Kept as {key.file}: use {use}.")
    _take_up(here, key.id)
    output.say(f"Bring its people in with: pushctl subscribers import FILE --key {key.id}")
    if str(file) != "-":
        output.say(f"Delete {file}, or keep it in a safe place: who has it can send to them.")


def _take_up(here: context.Context, key: str) -> None:
    """Activate those who were given up with the key, where there is a database."""
    from pushctl.jobs.project import retire_keys

    if here.config.database.exists() and (
        count := retire_keys.take_up(here.store, key, here.now)
    ):
        output.say(f"{counted(count, 'subscriber')} of the lost key are active again.")


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
    key: KeyArgument,
    yes: YesOption = False,
) -> None:
    """
    Choose the key that new subscribers get.

    \b
    pushctl keys use Jv2xY0aB --yes

    The former one becomes a key of earlier subscribers, who move when they visit again. A
    retired key comes back with it.
    """
    from pushctl.jobs.project import keys

    key = _read_id(key)
    config = context.of(ctx).config
    question = f"New subscribers get the key {key}; others move to it. Continue?"
    if output.confirm(question, yes):
        written = keys.choose(config, key)
        output.say(f"New subscribers get {key}. It is in {len(written)} files of sw/ now.")
        output.say("Put sw/ onto your web site again, and start `pushctl receive` anew.")


def _read_id(given: str) -> str:
    # An id may begin like an option; the name of its file does not.
    return given.removeprefix("vapid-").removesuffix(".pem")


@app.command()
def retire(ctx: typer.Context, key: KeyArgument, yes: YesOption = False) -> None:
    """
    Retire a key that no subscriber has any more.

    \b
    pushctl keys retire Jv2xY0aB --yes

    It refuses while one active subscriber has the key, and says when the last one was seen.
    The private half goes to keys/retired/; a sweep removes it after 90 days, unless somebody
    came late and has it. `pushctl keys use` brings it back. See docs/keys.md.
    """
    from pushctl.jobs.project import retire_keys

    here, name = context.of(ctx), _read_id(key)
    retire_keys.require_retirable(here.config, here.store, name)
    if output.confirm(f"Retire the key {name}?", yes):
        retire_keys.retire(here.config, here.store, name, here.now)
        output.say(f"{name} is retired: its private half is in {here.config.keys / 'retired'}.")
        output.say("It is removed after 90 days. To bring it back: pushctl keys use " + name)


@app.command()
def lost(
    ctx: typer.Context, key: KeyArgument, yes: YesOption = False, dry_run: DryRunOption = False
) -> None:
    """
    Give up a key whose file is lost for good.

    \b
    pushctl keys lost Jv2xY0aB --dry-run

    It says what is gone and whom it concerns, site by site. Then it makes a new key where new
    subscribers would get the lost one, and marks those subscribers, so that nothing is tried
    for them. They come back by themselves at their next visit. See docs/keys.md.
    """
    from pushctl.jobs.project import retire_keys

    here = context.of(ctx)
    loss = retire_keys.foresee_loss(here.config, here.store, _read_id(key))
    _explain_loss(here, loss)
    if not dry_run and output.confirm("Give this key up for good?", yes):
        with output.progress("Marking", loss.people) as bar:
            made, files = retire_keys.give_up(
                here.config, here.store, loss, here.now, bar.advance
            )
        _conclude_loss(here, loss, made, len(files))


def _explain_loss(here: context.Context, loss: "Loss") -> None:
    output.rows(loss.holders, _HOLDERS, empty="No subscriber has this key.")
    output.say(
        f"Nobody can make the private half of {loss.name} again, and no other key reaches "
        f"these people. Look once more for vapid-{loss.name}.pem: in backups, on the former "
        "machine, in a safe. With it: pushctl keys add FILE"
    )
    if loss.needs_own:
        output.say("New subscribers would get it: a new key is made for them.")


def _conclude_loss(here: context.Context, loss: "Loss", made: str | None, files: int) -> None:
    if made:
        output.answer(made)
        output.say(f"New subscribers get {made}. It is in {files} files of sw/ now.")
        output.say("Put sw/ onto your web site again, and start `pushctl receive` anew.")
        output.say(f"Keep a copy of {here.config.keys} in a safe place.")
    output.say(
        f"{counted(loss.people, 'subscriber')} marked as gone: nothing is tried for them. At "
        "their next visit your page subscribes them with the own key, without a question, and "
        "they are back with tags, alias and history."
    )


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
