"""Where a passphrase comes from: the terminal, a file, a descriptor; never an argument."""

import os
from pathlib import Path
from typing import Annotated

import typer

from pushctl import output
from pushctl.errors import InputError, UsageError
from pushctl.rules.limits import MAX_SECRET_CHARACTERS, MIN_PASSPHRASE_CHARACTERS

PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="A file whose first line is it.")
]
PassphraseFd = Annotated[
    int | None,
    typer.Option("--passphrase-fd", min=0, help="An open descriptor to read it from."),
]


def read(file: Path | None, descriptor: int | None) -> str | None:
    """Return the passphrase that a file or a descriptor has; None: neither was named."""
    if file is not None and descriptor is not None:
        raise UsageError("--passphrase-file and --passphrase-fd are one too many")
    if file is None and descriptor is None:
        return None
    try:
        # The descriptor stays open: it is the caller's.
        handle = (
            os.dup(descriptor) if descriptor is not None else os.open(str(file), os.O_RDONLY)
        )
        with os.fdopen(handle, "rb") as stream:
            text = stream.readline(MAX_SECRET_CHARACTERS * 4).decode("utf-8").rstrip("\r\n")
    except OSError as error:
        place = f"descriptor {descriptor}" if file is None else file
        raise InputError(f"{place} can't be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise InputError("the passphrase is not UTF-8") from None
    if not text:
        raise InputError("the passphrase is empty")
    return text


def ask() -> str:
    """Ask for the passphrase of a backup that is there."""
    return output.ask_unseen("Passphrase of the backup (nothing is shown):")


def ask_new() -> str:
    """Ask for a new passphrase, twice."""
    given = check_new(output.ask_unseen("Passphrase for the backup (nothing is shown):"))
    if output.ask_unseen("The same once more:") != given:
        raise InputError("the two passphrases differ. Nothing was written.")
    return given


def check_new(text: str) -> str:
    if len(text) < MIN_PASSPHRASE_CHARACTERS:
        raise InputError(
            f"the passphrase is shorter than {MIN_PASSPHRASE_CHARACTERS} characters. Whoever "
            "finds the backup can try billions: take four words or more that chance chose."
        )
    return text
