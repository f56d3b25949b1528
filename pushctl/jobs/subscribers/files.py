"""Read files of subscribers line by line: JSON lines and CSV, plain or gzipped."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from pushctl.errors import InputError
from pushctl.model import Json

MAX_LINE = 1024 * 1024
_BUFFER = 1 << 18

REQUIRED = ("endpoint", "p256dh", "auth")
OPTIONAL = (
    "site", "key_id", "state", "alias", "alias_trusted", "language", "timezone", "country",
    "city", "browser", "os", "source", "attributes", "subscribed_at", "last_seen_at", "tags",
)  # fmt: skip

# Other tools' names. OneSignal: identifier, web_p256, web_auth, external_user_id,
# timezone_id, created_at, last_active, device_os, invalid_identifier (its CSV export
# with extra_fields). public_key, auth_token: the tables of the common PHP packages.
_NAMES = {
    "identifier": "endpoint",
    "web_p256": "p256dh",
    "public_key": "p256dh",
    "keys.p256dh": "p256dh",
    "web_auth": "auth",
    "auth_token": "auth",
    "keys.auth": "auth",
    "external_user_id": "alias",
    "external_id": "alias",
    "timezone_id": "timezone",
    "created_at": "subscribed_at",
    "last_active": "last_seen_at",
    "invalid_identifier": "invalid",
}
_KNOWN = frozenset((*REQUIRED, *OPTIONAL, "invalid"))
# Exports put an apostrophe before a cell that spreadsheets take for a formula.
_GUARDED = re.compile(r"'[=+\-@\t\r\n＝＋－＠]")


class Line(NamedTuple):
    number: int  # of a record's first line, from 1
    raw: str
    fields: Mapping[str, Json] | InputError  # by our names, or the record's fault


@dataclass(frozen=True)
class Source:
    lines: Iterator[Line]
    ignored: tuple[str, ...]  # unknown columns


def open_source(path: Path) -> Source:
    """Open *path* ("-": standard input); raises InputError."""
    stream = _open(path)
    head = _next_line(stream).removeprefix(b"\xef\xbb\xbf")
    while head and not head.strip():
        head = _next_line(stream)
    if not head:
        return Source(iter(()), ())
    if b"\0" in head or not _is_text(head):
        raise InputError(
            f"{path} is neither JSON lines nor CSV in UTF-8. A spreadsheet can save it so: "
            "CSV UTF-8."
        )
    if head.lstrip().startswith(b"{"):
        return Source(_json_lines(stream, head), ())
    if head.lstrip().startswith(b"["):
        raise InputError(
            f"{path} is one JSON array. Give one object a line: jq -c '.[]' {path}"
        )
    return _csv(path, stream, head)


def _is_text(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError:
        return False
    return True


def _open(path: Path) -> "io.BufferedReader[Any]":
    try:
        stream: io.BufferedReader[Any] = io.BufferedReader(
            io.FileIO(0 if str(path) == "-" else path), _BUFFER
        )
        packed = stream.peek(2)[:2] == b"\x1f\x8b"
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    if packed:
        return io.BufferedReader(gzip.GzipFile(fileobj=stream), _BUFFER)
    return stream


def count_records(path: Path) -> int | None:
    """Estimate the number of records; None for standard input and archives."""
    if str(path) == "-" or not path.is_file():
        return None
    with _open(path) as stream:
        if isinstance(stream.raw, gzip.GzipFile):
            return None
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(_BUFFER), b""))


def _next_line(stream: "io.BufferedReader[Any]") -> bytes:
    try:
        return stream.readline(MAX_LINE)
    except EOFError as error:
        raise InputError("the archive ends before its time; fetch it once more") from error
    except (OSError, zlib.error) as error:
        raise InputError(f"the file can't be read to its end: {error}") from error


def _lines(stream: "io.BufferedReader[Any]", head: bytes) -> Iterator[bytes]:
    return chain([head], iter(lambda: _next_line(stream), b""))


def _json_lines(stream: "io.BufferedReader[Any]", head: bytes) -> Iterator[Line]:
    for number, line in enumerate(_lines(stream, head), 1):
        if not line.isspace():
            yield Line(number, line.decode("utf-8", "backslashreplace"), _object(line))


def _object(line: bytes) -> Mapping[str, Json] | InputError:
    try:
        found = orjson.loads(line)
    except ValueError as error:
        return InputError(f"no JSON: {error}")
    if not isinstance(found, dict):
        return InputError("no JSON object")
    inner = found.get("subscription")
    if isinstance(inner, dict):
        found = {**found, **inner}
    keys = found.get("keys")
    if isinstance(keys, dict):
        found["p256dh"], found["auth"] = keys.get("p256dh"), keys.get("auth")
    for name in found.keys() & _NAMES.keys():
        found.setdefault(_NAMES[name], found[name])
    return found


def _csv(path: Path, stream: "io.BufferedReader[Any]", head: bytes) -> Source:
    delimiter = max(",;\t", key=lambda one: head.count(one.encode()))
    kept: list[str] = []
    reader = csv.reader(_keep(_lines(stream, head), kept), delimiter=delimiter, strict=True)
    try:
        columns = [_column(name) for name in next(reader)]
    except (csv.Error, StopIteration) as error:
        raise InputError(f"{path}: the first line is no CSV header: {error}") from error
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise InputError(
            f"{path}: there is no column called {', '.join(missing)}. It has "
            f"{', '.join(columns[:20]) or 'none'}. See docs/subscribers.md for the names."
        )
    twice = sorted({name for name in columns if columns.count(name) > 1 and name in _KNOWN})
    if twice:
        raise InputError(f"{path}: two columns mean {', '.join(twice)}. Remove one of each.")
    ignored = [name for name in columns if name not in _KNOWN and not name.startswith("attr.")]
    return Source(_records(reader, kept, columns), tuple(ignored))


def _column(name: str) -> str:
    plain = name.strip()
    # Attributes keep their case: they are the shop's own words.
    if plain.lower().startswith("attr."):
        return "attr." + plain[5:]
    plain = re.sub(r"[\s-]+", "_", plain.lower())
    return _NAMES.get(plain, plain)


def _keep(lines: Iterator[bytes], kept: list[str]) -> Iterator[str]:
    """Yield decoded *lines* for the csv module, and collect the record's own in *kept*."""
    for line in lines:
        kept.append(line.decode("utf-8", "surrogateescape"))
        yield kept[-1]


def _records(
    reader: Iterator[list[str]], kept: list[str], columns: Sequence[str]
) -> Iterator[Line]:
    number = 1
    while True:
        number += len(kept)
        kept.clear()
        try:
            fields = _read_fields(next(reader), columns)
        except StopIteration:
            return
        except csv.Error as error:
            fields = InputError(f"no CSV ({error}); is a quotation mark left open?")
        raw = "".join(kept)
        if not raw.isascii():
            raw = raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if raw.strip():
            yield Line(number, raw, fields)


def _read_fields(
    cells: Sequence[str], columns: Sequence[str]
) -> Mapping[str, Json] | InputError:
    if len(cells) != len(columns):
        return InputError(f"{len(cells)} cells where the header has {len(columns)}")
    fields: dict[str, Json] = {}
    attributes: dict[str, Json] = {}
    for name, cell in zip(columns, cells, strict=True):
        if not cell:
            continue
        if not cell.isascii() and any("\udc80" <= char <= "\udcff" for char in cell):
            return InputError(f"{name} is not in UTF-8")
        if cell[0] == "'" and _GUARDED.match(cell):
            cell = cell[1:]
        if name.startswith("attr."):
            attributes[name[5:]] = cell
        else:
            fields[name] = cell
    if attributes:
        fields["attr"] = attributes
    return fields
