"""
What imports publish for the receiver, which opens no database: the folder ``status/``.

``<id>.json`` is what became of a request of the API. Those that were applied whole are most:
each takes 36 bytes of the day's ``applied-<day>`` instead of a file. So does each change of a
message to one person, in ``messages-<day>``. All are kept for 30 days.

``proved`` is the list of endpoints at which a message was shown: somebody real holds the
subscription, so the receiver takes its requests without bounds. It has the first 8 bytes of
each endpoint's hash: their number as 8 bytes, as many of them sorted, and then those that
came later. It names nobody and unlocks nothing.
"""

import fcntl
import os
import re
import secrets
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import orjson

from pushctl import durable
from pushctl.model import Json, Millis
from pushctl.rules import tokens
from pushctl.rules.limits import PROVED_BYTES
from pushctl.rules.units import DAY

REQUESTS_KEPT: Millis = 30 * DAY
# In both lists: an id of 16 bytes and the time it came in 6. Of a request, its items in 2
# and its route in 12; of a message, its state and its counts, a byte each.
_ENTRY_BYTES = 36
_ROUTE_BYTES = 12
_STATES = ("received", "waiting", "scheduled", "sending", "done", "cancelled")
_LISTS = ("applied-", "messages-")
_COUNTS = (
    "accepted", "gone", "rejected", "expired", "skipped", "in_doubt", "waiting", "shown",
    "clicked",
)  # fmt: skip
_SCAN_BYTES = 1_820 * _ENTRY_BYTES
_REQUEST = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
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


def publish_request(folder: Path, request: str, state: Mapping[str, Json]) -> None:
    """
    Write what became of a request; *state* has its id, its key and its state.

    Old content or new, but not synced: after a power loss an import writes it again.
    """
    if not _REQUEST.fullmatch(request):
        raise ValueError("no id of a request")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{request}.json"
    young = folder / f"{request}.{secrets.token_hex(4)}.new"
    handle = os.open(young, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        durable.write_all(handle, orjson.dumps(state))
    except OSError:
        young.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    young.replace(path)


def find_request(folder: Path, request: str) -> Mapping[str, Json] | None:
    """Return what ``publish_request`` wrote last, None without a readable file."""
    if not _REQUEST.fullmatch(request):
        return None
    try:
        found = orjson.loads((folder / f"{request}.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


class Applied(NamedTuple):
    """A request all of whose items were applied."""

    id: str
    at: Millis
    items: int
    route: str


def publish_applied(folder: Path, done: Iterable[Applied]) -> None:
    """Add requests that were applied whole to the lists of their days, durably."""
    days: dict[Path, list[bytes]] = {}
    for one in done:
        entry = (
            tokens.decode(one.id)
            + one.at.to_bytes(6, "big")
            + one.items.to_bytes(2, "big")
            + one.route.encode().ljust(_ROUTE_BYTES)
        )
        days.setdefault(_name_list(folder, one.at // DAY), []).append(entry)
    _add_entries(folder, days)


def _add_entries(
    folder: Path,
    lists: Mapping[Path, list[bytes]],
    write: Callable[[int, bytes], None] = durable.add_to_end,
) -> None:
    """Add entries to the end of each list."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, entries in lists.items():
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        handle = os.open(path, flags, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            length = os.fstat(handle).st_size
            if torn := length % _ENTRY_BYTES:  # by a kill: its batch comes once more
                os.ftruncate(handle, length - torn)
            write(handle, b"".join(entries))
        finally:
            os.close(handle)


def find_applied(folder: Path, request: str, at: Millis | None) -> Applied | None:
    """
    Return a request that ``publish_applied`` has added.

    It came in the day of *at* or the next one; None: any of the days that are kept.
    """
    if not _REQUEST.fullmatch(request):
        return None
    name = tokens.decode(request)
    for path in _list_lists(folder, at, "applied"):
        with suppress(FileNotFoundError, NotADirectoryError), path.open("rb") as file:
            while part := file.read(_SCAN_BYTES):
                if (entry := _find_entry(part, name)) is not None:
                    return _read_applied(request, entry)
    return None


class MessageResult(NamedTuple):
    """What has become of a message to one person."""

    id: str
    at: Millis
    state: str
    counts: Mapping[str, int]


def can_list(counts: Mapping[str, int]) -> bool:
    """Return whether a message's *counts* fit into an entry of a list."""
    return all(count <= 255 for count in counts.values())


def publish_messages(folder: Path, results: Iterable[MessageResult]) -> None:
    """
    Add what has become of messages to the lists of their days.

    Not synced: after a power loss the newest are published again.
    """
    days: dict[Path, list[bytes]] = {}
    for one in results:
        entry = (
            tokens.decode(one.id)
            + one.at.to_bytes(6, "big")
            + bytes([_STATES.index(one.state)])
            + bytes(one.counts.get(name, 0) for name in _COUNTS)
        )
        path = _name_list(folder, one.at // DAY, "messages")
        days.setdefault(path, []).append(entry.ljust(_ENTRY_BYTES, b"\0"))
    _add_entries(folder, days, durable.write_all)


def find_message(folder: Path, request: str, at: Millis | None) -> MessageResult | None:
    """Return what ``publish_messages`` has added last about a message that came at *at*."""
    if not _REQUEST.fullmatch(request):
        return None
    name, found = tokens.decode(request), None
    for path in _list_lists(folder, at, "messages"):
        with suppress(FileNotFoundError, NotADirectoryError), path.open("rb") as file:
            while part := file.read(_SCAN_BYTES):
                found = _find_entry(part, name, last=True) or found
        if found is not None:
            counts = dict(zip(_COUNTS, found[23:], strict=False))
            came = int.from_bytes(found[16:22], "big")
            return MessageResult(request, came, _STATES[found[22]], counts)
    return None


def _list_lists(folder: Path, at: Millis | None, kind: str) -> list[Path]:
    """Return the lists in which something is that came in the day of *at* or the next one."""
    if at is None:
        return sorted(folder.glob(f"{kind}-*"), reverse=True)
    return [_name_list(folder, at // DAY + more, kind) for more in (0, 1)]


def _name_list(folder: Path, day: int, kind: str = "applied") -> Path:
    return folder / f"{kind}-{day:06}"


def _find_entry(part: bytes, name: bytes, *, last: bool = False) -> bytes | None:
    """Return the first entry of *name* in *part*, or the last one."""
    found, place = None, part.find(name)
    while place >= 0:
        if place % _ENTRY_BYTES == 0:
            found = part[place : place + _ENTRY_BYTES]
            if not last:
                return found
        place = part.find(name, place + 1)
    return found


def _read_applied(request: str, entry: bytes) -> Applied:
    at, items = int.from_bytes(entry[16:22], "big"), int.from_bytes(entry[22:24], "big")
    return Applied(request, at, items, entry[24:].decode("ascii", "replace").rstrip())


def prune_requests(folder: Path, before: Millis) -> int:
    """Delete what was published before *before*; return how many files."""
    count = 0
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as found:
        for one in found:
            # ".new": of an import that was killed.
            if one.name.endswith((".json", ".new")) or one.name.startswith(_LISTS):
                with suppress(FileNotFoundError):
                    if one.stat().st_mtime_ns // 1_000_000 < before:
                        Path(one.path).unlink()
                        count += 1
    return count


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
