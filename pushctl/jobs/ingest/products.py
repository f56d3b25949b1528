"""
Prices and stock; a change is an event of the people who looked at the product.

``price_dropped`` and ``back_in_stock`` are events like all others; triggers begin with
them. A product's first word changes nothing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pushctl.jobs.ingest import tracking
from pushctl.model import Json, Millis
from pushctl.rules.shops import cart
from pushctl.rules.shops.told import ToldProduct
from pushctl.rules.units import DAY
from pushctl.store import Store
from pushctl.store.events import Event
from pushctl.store.products import StoredProduct

DROPPED, BACK = "price_dropped", "back_in_stock"
INTEREST_LASTS: Millis = 90 * DAY


class Shop(NamedTuple):
    """The site that products are sold at."""

    site_id: int
    origins: Sequence[str]  # where their links may lead
    currency: str | None  # of prices that name none


def change(store: Store, shop: Shop, told: ToldProduct, now: Millis) -> Counter[str]:
    """Write what was told of a product, and its events; return how many, by their names."""
    counts: Counter[str] = Counter()
    known = store.products.get(shop.site_id, told.id)
    about = complete_about(known, told.about, shop)
    store.products.save(shop.site_id, told.id, told.price, told.available, about, now, told.was)
    changed = StoredProduct(told.price, told.available, about)
    for name, properties in find_changes(known, told.id, changed, shop.currency):
        people = store.products.list_interested(told.id, shop.site_id, now - INTEREST_LASTS)
        key = f"catalogue:{name}:{told.id}:{now}"
        events = [Event(one, name, now, now, properties, f"{one}:{key}") for one in people]
        events = tracking.admit_events(store, events)
        counts[name] += store.events.add(events) if events else 0
    return counts


def complete_about(
    known: StoredProduct | None, told: Mapping[str, Json], shop: Shop
) -> dict[str, Json]:
    """Return what is known of a product now: a list of stock alone knows no names."""
    return {**(known.about if known else {}), **_safe(told, shop.origins)}


def find_changes(
    known: StoredProduct | None,
    product: str,
    now: StoredProduct,
    currency: str | None = None,
) -> Iterator[tuple[str, dict[str, Json]]]:
    """
    Yield the events of a product's new state, with their properties.

    What *now* doesn't say is None. *currency* is that of prices that name none.
    """
    if known is None:
        return
    told = {"id": product, **now.about}
    here = now.available if now.available is not None else known.available != 0
    price = now.price
    before, after = (_name_currency(one) or currency for one in (known, now))
    was = known.price if before == after else None
    if price is not None and was is not None and price.exact < was.exact and here:
        share = round(float((was.exact - price.exact) / was.exact), 4)
        yield DROPPED, {**told, "price": price.number, "was": was.number, "drop": share}
    if known.available == 0 and now.available:
        stays = price or known.price
        yield BACK, {**told, "price": stays and stays.number}


def _name_currency(product: StoredProduct) -> Json:
    """Return the currency of the price, else the word that the list has for it."""
    return (product.price and product.price.currency) or product.about.get("currency")


def _safe(about: Mapping[str, Json], origins: Sequence[str]) -> dict[str, Json]:
    """Return *about* without links that lead away from *origins*."""
    safe = dict(about)
    if "url" in safe and cart.own_url(safe["url"], origins) is None:
        del safe["url"]
    if not str(safe.get("image", "https://")).startswith("https://"):
        del safe["image"]
    return safe
