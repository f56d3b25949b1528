"""
Read files of records, CSV or JSON, plain or gzipped, as other programs write them.

CSV has a header; ``,`` ``;`` a tab or ``|`` stands between the cells, perhaps a line
``sep=;`` before it. JSON is an object a line, objects over several lines, or one array of
them. Lines may end in CR, LF or both. A record is bounded; a bad one is a value, and the
rest goes on.
"""

import csv
import gzip
import io
import json
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from pushctl.errors import InputError
from pushctl.model import Json

MAX_RECORD = 1024 * 1024
_BUFFER = 1 << 18
# Earlier ones win where the header has as many of one as of another.
_SEPARATORS = ",;\t|"
_SEP_LINE = re.compile(rb'"?sep=(.)"?\s*', re.IGNORECASE)
# A text, a brace, or the beginning of a text that the buffer does not hold to its end.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}]|"', re.DOTALL)
_BETWEEN = b" \t\r\n,[]"


class Record(NamedTuple):
    number: int  # of its first line, from 1
    raw: str
    found: Mapping[str, Json] | Sequence[str] | InputError  # an object, or a row of cells


@dataclass(frozen=True)
class Records:
    columns: tuple[str, ...] | None  # the header of CSV; None: JSON
    rows: Iterator[Record]


def open_seekable(path: Path) -> IO[bytes]:
    """
    Open *path* ("-": standard input), to be read more than once; raises InputError.

    What comes from a pipe is copied to a file without a name first.
    """
    try:
        file = io.FileIO(0 if str(path) == "-" else path, closefd=str(path) != "-")
        if file.seekable():
            return file
        with file:
            copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
            shutil.copyfileobj(file, copy)
        copy.seek(0)
        return copy
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error


def read(file: IO[bytes], name: str) -> Records:
    """Read the records of *file* from its beginning; *name* is for errors (InputError)."""
    stream = unpack(file, name)
    number, head = 1, _next_line(stream).removeprefix(b"\xef\xbb\xbf")
    while head and not head.strip():
        number, head = number + 1, _next_line(stream)
    if not head:
        return Records((), iter(()))
    if b"\0" in head or not _is_text(head):
        raise InputError(
            f"{name} is neither JSON lines nor CSV in UTF-8. A spreadsheet can save it so: "
            "CSV UTF-8."
        )
    text = head.strip()
    if text.startswith(b"[") or (text.startswith(b"{") and _is_unfinished(head)):
        chunks = chain([head], iter(lambda: guard(stream.read, _BUFFER), b""))
        return Records(None, _scan_objects(chunks, number, name))
    if text.startswith(b"{"):
        return Records(None, _json_lines(stream, head, number))
    return _csv(stream, head, number, name)


def count_lines(path: Path) -> int | None:
    """Return the lines of *path*, to estimate its records; None where that says nothing."""
    if str(path) == "-" or not path.is_file():
        return None
    with open_seekable(path) as file:
        stream = unpack(file, str(path))
        head = stream.peek(1)[:1024].lstrip()
        if isinstance(stream.raw, gzip.GzipFile) or head[:1] == b"[" or head[:2] == b"{\n":
            return None
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(_BUFFER), b""))


def unpack(file: IO[bytes], name: str) -> "io.BufferedReader[Any]":
    """Return the bytes of *file* from its beginning, unzipped; raises InputError."""
    try:
        file.seek(0)
        # A copy of the handle: a reader closes its own when it goes.
        raw = io.FileIO(os.dup(file.fileno()))
        stream: io.BufferedReader[Any] = io.BufferedReader(raw, _BUFFER)
        if stream.peek(2)[:2] == b"\x1f\x8b":
            stream = io.BufferedReader(gzip.GzipFile(fileobj=stream), _BUFFER)
    except OSError as error:
        raise InputError(f"{name} can't be read: {error.strerror}") from error
    start = guard(stream.peek, 1)
    if b"\r" in start[:-1] and b"\n" not in start:
        return io.BufferedReader(_LineFeeds(stream), _BUFFER)
    return stream


class _LineFeeds(io.RawIOBase):
    """A stream whose lines end in CR alone, as spreadsheets of old Macs write them."""

    def __init__(self, stream: "io.BufferedReader[Any]") -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read1(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(data)] = data
        return len(data)


def guard(read: Any, size: int) -> bytes:
    """Return ``read(size)`` of an unpacked file; InputError where it can't be read."""
    try:
        data: bytes = read(size)
    except EOFError as error:
        raise InputError("the archive ends before its time; fetch it once more") from error
    except (OSError, zlib.error) as error:
        raise InputError(f"the file can't be read to its end: {error}") from error
    return data


def _next_line(stream: "io.BufferedReader[Any]") -> bytes:
    return guard(stream.readline, MAX_RECORD)


def _lines(stream: "io.BufferedReader[Any]", head: bytes) -> Iterator[bytes]:
    return chain([head], iter(lambda: _next_line(stream), b""))


def _is_text(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # A line of the greatest length may end within a letter.
        return len(head) == MAX_RECORD and error.start > MAX_RECORD - 4
    return True


# --- JSON ----------------------------------------------------------------------------------


def _is_unfinished(head: bytes) -> bool:
    """Whether an object goes on after its first line, and the line was not cut off."""
    if len(head) == MAX_RECORD and not head.endswith(b"\n"):
        return True
    return head.rstrip().endswith((b"{", b"[", b","))


def _json_lines(stream: "io.BufferedReader[Any]", head: bytes, first: int) -> Iterator[Record]:
    for number, line in enumerate(_lines(stream, head), first):
        if not line.isspace():
            yield Record(number, _decode(line), _parse(line))


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _parse(data: bytes) -> Mapping[str, Json] | InputError:
    try:
        found = orjson.loads(data)
    except ValueError as error:
        found = _parse_loosely(data)
        if found is None:
            return InputError(f"no JSON: {error}")
    return found if isinstance(found, dict) else InputError("no JSON object")


def _parse_loosely(data: bytes) -> Json:
    """Parse what Python and JavaScript write and the standard forbids: NaN, lone surrogates."""
    try:
        return json.loads(data, parse_constant=lambda name: None)
    except (ValueError, RecursionError):
        return None


def _scan_objects(chunks: Iterator[bytes], number: int, name: str) -> Iterator[Record]:
    """Yield the outermost objects of a text; *number* is that of its first line."""
    buffer, at, depth, start, first = b"", 0, 0, 0, number
    is_list = None
    for chunk in chunks:
        if is_list is None:
            is_list = chunk.lstrip().startswith(b"[")
        buffer, at, start = buffer[start:] + chunk, at - start, 0
        for token in _TOKEN.finditer(buffer, at):
            at = token.end()
            sign = token[0]
            if sign == b'"':
                at = token.start()
                break
            if sign == b"{":
                if depth == 0:
                    yield from _junk(buffer[start : token.start()], number)
                    number += buffer.count(b"\n", start, token.start())
                    start = token.start()
                depth += 1
            elif sign == b"}" and depth > 0:
                depth -= 1
                if depth == 0:
                    data = buffer[start:at]
                    yield Record(number, _decode(data), _parse(data))
                    number, start = number + data.count(b"\n"), at
        else:
            at = len(buffer)
        if at - start > MAX_RECORD or len(buffer) - start > 2 * MAX_RECORD:
            raise InputError(
                f"{name}: what begins in line {number} is longer than 1 MB. Where it is a list "
                f"inside an object, give one subscriber a line: jq -c '.NAME[]' {name}"
            )
    rest = buffer[start:]
    yield from _junk(rest, number)
    if is_list and not rest.strip(_BETWEEN) and b"]" not in rest:
        why = f"the list that begins in line {first} has no end: the file was cut off"
        yield Record(number + rest.count(b"\n"), _decode(rest.strip()), InputError(why))


def _junk(data: bytes, number: int) -> Iterator[Record]:
    if data.strip(_BETWEEN):
        yield Record(number, _decode(data.strip()), InputError("no JSON object"))


# --- CSV -----------------------------------------------------------------------------------


def _csv(stream: "io.BufferedReader[Any]", head: bytes, number: int, name: str) -> Records:
    separator = max(_SEPARATORS, key=lambda one: head.count(one.encode()))
    if named := _SEP_LINE.fullmatch(head):
        separator = _decode(named[1])
        number, head = number + 1, _next_line(stream)
    kept: list[str] = []
    lines = _keep(_lines(stream, head), kept)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    try:
        columns = tuple(next(reader))
    except (csv.Error, StopIteration) as error:
        raise InputError(f"{name}: the first line is no CSV header: {error}") from error
    return Records(columns, _rows(reader, kept, len(columns), number))


def _keep(lines: Iterator[bytes], kept: list[str]) -> Iterator[str]:
    """Yield decoded *lines* for the csv module, and collect the record's own in *kept*."""
    for line in lines:
        kept.append(line.decode("utf-8", "surrogateescape"))
        yield kept[-1]


def _rows(
    reader: Iterator[list[str]], kept: list[str], width: int, number: int
) -> Iterator[Record]:
    while True:
        number += len(kept)
        kept.clear()
        found: list[str] | InputError
        try:
            found = next(reader)
            if len(found) != width:
                found = InputError(f"{len(found)} cells where the header has {width}")
        except StopIteration:
            return
        except csv.Error as error:
            found = InputError(f"no CSV ({error}); is a quotation mark left open?")
            if any('\\"' in line for line in kept):
                found = InputError('no CSV: a quotation mark in a cell is doubled, not \\"')
        raw = "".join(kept)
        if not raw.isascii():
            raw = raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if raw.strip():
            yield Record(number, raw, found)
