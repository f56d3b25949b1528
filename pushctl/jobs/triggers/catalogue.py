"""
Imports prices and stock; a change is an event of the people who looked at the product.

``price_dropped`` and ``back_in_stock`` are events like all others; triggers begin with
them. A product's first line changes nothing.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from pushctl.config import Config
from pushctl.errors import InputError
from pushctl.model import Json, Millis
from pushctl.rules.conditions import as_number
from pushctl.rules.shops import cart
from pushctl.rules.units import DAY
from pushctl.store import Store
from pushctl.store.events import Event
from pushctl.store.products import StoredProduct

DROPPED, BACK = "price_dropped", "back_in_stock"
INTEREST_LASTS: Millis = 90 * DAY
_ABOUT = ("name", "url", "image", "line", "currency")
_YES, _NO = ("true", "1", "yes", "in_stock"), ("false", "0", "no", "out_of_stock")


@dataclass(frozen=True, slots=True)
class Product:
    id: str
    price: float | None
    available: bool | None
    about: Mapping[str, Json]


def read(stream: IO[str], name: str) -> Iterator[Product]:
    """Yield the products of JSON lines, or of CSV with a header; InputError names the line."""
    first = stream.readline().removeprefix("\ufeff")
    rows: Iterable[Mapping[str, Json]]
    if first.lstrip().startswith("{"):
        rows = _json_lines(first, stream, name)
    else:
        rows = _csv(first, stream)
    met: dict[str, tuple[float | None, bool | None]] = {}
    for number, row in enumerate(rows, 1):
        product = _product(row, f"{name}, product {number}")
        state = (product.price, product.available)
        if met.setdefault(product.id, state) != state:
            # Else one of them would be a lower price at each import.
            raise InputError(
                f"{name}, product {number}: {product.id!r} stands there twice, with another "
                "price or stock. Give each variant an id of its own, as in your page's events."
            )
        yield product


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
    origins = (config.sites[site].origin, *config.sites[site].origins)
    counts: Counter[str] = Counter()
    with store.write():
        for product in products:
            counts["products"] += 1
            known = store.products.get(site_id, product.id)
            # What a list doesn't mention stays: one of stock alone knows no names.
            about = {**(known.about if known else {}), **_safe(product.about, origins)}
            store.products.save(
                site_id, product.id, product.price, product.available, about, now
            )
            for name, properties in find_changes(known, product, about):
                people = store.products.list_interested(
                    product.id, site_id, now - INTEREST_LASTS
                )
                key = f"catalogue:{name}:{product.id}:{now}"
                events = [
                    Event(one, name, now, now, properties, f"{one}:{key}") for one in people
                ]
                counts[name] += store.events.add(events) if events else 0
    return counts


def find_changes(
    known: StoredProduct | None, product: Product, about: Mapping[str, Json]
) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield the events of a product's new state, with their properties."""
    if known is None:
        return
    told = {"id": product.id, **about}
    here = product.available if product.available is not None else known.available != 0
    price = product.price
    was = known.price if known.about.get("currency") == about.get("currency") else None
    if price is not None and was is not None and price < was and here:
        share = round((was - price) / was, 4)
        yield DROPPED, {**told, "price": price, "was": was, "drop": share}
    if known.available == 0 and product.available:
        yield BACK, {**told, "price": price if price is not None else known.price}


def _csv(first: str, stream: IO[str]) -> Iterator[dict[str, Json]]:
    # Excel writes semicolons where the comma stands in numbers.
    header = first.rstrip("\r\n")
    mark = max(",;\t", key=header.count)
    names = [name.strip().casefold() for name in next(csv.reader([header], delimiter=mark), [])]
    return csv.DictReader(stream, fieldnames=names, delimiter=mark)


def _json_lines(first: str, stream: IO[str], name: str) -> Iterator[Mapping[str, Json]]:
    for number, line in enumerate([first, *stream], 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"{name}, line {number}: {error}") from error
            if not isinstance(row, dict):
                raise InputError(f"{name}, line {number} is no JSON object.")
            yield row


def _product(row: Mapping[str, Json], place: str) -> Product:
    identity = row.get("id")
    if not isinstance(identity, str | int) or not str(identity).strip():
        raise InputError(f"{place} has no id. Each needs one, as in your page's events.")
    price = row.get("price")
    number = _price(price)
    if price not in (None, "") and (number is None or not 0 <= number < 1e12):
        raise InputError(
            f"{place} has the price {price!r}. Write a number: 19.90, the currency apart."
        )
    about = {key: str(row[key])[:500] for key in _ABOUT if row.get(key)}
    return Product(
        str(identity).strip()[:200], number, _flag(row.get("available"), place), about
    )


def _price(value: Json) -> float | None:
    if isinstance(value, str):
        # "19,90" in half of Europe; "1.299,00" may mean two things and stays refused.
        value = re.sub(r"^(\d+),(\d{1,2})$", r"\1.\2", value.strip())
    return as_number(value)


def _flag(value: Json, place: str) -> bool | None:
    word = str("" if value is None else value).strip().casefold().replace(" ", "_")
    if word in _YES:
        return True
    if word in _NO:
        return False
    if not word:
        return None
    raise InputError(f"{place}: available is {value!r}. Write true or false.")


def _safe(about: Mapping[str, Json], origins: tuple[str, ...]) -> dict[str, Json]:
    """Return *about* without links that lead away from *origins*."""
    safe = dict(about)
    if "url" in safe and cart.own_url(safe["url"], origins) is None:
        del safe["url"]
    if not str(safe.get("image", "https://")).startswith("https://"):
        del safe["image"]
    return safe
