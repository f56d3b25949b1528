"""Write an encrypted backup of everything."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushctl import output
from pushctl.commands import context, passphrases
from pushctl.commands.byte_progress import Megabytes
from pushctl.commands.options import Names, Text
from pushctl.errors import ConfigError, UsageError
from pushctl.rules.wording import counted

if TYPE_CHECKING:
    from pushctl.jobs.project.backup import Key

_OPEN = (
    "Warning: this backup is not encrypted. Open to whoever reads the file: the VAPID keys and "
    "all other secrets of keys/, with which anybody can send in your name; every subscriber's "
    "endpoint, tags, attributes and events; promo codes; orders. It has mode 0600."
)


def command(
    ctx: typer.Context,
    target: Annotated[
        Path | None,
        typer.Argument(metavar="FILE|FOLDER", help="A new file, or a folder for it."),
    ] = None,
    recipient: Annotated[
        Names, typer.Option(help="Encrypt to this public key: age1..., ssh-ed25519 ...")
    ] = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Encrypt with a passphrase typed here.")
    ] = False,
    passphrase_file: passphrases.PassphraseFile = None,
    passphrase_fd: passphrases.PassphraseFd = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Do not encrypt; it says what lies open.")
    ] = False,
    keep: Annotated[
        int | None, typer.Option(min=0, help="Of those in the folder keep so many; 0: all.")
    ] = None,
    new_key: Annotated[
        Path | None, typer.Option(help="Make a key in this file, and no backup.")
    ] = None,
    litestream: Annotated[
        Text, typer.Option(metavar="URL", help="Print Litestream's settings, and no backup.")
    ] = None,
) -> None:
    """
    Write an encrypted backup of everything.

    \b
    pushctl backup --new-key ~/pushctl-backup.key
    pushctl backup /backups/                       for [backup] recipients
    pushctl backup shop.tar.gz.age --passphrase

    It has database, inbox, keys, templates, campaigns and settings as they are at one moment;
    sweeps, sends and the receiver go on meanwhile. The file gets its name once it is whole.
    Without options it is for the recipients in pushctl.toml; without any, a terminal asks for
    a passphrase. Keep the key apart from the backups. docs/backup.md has the routine.
    """
    if new_key is not None:
        _make_key(new_key)
        return
    here = context.of(ctx)
    if litestream is not None:
        _show_litestream(here, litestream)
        return
    if target is None:
        raise UsageError("name a file or a folder for the backup: pushctl backup /backups/")
    given = passphrases.read(passphrase_file, passphrase_fd)
    if sum([plain, passphrase, given is not None, bool(recipient)]) > 1:
        raise UsageError("--recipient, a passphrase and --plain exclude each other")
    key = _choose_key(here, recipient or [], given, ask=passphrase, plain=plain)
    _write(here, target, key, here.config.backup.keep if keep is None else keep)


def _show_litestream(here: context.Context, url: str) -> None:
    from pushctl.jobs.project import litestream

    for line in litestream.describe(here.config, url).splitlines():
        output.answer(line)
    output.say("Replicate with: litestream replicate -config FILE. See docs/backup.md.")


def _choose_key(
    here: context.Context, texts: list[str], given: str | None, *, ask: bool, plain: bool
) -> "Key":
    from pushctl.archive import seal
    from pushctl.jobs.project.backup import Key

    if plain:
        output.say(_OPEN)
        return Key()
    if given is not None:
        return Key(passphrase=passphrases.check_new(given))
    if not ask and (known := texts or here.config.backup.recipients):
        return Key(seal.read_recipients(known))
    if not ask and not output.is_interactive():
        raise UsageError(
            "nothing says how to encrypt the backup. Write recipients in [backup] of "
            "pushctl.toml (pushctl backup --new-key FILE makes one), or name one of "
            "--recipient, --passphrase-file, --passphrase-fd and --plain."
        )
    return Key(passphrase=passphrases.ask_new())


def _write(here: context.Context, target: Path, key: "Key", keep: int) -> None:
    from pushctl.jobs.project import backup

    file = target / backup.make_name(here.config, key, here.now) if target.is_dir() else target
    total = backup.estimate(here.store, here.config)
    with output.progress("Backing up, MB", estimated=True) as bar:
        tell = Megabytes(bar, total)
        report = backup.write_file(here.store, here.config, file, key, here.now, tell)
    size = file.stat().st_size / 1e6
    output.say(f"{file}: {counted(report.files, 'file')}, {size:,.1f} MB")
    if target.is_dir():
        for gone in backup.clear_old(target, here.config, keep):
            output.say(f"{gone} is older than the {keep} that are kept: deleted")


def _make_key(file: Path) -> None:
    from pushctl import durable
    from pushctl.archive import seal

    made = seal.make_key_pair()
    try:
        durable.write_new(file, f"# {made.recipient}\n{made.identity}\n".encode(), 0o600)
    except FileExistsError:
        raise UsageError(f"{file} exists; a key is never overwritten") from None
    except OSError as error:
        raise ConfigError(f"{file} can't be written: {error.strerror}") from error
    output.answer(made.recipient)
    output.say(
        f"{file} opens backups: keep it, and a copy, where the backups are not. Without it "
        "nobody opens them. Write the line above into pushctl.toml:\n"
        f'[backup]\nrecipients = ["{made.recipient}"]'
    )
