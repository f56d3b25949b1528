"""
Where requests are judged: what it takes, who is believed to ask.

A browser proves only that it holds the subscription's ``auth``, and each proof is good
for one change: a request that somebody caught and sends again changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pushctl.model import InboxRecord, Json, Millis
from pushctl.rules import tokens
from pushctl.rules.web import bodies
from pushctl.store import Store
from pushctl.store.subscriptions import KnownSubscription


class Verdict(NamedTuple):
    """What became of a request: done, or refused, and the word it is counted under."""

    done: bool
    word: str


class Erased(NamedTuple):
    """Somebody who asked to be forgotten: what names them elsewhere."""

    endpoints: frozenset[bytes]  # hashes, former ones too
    public_id: str
    deliveries: frozenset[int]
    at: Millis


@dataclass(frozen=True)
class Desk:
    """What judging requests takes; one for a whole drain."""

    store: Store
    secret: bytes = field(repr=False)
    alias_secret: bytes | None = field(repr=False)
    sites: Mapping[str, int]  # name -> row
    origins: Mapping[str, str]  # name -> "https://shop.example"
    hosts: Sequence[str]  # allowed push hosts
    keys: Collection[str]  # ids of our VAPID keys, newest first
    # those whom this drain has erased: the inbox knows them yet
    forgotten: list[Erased] = field(default_factory=list, repr=False)


def find(
    desk: Desk, record: InboxRecord, body: Mapping[str, Json], *, again: bool = False
) -> KnownSubscription | Verdict:
    """
    Return the subscription that a signed request is about, or why it is refused.

    With *again* the same request may come twice: what it brings has names of its own.
    """
    endpoint_hash = tokens.endpoint_hash(bodies.text(body, "endpoint"))
    known = desk.store.subscriptions.find_by_endpoint(endpoint_hash)
    if known is None:
        return Verdict(False, "unknown subscription")
    if known.site != record.site:
        return Verdict(False, "subscription of another site")
    if not signed(record, known.auth):
        return Verdict(False, "signature missing or wrong")
    assert record.signature is not None
    if not again and not desk.store.signatures.take(endpoint_hash, record.signature, record.at):
        return Verdict(False, "sent once more")
    return known


def signed(record: InboxRecord, auth: bytes) -> bool:
    """Say whether *record* carries a signature by *auth*, made when it came."""
    return tokens.is_signed(
        auth, record.path, record.body.encode(), record.signature, record.at
    )
