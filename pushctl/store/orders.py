"""Orders: what people bought, once per site, source and number. They are never deleted."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson

from pushctl.model import Json, Millis
from pushctl.rules.money import Money
from pushctl.rules.shops.order import Purchase, State
from pushctl.store.noun import Noun

# The reason of an order without a subscriber whose person was erased: nobody looks for one.
ERASED = "erased"

_SELECT = """
    SELECT o.id, o.number, t.name AS site, o.source, o.state, o.minor, o.exponent, o.currency,
           o.lines, o.at, s.public_id AS subscriber, o.unmatched, o.alias, c.name AS campaign
      FROM orders AS o JOIN sites AS t ON t.id = o.site_id
      LEFT JOIN subscriptions AS s ON s.id = o.subscription_id
      LEFT JOIN campaigns AS c ON c.id = o.campaign_id
"""


class Found(NamedTuple):
    """Whose an order is: the subscription, or the reason why it is nobody's."""

    subscription: int | None
    unmatched: str | None = None


class Orders(Noun):
    def add(
        self, site: int, source: str, bought: Purchase, state: State, at: Millis,
        received_at: Millis, found: Found,
    ) -> bool:  # fmt: skip
        """Write an order; return False where the source has told of it before."""
        known = """
            SELECT 1 FROM orders
             WHERE site_id = :site AND source = :source AND number = :number
        """
        sql = """
            INSERT INTO orders (site_id, source, number, state, minor, exponent, currency,
                                lines, at, received_at, subscription_id, unmatched)
            VALUES (:site, :source, :number, :state, :minor, :exponent, :currency,
                    :lines, :at, :received_at, :subscription, :unmatched)
        """
        key: dict[str, Json] = {"site": site, "source": source, "number": bought.number}
        minor, exponent, currency = bought.total or (None, None, None)
        with self._store.write():
            if self._read_value(known, **key) is not None:
                return False
            self._write(
                sql, **key, state=state.value, minor=minor, exponent=exponent,
                currency=currency, lines=_encode_lines(bought), at=at,
                received_at=received_at, subscription=found.subscription,
                unmatched=found.unmatched,
            )  # fmt: skip
        return True

    def count_since(self, subscription: int, received_since: Millis) -> int:
        sql = """
            SELECT count(*) FROM orders
             WHERE subscription_id = :id AND received_at >= :since
        """
        return int(self._read_value(sql, id=subscription, since=received_since))

    def list(
        self, *, site: str | None = None, since: Millis = 0, last: int | None = None,
        unmatched: bool = False,
    ) -> list[dict[str, Json]]:  # fmt: skip
        """
        Return orders as dicts, newest first: their columns, ``site``, ``subscriber`` (public
        id) and ``campaign``. *unmatched* are those that a subscriber is looked for.
        """
        wanted = "o.unmatched IS NOT NULL AND o.unmatched <> :erased AND" if unmatched else ""
        sql = f"""
            {_SELECT} WHERE {wanted} o.at >= :since AND (:site IS NULL OR t.name = :site)
             ORDER BY o.at DESC, o.id DESC LIMIT :last
        """
        most = -1 if last is None else last
        return list(self._read_dicts(sql, site=site, since=since, last=most, erased=ERASED))

    def find(self, number: str, site: str | None = None) -> Sequence[Mapping[str, Json]]:
        """Return the orders of that number, of all sites and sources or of one site."""
        sql = f"""
            {_SELECT} WHERE o.number = :number AND (:site IS NULL OR t.name = :site)
             ORDER BY o.id
        """
        return [*self._read_dicts(sql, number=number, site=site)]


def _encode_lines(bought: Purchase) -> str:
    lines = [
        {"id": it.id, "name": it.name, "quantity": it.quantity, **_name_parts(it.price)}
        for it in bought.lines
    ]
    return orjson.dumps(lines).decode()


def _name_parts(price: Money | None) -> Mapping[str, Json]:
    return {} if price is None else price._asdict()
