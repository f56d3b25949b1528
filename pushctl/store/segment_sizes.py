"""Sizes of segments, noted once a day: nobody can count afterwards who was in one."""

from collections.abc import Iterator
from typing import NamedTuple

from pushctl.model import Millis
from pushctl.store.noun import Noun


class Size(NamedTuple):
    """How many subscribers a segment had at a time, of *everybody* who was active."""

    segment: str
    at: Millis
    subscribers: int
    everybody: int


class SegmentSizes(Noun):
    def note(self, size: Size) -> None:
        sql = """
            INSERT OR REPLACE INTO segment_sizes (segment, at, subscribers, everybody)
            VALUES (:segment, :at, :subscribers, :everybody)
        """
        with self._store.write():
            self._write(sql, **size._asdict())

    def list_since(self, since: Millis) -> Iterator[Size]:
        """Yield all sizes from *since* on, the oldest first."""
        sql = """
            SELECT segment, at, subscribers, everybody FROM segment_sizes
             WHERE at >= :since ORDER BY at
        """
        yield from (Size(*row) for row in self._read(sql, since=since))
