"""The reader of the inbox: entries after the cursors, in order of time."""

import fcntl
import heapq
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pushctl.inbox.lines import BadLine, decode
from pushctl.model import InboxRecord, Millis
from pushctl.rules import limits, units

_NAME = re.compile(r"(\d{13})-[0-9a-z]+\.seg", re.ASCII)
# A request is stamped before it is written, so the first record of a segment need
# not be its earliest; but nearly.
_OVERLAP: Millis = units.MINUTE
# How far ahead of ours a receiver's clock may be for its records to be waited for.
_AHEAD: Millis = 10_000


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a segment that has no writer any more."""


class Entry(NamedTuple):
    """A part of a segment, and the offset after it."""

    segment: str
    offset: int
    item: InboxRecord | BadLine | Finished


def list_segments(folder: Path) -> list[str]:
    """Return the names of the segments in *folder*, oldest first."""
    if not folder.exists():
        return []
    return sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name))


def read(
    folder: Path, cursors: Mapping[str, int], until: Millis | None = None
) -> Iterator[Entry]:
    """
    Yield the entries after *cursors* in all segments, in the order they were received.

    Several receivers write at the same time, and an event may follow its subscription in
    another segment: segments are merged by time. Records received after *until* are left
    for the next call: they may depend on a segment that did not exist when reading began.

    An incomplete last line is left too while its writer runs; a dead writer's is a BadLine
    whose offset is before it.
    """
    waiting = [(int(name[:13]), name) for name in reversed(list_segments(folder))]
    heap: list[tuple[Millis, str, Entry, Iterator[tuple[Millis, Entry]]]] = []

    def follow(rest: Iterator[tuple[Millis, Entry]]) -> None:
        for at, entry in rest:
            heapq.heappush(heap, (at, entry.segment, entry, rest))
            return

    while waiting or heap:
        # Only the segments that overlap are open: a long backlog needs few files.
        while waiting and (not heap or waiting[-1][0] <= heap[0][0] + _OVERLAP):
            name = waiting.pop()[1]
            follow(_read_segment(folder, name, cursors.get(name, 0), until))
        if heap:
            _, _, entry, rest = heapq.heappop(heap)
            yield entry
            follow(rest)


def _read_segment(
    folder: Path, name: str, offset: int, until: Millis | None
) -> Iterator[tuple[Millis, Entry]]:
    at = int(name[:13])
    try:
        file = (folder / name).open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        sealed = False
        while True:
            line = _read_line(file)
            if line.endswith(b"\n"):
                offset = file.tell()
                if line.isspace():  # erased, see blank()
                    continue
                item = decode(line)
                if isinstance(item, InboxRecord):
                    at = item.at
                    if until is not None and until < at <= until + _AHEAD:
                        return
                yield at, Entry(name, offset, item)
            elif not sealed:
                # Its writer may add to the end until we hold the lock.
                if not _is_abandoned(file):
                    return
                sealed = True
                file.seek(offset)
            else:
                if line:
                    yield at, Entry(name, offset, BadLine("torn by a crash", line))
                yield at, Entry(name, offset, Finished())
                return


def _read_line(file: BinaryIO) -> bytes:
    line = file.readline(limits.MAX_INBOX_LINE_BYTES)
    if len(line) == limits.MAX_INBOX_LINE_BYTES and not line.endswith(b"\n"):
        # Nobody wrote this: keep its head for the quarantine, skip to its end.
        line, rest = line[:4096], line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(limits.MAX_INBOX_LINE_BYTES)
        return line + rest[-1:]
    return line


def _is_abandoned(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove(folder: Path, segment: str) -> None:
    """Remove a segment that was Finished, after its cursor is committed."""
    (folder / segment).unlink(missing_ok=True)
