"""
Make a backup: database, inbox, keys, templates and settings, as one encrypted file.

It is consistent while everything runs. The inbox is read first, then the database as it is
at one moment, then the rest: a line that a drain takes meanwhile is in the database, and a
line that both have is applied once, by the cursors in the database. Each file's SHA-256
stands in a manifest at the end, so what was cut off is no backup.
"""

import errno
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from pushctl import __version__, durable
from pushctl.archive import seal
from pushctl.archive.tar import Entry, pack
from pushctl.config import Config
from pushctl.errors import ConfigError, InputError
from pushctl.jobs.project import backup_files
from pushctl.model import Millis
from pushctl.rules.units import KIB
from pushctl.store import KNOWN_MIGRATIONS, Store

FORMAT = 1
ABOUT = "backup.json"  # the first file: what this is
MANIFEST = "manifest.json"  # the last: all files with their SHA-256
SETTINGS = "pushctl.toml"

_PIECE = 256 * KIB

Tell = Callable[[int], None]  # gets bytes that were done
Files = Iterator[tuple[Entry, Iterable[bytes]]]


@dataclass(frozen=True)
class Key:
    """How a backup is encrypted: to recipients, else with a passphrase, else not at all."""

    recipients: Sequence[Any] = ()  # of ``seal.read_recipients``
    passphrase: str | None = field(default=None, repr=False)


@dataclass
class Report:
    files: int = 0
    size: int = 0  # bytes of all files
    skipped: list[str] = field(default_factory=list)  # went away while the backup was made


def estimate(store: Store, config: Config) -> int:
    """Return about how many bytes ``write`` reads, for a progress bar."""
    made = backup_files.plan(config)
    names = [path for _, path in backup_files.list_inbox(config, made)]
    names += [path for _, path in backup_files.list_others(store, config, made)]
    sizes = 0
    for path in names:
        try:
            sizes += path.stat().st_size
        except OSError:
            continue
    return sizes + 2 * store.backups.measure()  # it is copied, then read


def write(
    store: Store, config: Config, output: BinaryIO, key: Key, now: Millis, tell: Tell
) -> Report:
    """
    Write a backup of the project to *output*.

    Raises DamagedError for a damaged database, ConfigError for a file that can't be read.
    """
    collecting = _Collecting(store, config, now, tell)
    pieces = pack(collecting.collect())
    if key.recipients:
        seal.seal(pieces, output, key.recipients)
    elif key.passphrase is not None:
        seal.seal_with_passphrase(pieces, output, key.passphrase)
    else:
        output.writelines(pieces)
    return collecting.report


def write_file(
    store: Store, config: Config, file: Path, key: Key, now: Millis, tell: Tell
) -> Report:
    """
    Write a backup to a new *file*, mode 0600, which gets its name once it is whole.

    Raises InputError where a file stands there, ConfigError where the disk has no room; then
    nothing is left.
    """
    try:
        durable.clear_abandoned(file.parent, make_stem(config))
        with durable.open_new(file, 0o600) as output:
            return write(store, config, output, key, now, tell)
    except FileExistsError:
        raise InputError(
            f"{file} exists. A backup is never written over: name another."
        ) from None
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full" if full else error.strerror
        raise ConfigError(
            f"{error.filename or file} can't be written: {why}. No backup was made."
        ) from error


class _Collecting:
    """Reads the project's files one after the other, and writes the manifest of them."""

    def __init__(self, store: Store, config: Config, now: Millis, tell: Tell) -> None:
        self._store, self._config, self._now, self._tell = store, config, now, tell
        self._plan = backup_files.plan(config)
        self._hashes: dict[str, dict[str, str | int]] = {}
        self.report = Report()

    def collect(self) -> Files:
        yield self._make(ABOUT, _render(self._describe()))
        for name, path in backup_files.list_inbox(self._config, self._plan):
            yield from self._open(name, path, whole_lines=True)
        with self._store.backups.copy(self._tell) as handle:
            yield from self._read(self._plan.database, handle, os.fstat(handle).st_size, 0o600)
        yield self._make(SETTINGS, self._plan.settings, 0o644)
        for name, path in backup_files.list_others(self._store, self._config, self._plan):
            if name not in self._hashes:
                yield from self._open(name, path)
        self.report.files = len(self._hashes) - 1
        yield self._make(MANIFEST, _render({"files": dict(self._hashes)}))

    def _describe(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "pushctl": __version__,
            "schema": KNOWN_MIGRATIONS[-1],
            "made_at": self._now,
            "sites": list(self._config.sites),
        }

    def _make(
        self, name: str, content: bytes, mode: int = 0o600
    ) -> tuple[Entry, Iterable[bytes]]:
        at = self._now // 1000
        return Entry(name, len(content), mode, at), self._pass_on(name, [content])

    def _open(
        self, name: str, path: Path, *, whole_lines: bool = False
    ) -> Iterator[tuple[Entry, Iterable[bytes]]]:
        try:
            # Not waiting: a pipe may have taken the place of a file.
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            self.report.skipped.append(name)
            return
        except OSError as error:
            raise ConfigError(
                f"{path} can't be read: {error.strerror}. Run this as the user who owns the "
                "project."
            ) from error
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                self.report.skipped.append(name)
                return
            size = _find_last_line(handle, found.st_size) if whole_lines else found.st_size
            yield from self._read(name, handle, size, stat.S_IMODE(found.st_mode))
        finally:
            os.close(handle)

    def _read(
        self, name: str, handle: int, size: int, mode: int
    ) -> Iterator[tuple[Entry, Iterable[bytes]]]:
        at = int(os.fstat(handle).st_mtime)
        yield Entry(name, size, mode, at), self._pass_on(name, _read_up_to(handle, size))

    def _pass_on(self, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield *pieces*; note their hash once all of them went by."""
        size, sha256 = 0, hashlib.sha256()
        for piece in pieces:
            sha256.update(piece)
            size += len(piece)
            yield piece
            self._tell(len(piece))
        self._hashes[name] = {"sha256": sha256.hexdigest(), "bytes": size}
        self.report.size += size


def _render(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def _read_up_to(handle: int, size: int) -> Iterator[bytes]:
    """Yield the first *size* bytes of a file: what is added meanwhile belongs to the next."""
    at = 0
    while at < size and (piece := os.pread(handle, min(_PIECE, size - at), at)):
        at += len(piece)
        yield piece


def _find_last_line(handle: int, size: int) -> int:
    """Return where the last whole line ends: a receiver may be writing the next one."""
    end = size
    while end:
        begin = max(end - _PIECE, 0)
        found = os.pread(handle, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def clear_old(folder: Path, config: Config, keep: int) -> list[Path]:
    """Delete this project's backups in *folder* but the newest *keep*; return the deleted."""
    name = re.compile(rf"{re.escape(make_stem(config))}\d{{8}}T\d{{6}}Z\.tar\.gz(\.age)?")
    found = sorted(path for path in folder.iterdir() if name.fullmatch(path.name))
    old = found[:-keep] if keep else []
    for path in old:
        path.unlink(missing_ok=True)
    return old


def make_name(config: Config, key: Key, now: Millis) -> str:
    """Return the name of a backup in a folder: project's folder, time of UTC, form."""
    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now // 1000))
    plain = not key.recipients and key.passphrase is None
    return f"{make_stem(config)}{at}.tar.gz{'' if plain else '.age'}"


def make_stem(config: Config) -> str:
    """Return what the names of this project's backups begin with."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in
                   config.folder.name)  # fmt: skip
    return f"pushctl-{name or 'project'}-"
