"""
Compressed tar files of plain files alone, written and read as streams.

Any tar program unpacks what is written here. What is read is a stranger's text until it is
verified: a name that leads out of the folder, a link, a device, more bytes than there is room
for end the reading before anything of it is written.
"""

import tarfile
import zlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from pushctl.errors import InputError
from pushctl.rules.limits import MAX_BACKUP_FILES, MAX_BACKUP_NAME_CHARACTERS
from pushctl.rules.units import KIB

_BLOCK = 512
_GZIP = 31  # for zlib: a gzip header and trailer around the stream
_LEVEL = 1  # a database shrinks to a third; higher levels cost much for little
_PIECE = 256 * KIB  # of what is unpacked at once, however well it is compressed
_ZERO = bytes(_BLOCK)
_LONG_NAME = b"L"  # GNU tar: the next file's name, as a file
_PLAIN = (b"0", b"\0")


class ArchiveError(InputError):
    """A file is no archive of ours, or not the whole of one."""


@dataclass(frozen=True)
class Entry:
    """A plain file in an archive."""

    name: str  # relative, parts joined by "/"
    size: int  # bytes
    mode: int  # permissions alone
    at: int = 0  # seconds since the epoch


class Receiver(Protocol):
    """What is done with each file of an archive; what a method raises ends the reading."""

    def begin(self, entry: Entry) -> None: ...

    def take(self, piece: bytes) -> None: ...

    def end(self) -> None: ...


def pack(files: Iterable[tuple[Entry, Iterable[bytes]]]) -> Iterator[bytes]:
    """Yield an archive of *files*; their contents have to be as long as their entries say."""
    packer = zlib.compressobj(_LEVEL, wbits=_GZIP)
    for piece in _lay_out(files):
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


def _lay_out(files: Iterable[tuple[Entry, Iterable[bytes]]]) -> Iterator[bytes]:
    for entry, content in files:
        info = tarfile.TarInfo(check_name(entry.name))
        info.size, info.mode, info.mtime = entry.size, entry.mode, entry.at
        yield info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")
        size = 0
        for piece in content:
            size += len(piece)
            yield piece
        if size != entry.size:
            raise InputError(f"{entry.name} was changed while it was read. Run this again.")
        yield bytes(-size % _BLOCK)
    yield _ZERO * 2


def check_name(name: str) -> str:
    """Return *name*; raises ArchiveError where it is no plain path inside a folder."""
    parts = name.split("/")
    good = name.isprintable() and len(name) <= MAX_BACKUP_NAME_CHARACTERS
    if not good or any(part in ("", ".", "..") for part in parts):
        shown = ascii(name[:MAX_BACKUP_NAME_CHARACTERS])
        raise ArchiveError(f"{shown} can't be the name of a file in a backup")
    return name


class Reader:
    """
    Takes an archive in pieces of any size (``write``) and hands its files to a *receiver*.

    ``close`` raises ArchiveError where the end is missing.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._unpacker = zlib.decompressobj(wbits=_GZIP)
        self._rest = b""
        self._ended = False
        self._reading = self._read()
        next(self._reading)

    def write(self, packed: bytes) -> int:
        """Take the next piece of the archive; return its length."""
        left = packed
        while left and not self._unpacker.eof:
            try:
                piece = self._unpacker.decompress(left, _PIECE)
            except zlib.error:
                raise ArchiveError("it is no backup of pushctl's, or was changed") from None
            left = self._unpacker.unconsumed_tail
            if piece:
                self._reading.send(piece)
        if left or self._unpacker.unused_data:
            raise ArchiveError("something follows its end")
        return len(packed)

    def close(self) -> None:
        # What the unpacker still holds comes without more input.
        while not self._unpacker.eof:
            piece = self._unpacker.decompress(b"", _PIECE)
            if not piece:
                break
            self._reading.send(piece)
        if not (self._ended and self._unpacker.eof):
            raise ArchiveError("its end is missing: it was cut off")

    def _read(self) -> Generator[None, bytes, None]:
        names: set[str] = set()
        while (header := (yield from self._take(_BLOCK))) != _ZERO:
            kind, entry = _parse(header)
            if kind == _LONG_NAME:
                entry = yield from self._read_long(entry.size)
            check_name(entry.name)
            if entry.name in names:
                raise ArchiveError(f"{entry.name} is in it twice")
            names.add(entry.name)
            if len(names) > MAX_BACKUP_FILES:
                raise ArchiveError(f"it has more than {MAX_BACKUP_FILES:,} files")
            self._receiver.begin(entry)
            left = entry.size
            while left:
                piece = yield from self._take_some(left)
                self._receiver.take(piece)
                left -= len(piece)
            self._receiver.end()
            yield from self._take(-entry.size % _BLOCK)
        self._ended = True
        while True:  # tar pads with zeros
            if (yield from self._take_some(_PIECE)).strip(b"\0"):
                raise ArchiveError("something follows its end")

    def _read_long(self, size: int) -> Generator[None, bytes, Entry]:
        """Return the entry whose name stands before it, because it is long."""
        # UTF-8 has at most four bytes a character.
        if size > MAX_BACKUP_NAME_CHARACTERS * 4 + 1:
            raise ArchiveError("a name in it is too long")
        text = yield from self._take(size)
        yield from self._take(-size % _BLOCK)
        kind, entry = _parse((yield from self._take(_BLOCK)))
        if kind == _LONG_NAME:
            raise ArchiveError("a name in it is too long")
        return Entry(_decode(text), entry.size, entry.mode, entry.at)

    def _take(self, size: int) -> Generator[None, bytes, bytes]:
        """Return exactly *size* bytes."""
        pieces: list[bytes] = []
        while size:
            piece = yield from self._take_some(size)
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _take_some(self, size: int) -> Generator[None, bytes, bytes]:
        """Return at least one byte and at most *size*."""
        while not self._rest:
            self._rest = yield
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def _parse(header: bytes) -> tuple[bytes, Entry]:
    """Return the kind of a header and its entry; ArchiveError for what is no plain file."""
    try:
        info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    except (tarfile.HeaderError, ValueError):
        raise ArchiveError("it is damaged, or no backup of pushctl's") from None
    kind = info.type
    if kind not in (*_PLAIN, _LONG_NAME):
        raise ArchiveError(f"{info.name!a} in it is no plain file, but a link or a device")
    if info.size < 0:
        raise ArchiveError(f"{info.name!a} in it has no length")
    return kind, Entry(info.name, info.size, info.mode & 0o777, max(int(info.mtime), 0))


def _decode(text: bytes) -> str:
    try:
        return text.rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError:
        raise ArchiveError("a name in it is not UTF-8") from None
