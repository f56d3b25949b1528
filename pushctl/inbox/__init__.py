"""
The inbox: append-only list_segments that the receiver writes and ``ingest`` reads.

A line is ``<crc32, 8 hex> <length in bytes> <json>\\n``, the json an InboxRecord.
A segment is called ``<millis, 13 digits>-<random>.seg`` after the time of its first
record; its writer holds an exclusive flock on it for as long as it may grow. No other
process adds to it, and a complete line never changes.
"""

from pushctl.inbox.lines import BadLine, decode, encode
from pushctl.inbox.peek import Glance, Peek
from pushctl.inbox.quarantine_files import QUARANTINE, blank, count_free_bytes, quarantine
from pushctl.inbox.reader import Entry, Finished, list_segments, read, remove
from pushctl.inbox.writer import InboxFullError, Writer

__all__ = [
    "QUARANTINE",
    "BadLine",
    "Entry",
    "Finished",
    "Glance",
    "InboxFullError",
    "Peek",
    "Writer",
    "blank",
    "count_free_bytes",
    "decode",
    "encode",
    "list_segments",
    "quarantine",
    "read",
    "remove",
]
