"""
Baskets: their events, their contents as templates see them, when one counts as emptied.

A page may send ``cart_updated`` with ``items`` (id, name, price, quantity, url, image,
line), ``total``, ``currency`` and ``url``, where the basket can be picked up again.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from pushctl.model import Json
from pushctl.rules.conditions import as_number
from pushctl.rules.limits import MAX_CART_ITEMS, MAX_CART_TEXT_CHARACTERS

UPDATED, EMPTIED, PURCHASE = "cart_updated", "cart_emptied", "purchase"

# Payment is reached: the basket moves from "Abandoned basket 1" to 2.
CHECKOUT = "checkout_started"

# What a basket is known by; the payment only where it brings the items along.
TELLING = (UPDATED, EMPTIED, PURCHASE, CHECKOUT)

_TEXTS = ("id", "name", "url", "image", "line")


def meaning(name: str, properties: Mapping[str, Json]) -> str:
    """Return *name*, or "cart_emptied" for an update that leaves nothing in the basket."""
    if name != UPDATED:
        return name
    items = properties.get("items")
    if isinstance(items, Sequence) and not isinstance(items, str):
        return UPDATED if items else EMPTIED
    return EMPTIED if as_number(properties.get("total")) == 0 else UPDATED


def read(properties: Mapping[str, Json], origins: Sequence[str]) -> dict[str, Json]:
    """
    Return the basket that templates know as ``cart``.

    Keys: items, count, several, names, total, currency, url (None where the page's
    leads away from *origins*, the site's own).
    """
    raw = properties.get("items")
    listed = raw if isinstance(raw, list) else []
    items = [_item(one, origins) for one in listed[:MAX_CART_ITEMS] if isinstance(one, Mapping)]
    count = sum(item["quantity"] for item in items)
    total = as_number(properties.get("total"))
    if total is None and items:
        total = sum((item["price"] or 0) * item["quantity"] for item in items)
    currency = properties.get("currency")
    return {
        "items": items,
        "count": count,
        "several": count > 1,
        "names": [item["name"] for item in items],
        "total": plain(total),
        "currency": currency[:8] if isinstance(currency, str) else None,
        "url": own_url(properties.get("url"), origins),
    }


def has_basket(name: str, properties: Mapping[str, Json]) -> bool:
    """Return whether an event has the content of the basket, or empties it."""
    if name == CHECKOUT:
        return bool(properties.get("items"))
    return name in TELLING


def after(
    basket: Mapping[str, Json] | None,
    name: str,
    properties: Mapping[str, Json],
    origins: Sequence[str],
) -> Mapping[str, Json] | None:
    """Return the basket once an event has come, *basket* being what it was before."""
    if not has_basket(name, properties):
        return basket
    filled = meaning(name, properties) in (UPDATED, CHECKOUT)
    return read(properties, origins) if filled else None


def at(
    name: str,
    properties: Mapping[str, Json],
    before: tuple[str, Mapping[str, Json]] | None,
    origins: Sequence[str],
) -> Mapping[str, Json] | None:
    """
    Return the basket that an event carries, else that of *before*, the event before it among
    TELLING: a purchase still knows what was bought.
    """
    basket = after(None, name, properties, origins)
    if basket is None and before is not None:
        return after(None, *before, origins)
    return basket


def value(properties: Mapping[str, Json], cart: Mapping[str, Json] | None) -> float | None:
    """Return the event's worth, for price tiers: its own figure, else the basket's."""
    for key in ("value", "total", "price"):
        number = as_number(properties.get(key))
        if number is not None:
            return number
    return as_number(cart.get("total")) if cart else None


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


def _item(one: Mapping[str, Json], origins: Sequence[str]) -> dict[str, Json]:
    texts = {key: _text(one.get(key)) for key in _TEXTS}
    quantity = as_number(one.get("quantity", 1))
    return {
        **texts,
        "url": own_url(texts["url"], origins),
        "image": texts["image"] if (texts["image"] or "").startswith("https://") else None,
        "price": plain(as_number(one.get("price"))),
        "quantity": int(quantity) if quantity is not None and 0 < quantity < 10_000 else 1,
    }


def _text(value: Json) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)[:MAX_CART_TEXT_CHARACTERS]


def plain(number: float | None) -> float | int | None:
    """Return 50 for 50.0, as sentences and lists have it."""
    return int(number) if number is not None and number == int(number) else number
