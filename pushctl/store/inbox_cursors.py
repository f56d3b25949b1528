"""
Inbox cursors: how far each segment is applied, committed together with its rows.

A cursor outlives its segment: a receiver's folder that is copied over once more must
not be applied once more.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from pushctl.model import Millis
from pushctl.store.noun import Noun, as_json


class InboxCursors(Noun):
    def load(self, segments: Collection[str]) -> dict[str, int]:
        """Return how many bytes of each of *segments* are read, where that is known."""
        # By name: a year of segments that are gone has half a million cursors.
        sql = """
            SELECT segment, offset FROM inbox_cursors
             WHERE segment IN (SELECT value FROM json_each(:segments))
        """
        return dict(self._read(sql, segments=as_json(segments)))

    def save(self, cursors: Mapping[str, int]) -> None:
        sql = """
            INSERT INTO inbox_cursors (segment, offset) VALUES (?, ?)
            ON CONFLICT (segment) DO UPDATE SET offset = excluded.offset
        """
        self._write_each(sql, cursors.items())

    def count_unread(self, inbox: Path) -> int:
        """Return how many segments of *inbox* have lines that no drain has read."""
        segments, unread = list(inbox.glob("*.seg")), 0
        read = self.load([one.name for one in segments])
        for segment in segments:
            with suppress(FileNotFoundError):  # drained meanwhile
                unread += segment.stat().st_size > read.get(segment.name, 0)
        return unread

    def prune(self, before: Millis, keep: Collection[str]) -> int:
        """
        Drop the cursors of segments begun before *before*; return how many.

        *keep* are the segments that are still there: a quiet receiver's may be old.
        """
        # Segments are called after the time of their first record, 13 digits.
        sql = "SELECT segment FROM inbox_cursors WHERE segment < :name"
        rows = self._read(sql, name=f"{before:013}")
        old = [(name,) for (name,) in rows if name not in keep]
        if old:
            self._write_each("DELETE FROM inbox_cursors WHERE segment = ?", old)
        return len(old)
