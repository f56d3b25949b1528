"""
Forgetting: somebody leaves the database, the inbox and the quarantine, for good.

What remains is a tombstone that tells nobody who, so that what was written before the
erasure can't bring the person back. Copies made by others (backups, exports, rejected
lines of imports) are theirs to delete: docs/subscribers.md lists them.
"""

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import orjson

from pushctl import inbox, lock
from pushctl.config import Config
from pushctl.inbox import BadLine, Finished
from pushctl.jobs import forgotten, ingest
from pushctl.model import InboxRecord, Json, Millis, Subscription
from pushctl.rules import tokens
from pushctl.store import Store


@dataclass(frozen=True)
class Forgotten:
    """What was, or would be, erased."""

    subscriptions: int
    tags: int
    events: int
    deliveries: int
    interactions: int
    inbox_lines: int
    quarantined_lines: int


# An endpoint within a line that can't be read: all that may stand in one.
_ADDRESS = re.compile(r"https://[^\s\"'<>]+")


@dataclass(frozen=True)
class Person:
    """By what a line of the inbox is known to be about somebody."""

    hashes: Collection[bytes] = field(repr=False)  # of the endpoints, former ones too
    deliveries: Collection[int]
    secret: bytes = field(repr=False)

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
        plain = text.replace("\\", "")  # JSON may write / as \/
        return any(
            tokens.endpoint_hash(one) in self.hashes
            for found in _ADDRESS.findall(plain)
            for one in (found, found.rstrip(".,;:)]}"))
        )

    def _is_in_body(self, body: dict[str, Json]) -> bool:
        inner = body.get("subscription")
        named = [body.get("endpoint"), body.get("previous")]
        named.append(inner.get("endpoint") if isinstance(inner, dict) else None)
        if any(
            isinstance(one, str) and tokens.endpoint_hash(one) in self.hashes for one in named
        ):
            return True
        token = body.get("message")
        delivery = (
            tokens.read_message_token(self.secret, token) if isinstance(token, str) else None
        )
        return delivery in self.deliveries


def forget(
    store: Store, config: Config, secret: bytes, ref: str, now: Millis, *, dry_run: bool
) -> Forgotten:
    """
    Erase whom *ref* names: a public id, ``alias:NAME`` for all of a person's browsers.

    Drains the inbox first, so that what is waiting there is erased too. With *dry_run*
    nothing is erased, and the inbox stays as it is. Raises NotFoundError, or BusyError
    while another run drains the inbox.
    """
    if not dry_run:
        ingest.drain(store, config, secret, now)
    people = store.subscriptions.find(ref)
    ids = [one.id for one in people]
    person = Person(
        hashes=store.erasure.endpoints(ids),
        deliveries=store.erasure.deliveries(ids),
        secret=secret,
    )
    traces = store.erasure.traces(ids)
    config.inbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock.hold(config.inbox / "drain.lock", "an erasure"):
        if not dry_run:
            _erase(store, config, people, secret, now)
        lines = _clear_inbox(config, person, dry_run)
        aside = _clear_quarantine(config, person, dry_run)
    return Forgotten(*traces, lines, aside)


def clear_files(config: Config, person: Person) -> None:
    """Blank somebody's lines in inbox and quarantine; the caller holds the drain's lock."""
    _clear_inbox(config, person, dry_run=False)
    _clear_quarantine(config, person, dry_run=False)


def _erase(
    store: Store, config: Config, people: Sequence[Subscription], secret: bytes, now: Millis
) -> None:
    known = {one.public_id: store.erasure.endpoints([one.id]) for one in people}
    forgotten.note(config, secret, ((who, hashes, now) for who, hashes in known.items()))
    with store.write():
        for endpoint_hash in set().union(*known.values()):
            store.tombstones.add(secret, endpoint_hash, now)
        for one in people:
            if one.alias is not None:
                store.erasure.unname(one.alias)
        store.erasure.erase([one.id for one in people], now)
    # The deleted bytes are overwritten in the file only once the log is copied into it.
    store.checkpoint()


def _clear_inbox(config: Config, person: Person, dry_run: bool) -> int:
    """Blank the person's lines, drained ones of living segments too."""
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
        kept: list[bytes] = []
        lines = path.read_bytes().splitlines(keepends=True)
        for line in lines:
            if _is_about(line, person):
                count += 1
            else:
                kept.append(line)
        if len(kept) < len(lines) and not dry_run:
            young = path.with_suffix(".new")
            with os.fdopen(os.open(young, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.writelines(kept)
                file.flush()
                os.fsync(file.fileno())
            young.replace(path)
    return count


def _is_about(line: bytes, person: Person) -> bool:
    try:
        text = str(orjson.loads(line)["line"])
    except (ValueError, TypeError, KeyError):
        return person.is_in_text(line.decode("utf-8", "replace"))
    item = inbox.decode(text.encode() + b"\n")
    return person.is_in(item) or person.is_in_text(text)
