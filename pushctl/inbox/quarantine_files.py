"""Lines that are quarantined for a person to check, and lines that are erased."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from pushctl import durable
from pushctl.rules.limits import MAX_QUARANTINE_BYTES

QUARANTINE = "quarantine"


def blank(folder: Path, segment: str, start: int, end: int) -> None:
    """
    Overwrite the lines between two offsets with spaces: their person is erased.

    Safe beside a running writer, which only adds to the end.
    """
    with (folder / segment).open("r+b") as file:
        file.seek(start)
        kept = bytes(0x0A if byte == 0x0A else 0x20 for byte in file.read(end - start))
        file.seek(start)
        file.write(kept)
        file.flush()
        os.fsync(file.fileno())


def quarantine(folder: Path, entries: Sequence[tuple[str, int, str, bytes]]) -> None:
    """
    Add lines to the quarantine: (segment, offset, reason, raw) each.

    One file per segment. A line is added once only, so a repetition after a crash does no
    harm. Lines beyond ``count_free_bytes`` are dropped.
    """
    if not entries:
        return
    aside = folder / QUARANTINE
    aside.mkdir(mode=0o700, parents=True, exist_ok=True)
    left = count_free_bytes(folder)
    for segment in sorted({entry[0] for entry in entries}):
        path = aside / f"{segment.removesuffix('.seg')}.jsonl"
        known = {line["offset"] for line in _read_quarantine(path)}
        lines = []
        for name, offset, reason, raw in entries:
            if name == segment and offset not in known:
                text = raw.rstrip(b"\n").decode("utf-8", "backslashreplace")
                line = {"offset": offset, "reason": reason, "line": text}
                made = orjson.dumps(line) + b"\n"
                left -= len(made)
                if left >= 0:
                    lines.append(made)
        durable.append_durably(path, b"".join(lines), 0o600)


def count_free_bytes(folder: Path) -> int:
    """Return by how many bytes the quarantine may grow."""
    aside = folder / QUARANTINE
    return MAX_QUARANTINE_BYTES - sum(path.stat().st_size for path in aside.glob("*.jsonl"))


def _read_quarantine(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                try:
                    yield orjson.loads(line)
                except ValueError:  # the last one, torn by a crash
                    continue
