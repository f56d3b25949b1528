"""What became of promo codes, for figures: who got which, and which orders used them."""

from collections.abc import Iterator
from typing import NamedTuple

from pushctl.model import Millis
from pushctl.store.noun import Noun

# Orders that count: paid, whatever was given back later.
_COUNTS = "o.state IN ('paid', 'refunded') AND NOT o.test"


class GivenCode(NamedTuple):
    """A code that a message carries or carried; *taken*: a push service took one of them."""

    pool: int
    code: int
    subscription: int  # 0: the person was erased
    site: str | None
    at: Millis  # when it was bound first
    taken: bool
    used: bool  # by an order that counts


class Use(NamedTuple):
    """An order that has used a code of a pool; *code* is None for the one for everybody."""

    pool: int
    code: int | None
    order: int
    site: str
    at: Millis
    minor: int | None
    exponent: int | None
    currency: str | None
    refunded_minor: int | None


class PromoUses(Noun):
    def list_given(self) -> Iterator[GivenCode]:
        """Yield each code that a message but a test's has had; it is one person's."""
        sql = f"""
            SELECT k.pool_id, k.id, coalesce(max(b.subscription_id), 0), max(t.name),
                   min(b.at), max(d.status IN ('accepted', 'in_doubt')),
                   EXISTS (SELECT 1 FROM promo_redemptions AS r
                             JOIN orders AS o ON o.id = r.order_id
                            WHERE r.code_id = k.id AND {_COUNTS})
              FROM promo_bindings AS b
              JOIN promo_codes AS k ON k.id = b.code_id
              JOIN deliveries AS d ON d.id = b.delivery_id
              JOIN campaigns AS c ON c.id = d.campaign_id
              LEFT JOIN subscriptions AS s ON s.id = b.subscription_id
              LEFT JOIN sites AS t ON t.id = s.site_id
             WHERE NOT k.for_all AND c.is_test IS NULL
             GROUP BY k.id
        """  # noqa: S608 - our own words
        for row in self._read(sql):
            yield GivenCode._make(row)

    def list_uses(self) -> Iterator[Use]:
        """Yield each order that counts and code that it has used."""
        sql = f"""
            SELECT k.pool_id, iif(k.for_all, NULL, k.id), o.id, t.name, o.at, o.minor,
                   o.exponent, o.currency, o.refunded_minor
              FROM promo_redemptions AS r
              JOIN promo_codes AS k ON k.id = r.code_id
              JOIN orders AS o ON o.id = r.order_id
              JOIN sites AS t ON t.id = o.site_id
             WHERE {_COUNTS}
        """  # noqa: S608 - our own words
        yield from map(Use._make, self._read(sql))
