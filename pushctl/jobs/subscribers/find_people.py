"""
Whose the lines of a file are: people by what their shop calls them.

As ``jobs/ingest/matching.py`` has it for one order, for many lines at once: the first clue
that names somebody decides, and all browsers that the shop knows by the same are theirs.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from pushctl.config import Config
from pushctl.errors import ConfigError, InputError
from pushctl.jobs.ingest import matching
from pushctl.model import Json
from pushctl.rules import tokens
from pushctl.rules.limits import MAX_LABEL_CHARACTERS
from pushctl.rules.shops.told import Clues
from pushctl.rules.web import bodies, fields
from pushctl.store import Store
from pushctl.store.addressees import Addressee


class Clue(NamedTuple):
    kind: str  # a key of COLUMNS, but "email"
    value: str


class Person(NamedTuple):
    """The subscriptions of somebody; the first one owns an order."""

    subscriptions: tuple[int, ...]
    active: tuple[int, ...]
    how: str  # the clue's name in ``matching``


SUBSCRIBER, CART, ALIAS, EMAIL = "subscriber", "cart", "alias", "email_hash"
_ADDRESS = "email"
_NAMES = {
    SUBSCRIBER: matching.SUBSCRIBER,
    CART: matching.CART_KEY,
    ALIAS: matching.ALIAS,
    EMAIL: matching.EMAIL,
}

# Each kind of clue, the surest first, with the columns that have it.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    SUBSCRIBER: ("subscriber", "subscriber_id", "public_id"),
    CART: ("cart", "cart_key"),
    ALIAS: ("alias", "external_user_id", "external_id", "uid", "customer_id", "user_id"),
    EMAIL: ("email_hash",),
    _ADDRESS: ("email", "e_mail", "email_address", "customer_email"),
}
_UNKNOWN = {
    SUBSCRIBER: "no subscriber of the site has this id",
    CART: "nobody of the site has had this cart key",
    ALIAS: "nobody of the site has this alias, signed by the shop",
    EMAIL: "nobody of the site has this e-mail hash",
}

_Found = dict[Clue, list[Addressee]]


def load_hasher(config: Config) -> Callable[[str], str]:
    """Return what makes the hash of an e-mail address; it raises ConfigError without a key."""
    secret = config.email_secret()

    def hash_email(address: str) -> str:
        if not secret:
            raise ConfigError(
                f"the file names people by e-mail, and {config.keys / 'email_secret'} does not "
                "exist. Restore it from a backup, or run `pushctl init` for a new one."
            )
        return tokens.hash_email(secret, address)

    return hash_email


def read_clues(given: Mapping[str, Json], hash_email: Callable[[str], str]) -> tuple[Clue, ...]:
    """Return the clues of a line, the surest first; raises InputError, also without one."""
    clues = tuple(
        _read_clue(kind, value, hash_email)
        for kind in COLUMNS
        if (value := given.get(kind)) is not None and value != ""
    )
    if not clues:
        raise InputError("it names nobody: alias, subscriber, cart and email are missing")
    return clues


def _read_clue(kind: str, value: Json, hash_email: Callable[[str], str]) -> Clue:
    if kind == ALIAS:
        # A customer's number may come as one.
        return Clue(kind, bodies.alias(str(value) if type(value) is int else value))
    try:
        if kind == CART:
            return Clue(kind, fields.cart_key(value))
        if kind == EMAIL:
            return Clue(kind, fields.email_hash(value))
        plain = fields.label(value, MAX_LABEL_CHARACTERS)
    except InputError as error:
        raise InputError(f"{kind} {error}") from error
    if kind == SUBSCRIBER:
        return Clue(kind, plain)
    if "@" not in plain:
        raise InputError("email is no address")
    return Clue(EMAIL, hash_email(plain))


def say_unknown(clues: Iterable[Clue]) -> str:
    """Return why *clues* name nobody."""
    return ", ".join(dict.fromkeys(_UNKNOWN[one.kind] for one in clues))


def find_people(
    store: Store, site: int, asked: Collection[tuple[Clue, ...]]
) -> Mapping[tuple[Clue, ...], Person]:
    """Return whom each of *asked* names on *site*; who is not there is nobody."""
    found: _Found = {}
    wanted = {one for clues in asked for one in clues}
    _look_up(store, site, wanted, found)
    owners = [several[0] for several in found.values()]
    _look_up(
        store, site, {one for owner in owners for one in _list_marks(owner)} - wanted, found
    )
    people = {}
    for clues in asked:
        theirs = [one for one in clues if one in found]
        if theirs:
            people[clues] = _gather(theirs, found)
    return people


def _look_up(store: Store, site: int, clues: Collection[Clue], found: _Found) -> None:
    """Add to *found* whom *clues* name."""
    queries: Mapping[str, Callable[[int, Collection[str]], Iterator[Addressee]]] = {
        SUBSCRIBER: store.addressees.find_by_id,
        CART: store.addressees.find_by_cart_key,
        ALIAS: store.addressees.find_by_alias,
        EMAIL: store.addressees.find_by_email,
    }
    for kind, query in queries.items():
        for one in query(site, [value for own, value in clues if own == kind]):
            found.setdefault(Clue(kind, one.value), []).append(one)
    # In our links an id stands for a key that nobody has yet.
    keys = [one.value for one in clues if one.kind == CART and one not in found]
    for one in store.addressees.find_by_id(site, keys):
        found[Clue(CART, one.value)] = [one]


def _list_marks(one: Addressee) -> Iterator[Clue]:
    """Yield what the shop knows a browser by."""
    if one.alias is not None:
        yield Clue(ALIAS, one.alias)
    if one.email_hash is not None:
        yield Clue(EMAIL, one.email_hash)


def _gather(clues: Collection[Clue], found: _Found) -> Person:
    """Return the person of a line's *clues*, all of which are in *found*."""
    (first, *_) = clues
    owner, *others = found[first]
    if not others and len(clues) == 1 and [*_list_marks(owner)] == [first]:
        # Most people have one browser.
        row = (owner.id,)
        return Person(row, row if owner.active else (), _NAMES[first.kind])
    every = {owner.id: owner.active}
    kinds = {one.kind for one in clues}
    # A clue that the shop gave goes before what the owner's browser is known by.
    marks = (one for one in _list_marks(owner) if one.kind not in kinds)
    for clue in (*clues, *marks):
        if clue.kind != CART:  # who had the same key before is not the buyer
            every.update((one.id, one.active) for one in found.get(clue, ()))
    active = tuple(row for row, active in every.items() if active)
    return Person(tuple(every), active, _NAMES[first.kind])


def to_clues(clues: Iterable[Clue]) -> Clues:
    """Return *clues* as an order keeps them, for who subscribes later."""
    found = {one.kind: one.value for one in reversed([*clues])}
    return Clues(found.get(CART), found.get(ALIAS), found.get(EMAIL), found.get(SUBSCRIBER))


def read_site(name: Json, otherwise: str | None, sites: Mapping[str, int]) -> int:
    """Return the row of a line's site; *otherwise*: of lines that name none."""
    name = name or otherwise
    if name is None:
        raise InputError("site is missing; name it with --site")
    if not isinstance(name, str) or name not in sites:
        raise InputError("site is none of those in pushctl.toml")
    return sites[name]
