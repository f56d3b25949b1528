"""
Lines beside the database that nothing takes away: a backup copied over the project, neither.

What is copied over a project in place (`cp -a backup/. project/`) puts the older file back.
So a second file has the same lines, and before each line that is added it gets a new name,
``NAME-<random>``: no backup that was made before has a file of that name. What is read is
what either of them has.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from pushctl import durable


def append(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Add whole lines to *path* and to its second file, durably; raises OSError."""
    with durable.open_to_append(path, mode) as handle:
        second = _rename_second(path, mode)
        durable.append_durably(second, data, mode)
        durable.add_lines(handle, data)


def read(path: Path) -> bytes:
    """Return the lines of *path* and of its second file; b"" where there are none."""
    text, *others = sorted((_read(each) for each in (path, *_list_second(path))), key=len)[::-1]
    return text + _find_missing(text, others)


def unite(path: Path) -> None:
    """Add to *path* what only its second file has, for those who copy *path* alone."""
    seconds = [_read(each) for each in _list_second(path)]
    if seconds and _find_missing(_read(path), seconds):
        with durable.open_to_append(path, 0o600) as handle:
            durable.add_to_end(handle, _find_missing(_read(path), seconds))


def measure(path: Path) -> int:
    """Return the length in bytes of the longer one of both files, 0 where there is none."""
    return max((_find_size(each) for each in (path, *_list_second(path))), default=0)


def _rename_second(path: Path, mode: int) -> Path:
    """Return the second file under a new name, with all lines that there are."""
    new = path.with_name(f"{path.name}-{os.urandom(4).hex()}")
    found = _list_second(path)
    if len(found) == 1 and _find_size(found[0]) >= _find_size(path):
        found[0].rename(new)
        return new
    # There was none yet, or a backup has brought another one.
    durable.write_new(new, read(path), mode)
    for each in found:
        each.unlink(missing_ok=True)
    return new


def _find_missing(text: bytes, others: Sequence[bytes]) -> bytes:
    """Return the lines of *others* that *text* lacks, as what is added to its end."""
    known = set(text.splitlines())
    lines = dict.fromkeys(line for each in others for line in each.splitlines())
    missing = [line for line in lines if line not in known]
    torn = text and not text.endswith(b"\n")
    return b"\n" * bool(torn and missing) + b"".join(b"%s\n" % line for line in missing)


def _list_second(path: Path) -> list[Path]:
    ours = re.compile(rf"{re.escape(path.name)}-[0-9a-f]{{8}}")
    try:
        with os.scandir(path.parent) as entries:
            return [Path(one.path) for one in entries if ours.fullmatch(one.name)]
    except FileNotFoundError:
        return []


def _find_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
