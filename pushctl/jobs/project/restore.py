"""
Restore a backup into a new folder: all of it, verified, or nothing.

It is unpacked beside its place. Only once every file has its hash, the database is sound and
the settings lead nowhere else, the folder gets its name, in one step. It sends nothing until
`pushctl release` (``restore_guard``).
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pushctl import __version__, durable, lock
from pushctl import config as configs
from pushctl.archive import seal
from pushctl.archive.seal import Form
from pushctl.archive.tar import Reader
from pushctl.config import Config
from pushctl.errors import ConfigError, InputError
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.ingest import publishing
from pushctl.jobs.project import backup, backup_files, former_project
from pushctl.jobs.project.unpacking import Checked, Unpacked
from pushctl.model import Millis
from pushctl.store import backups

# Below the place itself, where that is a disk of its own: nothing can be renamed onto it.
_INSIDE = ".pushctl-restoring"


@dataclass(frozen=True)
class Opener:
    """What opens a backup: a key file's text, or a passphrase."""

    identities: bytes | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)


@dataclass
class Restored:
    made_at: Millis
    version: str  # of the pushctl that made it
    files: int
    size: int  # bytes
    taken: list[str] = field(default_factory=list)  # from the former project, for people


def needs_passphrase(archive: Path) -> bool:
    """Return whether a passphrase opens *archive*; InputError where it is no backup."""
    try:
        with archive.open("rb") as file:
            return seal.find_form(file) is Form.PASSPHRASE
    except OSError as error:
        raise InputError(f"{archive} can't be read: {error.strerror}") from error
    except InputError as error:
        raise type(error)(f"{archive}: {error}") from None


def check(archive: Path, opener: Opener, tell: backup.Tell) -> Restored:
    """Read a backup to its end and compare each file with the manifest; write nothing."""
    with archive.open("rb") as file:
        read = Checked()
        _unpack(file, archive, opener, read, tell)
    return _describe(read)


def restore(
    archive: Path, folder: Path, opener: Opener, tell: backup.Tell, former: Path | None = None
) -> Restored:
    """
    Restore *archive* into *folder*, which is empty or not there.

    From a *former* folder of the project comes what the backup can't know: who was erased
    since, keys, requests that no import had read. Raises InputError for what is no backup, a
    wrong key or passphrase; ConfigError where there is no room, or for a damaged database.
    """
    folder = Path(os.path.normpath(folder.absolute()))
    _refuse_used(folder)
    if former is not None:
        former_project.refuse_busy(former)
    with archive.open("rb") as file, _stage(folder) as staging:
        read = Unpacked(staging)
        _unpack(file, archive, opener, read, tell)
        result = _describe(read)
        config = _check_settings(staging)
        backups.check(config.database)
        for path in (config.inbox, config.journal, config.keys):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
        if former is not None:
            result.taken += former_project.take(former, config)
        # What imports had published for the receiver is not in a backup: they do it anew.
        values = {restore_guard.RESTORED: str(result.made_at), publishing.MISSED: "0"}
        backups.mark(config.database, values)
        _publish(staging, folder)
    return result


def _refuse_used(folder: Path) -> None:
    """Raise InputError unless *folder* is empty or not there."""
    try:
        found = [each.name for each in folder.iterdir() if each.name != _INSIDE]
    except FileNotFoundError:
        found = []
        if folder.is_symlink():
            raise InputError(f"{folder} is a link that leads nowhere") from None
    except NotADirectoryError:
        raise InputError(f"{folder} is no folder. Name a new one.") from None
    if found:
        raise InputError(
            f"{folder} is not empty. Restore into a new folder, so that nothing is mixed or "
            "lost: move the old one away first, and name it with --former."
        )


@contextmanager
def _stage(folder: Path) -> Iterator[Path]:
    """Yield a new folder that only we can read; nothing is left of it, but what was moved."""
    apart = folder.is_dir() and folder.stat().st_dev != folder.parent.stat().st_dev
    staging = folder / _INSIDE if apart else folder.with_name(f".{folder.name}.restoring")
    with ExitStack() as stack:
        try:
            beside = staging.with_name(f"{staging.name}.lock") if not apart else None
            if beside is not None:
                stack.enter_context(lock.hold(beside, "another restore", keep=False))
            if staging.exists():  # of one that was killed
                shutil.rmtree(staging)
            staging.mkdir(mode=0o700)
        except OSError as error:
            raise ConfigError(
                f"{staging} can't be made: {error.strerror}. Choose another place."
            ) from error
        stack.callback(shutil.rmtree, staging, ignore_errors=True)
        yield staging


def _unpack(
    file: BinaryIO, archive: Path, opener: Opener, read: Checked, tell: backup.Tell
) -> None:
    """Open, unpack and verify; what is wrong is said with the name of the archive."""
    try:
        form = seal.find_form(file)
        reader = Reader(read)
        counted = _Counted(file, tell)
        if form is Form.PLAIN:
            seal.copy(counted, reader)
        elif form is Form.PASSPHRASE:
            if opener.passphrase is None:
                raise InputError("it is encrypted with a passphrase. Give it.")
            seal.unseal(counted, reader, seal.open_lock(file, opener.passphrase))
        else:
            if opener.identities is None:
                raise InputError("it is encrypted for a key. Name its file with --key.")
            seal.unseal(counted, reader, seal.read_identities(opener.identities))
        reader.close()
        read.verify()
    except InputError as error:
        raise type(error)(f"{archive}: {error}") from None
    except OSError as error:
        raise _explain(error, archive) from error


def _explain(error: OSError, archive: Path) -> ConfigError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ConfigError(
            "the disk is full. Nothing was kept; make room, then run this again."
        )
    place = error.filename or archive
    return ConfigError(f"{place}: {error.strerror}. Nothing was kept.")


class _Counted:
    """The archive's file, which tells how much of it was read."""

    def __init__(self, file: BinaryIO, tell: backup.Tell) -> None:
        self._file, self._tell = file, tell

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._tell(len(piece))
        return piece


def _describe(read: Checked) -> Restored:
    about = read.about
    return Restored(about.made_at, about.version, read.files, read.size)


def _check_settings(staging: Path) -> Config:
    """Return the settings that were restored; ConfigError where they lead out of the folder."""
    file = staging / backup.SETTINGS
    config, problems = configs.read(file, {})
    if config is None:
        text = "; ".join(map(str, problems[:3]))
        raise ConfigError(
            f"this pushctl ({__version__}) can't read the backup's pushctl.toml. Install the "
            f"version that made the backup. {text}"
        )
    for setting in backup_files.PLACES:
        path = backup_files.find_place(config, setting)
        if path is not None and not path.resolve().is_relative_to(staging.resolve()):
            raise ConfigError(
                f"the backup's pushctl.toml leads out of its folder: {'.'.join(setting)}. "
                "pushctl writes no such backup."
            )
    if not config.database.is_file():
        raise ConfigError("the backup has no database. pushctl writes no such backup.")
    return config


def _publish(staging: Path, folder: Path) -> None:
    """Give the folder its name, in one step where the disk allows it."""
    for place, _, _ in os.walk(staging):
        durable.sync_folder(Path(place))
    staging.chmod(0o755)
    if staging.parent == folder:
        # A project is found by its settings: they come last.
        found = sorted(staging.iterdir(), key=lambda each: each.name == backup.SETTINGS)
        for each in found:
            each.rename(folder / each.name)
        durable.sync_folder(folder)
        return
    try:
        staging.rename(folder)  # onto an empty folder, too
    except OSError as error:
        raise ConfigError(
            f"{folder} can't be made: {error.strerror}. Nothing was kept."
        ) from error
    durable.sync_folder(folder.parent)
