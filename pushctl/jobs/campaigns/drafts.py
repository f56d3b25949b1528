"""
The folder campaigns/drafts/: campaigns that a program has written and no person has seen.

No command reads a draft as a campaign. A person moves it by ``apply --draft``, at a terminal.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pushctl import durable
from pushctl.config import Config
from pushctl.errors import InputError, NotFoundError
from pushctl.jobs.campaigns import files
from pushctl.rules.limits import MAX_CAMPAIGN_FILE_BYTES
from pushctl.rules.wording import clean
from pushctl.store import Store

FOLDER = "drafts"
_MODE = 0o600
# No path, no dot: a draft stays in its folder.
_NAME = re.compile(r"\w[\w-]{0,99}", re.ASCII)


def write(config: Config, name: str, text: str) -> str:
    """
    Write a new draft; return how people call its file: "campaigns/drafts/sale.toml".

    Raises InputError for a name that is taken or no name, and for a text that is too large.
    """
    content = text.encode()
    if not _NAME.fullmatch(name):
        raise InputError("a draft's name has letters, digits, - and _, at most 100")
    if len(content) > MAX_CAMPAIGN_FILE_BYTES:
        raise InputError(f"a campaign's file has at most {MAX_CAMPAIGN_FILE_BYTES:,} bytes")
    folder = files.find_folder(config) / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        durable.write_new(folder / f"{name}.toml", content, _MODE)
    except FileExistsError:
        raise InputError(f"{name_draft(name)} is there already; choose another name") from None
    return name_draft(name)


def name_draft(name: str) -> str:
    return f"{files.FOLDER}/{FOLDER}/{name}.toml"


def read(config: Config, name: str) -> str:
    """Return a draft's text without anything that commands a terminal; NotFoundError."""
    file = _find(config, name)
    try:
        # A link would lead elsewhere once it is moved; a pipe would be waited for, for ever.
        if not stat.S_ISREG(file.lstat().st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        with file.open("rb") as opened:
            content = opened.read(MAX_CAMPAIGN_FILE_BYTES + 1)
    except OSError as error:
        there = ", ".join(list_names(config)) or "none"
        raise NotFoundError(
            f"there is no {name_draft(clean(name))} that can be read. There are: {there}."
        ) from error
    return clean(content.decode(errors="replace"), lines=True)


def list_names(config: Config) -> list[str]:
    found = (files.find_folder(config) / FOLDER).glob("*.toml")
    return sorted(it.stem for it in found if _NAME.fullmatch(it.stem))


@contextmanager
def take_over(store: Store, config: Config, name: str) -> Iterator[None]:
    """
    Have a draft be a campaign's file meanwhile; it goes back where it was not applied.

    Raises InputError where a campaign of that name is there.
    """
    draft = _find(config, name)
    file = files.find_folder(config) / f"{name}.toml"
    _move(draft, file)
    try:
        yield
    finally:
        if store.applied.find(name) is None:
            _move(file, draft)


def _move(old: Path, new: Path) -> None:
    """Rename a file; never over another one."""
    try:
        os.link(old, new, follow_symlinks=False)
    except FileExistsError:
        raise InputError(f"{new} is there already; give one of the two another name") from None
    old.unlink()
    durable.sync_folder(new.parent)


def _find(config: Config, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise NotFoundError(f"{name_draft(clean(name))} is no draft's name")
    return files.find_folder(config) / FOLDER / f"{name}.toml"
