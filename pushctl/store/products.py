"""Products: their last known data, and which subscriptions viewed them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson

from pushctl.model import Json, Millis
from pushctl.rules.money import Money
from pushctl.store.noun import Noun, as_json


class StoredProduct(NamedTuple):
    price: Money | None
    available: int | None
    about: Mapping[str, Json]  # name, url, image, line, currency


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
    ) -> None:
        sql = """
            INSERT INTO products (site_id, id, minor, exponent, currency, available, about,
                                  changed_at)
            VALUES (:site, :id, :minor, :exponent, :currency, :available, :about, :now)
            ON CONFLICT DO UPDATE
               SET minor = coalesce(excluded.minor, minor),
                   exponent = coalesce(excluded.exponent, exponent),
                   currency = iif(excluded.minor IS NULL, currency, excluded.currency),
                   available = coalesce(excluded.available, available),
                   about = excluded.about, changed_at = excluded.changed_at
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
        )
