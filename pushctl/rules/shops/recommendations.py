"""What is proposed beside a product: others like it, the next better one, reduced ones."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pushctl.model import Json
from pushctl.rules import amounts
from pushctl.rules.money import Money

# Where a product stands among others, the nearest first.
SHELVES = ("line", "category", "brand")
# A better model is one of the same kind; of the same brand it may be anything.
BETTER_SHELVES = ("line", "category")


class Offer(NamedTuple):
    """A product that can be bought."""

    id: str
    price: Money | None
    was: Money | None  # before a reduction
    # name, url, image, currency; line, category, brand, family (variants of one product)
    about: Mapping[str, Json]


class Subject(NamedTuple):
    """What others are looked for beside; None is unknown."""

    id: str | None
    family: str | None
    shelves: tuple[tuple[str, str], ...]  # ("line", "Deluxe"), ...
    amount: float | None
    currency: str | None


class Owned(NamedTuple):
    """What a person has bought, or has in the basket."""

    ids: frozenset[str]
    names: frozenset[str]  # folded by ``fold``: shops' orders may have ids of their own
    families: frozenset[str]


def fold(name: str) -> str:
    return " ".join(name.split()).casefold()


def describe(item: Mapping[str, Json], known: Offer | None, currency: str | None) -> Subject:
    """
    Return an item of a basket or an event as the catalogue has it, else as the page says.

    *currency* is the site's, for a price that names none.
    """
    about: Mapping[str, Json] = known.about if known else item
    price = known.price if known else None
    shelves = tuple(
        (name, found) for name in SHELVES if isinstance(found := about.get(name), str) and found
    )
    identity = item.get("id")
    family = about.get("family")
    own = amounts.read_currency(item.get("currency")) if item.get("currency") else currency
    return Subject(
        None if identity is None else str(identity),
        family if isinstance(family, str) else None,
        shelves,
        float(price.exact) if price else amounts.read_number(item.get("price")),
        price.currency if price else own,
    )


def list_nearest(offers: Iterable[Offer], subject: Subject) -> list[Offer]:
    """Return *offers* by the distance of their prices from the subject's."""
    middle = subject.amount or 0.0
    return sorted(offers, key=lambda one: abs(_amount(one) - middle))


def list_most_reduced(offers: Iterable[Offer]) -> list[Offer]:
    """Return *offers* by the share that they cost less than before, the largest first."""
    return sorted(
        offers, key=lambda one: _amount(one) / float(one.was.exact) if one.was else 1.0
    )


def choose(
    offers: Iterable[Offer], subject: Subject | None, owned: Owned, most: int
) -> list[Offer]:
    """Return the first *most* of *offers* that are something else, and not owned."""
    found: dict[str, Offer] = {}
    for one in offers:
        family = one.about.get("family")
        own = family if isinstance(family, str) else None
        if len(found) == most:
            break
        if subject and (one.id == subject.id or (own and own == subject.family)):
            continue
        if one.id in owned.ids or own in owned.families:
            continue
        if fold(str(one.about.get("name") or "")) in owned.names:
            continue
        found.setdefault(own or f"-{one.id}", one)
    return list(found.values())


def write(offer: Offer) -> dict[str, Json]:
    """Return *offer* as templates have it; what is unknown is absent."""
    price, was = offer.price, offer.was
    found = {
        **offer.about,
        "id": offer.id,
        "price": price and price.number,
        "was": was and was.number,
        "currency": (price and price.currency) or offer.about.get("currency"),
    }
    return {name: value for name, value in found.items() if value is not None}


def own(items: Sequence[tuple[Json, Json]], families: Mapping[str, str]) -> Owned:
    """Return the things of (id, name) in *items*; *families* are those of ids."""
    ids = frozenset(str(one) for one, _ in items if one is not None)
    names = frozenset(fold(name) for _, name in items if isinstance(name, str) and name)
    return Owned(ids, names - {""}, frozenset(families[one] for one in ids if one in families))


def _amount(offer: Offer) -> float:
    return float(offer.price.exact) if offer.price else 0.0
