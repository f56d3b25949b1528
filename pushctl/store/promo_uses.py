"""What became of promo codes, for figures: who got which, and which orders used them."""

from collections.abc import Iterator
from typing import NamedTuple

from pushctl.model import Millis
from pushctl.store.noun import Noun

# Orders that count: paid, whatever was given back later.
_COUNTS = "o.state IN ('paid', 'refunded') AND NOT o.test"


class Bindings(NamedTuple):
    """
    Codes that messages carry or carried, an entry each, as texts with commas between.

    Handing over hundreds of thousands of rows one by one would take most of the time.
    """

    pool: str
    code: str
    subscription: str  # 0: the person was erased
    at: str
    taken: str  # 1: a push service may have taken the message


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
    def load_bindings(self) -> Bindings:
        """Return the codes of all messages but those of tests, but not codes for everybody."""
        sql = """
            SELECT coalesce(group_concat(k.pool_id), ''), coalesce(group_concat(k.id), ''),
                   coalesce(group_concat(coalesce(b.subscription_id, 0)), ''),
                   coalesce(group_concat(b.at), ''),
                   coalesce(group_concat(d.status IN ('accepted', 'in_doubt')), '')
              FROM promo_bindings AS b
              CROSS JOIN promo_codes AS k ON k.id = b.code_id
              CROSS JOIN deliveries AS d ON d.id = b.delivery_id
             WHERE NOT k.for_all
               AND d.campaign_id NOT IN (SELECT id FROM campaigns WHERE is_test IS NOT NULL)
        """
        return Bindings._make(self._read(sql).fetchone())

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
