"""The writer of the inbox: appends records, and returns when they are on disk."""

import fcntl
import os
import secrets
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from pushctl import durable
from pushctl.errors import PushctlError
from pushctl.inbox.lines import encode
from pushctl.model import InboxRecord, Millis
from pushctl.rules.units import MIB

SUFFIX = ".seg"
SEGMENT_BYTES = 16 * MIB
SEGMENT_AGE = 60.0  # seconds until a segment gives way to the next one


class InboxFullError(PushctlError):
    """The inbox can't be written (disk full, read-only); nothing was acknowledged."""

    exit_code = 75


class Writer:
    """
    Appends records to a segment of its own; one for each receiving process.

    ``append`` and ``write`` may be called from any thread. One call syncs the disk once, so
    collect waiting records and call it once for all (group commit).
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_segment_bytes: int = SEGMENT_BYTES,
        max_segment_age: float = SEGMENT_AGE,
    ) -> None:
        self.folder = folder
        self._max_bytes = max_segment_bytes
        self._max_age = max_segment_age
        self._lock = threading.Lock()
        self._handle: int | None = None
        self._path = folder
        self._good = 0  # everything before this offset is whole and on disk
        self._opened = 0.0
        self._owner = 0
        self._name = ""
        self._count = 0

    def append(self, records: Sequence[InboxRecord]) -> None:
        """
        Return when *records* are on disk, after one fdatasync for all of them.

        Raises InboxFullError when they can't be written; then none of them may be
        acknowledged. The next call tries again.
        """
        if records:
            self.write(list(map(encode, records)), min(record.at for record in records))

    def write(self, lines: Sequence[bytes], at: Millis) -> None:
        """Return when *lines* are on disk; *at* is their earliest record's. See append."""
        data = b"".join(lines)
        with self._lock:
            try:
                handle = self._open_segment(at)
                durable.write_all(handle, data)
                os.fdatasync(handle)
            except OSError as error:
                self._abandon()
                raise InboxFullError(
                    f"{self.folder} can't be written: {error.strerror}. Free some space "
                    "or check the permissions; requests are refused until then."
                ) from error
            self._good += len(data)

    def rotate(self, *, force: bool = False) -> None:
        """
        Close the segment if it is old or long enough, so that it can be removed.

        Call it now and then when no requests come in.
        """
        with self._lock:
            if self._handle is not None and (force or self._is_full()):
                self._close()

    def close(self) -> None:
        with self._lock:
            self._close()

    def _open_segment(self, at: Millis) -> int:
        if self._owner != os.getpid():
            # A fork shares the file and its lock with the parent, which still writes.
            self._close()
            self._owner, self._name = os.getpid(), secrets.token_hex(6)
        elif self._handle is not None and self._is_full():
            self._close()
        if self._handle is None:
            self._open(at)
        assert self._handle is not None
        return self._handle

    def _is_full(self) -> bool:
        age = time.monotonic() - self._opened
        return self._good >= self._max_bytes or age >= self._max_age

    def _open(self, at: Millis) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Numbered, so that one writer's segments keep their order within a millisecond.
        self._count += 1
        name = f"{at:013}-{self._name}{self._count:06x}"
        # Locked under another name first: a reader that found the segment unlocked
        # would take it for a dead writer's and remove it.
        young = self.folder / f"{name}.new"
        handle = os.open(young, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._path = young.with_suffix(SUFFIX)
            young.rename(self._path)
            durable.sync_folder(self.folder)
        except BaseException:
            os.close(handle)
            raise
        self._handle, self._good = handle, 0
        self._opened = time.monotonic()

    def _abandon(self) -> None:
        # Cut off a possibly incomplete line. Never use this segment again: a reader may
        # be past the cut, and after a failed fdatasync it is unknown which of its pages
        # are on disk.
        if self._handle is None:
            return
        try:
            os.ftruncate(self._handle, self._good)
            if self._good == 0:
                self._path.unlink(missing_ok=True)
        except OSError:
            pass  # the torn end is the reader's to find
        finally:
            self._close()

    def _close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)
