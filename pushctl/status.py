"""
The list of proved endpoints, which imports publish for the receiver: ``status/proved``.

A message was shown there, so somebody real holds the subscription. The receiver opens no
database; with this list it knows whose requests are unbounded.

The file has the first 8 bytes of each endpoint's hash: their number as 8 bytes, as many of
them sorted, and then those that came later. It names nobody and unlocks nothing.
"""

import fcntl
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from pathlib import Path

from pushctl import durable
from pushctl.rules import tokens
from pushctl.rules.limits import PROVED_BYTES

_NAME = "proved"
_HEAD_BYTES = 8
# A longer tail is merged: the receiver keeps the tail as a set, which takes more memory.
_MAX_TAIL = 4_096
_LOOK_SECONDS = 1.0


def publish_proved(folder: Path, hashes: Iterable[bytes]) -> None:
    """Write the whole list anew; *hashes* are those of the endpoints."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    short = sorted({each[:PROVED_BYTES] for each in hashes})
    head = len(short).to_bytes(_HEAD_BYTES, "big")
    durable.replace(folder / _NAME, head + b"".join(short), 0o600)


def add_proved(folder: Path, hashes: Iterable[bytes]) -> bool:
    """Add to the list; return False where it has to be published anew instead."""
    path = folder / _NAME
    try:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        size = os.fstat(handle).st_size
        sound, tail = divmod(size - _HEAD_BYTES, PROVED_BYTES)
        if sound < 0 or tail:  # torn by a kill
            return False
        if sound - int.from_bytes(os.pread(handle, _HEAD_BYTES, 0), "big") > _MAX_TAIL:
            return False
        durable.add_to_end(handle, b"".join(each[:PROVED_BYTES] for each in hashes))
    finally:
        os.close(handle)
    return True


def is_published(folder: Path) -> bool:
    return (folder / _NAME).exists()


class Proved:
    """The list as the receiver reads it; looks for a newer one once a second."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = folder / _NAME
        self._clock = clock
        self._looked = -_LOOK_SECONDS
        self._version: tuple[int, int, int] | None = None
        self._sorted = b""
        self._tail: frozenset[bytes] = frozenset()

    def __contains__(self, endpoint: str) -> bool:
        now = self._clock()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._load()
        short = tokens.endpoint_hash(endpoint)[:PROVED_BYTES]
        if short in self._tail:
            return True
        count = len(self._sorted) // PROVED_BYTES
        place = bisect_left(range(count), short, key=self._get)
        return place < count and self._get(place) == short

    def _get(self, place: int) -> bytes:
        return self._sorted[place * PROVED_BYTES : (place + 1) * PROVED_BYTES]

    def _load(self) -> None:
        """Read the file if it has changed; without it nobody is proved."""
        try:
            found = self._path.stat()
            version = (found.st_ino, found.st_size, found.st_mtime_ns)
            if version == self._version:
                return
            data = self._path.read_bytes()
        except OSError:
            self._version, self._sorted, self._tail = None, b"", frozenset()
            return
        count = int.from_bytes(data[:_HEAD_BYTES], "big")
        end = _HEAD_BYTES + count * PROVED_BYTES
        later = range(end, len(data) - PROVED_BYTES + 1, PROVED_BYTES)
        self._version = version
        self._sorted = data[_HEAD_BYTES:end]
        self._tail = frozenset(data[start : start + PROVED_BYTES] for start in later)
