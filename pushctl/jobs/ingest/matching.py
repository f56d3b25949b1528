"""
Which subscriber something of a shop belongs to.

The clues are asked in the order of their worth: the key that our script put into the
basket, the alias, the hash of the e-mail address. Only what a shop has signed or computed
itself names somebody; a page can claim any alias.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from pushctl.jobs.ingest.verify import Context
from pushctl.rules.shops.told import Clues
from pushctl.store import Store
from pushctl.store.matches import Candidate

SUBSCRIBER, CART_KEY, ALIAS, EMAIL = "subscriber", "cart key", "alias", "e-mail hash"
NO_CLUE = "no cart key, alias or e-mail hash came with it"

_Found = Sequence[Candidate]
_Asked = tuple[str, str, Callable[[int, str], _Found]]  # the clue's name, value and query


class Match(NamedTuple):
    """Whose something is; of a person with several devices one is the owner."""

    owner: int | None  # the subscription that an order belongs to, active or not
    subscriptions: tuple[int, ...]  # all active ones of the person
    how: str | None  # the clue that named the owner
    why_not: str | None  # why there is no owner


def find_people(ctx: Context, site: str, clues: Clues) -> Match:
    """Return whom *clues* name on *site*."""
    return find(ctx.store, ctx.sites[site], clues)


def find(store: Store, site_id: int, clues: Clues) -> Match:
    found = {name: query(site_id, value) for name, value, query in _list_clues(store, clues)}
    if not found:
        return Match(None, (), None, NO_CLUE)
    how = next((name for name, candidates in found.items() if candidates), None)
    if how is None:
        return Match(None, (), None, _say_why_not(store, clues, found))
    owner = found[how][0]
    # Who had the same key before is not the buyer.
    people = [owner, *(one for name, several in found.items() if name != CART_KEY
                       for one in several)]  # fmt: skip
    people += _list_others(store, site_id, owner, clues)
    active = dict.fromkeys(one.id for one in people if one.active)
    return Match(owner.id, tuple(active), how, None)


def list_devices(store: Store, site_id: int, subscription: int) -> list[int]:
    """Return the active subscriptions of the person of one."""
    owner = store.matches.get(subscription)
    people = [owner, *_list_others(store, site_id, owner, Clues())]
    return list(dict.fromkeys(one.id for one in people if one.active))


def _list_others(
    store: Store, site_id: int, owner: Candidate, clues: Clues
) -> Iterator[Candidate]:
    """Yield whom the owner's browser is known to be, where the shop gave no such clue."""
    # Somebody may buy at a friend's browser.
    if clues.alias is None and owner.alias is not None:
        yield from store.matches.find_by_alias(site_id, owner.alias)
    if clues.email_hash is None and owner.email_hash:
        yield from store.matches.find_by_email(site_id, owner.email_hash)


def list_named(store: Store, site_id: int, clues: Clues) -> list[Candidate]:
    """Return everybody whom one of *clues* names, active or not."""
    found = {
        one.id: one
        for name, value, query in _list_clues(store, clues)
        for one in query(site_id, value)
    }
    return list(found.values())


def _list_clues(store: Store, clues: Clues) -> Iterator[_Asked]:
    matches = store.matches
    if clues.subscriber is not None:
        yield SUBSCRIBER, clues.subscriber, matches.find_by_id
    if clues.cart_key is not None:
        yield CART_KEY, clues.cart_key, partial(_find_by_cart_key, store)
    if clues.alias is not None:
        yield ALIAS, clues.alias, matches.find_by_alias
    if clues.email_hash is not None:
        yield EMAIL, clues.email_hash, matches.find_by_email


def _find_by_cart_key(store: Store, site_id: int, key: str) -> _Found:
    """Return who has had *key*; in our links an id stands for a key that nobody knows yet."""
    found = store.matches.find_by_cart_key(site_id, key)
    return found or store.matches.find_by_id(site_id, key)


def _say_why_not(store: Store, clues: Clues, asked: Iterable[str]) -> str:
    alias = "nobody has its alias"
    if clues.alias is not None and store.subscriptions.list_claims(clues.alias):
        alias = "its alias is only claimed, without a signature"
    texts = {
        SUBSCRIBER: "no subscriber has its id",
        CART_KEY: "its cart key is unknown",
        ALIAS: alias,
        EMAIL: "nobody has its e-mail hash",
    }
    return ", ".join(texts[name] for name in asked)
