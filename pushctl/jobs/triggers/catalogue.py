"""Imports lists of prices and stock; ``jobs/ingest/products.py`` has what follows of them."""

from collections import Counter
from collections.abc import Iterable, Mapping

from pushctl.config import Config
from pushctl.errors import InputError
from pushctl.jobs.ingest import products
from pushctl.jobs.triggers.product_files import Product
from pushctl.model import Json, Millis
from pushctl.rules import amounts, money
from pushctl.rules.money import Money
from pushctl.rules.shops.told import ToldProduct
from pushctl.store import Store


def apply(
    config: Config, store: Store, site: str, listed: Iterable[Product], now: Millis
) -> Counter[str]:
    """
    Write the products *listed* and the events of their changes; return the counts of
    ``products``, ``price_dropped`` and ``back_in_stock``.
    """
    if site not in config.sites:
        raise InputError(
            f"no site is called {site!r}. In pushctl.toml: {', '.join(config.sites)}."
        )
    site_id = store.sites.sync({name: one.origin for name, one in config.sites.items()})[site]
    home = config.sites[site]
    shop = products.Shop(site_id, (home.origin, *home.origins), home.currency)
    counts: Counter[str] = Counter()
    with store.write():
        for product in listed:
            counts["products"] += 1
            known = store.products.get(site_id, product.id)
            about = products.complete_about(known, product.about, shop)
            price = _read_price(product, about, home.currency)
            was = money.of(product.was, price.currency, fine=True) if price else None
            told = ToldProduct(product.id, price, product.available, about, was)
            counts += products.change(store, shop, told, now)
    return counts


def _read_price(
    product: Product, about: Mapping[str, Json], currency: str | None
) -> Money | None:
    """Return the price in the product's currency, or in that of the site: *currency*."""
    code = amounts.read_currency(about["currency"]) if about.get("currency") else currency
    return money.of(product.price, code, fine=True)
