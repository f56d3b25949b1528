"""Looks at lines that no drain has applied; nothing is applied, and no cursor moves."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from pushctl.inbox.lines import decode
from pushctl.model import InboxRecord
from pushctl.rules import limits

# Decoded in one look: what they say takes longer to find out than to read them.
MOST_RECORDS = 1000


class Glance(NamedTuple):
    """What a look has found; *whole*: nothing is left for the next one."""

    records: list[InboxRecord]
    whole: bool


class Peek:
    """
    Follows the segments of *folder* from *cursors* on, beside receivers and drains.

    Only lines that hold one of *needles* (lower case, as bytes of a line) are decoded: it is
    called many times a second, and a backlog has gigabytes. A look without news costs a stat
    for each segment.
    """

    def __init__(
        self, folder: Path, cursors: Mapping[str, int], needles: Collection[bytes]
    ) -> None:
        self._folder = folder
        self._offsets = dict(cursors)
        self._needles = tuple(needles)

    def look(self, most: int) -> Glance:
        """
        Return the records that came since the last look, in *most* bytes at the most.

        They come by the time of their receipt. A line counts as soon as it is whole: it may
        not be acknowledged yet.
        """
        sizes = self._list_sizes()
        # What was drained is gone: so is its place.
        self._offsets = {name: at for name, at in self._offsets.items() if name in sizes}
        found: list[InboxRecord] = []
        for name in sorted(sizes):
            if sizes[name] > self._offsets.get(name, 0):
                if most <= 0 or len(found) >= MOST_RECORDS:
                    return self._sort(found, whole=False)
                most -= self._read(name, most, found)
        return self._sort(found, whole=most > 0 and len(found) < MOST_RECORDS)

    def _sort(self, found: list[InboxRecord], *, whole: bool) -> Glance:
        return Glance(sorted(found, key=lambda record: record.at), whole)

    def _list_sizes(self) -> dict[str, int]:
        try:
            with os.scandir(self._folder) as entries:
                names = [one.name for one in entries if one.name.endswith(".seg")]
        except FileNotFoundError:
            return {}
        sizes = {}
        for name in names:
            try:
                sizes[name] = (self._folder / name).stat().st_size
            except FileNotFoundError:  # drained meanwhile
                continue
        return sizes

    def _read(self, name: str, most: int, found: list[InboxRecord]) -> int:
        """Read on in a segment; return how many bytes that were."""
        start = offset = self._offsets.get(name, 0)
        try:
            file = (self._folder / name).open("rb")
        except FileNotFoundError:
            return 0
        with file:
            file.seek(offset)
            while offset - start < most and len(found) < MOST_RECORDS:
                line = file.readline(limits.MAX_INBOX_LINE_BYTES)
                if not line.endswith(b"\n") and len(line) < limits.MAX_INBOX_LINE_BYTES:
                    break  # its writer has not finished it, or never will
                offset += len(line)
                low = line.lower()
                if any(needle in low for needle in self._needles):
                    item = decode(line)
                    if isinstance(item, InboxRecord):
                        found.append(item)
        self._offsets[name] = offset
        return offset - start
