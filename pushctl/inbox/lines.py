"""A line of the inbox: ``<crc32, 8 hex> <length in bytes> <json>\\n``."""

import re
import zlib
from dataclasses import dataclass

import orjson

from pushctl.model import InboxRecord

_LINE = re.compile(rb"([0-9a-f]{8}) ([0-9]{1,8}) (.*)\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no record, with the reason and its raw bytes."""

    reason: str
    raw: bytes


def encode(record: InboxRecord) -> bytes:
    text = orjson.dumps(record)
    return b"%08x %d %s\n" % (zlib.crc32(text), len(text), text)


def decode(line: bytes) -> InboxRecord | BadLine:
    """Return the record of a complete line; a BadLine for anything else."""
    match = _LINE.fullmatch(line)
    if match is None:
        return BadLine("not of the form 'crc length json'", line)
    crc, length, text = match.groups()
    if int(length) != len(text):
        return BadLine(f"length is {len(text)}, not the {int(length)} it says", line)
    if int(crc, 16) != zlib.crc32(text):
        return BadLine("checksum does not match", line)
    try:
        return _parse_record(orjson.loads(text))
    except ValueError as error:
        return BadLine(f"no record: {error}", line)


def _parse_record(fields: object) -> InboxRecord:
    if not isinstance(fields, dict):
        raise ValueError("no object")  # noqa: TRY004
    for name in ("id", "path", "site", "body"):
        if not isinstance(fields.get(name), str):
            raise ValueError(f"{name} is no text")  # noqa: TRY004
    at, hints = fields.get("at"), fields.get("hints") or {}
    if type(at) is not int or not 0 <= at < 10**14:
        raise ValueError("at is no time in milliseconds")
    for name in ("signature", "user_agent"):
        if not isinstance(fields.get(name), str | None):
            raise ValueError(f"{name} is no text")  # noqa: TRY004
    if not isinstance(hints, dict) or not all(isinstance(v, str) for v in hints.values()):
        raise ValueError("hints are no texts")
    record = InboxRecord(
        id=fields["id"],
        at=at,
        path=fields["path"],
        site=fields["site"],
        body=fields["body"],
        signature=fields.get("signature"),
        user_agent=fields.get("user_agent"),
        hints=hints,
    )
    heads = (record.id, record.path, record.site, record.signature, record.user_agent)
    if any(text and "\0" in text for text in (*heads, record.body, *hints, *hints.values())):
        raise ValueError("a NUL character")
    return record
