"""Shopify's products: the lowest price of their variants, and whether one can be bought."""

from collections.abc import Mapping

from pushctl.model import Json
from pushctl.rules.limits import MAX_LABEL_CHARACTERS
from pushctl.rules.shops import payload
from pushctl.rules.shops.told import ToldProduct


def read(body: Mapping[str, Json]) -> ToldProduct | None:
    """Return a product, or one that is gone; None for a body that is neither."""
    number = payload.read_id(body.get("id"))
    if number is None:
        return None
    if set(body) == {"id"}:  # all that a deletion has
        return ToldProduct(number, None, False, {})
    if not isinstance(body.get("variants"), list):
        return None
    variants = payload.list_tables(body["variants"])
    here = body.get("status", "active") == "active" and body.get("published_at", "") is not None
    prices = [payload.read_amount(one.get("price"), None) for one in variants]
    known = [one for one in prices if one is not None]
    handle = payload.read_id(body.get("handle"), MAX_LABEL_CHARACTERS)
    about = {
        "name": payload.read_text(body.get("title")),
        "url": f"/products/{handle}" if handle else None,
        "image": payload.read_text(payload.read_table(body.get("image")).get("src")),
    }
    return ToldProduct(
        id=number,
        price=min(known, key=lambda one: one.exact, default=None),
        available=here and any(map(_can_be_bought, variants)),
        about={name: value for name, value in about.items() if value},
    )


def _can_be_bought(variant: Mapping[str, Json]) -> bool:
    # Without management the shop doesn't count it.
    if variant.get("inventory_management", "shopify") is None:
        return True
    if variant.get("inventory_policy") == "continue":
        return True
    left = payload.read_number(variant.get("inventory_quantity"))
    return left is not None and left > 0
