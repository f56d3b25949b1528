"""Addressees: whose the lines of a file are; ``store.matches`` asks for many at once."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from pushctl.store.noun import Noun, as_json

_SELECT = """
    SELECT a.value, s.id, s.state = 'active', iif(s.alias_trusted, s.alias, NULL),
           lower(hex(s.email_hash))
      FROM json_each(:values) AS a
"""
# As ``store.matches``: the first one owns an order.
_ORDER = "s.state = 'active' DESC, s.last_seen_at DESC, s.id DESC"


class Addressee(NamedTuple):
    """A subscription that a value names."""

    value: str
    id: int
    active: bool
    alias: str | None  # that the shop signed
    email_hash: str | None  # hex


class Addressees(Noun):
    """Each query yields the subscriptions of one site, also those that are not active."""

    def find_by_alias(self, site: int, aliases: Collection[str]) -> Iterator[Addressee]:
        """Yield whom *aliases* name; one that is only claimed names nobody."""
        sql = f"""
            {_SELECT} CROSS JOIN subscriptions AS s ON s.alias = a.value
             WHERE s.alias_trusted AND s.site_id = :site ORDER BY {_ORDER}
        """
        return self._find(sql, site, aliases)

    def find_by_id(self, site: int, ids: Collection[str]) -> Iterator[Addressee]:
        sql = f"""
            {_SELECT} CROSS JOIN subscriptions AS s ON s.public_id = a.value
             WHERE s.site_id = :site ORDER BY {_ORDER}
        """
        return self._find(sql, site, ids)

    def find_by_cart_key(self, site: int, keys: Collection[str]) -> Iterator[Addressee]:
        """Yield who has had *keys* in the basket; the latest to have one first."""
        sql = f"""
            {_SELECT} CROSS JOIN cart_keys AS c ON c.key = a.value AND c.site_id = :site
              JOIN subscriptions AS s ON s.id = c.subscription_id
             ORDER BY s.state = 'active' DESC, c.at DESC, s.id DESC
        """
        return self._find(sql, site, keys)

    def find_by_email(self, site: int, hashes: Collection[str]) -> Iterator[Addressee]:
        """Yield whom hashes of e-mail addresses name, in lower-case hex."""
        # One by one: SQLite before 3.41 makes no bytes of hex.
        sql = f"""
            {_SELECT} CROSS JOIN subscriptions AS s ON s.email_hash = :raw
             WHERE s.site_id = :site ORDER BY {_ORDER}
        """
        for one in hashes:
            yield from self._find(sql, site, [one], raw=bytes.fromhex(one))

    def _find(
        self, sql: str, site: int, values: Collection[str], **more: bytes
    ) -> Iterator[Addressee]:
        if not values:
            return
        rows = self._read(sql, values=as_json(values), site=site, **more)
        for value, row, active, alias, email_hash in rows:
            yield Addressee(value, row, bool(active), alias, email_hash or None)
