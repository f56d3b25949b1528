"""
Authentication of requests.

A browser proves only that it holds the subscription's ``auth``, and each proof is good
for one change: a request that somebody caught and sends again changes nothing.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pushctl.config import UnprovedConfig
from pushctl.model import InboxRecord, Json, Millis
from pushctl.rules import tokens
from pushctl.rules.web import bodies
from pushctl.store import Store
from pushctl.store.subscriptions import KnownSubscription

Body = Mapping[str, Json]


class Refusal(Exception):
    """A request that is not believed. Its text is the reason that it is counted under."""


class Erased(NamedTuple):
    """A subscription that its browser had erased: what names it in files."""

    endpoints: frozenset[bytes]  # hashes, former ones too
    public_id: str
    deliveries: frozenset[int]
    at: Millis


@dataclass(frozen=True)
class Context:
    """What handling a request takes, the same for a whole drain."""

    store: Store
    secret: bytes = field(repr=False)
    alias_secret: bytes | None = field(repr=False)
    sites: Mapping[str, int]  # name -> row
    origins: Mapping[str, str]  # name -> "https://shop.example"
    currencies: Mapping[str, str | None]  # name -> that of amounts that name none
    hosts: Sequence[str]  # allowed push hosts
    keys: Collection[str]  # ids of our VAPID keys, newest first
    unproved: UnprovedConfig  # what people may add who were never shown a message
    # hashes of endpoints that this drain found to be real
    proved: list[bytes] = field(default_factory=list, repr=False)
    # lines of which a part was not kept, by reason
    left_out: Counter[str] = field(default_factory=Counter)
    # events that can't be meant, by reason
    event_faults: Counter[str] = field(default_factory=Counter)
    # purchases, by what became of them
    orders: Counter[str] = field(default_factory=Counter)
    # erased by this drain, and not yet in the files of the inbox
    forgotten: list[Erased] = field(default_factory=list, repr=False)


def authenticate(
    ctx: Context, record: InboxRecord, body: Body, *, repeatable: bool = False
) -> KnownSubscription:
    """
    Return the subscription that signed the request; raises Refusal.

    A *repeatable* request may come twice: what it brings has ids of its own.
    """
    endpoint_hash = tokens.endpoint_hash(bodies.text(body, "endpoint"))
    known = ctx.store.subscriptions.find_by_endpoint(endpoint_hash)
    if known is None:
        raise Refusal("unknown subscription")
    if known.site != record.site:
        raise Refusal("subscription of another site")
    if not is_signed(record, known.auth):
        raise Refusal("signature missing or wrong")
    assert record.signature is not None
    if not repeatable and not ctx.store.signatures.take(
        endpoint_hash, record.signature, record.at
    ):
        raise Refusal("sent once more")
    return known


def is_signed(record: InboxRecord, auth: bytes) -> bool:
    return tokens.is_signed(
        auth, record.path, record.body.encode(), record.signature, record.at
    )
