"""Restore a backup into a new folder."""

from pathlib import Path
from typing import Annotated

import typer

from pushctl import output
from pushctl.commands import passphrases
from pushctl.commands.byte_progress import Megabytes
from pushctl.errors import InputError, UsageError
from pushctl.rules.wording import counted, moment


def command(
    archive: Annotated[
        Path, typer.Argument(metavar="BACKUP", help="A file of pushctl backup.")
    ],
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="A new or an empty folder.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="The key file that opens it, of age's or SSH's.")
    ] = None,
    passphrase_file: passphrases.PassphraseFile = None,
    passphrase_fd: passphrases.PassphraseFd = None,
    former: Annotated[
        Path | None,
        typer.Option(help="The project's former folder: who was erased since stays erased."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read and verify it; write nothing.")
    ] = False,
) -> None:
    """
    Restore a backup into a new folder.

    \b
    pushctl restore backup.tar.gz.age shop --key ~/pushctl-backup.key
    pushctl restore backup.tar.gz.age shop --former shop.old
    pushctl restore backup.tar.gz.age --check

    Everything is verified before anything is visible; after a wrong key or a changed file
    nothing is left behind. What is restored sends nothing until pushctl release. From a former
    folder come who was erased since, requests that were not imported, keys and how much was
    sent. --check needs no folder and little time: let cron do it. See docs/backup.md.
    """
    if (folder is None) != check:
        raise UsageError("name a folder to restore into, or --check without one")
    _run(archive, folder, former, key, passphrases.read(passphrase_file, passphrase_fd))


def _run(
    archive: Path, folder: Path | None, former: Path | None, key: Path | None, given: str | None
) -> None:
    from pushctl.jobs.project import restore

    if restore.needs_passphrase(archive) and given is None:
        given = passphrases.ask()
    opener = restore.Opener(_read(key) if key else None, given)
    with output.progress("Reading, MB") as bar:
        tell = Megabytes(bar, archive.stat().st_size)
        if folder is None:
            done = restore.check(archive, opener, tell)
        else:
            done = restore.restore(archive, folder, opener, tell, former)
    what = (
        f"{counted(done.files, 'file')}, {done.size / 1e6:,.1f} MB, of {moment(done.made_at)}"
    )
    if folder is None:
        output.say(f"{archive} is whole: {what}. Its database was not looked into.")
        return
    output.say(f"{folder}: restored {what}, made by pushctl {output.clean(done.version)}.")
    for each in done.taken:
        output.say(f"From {former}: {each}.")
    if former is None:
        output.say(
            "People who were erased since, and API keys that were revoked since, are in it "
            "again: --former FOLDER keeps them out."
        )
    output.say(f"It sends nothing yet. Look at it, then: pushctl --project {folder} release")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror}") from error
