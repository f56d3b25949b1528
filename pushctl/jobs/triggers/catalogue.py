"""
Imports prices and stock; a change is an event of the people who looked at the product.

``price_dropped`` and ``back_in_stock`` are events like all others; triggers begin with
them. A product's first line changes nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from pushctl.config import Config
from pushctl.errors import InputError
from pushctl.jobs.triggers.product_files import Product
from pushctl.model import Json, Millis
from pushctl.rules import amounts, money
from pushctl.rules.money import Money
from pushctl.rules.shops import cart
from pushctl.rules.units import DAY
from pushctl.store import Store
from pushctl.store.events import Event
from pushctl.store.products import StoredProduct

DROPPED, BACK = "price_dropped", "back_in_stock"
INTEREST_LASTS: Millis = 90 * DAY


def apply(
    config: Config, store: Store, site: str, products: Iterable[Product], now: Millis
) -> Counter[str]:
    """
    Write *products* and the events of their changes; return the counts of ``products``,
    ``price_dropped`` and ``back_in_stock``.
    """
    if site not in config.sites:
        raise InputError(
            f"no site is called {site!r}. In pushctl.toml: {', '.join(config.sites)}."
        )
    site_id = store.sites.sync({name: one.origin for name, one in config.sites.items()})[site]
    home = config.sites[site]
    origins, currency = (home.origin, *home.origins), home.currency
    counts: Counter[str] = Counter()
    with store.write():
        for product in products:
            counts["products"] += 1
            known = store.products.get(site_id, product.id)
            # What a list doesn't mention stays: one of stock alone knows no names.
            about = {**(known.about if known else {}), **_safe(product.about, origins)}
            price = _read_price(product, about, currency)
            store.products.save(site_id, product.id, price, product.available, about, now)
            changed = StoredProduct(price, product.available, about)
            for name, properties in find_changes(known, product.id, changed, currency):
                people = store.products.list_interested(
                    product.id, site_id, now - INTEREST_LASTS
                )
                key = f"catalogue:{name}:{product.id}:{now}"
                events = [
                    Event(one, name, now, now, properties, f"{one}:{key}") for one in people
                ]
                counts[name] += store.events.add(events) if events else 0
    return counts


def _read_price(
    product: Product, about: Mapping[str, Json], currency: str | None
) -> Money | None:
    """Return the price in the product's currency, or in that of the site: *currency*."""
    code = amounts.read_currency(about["currency"]) if about.get("currency") else currency
    return money.of(product.price, code, fine=True)


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


def _safe(about: Mapping[str, Json], origins: tuple[str, ...]) -> dict[str, Json]:
    """Return *about* without links that lead away from *origins*."""
    safe = dict(about)
    if "url" in safe and cart.own_url(safe["url"], origins) is None:
        del safe["url"]
    if not str(safe.get("image", "https://")).startswith("https://"):
        del safe["image"]
    return safe
