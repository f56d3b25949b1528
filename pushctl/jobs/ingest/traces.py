"""
Find and remove a person's lines in the files of the inbox and of its quarantine.

A browser's line names an endpoint or a delivery. A line of a shop or of the server API has
other names: alias, e-mail hash, basket key, public id. It may be about many people, so it
is blanked once it has been applied, and not before.

The database notes with an erasure whom the files still hold, by tombstones: after a kill the
next drain finishes the clearing.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from unicodedata import normalize

import orjson

from pushctl import durable, inbox
from pushctl.config import Config
from pushctl.inbox import BadLine, Finished
from pushctl.model import InboxRecord, Json
from pushctl.rules import tokens
from pushctl.rules.shops import told
from pushctl.store import Store

# Lines that a shop or a program of the owner's has sent.
_SERVERS = (told.PATH, "/v1/server/", "/v1/messages")
_PENDING = "erasure.pending"

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
    # As servers name the person: alias, e-mail hash, basket keys, public id.
    names: Collection[str] = field(default=(), repr=False)
    # Tombstones of endpoints and names that an erasure left in the files as it was killed.
    pending: Collection[str] = field(default=(), repr=False)

    def is_in(self, item: InboxRecord | BadLine | Finished, *, applied: bool) -> bool:
        if isinstance(item, Finished):
            return False
        if isinstance(item, BadLine):
            return self.is_in_text(item.raw.decode("utf-8", "replace"))
        try:
            body = orjson.loads(item.body)
        except ValueError:
            return self.is_in_text(item.body)
        if item.path.startswith(_SERVERS):
            return applied and any(self._is_name(_name(one)) for one in _list_texts(body))
        return isinstance(body, dict) and self._is_in_body(body)

    def is_in_text(self, text: str) -> bool:
        return any(self._is_endpoint(found) for found in _find_hashes(text))

    def _is_name(self, name: str) -> bool:
        return name in self.names or self._is_pending(name.encode("utf-8", "replace"))

    def _is_endpoint(self, endpoint_hash: bytes) -> bool:
        return endpoint_hash in self.hashes or self._is_pending(endpoint_hash)

    def _is_pending(self, key: bytes) -> bool:
        return bool(self.pending) and tokens.tombstone(self.secret, key) in self.pending

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
        if any(self._is_endpoint(tokens.endpoint_hash(one)) for one in texts):
            return True
        token = body.get("message")
        return (
            isinstance(token, str)
            and tokens.read_message_token(self.secret, token) in self.deliveries
        )


def _name(text: str) -> str:
    """Return *text* as a name is kept (``fields.label``): servers may write it otherwise."""
    return text.strip() if text.isascii() else normalize("NFC", text.strip())


def _list_texts(value: Json) -> Iterator[str]:
    """Yield all texts in a body, those of its parts too."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _find_hashes(text: str) -> Iterator[bytes]:
    """Yield the hash of each endpoint that may stand in *text*."""
    plain = text.replace("\\", "")  # JSON may write / as \/
    for found in _ADDRESS.findall(plain):
        for one in {found, found.rstrip(".,;:)]}")}:
            yield tokens.endpoint_hash(one)


def note_pending(store: Store, person: Person) -> None:
    """Note that the files still hold *person*, in the transaction of the erasure."""
    known, deliveries = _load_pending(store)
    both = [sorted(_mark(person) | known), sorted({*person.deliveries, *deliveries})]
    store.meta.set(_PENDING, orjson.dumps(both).decode())


def _mark(person: Person) -> set[str]:
    """Return the tombstones of a person's endpoints and names."""
    names = (one.encode("utf-8", "replace") for one in person.names)
    return {tokens.tombstone(person.secret, one) for one in (*person.hashes, *names)}


def is_pending(store: Store) -> bool:
    """Return whether files hold somebody whose erasure was killed."""
    return store.meta.get(_PENDING) is not None


def _load_pending(store: Store) -> tuple[frozenset[str], frozenset[int]]:
    marks, deliveries = orjson.loads(store.meta.get(_PENDING) or "[[], []]")
    return frozenset(marks), frozenset(deliveries)


def clear_files(
    store: Store, config: Config, person: Person, *, dry_run: bool = False
) -> tuple[int, int]:
    """
    Remove the person's lines; return how many in the inbox and in the quarantine.

    The caller holds the drain's lock. With *dry_run* they are only counted. Otherwise those
    of ``note_pending`` go, too.
    """
    if not dry_run:
        marks, deliveries = _load_pending(store)
        both = {*person.deliveries, *deliveries}
        person = replace(person, pending=marks - _mark(person), deliveries=both)
    counts = _clear(store, config, person, dry_run=dry_run)
    if not dry_run:
        store.meta.remove(_PENDING)
    return counts


def _clear(store: Store, config: Config, person: Person, *, dry_run: bool) -> tuple[int, int]:
    cursors = store.inbox_cursors.load(inbox.list_segments(config.inbox))
    lines = _clear_inbox(config, person, cursors, dry_run)
    return lines, _clear_quarantine(config, person, dry_run)


def _clear_inbox(
    config: Config, person: Person, cursors: Mapping[str, int], dry_run: bool
) -> int:
    """Blank lines, drained ones of living segments too."""
    count = 0
    starts: dict[str, int] = {}
    for segment, offset, item in inbox.read(config.inbox, {}):
        if person.is_in(item, applied=offset <= cursors.get(segment, 0)):
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
    if person.is_in(item, applied=True):  # no import reads it again
        return True
    return person.is_in_text(text) or person.was_in_text(text)
