"""
Tags: free labels. The first spelling is kept; case and spacing don't tell tags apart.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import orjson

from pushctl.model import Millis
from pushctl.rules.web import fields

if TYPE_CHECKING:
    from pushctl.store import Store


# Whether nobody has the tag, active or not.
UNUSED = "NOT EXISTS (SELECT 1 FROM subscription_tags WHERE tag_id = tags.id)"
DROP_UNUSED = f"DELETE FROM tags WHERE id = ? AND {UNUSED}"  # noqa: S608


class TagCount(NamedTuple):
    """A tag and how many have it now."""

    name: str
    active: int  # subscriptions that can be reached
    total: int  # in any state
    last_set_at: Millis | None


class Tags:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def find(self, name: str) -> int | None:
        """Return the row of the tag called *name* in any spelling, or None."""
        sql = "SELECT id FROM tags WHERE folded = :folded"
        row = self._store.connection.execute(sql, {"folded": fields.fold(name)}).fetchone()
        return None if row is None else int(row[0])

    def ensure(self, name: str) -> int:
        """Return the row of the tag called *name*; make it when there is none."""
        sql = """
            INSERT INTO tags (name, folded) VALUES (:name, :folded)
            ON CONFLICT (folded) DO UPDATE SET folded = folded RETURNING id
        """
        known = self.find(name)
        if known is not None:
            return known
        with self._store.write() as connection:
            row = connection.execute(
                sql, {"name": fields.tag(name), "folded": fields.fold(name)}
            )
            return int(row.fetchone()[0])

    def names(self) -> int:
        """Return how many tags there are, those that nobody has among them."""
        (count,) = self._store.connection.execute("SELECT count(*) FROM tags").fetchone()
        return int(count)

    def add(
        self,
        subscriptions: Iterable[int],
        name: str,
        now: Millis,
        expires_at: Millis | None = None,
        *,
        most: int | None = None,
    ) -> int:
        """
        Put a tag on; return how many didn't have it.

        On those that have it the time and the expiry are set anew. Nobody's tag isn't made,
        nor is a new one where there are *most*: then nobody gets it.
        """
        sql = """
            INSERT INTO subscription_tags (tag_id, subscription_id, set_at, expires_at)
            VALUES (?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET set_at = excluded.set_at,
                                      expires_at = excluded.expires_at
        """
        rows = sorted(set(subscriptions))
        if not rows:
            fields.tag(name)  # still has to be one
            return 0
        with self._store.write() as connection:
            tag = self.find(name)
            if tag is None:
                if most is not None and self.names() >= most:
                    return 0
                tag = self.ensure(name)
            had = self._having(tag, rows, now)
            connection.executemany(sql, ((tag, row, now, expires_at) for row in rows))
        return len(rows) - had

    def remove(self, subscriptions: Iterable[int], name: str) -> int:
        """Take a tag off; return from how many."""
        sql = "DELETE FROM subscription_tags WHERE tag_id = ? AND subscription_id = ?"
        tag = self.find(name)
        if tag is None:
            return 0
        with self._store.write() as connection:
            rows = [(tag, row) for row in subscriptions]
            return connection.executemany(sql, rows).rowcount

    def remove_each(self, rows: Iterable[tuple[int, str]]) -> None:
        """Take tags off: (subscription, folded name)."""
        sql = """
            DELETE FROM subscription_tags
             WHERE subscription_id = ? AND tag_id = (SELECT id FROM tags WHERE folded = ?)
        """
        with self._store.write() as connection:
            connection.executemany(sql, rows)

    def list_held(
        self, subscriptions: Iterable[int], names: Iterable[str], now: Millis
    ) -> set[tuple[int, str]]:
        """Return (subscription, folded name) of the tags among *names* that are on at *now*."""
        sql = """
            SELECT st.subscription_id, g.folded
              FROM tags AS g JOIN subscription_tags AS st ON st.tag_id = g.id
             WHERE g.folded IN (SELECT value FROM json_each(:names))
               AND st.subscription_id IN (SELECT value FROM json_each(:ids))
               AND (st.expires_at IS NULL OR st.expires_at > :now)
        """
        values = {
            "names": orjson.dumps([fields.fold(name) for name in names]).decode(),
            "ids": orjson.dumps(list(subscriptions)).decode(),
            "now": now,
        }
        return set(self._store.connection.execute(sql, values))

    def count_of(self, subscription: int) -> int:
        """Return how many tags a subscription has, expired ones included."""
        sql = "SELECT count(*) FROM subscription_tags WHERE subscription_id = :id"
        row = self._store.connection.execute(sql, {"id": subscription}).fetchone()
        return int(row[0])

    def add_many(self, rows: Iterable[tuple[int, int, Millis]]) -> None:
        """Put tags on in bulk: (tag, subscription, set at); what is there stays."""
        sql = """
            INSERT INTO subscription_tags (tag_id, subscription_id, set_at) VALUES (?, ?, ?)
            ON CONFLICT DO UPDATE SET expires_at = NULL WHERE expires_at IS NOT NULL
        """
        with self._store.write() as connection:
            # In the order of the key: a WITHOUT ROWID table is written where it lies.
            connection.executemany(sql, sorted(rows))

    def expire(self, now: Millis) -> int:
        """Remove tags whose time is over; return how many."""
        sql = "DELETE FROM subscription_tags WHERE expires_at <= :now"
        with self._store.write() as connection:
            return connection.execute(sql, {"now": now}).rowcount

    def counts(self, now: Millis) -> Iterator[TagCount]:
        """Yield every tag with how many have it now, the largest first."""
        sql = """
            SELECT g.name, count(s.id) FILTER (WHERE s.state = 'active'), count(s.id),
                   max(st.set_at)
              FROM tags AS g
              LEFT JOIN subscription_tags AS st
                     ON st.tag_id = g.id AND (st.expires_at IS NULL OR st.expires_at > :now)
              LEFT JOIN subscriptions AS s ON s.id = st.subscription_id
             GROUP BY g.id ORDER BY 2 DESC, 3 DESC, g.folded
        """
        for row in self._store.connection.execute(sql, {"now": now}):
            yield TagCount._make(row)

    def _having(self, tag: int, rows: Sequence[int], now: Millis) -> int:
        sql = """
            SELECT count(*) FROM subscription_tags
             WHERE tag_id = :tag AND subscription_id IN (SELECT value FROM json_each(:rows))
               AND (expires_at IS NULL OR expires_at > :now)
        """
        values = {"tag": tag, "rows": orjson.dumps(rows).decode(), "now": now}
        return int(self._store.connection.execute(sql, values).fetchone()[0])
