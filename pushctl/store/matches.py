"""What a clue names: the subscriptions of a cart key, an alias, an e-mail hash, an id."""

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from pushctl.model import Millis
from pushctl.rules.limits import MAX_CART_KEYS
from pushctl.store.noun import Noun

_SELECT = """
    SELECT s.id, s.state = 'active', iif(s.alias_trusted, s.alias, NULL),
           lower(hex(s.email_hash))
      FROM subscriptions AS s
"""
_ORDER = "s.state = 'active' DESC, s.last_seen_at DESC, s.id DESC"


class Candidate(NamedTuple):
    """A subscription that a clue names."""

    id: int
    active: bool
    alias: str | None  # the signed one
    email_hash: str  # hex; "" without one


class Matches(Noun):
    """All lists have active subscriptions first, then those that were seen last."""

    def find_by_cart_key(self, site_id: int, key: str) -> Sequence[Candidate]:
        """Return who has had *key*; the latest to have it first."""
        sql = f"""
            {_SELECT} JOIN cart_keys AS c ON c.subscription_id = s.id
             WHERE c.site_id = :site AND c.key = :key
             ORDER BY s.state = 'active' DESC, c.at DESC, s.id DESC
        """
        return self._list(sql, site=site_id, key=key)

    def find_by_alias(self, site_id: int, alias: str) -> Sequence[Candidate]:
        """Return who has the signed *alias*."""
        sql = f"""
            {_SELECT} WHERE s.alias = :alias AND s.alias_trusted AND s.site_id = :site
             ORDER BY {_ORDER}
        """
        return self._list(sql, site=site_id, alias=alias)

    def find_by_email(self, site_id: int, email_hash: str) -> Sequence[Candidate]:
        sql = f"""
            {_SELECT} WHERE s.email_hash = :hash AND s.site_id = :site ORDER BY {_ORDER}
        """
        return self._list(sql, site=site_id, hash=bytes.fromhex(email_hash))

    def find_by_id(self, site_id: int, public_id: str) -> Sequence[Candidate]:
        sql = f"{_SELECT} WHERE s.public_id = :id AND s.site_id = :site"
        return self._list(sql, site=site_id, id=public_id)

    def get(self, subscription: int) -> Candidate:
        return self._list(f"{_SELECT} WHERE s.id = :id", id=subscription)[0]

    def learn_cart_key(self, site_id: int, key: str, subscription: int, at: Millis) -> bool:
        """Note that a browser has *key* in its basket; return False where it was known."""
        latest = """
            UPDATE cart_keys SET at = max(at, :at)
             WHERE site_id = :site AND key = :key AND subscription_id = :id
        """
        sql = "INSERT INTO cart_keys VALUES (:site, :key, :id, :at)"
        oldest = """
            DELETE FROM cart_keys
             WHERE subscription_id = :id
               AND (site_id, key) IN (SELECT site_id, key FROM cart_keys
                                       WHERE subscription_id = :id
                                       ORDER BY at DESC, key LIMIT -1 OFFSET :most)
        """
        values = {"site": site_id, "key": key, "id": subscription, "at": at}
        with self._store.write():
            if self._write(latest, **values):
                return False
            self._write(sql, **values)
            # A script that makes up keys must not fill the table.
            self._write(oldest, id=subscription, most=MAX_CART_KEYS)
        return True

    def find_cart_keys(self, subscriptions: Sequence[int]) -> dict[int, str]:
        """Return the latest key of each of *subscriptions* that has one."""
        sql = """
            SELECT subscription_id, key FROM cart_keys
             WHERE subscription_id IN (SELECT value FROM json_each(:ids)) ORDER BY at, key
        """
        # The latest of each comes last.
        return dict(self._read(sql, ids=orjson.dumps(list(subscriptions)).decode()))

    def set_email_hash(self, subscription: int, email_hash: str | None) -> None:
        sql = "UPDATE subscriptions SET email_hash = :hash WHERE id = :id"
        raw = None if email_hash is None else bytes.fromhex(email_hash)
        self._write(sql, id=subscription, hash=raw)

    def count_email_hashes(self) -> int:
        sql = "SELECT count(*) FROM subscriptions WHERE email_hash IS NOT NULL"
        return int(self._read_value(sql))

    def _list(self, sql: str, **values: int | str | bytes) -> Sequence[Candidate]:
        return [
            Candidate(row[0], bool(row[1]), row[2], row[3] or "")
            for row in self._read(sql, **values)
        ]
