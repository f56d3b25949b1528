"""A place file in MaxMind's format: one entry that stands for every address."""

from pathlib import Path
from typing import Any

_MARK = b"\xab\xcd\xefMaxMind.com"


def _head(kind: int, size: int) -> bytes:
    # Kinds above 7 are written as 0 with the rest in a second byte; sizes from 29 to 284
    # in a byte behind the head (https://maxmind.github.io/MaxMind-DB/).
    short, more = (size, b"") if size < 29 else (29, bytes([size - 29]))
    if kind > 7:
        return bytes([short, kind - 7]) + more
    return bytes([kind << 5 | short]) + more


def _packed(value: Any) -> bytes:
    if isinstance(value, dict):
        inner = b"".join(_packed(key) + _packed(each) for key, each in value.items())
        return _head(7, len(value)) + inner
    if isinstance(value, list):
        return _head(11, len(value)) + b"".join(map(_packed, value))
    if isinstance(value, tuple):  # (kind, number): 5, 6 and 9 have 16, 32 and 64 bits
        kind, number = value
        raw = number.to_bytes(8, "big").lstrip(b"\0")
        return _head(kind, len(raw)) + raw
    raw = value.encode()
    return _head(2, len(raw)) + raw


def write_mmdb(file: Path, entry: Any) -> None:
    """Write a file whose one node leads every address to *entry*."""
    nodes = 1
    record = (nodes + 16).to_bytes(3, "big")
    meta = {
        "binary_format_major_version": (5, 2),
        "binary_format_minor_version": (5, 0),
        "build_epoch": (9, 1),
        "database_type": "Test",
        "description": {"en": "test"},
        "ip_version": (5, 4),
        "languages": ["en"],
        "node_count": (6, nodes),
        "record_size": (5, 24),
    }
    file.write_bytes(record * 2 + bytes(16) + _packed(entry) + _MARK + _packed(meta))
