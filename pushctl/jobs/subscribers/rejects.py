"""The refused lines of a file, written beside it with the reasons."""

import io
import os
from pathlib import Path

import orjson

from pushctl.rules import limits


class Rejects:
    """
    The file of refused lines, created with the first of them.

    A dry run writes none. It is bounded: a gzip file of a megabyte may unfold to gigabytes.
    """

    def __init__(self, path: Path, *, dry_run: bool = False) -> None:
        name = "stdin" if str(path) == "-" else path.name
        self._path = path.with_name(f"{name}.rejects.jsonl")
        self._file: io.BufferedWriter | None = None
        self._left = limits.MAX_REJECTS_BYTES
        self.left_out = 0  # lines beyond it
        self._dry_run = dry_run
        if not dry_run:
            # An earlier run's file has lines that may be correct now.
            self._path.unlink(missing_ok=True)

    def add(self, number: int, raw: str, reason: str) -> None:
        if self._dry_run:
            return
        row = {"line": number, "reason": reason, "original": raw.rstrip("\r\n")}
        text = orjson.dumps(row) + b"\n"
        self._left -= len(text)
        if self._left < 0:
            self.left_out += 1
            return
        if self._file is None:
            # The lines hold endpoints and keys: for the owner only.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._file = os.fdopen(os.open(self._path, flags, 0o600), "wb")
        self._file.write(text)

    def close(self) -> Path | None:
        if self._file is None:
            return None
        self._file.close()
        return self._path
