"""
The inbox: append-only segments that the receiver writes and ``ingest`` reads.

A line is ``<crc32, 8 hex> <length in bytes> <json>\\n``, the json an InboxRecord.
A segment is called ``<millis, 13 digits>-<random>.seg`` after the time of its first
record; its writer holds an exclusive flock on it for as long as it may grow. Nobody
else ever adds to it, and what lies before a line's newline never changes.
"""

from pushctl.inbox.aside import QUARANTINE, blank, quarantine, room
from pushctl.inbox.lines import BadLine, decode, encode
from pushctl.inbox.reader import Entry, Finished, read, remove, segments
from pushctl.inbox.writer import InboxFullError, Writer

__all__ = [
    "QUARANTINE",
    "BadLine",
    "Entry",
    "Finished",
    "InboxFullError",
    "Writer",
    "blank",
    "decode",
    "encode",
    "quarantine",
    "read",
    "remove",
    "room",
    "segments",
]
