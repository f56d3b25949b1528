"""
What a power loss may leave of a folder: recorded by a preloaded shim, replayed at any point.

The model is a strict one. A file keeps what was written before its last sync; of what came
after, each write may be there, be missing, or be there in some of its sectors, in any order.
Names (created, renamed, linked, removed) are kept once their folder was synced; of later ones
those up to any point are. Sizes follow the writes that are there.
"""

import ctypes
import os
import random
import shutil
import struct
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SECTOR = 512
_HEAD = struct.Struct("<c3xII4xQQ")


class NoCompilerError(Exception):
    """There is no cc on this machine."""


def compile_shim(folder: Path) -> Path:
    """Compile shim.c into *folder*; NoCompilerError where nothing can."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NoCompilerError("no C compiler (cc) is here")
    shim = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    words = [compiler, "-shared", "-fPIC", "-O1", "-w", "-o", str(shim), str(source), "-ldl"]
    subprocess.run(words, check=True)
    ctypes.CDLL(str(shim))
    return shim


def make_environment(
    shim: Path, root: Path, log: Path, error: int | None = None, after: int = 0
) -> dict[str, str]:
    """
    Return the variables with which a program is recorded.

    From its call number *after* on, those that *error* concerns fail with it (shim.c).
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PUSHCTL_")}
    kept |= {"LD_PRELOAD": str(shim), "POWER_ROOT": str(root), "POWER_LOG": str(log)}
    if error is not None:
        kept |= {"POWER_ERROR": str(error), "POWER_AFTER": str(after)}
    return kept


class Step(NamedTuple):
    """One record: M is a marker, of what somebody outside was told or has told."""

    kind: str
    inode: int
    offset: int
    first: str
    data: bytes


def mark(log: Path, text: str) -> None:
    """Note in the log that something happened outside, at this point."""
    raw = text.encode()
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, _HEAD.pack(b"M", len(raw), 0, 0, 0) + raw)
    finally:
        os.close(handle)


def read_log(log: Path) -> list[Step]:
    raw, at, steps = log.read_bytes(), 0, []
    while at < len(raw):
        kind, first, second, inode, offset = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        text = raw[at : at + first].decode()
        steps.append(
            Step(kind.decode(), inode, offset, text, raw[at + first : at + first + second])
        )
        at += first + second
    return steps


@dataclass
class File:
    """A file's content on disk, and what was done to it since its last sync."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[str, int, bytes]] = field(default_factory=list)

    def sync(self) -> None:
        for one in self.pending:
            _apply(self.durable, *one)
        self.pending.clear()

    def lose(self, chance: random.Random) -> bytes:
        """Return what a power loss leaves of it."""
        content = bytearray(self.durable)
        mode = chance.choice(("all", "none", "some", "some"))
        if mode == "none":
            return bytes(content)
        last = len(self.pending) - 1
        for number, (kind, offset, data) in enumerate(self.pending):
            if mode == "some" and chance.random() < 0.4:
                continue
            if kind == "W" and (number == last or mode == "some") and chance.random() < 0.5:
                for start, sector in _split(offset, data):
                    if chance.random() < 0.5:
                        _apply(content, "W", start, sector)
            else:
                _apply(content, kind, offset, data)
        return bytes(content)


def _apply(content: bytearray, kind: str, offset: int, data: bytes) -> None:
    if kind == "T":
        del content[offset:]
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if kind == "W":
        content[offset : offset + len(data)] = data


def _split(offset: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the sectors that a write touches, each with its part of the data."""
    at = 0
    while at < len(data):
        end = at + SECTOR - (offset + at) % SECTOR
        yield offset + at, data[at:end]
        at = end


class Disk:
    """A folder as it is on disk while recorded steps are replayed."""

    def __init__(self, root: Path) -> None:
        """Begin with *root* as it is now, all of it synced."""
        self._root = str(root.resolve())
        self._now: dict[str, File] = {}
        self._files: dict[int, File] = {}
        self._pending: list[tuple[str, str, str, File | None]] = []
        for path in root.rglob("*"):
            if path.is_file():
                one = File(bytearray(path.read_bytes()))
                self._now[str(path)] = self._files[path.stat().st_ino] = one
        self._durable = dict(self._now)
        self._folders = [path for path in root.rglob("*") if path.is_dir()]

    def replay(self, step: Step) -> None:
        match step.kind:
            case "C":
                if step.first not in self._now:
                    self._files[step.inode] = File()
                    self._rename("C", step.first, "", self._files[step.inode])
            case "W" | "T":
                if (one := self._files.get(step.inode)) is not None:
                    one.pending.append((step.kind, step.offset, step.data))
            case "F":
                if (one := self._files.get(step.inode)) is not None:
                    one.sync()
            case "D":
                self._sync_folder(step.first)
            case "R" | "L" | "U":
                self._rename(step.kind, step.first, step.data.decode(), None)

    def _rename(self, kind: str, first: str, second: str, file: File | None) -> None:
        one = (kind, first, second, file or self._now.get(first))
        self._pending.append(one)
        _name(self._now, *one)

    def _sync_folder(self, folder: str) -> None:
        """Keep all names up to now: a journal of names is kept in order."""
        if any(
            folder in (str(Path(a).parent), str(Path(b).parent)) for _, a, b, _ in self._pending
        ):
            for one in self._pending:
                _name(self._durable, *one)
            self._pending.clear()

    def lose_power(self, target: Path, chance: random.Random) -> None:
        """Write into *target* what is left."""
        names = dict(self._durable)
        for one in self._pending[: chance.randint(0, len(self._pending))]:
            _name(names, *one)
        for folder in self._folders:
            (target / folder.relative_to(self._root)).mkdir(parents=True, exist_ok=True)
        content: dict[int, bytes] = {}
        for path, one in names.items():
            if id(one) not in content:
                content[id(one)] = one.lose(chance)
            place = target / Path(path).relative_to(self._root)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content[id(one)])
            place.chmod(0o600)


def _name(
    names: dict[str, File], kind: str, first: str, second: str, file: File | None
) -> None:
    if file is None:
        return  # it came and went before
    if kind in "CL":
        names[second or first] = file
    elif kind == "R":
        names.pop(first, None)
        names[second] = file
    else:
        names.pop(first, None)


def count_kinds(steps: list[Step]) -> Mapping[str, int]:
    kinds = [step.kind for step in steps]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}
