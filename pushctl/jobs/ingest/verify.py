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
from pushctl.jobs.ingest import tracking
from pushctl.model import InboxRecord, Json, Millis
from pushctl.rules import tokens
from pushctl.rules.web import bodies
from pushctl.store import Store
from pushctl.store.subscriptions import KnownSubscription

Body = Mapping[str, Json]
_ONCE_MORE = "sent once more"


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
    links: Mapping[str, Sequence[str]]  # name -> origins where links may lead
    currencies: Mapping[str, str | None]  # name -> that of amounts that name none
    hosts: Sequence[str]  # allowed push hosts
    keys: Collection[str]  # ids of our VAPID keys, newest first
    # of those whose private half is gone: retired and removed, or given up as lost
    ended_keys: Collection[str]
    unproved: UnprovedConfig  # what people may add who were never shown a message
    # hashes of endpoints that this drain found to be real
    proved: list[bytes] = field(default_factory=list, repr=False)
    # lines of which a part was not kept, by reason
    left_out: Counter[str] = field(default_factory=Counter)
    # events that can't be meant, by reason
    event_faults: Counter[str] = field(default_factory=Counter)
    # purchases, by what became of them
    orders: Counter[str] = field(default_factory=Counter)
    # results of API requests, by id, that are not published yet
    results: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    # erased by this drain, and not yet in the files of the inbox
    forgotten: list[Erased] = field(default_factory=list, repr=False)
    # buyers erased by this drain, who may have no browser here: keys of ``erasures``
    erased_buyers: list[tuple[bytes, Millis]] = field(default_factory=list, repr=False)
    # what shops and servers call them: alias, e-mail hash, basket keys, public id
    erased_names: set[str] = field(default_factory=set, repr=False)


def authenticate(
    ctx: Context, record: InboxRecord, body: Body, *, repeatable: bool = False
) -> KnownSubscription:
    """
    Return the subscription that signed the request; raises Refusal.

    A *repeatable* request may come twice: what it brings has ids of its own.
    """
    known = find_signer(ctx, record, body)
    endpoint_hash, signature = _get_proof(record, body)
    if not repeatable and not ctx.store.signatures.take(endpoint_hash, signature, record.at):
        raise Refusal(_ONCE_MORE)
    tracking.note_gpc(ctx.store, record, known)
    return known


def find_signer(
    ctx: Context, record: InboxRecord, body: Body, *, repeatable: bool = True
) -> KnownSubscription:
    """Return what ``authenticate`` would, and write nothing; raises Refusal."""
    endpoint_hash, signature = _get_proof(record, body)
    known = ctx.store.subscriptions.find_by_endpoint(endpoint_hash)
    if known is None:
        raise Refusal("unknown subscription")
    if known.site != record.site:
        raise Refusal("subscription of another site")
    if not is_signed(record, known.auth):
        raise Refusal("signature missing or wrong")
    if not repeatable and ctx.store.signatures.was_taken(endpoint_hash, signature, record.at):
        raise Refusal(_ONCE_MORE)
    return known


def _get_proof(record: InboxRecord, body: Body) -> tuple[bytes, str]:
    """Return the hash of the endpoint that a request names, and its signature, if any."""
    return tokens.endpoint_hash(bodies.text(body, "endpoint")), record.signature or ""


def is_signed(record: InboxRecord, auth: bytes) -> bool:
    return tokens.is_signed(
        auth, record.path, record.body.encode(), record.signature, record.at
    )
