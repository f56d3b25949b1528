"""Tags: free labels. The first spelling is kept; case and spacing do not matter."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pushctl.model import Millis
from pushctl.rules.web import fields
from pushctl.store.noun import Noun, as_json

# Whether no subscription has the tag, active or not.
UNUSED = "NOT EXISTS (SELECT 1 FROM subscription_tags WHERE tag_id = tags.id)"
DROP_UNUSED = f"DELETE FROM tags WHERE id = ? AND {UNUSED}"  # noqa: S608


class TagCount(NamedTuple):
    """A tag and how many have it now."""

    name: str
    active: int  # subscriptions that can be reached
    total: int  # in any state
    last_set_at: Millis | None


class Tags(Noun):
    def find(self, name: str) -> int | None:
        """Return the row of the tag called *name* in any spelling, or None."""
        sql = "SELECT id FROM tags WHERE folded = :folded"
        row = self._read(sql, folded=fields.fold(name)).fetchone()
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
        return self._insert(sql, name=fields.tag(name), folded=fields.fold(name))

    def find_nearest(self, name: str, most: int = 3) -> list[str]:
        """Return the names most like *name*, as they are written, the nearest first."""
        names = dict(self._read("SELECT folded, name FROM tags"))
        near = difflib.get_close_matches(fields.fold(name), names, most, cutoff=0.6)
        return [names[folded] for folded in near]

    def count_names(self) -> int:
        """Return how many tags exist, unused ones included."""
        return int(self._read_value("SELECT count(*) FROM tags"))

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
        Add a tag to subscriptions; return how many did not have it.

        Sets time and expiry anew on those that have it. Creates no tag without subscriptions,
        nor a new one where *most* exist: then no subscription gets it.
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
                if most is not None and self.count_names() >= most:
                    return 0
                tag = self.ensure(name)
            had = self._count_holders(tag, rows, now)
            connection.executemany(sql, ((tag, row, now, expires_at) for row in rows))
        return len(rows) - had

    def remove(self, subscriptions: Iterable[int], name: str) -> int:
        """Remove a tag; return from how many."""
        sql = "DELETE FROM subscription_tags WHERE tag_id = ? AND subscription_id = ?"
        tag = self.find(name)
        if tag is None:
            return 0
        return self._write_each(sql, ((tag, row) for row in subscriptions))

    def remove_each(self, rows: Iterable[tuple[int, str]]) -> None:
        """Remove tags: (subscription, folded name)."""
        sql = """
            DELETE FROM subscription_tags
             WHERE subscription_id = ? AND tag_id = (SELECT id FROM tags WHERE folded = ?)
        """
        self._write_each(sql, rows)

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
        folded = as_json(map(fields.fold, names))
        return set(self._read(sql, names=folded, ids=as_json(subscriptions), now=now))

    def count_held(self, subscription: int) -> int:
        """Return how many tags a subscription has, expired ones included."""
        sql = "SELECT count(*) FROM subscription_tags WHERE subscription_id = :id"
        return int(self._read_value(sql, id=subscription))

    def add_many(self, rows: Iterable[tuple[int, int, Millis]]) -> None:
        """Add tags in bulk: (tag, subscription, set at); a present one loses its expiry."""
        sql = """
            INSERT INTO subscription_tags (tag_id, subscription_id, set_at) VALUES (?, ?, ?)
            ON CONFLICT DO UPDATE SET expires_at = NULL WHERE expires_at IS NOT NULL
        """
        # In the order of the key: a WITHOUT ROWID table is written where it lies.
        self._write_each(sql, sorted(rows))

    def expire(self, now: Millis) -> int:
        """Remove tags whose time is over; return how many."""
        sql = "DELETE FROM subscription_tags WHERE expires_at <= :now"
        return self._write(sql, now=now)

    def list_counts(self, now: Millis) -> Iterator[TagCount]:
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
        yield from map(TagCount._make, self._read(sql, now=now))

    def _count_holders(self, tag: int, rows: Sequence[int], now: Millis) -> int:
        sql = """
            SELECT count(*) FROM subscription_tags
             WHERE tag_id = :tag AND subscription_id IN (SELECT value FROM json_each(:rows))
               AND (expires_at IS NULL OR expires_at > :now)
        """
        return int(self._read_value(sql, tag=tag, rows=as_json(rows), now=now))
