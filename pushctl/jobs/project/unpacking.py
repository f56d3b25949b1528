"""The files of a backup: compared with its manifest, and kept where they are to be restored."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pushctl import durable
from pushctl.archive.tar import ArchiveError, Entry
from pushctl.errors import ConfigError
from pushctl.jobs.project import backup
from pushctl.model import Millis
from pushctl.rules.limits import MAX_MANIFEST_BYTES, MIN_FREE_TO_RESTORE_BYTES


@dataclass(frozen=True)
class About:
    """What a backup says of itself."""

    made_at: Millis
    version: str  # of the pushctl that made it


class _Seen(NamedTuple):
    sha256: str
    size: int


class Checked:
    """Hashes each file that comes by; ``verify`` compares them with the manifest."""

    def __init__(self) -> None:
        self.about = About(0, "")
        self.size = 0  # bytes of all files
        self._entry = Entry("", 0, 0)
        self._text = bytearray()  # of what is read as a whole
        self._sha256 = hashlib.sha256()
        self._seen: dict[str, _Seen] = {}
        self._manifest: dict[str, Any] | None = None

    @property
    def files(self) -> int:
        return len(self._seen) - 1

    def begin(self, entry: Entry) -> None:
        if not self._seen and entry.name != backup.ABOUT:
            raise ArchiveError("it is no backup of pushctl's")
        if self._manifest is not None:
            raise ArchiveError("something follows its manifest")
        if _is_ours(entry) and entry.size > MAX_MANIFEST_BYTES:
            raise ArchiveError(f"{entry.name} in it is too long")
        self._entry, self._sha256 = entry, hashlib.sha256()
        self._text.clear()

    def take(self, piece: bytes) -> None:
        self._sha256.update(piece)
        if _is_ours(self._entry):
            self._text += piece

    def end(self) -> None:
        name = self._entry.name
        if name == backup.MANIFEST:
            self._manifest = _read_manifest(bytes(self._text))
            return
        if name == backup.ABOUT:
            self.about = _read_about(bytes(self._text))
        self._seen[name] = _Seen(self._sha256.hexdigest(), self._entry.size)
        self.size += self._entry.size

    def verify(self) -> None:
        """Raise ArchiveError unless each file is there, and as it was when it was read."""
        if self._manifest is None:
            raise ArchiveError("its manifest is missing: it was cut off")
        if missing := self._manifest.keys() ^ self._seen.keys():
            raise ArchiveError(f"{min(missing)} is missing in it, or was added")
        for name, seen in self._seen.items():
            if self._manifest[name] != {"sha256": seen.sha256, "bytes": seen.size}:
                raise ArchiveError(f"{name} in it was changed after the backup was made")


class Unpacked(Checked):
    """As ``Checked``, and keeps the files in a folder that it alone writes to."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._handle: int | None = None

    def begin(self, entry: Entry) -> None:
        super().begin(entry)
        if _is_ours(entry):
            return
        room = os.statvfs(self._folder)
        free = room.f_bavail * room.f_frsize
        if (missing := entry.size + MIN_FREE_TO_RESTORE_BYTES - free) > 0:
            raise ConfigError(
                f"{entry.name} has {entry.size / 1e6:,.0f} MB; {missing / 1e6:,.0f} MB are "
                f"missing where {self._folder.parent} is. Nothing was kept; make room there."
            )
        path = self._folder / entry.name
        mode = entry.mode & 0o755 | 0o600
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(path, flags, mode)
        except (FileExistsError, NotADirectoryError):
            raise ArchiveError(f"{entry.name} in it is a file and a folder") from None

    def take(self, piece: bytes) -> None:
        super().take(piece)
        if self._handle is not None:
            durable.write_all(self._handle, piece)

    def end(self) -> None:
        super().end()
        if self._handle is not None:
            durable.finish(self._handle)
            os.utime(self._folder / self._entry.name, (self._entry.at, self._entry.at))
            self._handle = None

    def verify(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        super().verify()


def _is_ours(entry: Entry) -> bool:
    return entry.name in (backup.ABOUT, backup.MANIFEST)


def _read_about(text: bytes) -> About:
    """Return what a backup says of itself; ArchiveError for another program's archive."""
    try:
        about = json.loads(text)
        number, made_at = int(about["format"]), int(about["made_at"])
        version = str(about["pushctl"])
    except (ValueError, KeyError, TypeError):
        raise ArchiveError("it is no backup of pushctl's") from None
    if number > backup.FORMAT:
        raise ArchiveError(
            f"pushctl {version!a} made it, in a form that this one does not know. Install "
            "that version."
        )
    return About(made_at, version)


def _read_manifest(text: bytes) -> dict[str, Any]:
    try:
        files = json.loads(text)["files"]
    except (ValueError, KeyError, TypeError):
        files = None
    if not isinstance(files, dict):
        raise ArchiveError("its manifest can't be read")
    return files
