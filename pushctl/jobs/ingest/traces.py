"""Find and remove a person's lines in the files of the inbox and of its quarantine."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import orjson

from pushctl import durable, inbox
from pushctl.config import Config
from pushctl.inbox import BadLine, Finished
from pushctl.model import InboxRecord, Json
from pushctl.rules import tokens

# An endpoint within a line that can't be read: all that may stand in one.
_ADDRESS = re.compile(r"https://[^\s\"'<>]+")


@dataclass(frozen=True)
class Person:
    """A person, as the lines of the inbox name one."""

    hashes: Collection[bytes] = field(repr=False)  # of the endpoints, former ones too
    deliveries: Collection[int]
    secret: bytes = field(repr=False)
    # Tombstones: of people erased before, by an erasure that may have been killed.
    tombstones: Collection[str] = field(default=(), repr=False)

    def is_in(self, item: InboxRecord | BadLine | Finished) -> bool:
        if isinstance(item, Finished):
            return False
        if isinstance(item, BadLine):
            return self.is_in_text(item.raw.decode("utf-8", "replace"))
        try:
            body = orjson.loads(item.body)
        except ValueError:
            return self.is_in_text(item.body)
        return isinstance(body, dict) and self._is_in_body(body)

    def is_in_text(self, text: str) -> bool:
        return any(found in self.hashes for found in _find_hashes(text))

    def was_in_text(self, text: str) -> bool:
        """Whether *text* names anybody who is erased already."""
        return bool(self.tombstones) and any(
            tokens.tombstone(self.secret, found) in self.tombstones
            for found in _find_hashes(text)
        )

    def _is_in_body(self, body: dict[str, Json]) -> bool:
        inner = body.get("subscription")
        named = [body.get("endpoint"), body.get("previous")]
        named.append(inner.get("endpoint") if isinstance(inner, dict) else None)
        texts = (one for one in named if isinstance(one, str))
        if any(tokens.endpoint_hash(one) in self.hashes for one in texts):
            return True
        token = body.get("message")
        return (
            isinstance(token, str)
            and tokens.read_message_token(self.secret, token) in self.deliveries
        )


def _find_hashes(text: str) -> Iterator[bytes]:
    """Yield the hash of each endpoint that may stand in *text*."""
    plain = text.replace("\\", "")  # JSON may write / as \/
    for found in _ADDRESS.findall(plain):
        for one in {found, found.rstrip(".,;:)]}")}:
            yield tokens.endpoint_hash(one)


def clear_files(config: Config, person: Person, *, dry_run: bool = False) -> tuple[int, int]:
    """
    Remove the person's lines; return how many in the inbox and in the quarantine.

    The caller holds the drain's lock. With *dry_run* they are only counted.
    """
    return _clear_inbox(config, person, dry_run), _clear_quarantine(config, person, dry_run)


def _clear_inbox(config: Config, person: Person, dry_run: bool) -> int:
    """Blank lines, drained ones of living segments too."""
    count = 0
    starts: dict[str, int] = {}
    for segment, offset, item in inbox.read(config.inbox, {}):
        if person.is_in(item):
            count += 1
            if not dry_run and offset > starts.get(segment, 0):
                inbox.blank(config.inbox, segment, starts.get(segment, 0), offset)
        starts[segment] = offset
    return count


def _clear_quarantine(config: Config, person: Person, dry_run: bool) -> int:
    count = 0
    for path in sorted((config.inbox / inbox.QUARANTINE).glob("*.jsonl")):
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not _is_about(line, person)]
        count += len(lines) - len(kept)
        if len(kept) < len(lines) and not dry_run:
            durable.replace(path, kept, 0o600)
    if not dry_run:
        for left in (config.inbox / inbox.QUARANTINE).glob("*.new"):
            left.unlink()  # of an erasure that was killed: it holds what was kept then
    return count


def _is_about(line: bytes, person: Person) -> bool:
    try:
        text = str(orjson.loads(line)["line"])
    except (ValueError, TypeError, KeyError):
        return person.is_in_text(line.decode("utf-8", "replace"))
    item = inbox.decode(text.encode() + b"\n")
    return person.is_in(item) or person.is_in_text(text) or person.was_in_text(text)
