"""Products: their last known data, and which subscriptions viewed them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import orjson

from pushctl.model import Json, Millis
from pushctl.rules.money import Money
from pushctl.rules.shops.recommendations import SHELVES, Offer
from pushctl.store.noun import Noun, as_json

# Rows that one look-up reads, however many products a line has.
_READ_ROWS = 200
_BOUGHT_ROWS = 100  # of a person's orders, and of purchases; the newest


_OFFER = "SELECT id, minor, exponent, currency, was_minor, about, family FROM products"


class StoredProduct(NamedTuple):
    price: Money | None
    available: int | None
    # name, url, image, currency; line, category, brand, family (variants of one product)
    about: Mapping[str, Json]


class Products(Noun):
    def add_interest(
        self, products: Sequence[str], subscriptions: Sequence[int], at: Millis
    ) -> None:
        """Note that subscriptions viewed products."""
        sql = """
            INSERT INTO interests (product, subscription_id, at) VALUES (?, ?, ?)
            ON CONFLICT DO UPDATE SET at = max(at, excluded.at)
        """
        rows = ((product, one, at) for product in products for one in subscriptions)
        self._write_each(sql, rows)

    def remove_interest(
        self, products: Sequence[str], subscriptions: Sequence[int], at: Millis
    ) -> None:
        """Delete the interest in *products* up to *at*: they were bought."""
        sql = """
            DELETE FROM interests
             WHERE product IN (SELECT value FROM json_each(:products)) AND at <= :at
               AND subscription_id IN (SELECT value FROM json_each(:people))
        """
        self._write(sql, products=as_json(products), people=as_json(subscriptions), at=at)

    def list_interested(self, product: str, site_id: int, since: Millis) -> list[int]:
        """Return the active subscriptions of a site that viewed *product* since then."""
        sql = """
            SELECT i.subscription_id FROM interests AS i
              JOIN subscriptions AS s ON s.id = i.subscription_id
             WHERE i.product = :product AND i.at >= :since
               AND s.site_id = :site AND s.state = 'active'
        """
        return [row for (row,) in self._read(sql, product=product, site=site_id, since=since)]

    def find_families(self, site_id: int, products: Sequence[str]) -> dict[str, str]:
        """Return the families of *products*: what is bought in red isn't offered in blue."""
        sql = """
            SELECT id, family FROM products
             WHERE site_id = :site AND family IS NOT NULL
               AND id IN (SELECT value FROM json_each(:products))
        """
        return dict(self._read(sql, site=site_id, products=as_json(products)))

    def find_offer(self, site_id: int, product: str) -> Offer | None:
        """Return a product, also one that can't be bought now."""
        sql = f"{_OFFER} WHERE site_id = :site AND id = :id"
        row = self._read(sql, site=site_id, id=product).fetchone()
        return None if row is None else _build_offer(row)

    def list_bought(
        self, subscriptions: Iterable[int]
    ) -> list[tuple[int, list[tuple[Json, Json]]]]:
        """Return (subscription, [(id, name) of what it bought]), from orders and purchases."""
        orders = """
            SELECT a.value, o.lines FROM json_each(:ids) AS a
              JOIN orders AS o ON o.id IN (
                   SELECT i.id FROM orders AS i WHERE i.subscription_id = a.value
                    ORDER BY i.at DESC LIMIT :most)
        """
        events = """
            SELECT a.value, json_extract(e.properties, '$.items') FROM json_each(:ids) AS a
              JOIN events AS e ON e.id IN (
                   SELECT i.id FROM events AS i
                    WHERE i.subscription_id = a.value AND i.name = 'purchase'
                    ORDER BY i.at DESC LIMIT :most)
        """
        values = {"ids": as_json(subscriptions), "most": _BOUGHT_ROWS}
        found = []
        for sql in (orders, events):
            for subscription, listed in self._read(sql, **values):
                items = orjson.loads(listed) if isinstance(listed, str) else None
                lines = items if isinstance(items, list) else []
                things = [
                    (it.get("id"), it.get("name")) for it in lines if isinstance(it, dict)
                ]
                found.append((subscription, things))
        return found

    def list_by_price(
        self,
        site_id: int,
        shelf: str,
        name: str,
        currency: str | None,
        amount: float,
        most: int,
        *,
        dearer: bool,
    ) -> list[Offer]:
        """
        Return offers of the *shelf* (line, category or brand) called *name*.

        *dearer*: those that cost more than *amount*, else those that cost as much or less;
        the nearest price first, at most *most* and one of a family.
        """
        sign, order = (">", "amount") if dearer else ("<=", "amount DESC")
        where = f"currency IS :currency AND amount {sign} :amount"
        return self._list_offers(
            shelf, where, order, most, site=site_id, name=name, currency=currency,
            amount=amount,
        )  # fmt: skip

    def list_reduced(self, site_id: int, shelf: str, name: str, most: int) -> list[Offer]:
        """Return offers of the *shelf* that cost less than before, the cheapest first."""
        where = "was_minor IS NOT NULL"
        return self._list_offers(shelf, where, "amount", most, site=site_id, name=name)

    def _list_offers(
        self, shelf: str, where: str, order: str, most: int, **values: Json
    ) -> list[Offer]:
        if shelf not in SHELVES:
            raise ValueError(shelf)
        sql = f"""
            {_OFFER}
             WHERE site_id = :site AND {shelf} = :name AND available IS NOT 0 AND {where}
             ORDER BY {order} LIMIT {_READ_ROWS}
        """
        found: dict[str, Offer] = {}
        for row in self._read(sql, **values):
            one = row[6] or f"-{row[0]}"  # each has a family, if only of itself
            if one not in found:
                found[one] = _build_offer(row)
            if len(found) == most:
                break
        return list(found.values())

    def get(self, site_id: int, product: str) -> StoredProduct | None:
        sql = """
            SELECT minor, exponent, currency, available, about FROM products
             WHERE site_id = :site AND id = :id
        """
        row = self._read(sql, site=site_id, id=product).fetchone()
        if row is None:
            return None
        price = None if row[0] is None else Money(*row[:3])
        return StoredProduct(price, row[3], orjson.loads(row[4]))

    def save(
        self,
        site_id: int,
        product: str,
        price: Money | None,
        available: bool | None,
        about: Mapping[str, Json],
        now: Millis,
        was: Money | None = None,
    ) -> None:
        """Write a product; *was* is its price before a reduction, in the same currency."""
        if price is not None and was is not None:
            price, was = _align(price, was)
        sql = """
            INSERT INTO products (site_id, id, minor, exponent, currency, available, about,
                                  changed_at, was_minor, line, category, brand, family)
            VALUES (:site, :id, :minor, :exponent, :currency, :available, :about, :now, :was,
                    :line, :category, :brand, :family)
            ON CONFLICT DO UPDATE
               SET minor = coalesce(excluded.minor, minor),
                   was_minor = iif(excluded.minor IS NULL, was_minor, excluded.was_minor),
                   exponent = coalesce(excluded.exponent, exponent),
                   currency = iif(excluded.minor IS NULL, currency, excluded.currency),
                   available = coalesce(excluded.available, available),
                   about = excluded.about, changed_at = excluded.changed_at,
                   line = excluded.line, category = excluded.category,
                   brand = excluded.brand, family = excluded.family
        """
        self._write(
            sql,
            site=site_id,
            id=product,
            minor=price and price.minor,
            exponent=price and price.exponent,
            currency=price and price.currency,
            available=available,
            about=orjson.dumps(about).decode(),
            now=now,
            was=price and was and was.minor,
            **{name: _get_text(about, name) for name in (*SHELVES, "family")},
        )


def _get_text(about: Mapping[str, Json], name: str) -> str | None:
    found = about.get(name)
    return found if isinstance(found, str) and found else None


def _align(price: Money, was: Money) -> tuple[Money, Money | None]:
    """Return both in one exponent; no former price that isn't a higher one."""
    if was.currency != price.currency or was.exact <= price.exact:
        return price, None
    exponent = max(price.exponent, was.exponent)
    made = [
        Money(one.minor * 10 ** (exponent - one.exponent), exponent, one.currency)
        for one in (price, was)
    ]
    return made[0], made[1]


def _build_offer(row: Sequence[Json]) -> Offer:
    product, minor, exponent, currency, was, about = row[:6]
    price = None if minor is None else Money(minor, exponent, currency)
    before = None if was is None or price is None else price._replace(minor=was)
    return Offer(product, price, before, orjson.loads(about))
