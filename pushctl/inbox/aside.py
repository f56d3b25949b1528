"""Lines put aside for a person to look at, and lines whose person is forgotten."""

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
    Overwrite the whole lines between two offsets with spaces: their person is forgotten.

    Safe beside a living writer, which only ever adds to the end.
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
    Put lines aside for a person to look at: (segment, offset, reason, raw) each.

    One file per segment; a line that stands there already is not added again, so
    doing it twice around a crash does no harm. Lines that ``room`` has no place for are
    dropped.
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
    """Return how many bytes the quarantine may still grow by."""
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
