"""
Baskets: their events, their contents as templates see them, when one counts as emptied.

A page may send ``cart_updated`` with ``items`` (id, name, price, quantity, url, image,
line), ``count``, ``total``, ``currency`` and ``url``, where the basket can be picked up again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple
from urllib.parse import urlsplit

from pushctl.model import Json
from pushctl.rules import amounts
from pushctl.rules.amounts import Amount
from pushctl.rules.limits import MAX_CART_ITEMS, MAX_CART_TEXT_CHARACTERS

UPDATED, EMPTIED, PURCHASE = "cart_updated", "cart_emptied", "purchase"

# Payment is reached: the basket moves from "Abandoned basket 1" to 2.
CHECKOUT = "checkout_started"

# An order was placed, and not paid within half an hour.
FAILED = "payment_failed"

# What a basket is known by; the payment only where it brings the items along.
TELLING = (UPDATED, EMPTIED, PURCHASE, CHECKOUT)

_TEXTS = ("id", "name", "url", "image", "line")
_WORTH = ("value", "total", "price")
# Where an amount may stand.
AMOUNTS = (*_WORTH, "items")
_MOST = 10_000.0  # of one thing


class Item(NamedTuple):
    """An item with its figures; what is not known is None."""

    id: str | None
    name: str | None
    quantity: float | None
    price: float | None  # of one
    currency: str | None


def meaning(name: str, properties: Mapping[str, Json]) -> str:
    """Return *name*, or "cart_emptied" for an update that leaves nothing in the basket."""
    if name != UPDATED:
        return name
    items = properties.get("items")
    if isinstance(items, Sequence) and not isinstance(items, str):
        return UPDATED if items else EMPTIED
    return EMPTIED if amounts.read_number(properties.get("total")) == 0 else UPDATED


def find_fault(name: str, properties: Mapping[str, Json]) -> str | None:
    """
    Return why a basket's event can't be meant as it is, or None.

    ``cart({ itms: [...] })`` must not empty a basket, nor fill it with nothing; nor must an
    update that says nothing of its content take the place of one that did.
    """
    items = properties.get("items")
    if name == EMPTIED:
        return f"{name} with items" if items else None
    if name != UPDATED:
        return None
    if items is None:
        lists = sorted(key for key, one in properties.items() if one and isinstance(one, list))
        if lists and amounts.read_number(properties.get("total")) is None:
            return f"{name} without items, it has {_list_names(lists)}"
        if not properties.keys() & {"count", *_WORTH}:
            return f"{name} without items, count and total"
        return None
    if not isinstance(items, list):
        return f"{name} with items that are no list"
    if not all(isinstance(one, Mapping) for one in items):
        return f"{name} with items that are no objects"
    keys = {key for one in items for key in one}
    if items and not keys.intersection((*_TEXTS, "price", "quantity")):
        return f"{name} with items without id, name and price, they have {_list_names(keys)}"
    return None


def _list_names(keys: Iterable[str]) -> str:
    return ", ".join(key[:40] for key in sorted(keys)[:5]) or "nothing"


def complete(properties: Mapping[str, Json], currency: str | None) -> Mapping[str, Json]:
    """Return *properties* with the site's *currency* where an event with amounts names none."""
    if currency is None or properties.get("currency"):
        return properties
    if not properties.keys() & {*_WORTH, "items"} or not amounts.fits_all(properties, currency):
        return properties
    items = properties.get("items")
    listed = items if isinstance(items, list) else []
    own = [one.get("currency") for one in listed if isinstance(one, Mapping)]
    if any(currency not in amounts.list_currencies(one) for one in own if one):
        return properties
    return {**properties, "currency": currency}


def read(
    properties: Mapping[str, Json], origins: Sequence[str], checkouts: Sequence[str] = ()
) -> dict[str, Json]:
    """
    Return the basket that templates know as ``cart``.

    Keys: items (the first 20), count, several, names, total, currency, url (None where the
    page's leads away from *origins*, the site's own, and *checkouts*, where its baskets may
    be picked up, too). Count and total are of all items, and
    None where they are not known: an amount can't be read, or currencies differ.
    """
    hints = _find_hints(properties)
    listed = _list_lines(properties, hints)
    lines = [line for _, line in listed]
    items = [
        _item(one, line, origins)
        for one, line in listed[:MAX_CART_ITEMS]
        if isinstance(one, Mapping)
    ]
    count = _count(properties, lines)
    return {
        "items": items,
        "count": amounts.plain(count),
        "several": len(listed) > 1 or (count is not None and count >= 2),
        "names": [item["name"] for item in items],
        "total": amounts.plain(_read_total(properties, lines, hints, count)),
        "currency": _find_currency(properties, lines),
        "url": own_url(properties.get("url"), (*origins, *checkouts)),
    }


def has_basket(name: str, properties: Mapping[str, Json]) -> bool:
    """Return whether an event has the content of the basket, or empties it."""
    if name in (CHECKOUT, FAILED):
        return bool(properties.get("items"))
    return name in TELLING


def after(
    basket: Mapping[str, Json] | None,
    name: str,
    properties: Mapping[str, Json],
    origins: Sequence[str],
    checkouts: Sequence[str] = (),
) -> Mapping[str, Json] | None:
    """Return the basket once an event has come, *basket* being what it was before."""
    if not has_basket(name, properties):
        return basket
    filled = meaning(name, properties) in (UPDATED, CHECKOUT, FAILED)
    return read(properties, origins, checkouts) if filled else None


def at(
    name: str,
    properties: Mapping[str, Json],
    before: tuple[str, Mapping[str, Json]] | None,
    origins: Sequence[str],
    checkouts: Sequence[str] = (),
) -> Mapping[str, Json] | None:
    """
    Return the basket that an event carries, else that of *before*, the event before it among
    TELLING: a purchase still knows what was bought.
    """
    own = after(None, name, properties, origins, checkouts)
    if before is None or (own is not None and name != FAILED):
        return own
    # A basket from before a failed payment knows where it can be picked up.
    return after(None, *before, origins, checkouts) or own


def value(properties: Mapping[str, Json], cart: Mapping[str, Json] | None) -> float | None:
    """
    Return the event's worth, for price tiers: its own figure, else the basket's.

    None where it is unknown: also where the event names one that can't be read.
    """
    hints = _find_hints(properties)
    worth = _find_worth(properties)
    if worth is not None:
        found = _read_amount(worth, hints)
        return found.number if _fits(found, hints) else None
    return amounts.read_number(cart.get("total")) if cart else None


def read_worth(properties: Mapping[str, Json]) -> tuple[float | None, str | None]:
    """
    Return the event's own worth, or that of its items, and the code of its currency.

    Each is None where it is unknown; no basket of before stands in for it.
    """
    hints = _find_hints(properties)
    lines = [line for _, line in _list_lines(properties, hints)]
    listed = hints.currency or amounts.read_currency(_find_currency(properties, lines))
    told = _find_worth(properties)
    if told is None:
        return _read_total(properties, lines, hints, _count(properties, lines)), listed
    found = _read_amount(told, hints)
    if not _fits(found, hints):
        return None, listed
    if len(found.currencies) == 1:
        return found.number, next(iter(found.currencies))
    return found.number, listed if found.fits(listed) else None


def list_items(properties: Mapping[str, Json]) -> Iterator[Item]:
    """Yield all items of an event."""
    hints = _find_hints(properties)
    for one, line in _list_lines(properties, hints):
        if not isinstance(one, Mapping):
            continue
        codes = line.price.currencies
        own = next(iter(codes)) if len(codes) == 1 else None
        yield Item(
            id=_text(one.get("id")),
            name=_text(one.get("name")),
            quantity=amounts.plain(line.quantity),
            price=line.price.number,
            currency=own or (None if codes else hints.currency),
        )


def _find_worth(properties: Mapping[str, Json]) -> Json:
    return next(
        (properties[key] for key in _WORTH if properties.get(key) not in (None, "")), None
    )


def own_url(url: Json, origins: Sequence[str]) -> str | None:
    """Return *url* when it is a path or on one of *origins*; None for anything else."""
    if not isinstance(url, str) or not url or len(url) > 2_000:
        return None
    if any(mark in url for mark in ("\\", "\t", "\r", "\n", " ")):
        return None
    if url.startswith("/") and not url.startswith("//"):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if f"{parts.scheme}://{parts.netloc}" in origins else None


class _Hints(NamedTuple):
    """What the whole message shows about its amounts."""

    currency: str | None
    decimal: str | None
    named: Json  # the currency as the page wrote it
    possible: frozenset[str] | None  # what that may mean; None: it names none


class _Line(NamedTuple):
    """An item's figures: None where it is not known."""

    price: Amount
    quantity: float | None


def _find_hints(properties: Mapping[str, Json]) -> _Hints:
    named = properties.get("currency")
    possible = amounts.list_currencies(named) if named else None
    currency = amounts.read_currency(named)
    return _Hints(currency, amounts.find_decimal(properties), named, possible)


def _read_amount(value: Json, hints: _Hints) -> Amount:
    return amounts.read(value, hints.currency, hints.decimal)


def _fits(amount: Amount, hints: _Hints) -> bool:
    """Return whether *amount* may be one of the message's currency."""
    possible = hints.possible
    return possible is None or not amount.currencies or bool(amount.currencies & possible)


def _list_lines(properties: Mapping[str, Json], hints: _Hints) -> list[tuple[Json, _Line]]:
    raw = properties.get("items")
    return [(one, _read_line(one, hints)) for one in (raw if isinstance(raw, list) else [])]


def _read_line(one: Json, hints: _Hints) -> _Line:
    if not isinstance(one, Mapping):
        return _Line(Amount(None), 1.0)
    price = _read_amount(one.get("price"), hints)
    own = one.get("currency")
    if own and own != hints.named:
        # "$" may be one of several; what can't be read is no currency of this basket.
        possible = amounts.list_currencies(own) & (price.currencies or _ALL)
        price = Amount(price.number, possible) if possible else Amount(None)
    told = one.get("quantity")
    quantity = 1.0 if told in (None, "") else amounts.read(told, None, hints.decimal).number
    if quantity is not None and not 0 <= quantity <= _MOST:
        quantity = None
    return _Line(price, quantity)


def _find_currency(properties: Mapping[str, Json], lines: Sequence[_Line]) -> str | None:
    """Return the currency as the page wrote it, else the one that all items name."""
    told = properties.get("currency")
    if isinstance(told, str) and told:
        return told[:8]
    named = {line.price.currencies for line in lines}
    single = named.pop() if len(named) == 1 else frozenset[str]()
    return next(iter(single)) if len(single) == 1 else None


def _count(properties: Mapping[str, Json], lines: Sequence[_Line]) -> float | None:
    """Return how many things there are: as the page counted them, else by the items."""
    told = amounts.read_number(properties.get("count"))
    listed = _sum([line.quantity for line in lines])
    if told is None or (listed is not None and told <= listed):
        return listed
    return told


def _read_total(
    properties: Mapping[str, Json], lines: Sequence[_Line], hints: _Hints, count: float | None
) -> float | None:
    told = _read_amount(properties.get("total"), hints)
    if told.number is not None:
        return told.number if _fits(told, hints) else None
    if not lines or count != _sum([line.quantity for line in lines]):
        return None  # items are missing: the page's script keeps what a request has room for
    common = frozenset.intersection(*(line.price.currencies or _ALL for line in lines))
    if not common or not all(_fits(line.price, hints) for line in lines):
        return None  # different currencies
    named = {bool(line.price.currencies) for line in lines}
    if hints.currency is None and len(named) > 1:
        return None  # "49 €" and "49"
    return _sum([_multiply(line.price.number, line.quantity) for line in lines])


_ALL = amounts.CURRENCIES


def _multiply(price: float | None, quantity: float | None) -> Decimal | None:
    return None if price is None or quantity is None else _exact(price) * _exact(quantity)


def _exact(number: float | Decimal) -> Decimal:
    """Return the digits that were written: sums of floats miss a cent some time."""
    return number if isinstance(number, Decimal) else Decimal(repr(number))


def _sum(numbers: Sequence[float | Decimal | None]) -> float | None:
    """Return the sum, to a thousandth; None where one is not known."""
    known = [_exact(one) for one in numbers if one is not None]
    if len(known) < len(numbers):
        return None
    return float(sum(known, Decimal()).quantize(Decimal("0.001"), ROUND_HALF_UP))


def _item(one: Mapping[str, Json], line: _Line, origins: Sequence[str]) -> dict[str, Json]:
    texts = {key: _text(one.get(key)) for key in _TEXTS}
    return {
        **texts,
        "url": own_url(texts["url"], origins),
        "image": texts["image"] if (texts["image"] or "").startswith("https://") else None,
        "price": amounts.plain(line.price.number),
        "quantity": amounts.plain(line.quantity),
    }


def _text(value: Json) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)[:MAX_CART_TEXT_CHARACTERS]
