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


class Share(NamedTuple):
    """What an unproved subscriber may bring: new names of tags. 0: no bound."""

    sender: str  # "": unknown, so only the bound of all holds
    most_of_sender: int  # in a day: a sender's name lasts one
    most_of_all: int  # unproved subscribers together, at any time


class NoRoomError(Exception):
    """A new name is beyond a bound. Its text is the reason that it is counted under."""


class Tags(Noun):
    def find(self, name: str) -> int | None:
        """Return the row of the tag called *name* in any spelling, or None."""
        sql = "SELECT id FROM tags WHERE folded = :folded"
        row = self._read(sql, folded=fields.fold(name)).fetchone()
        return None if row is None else int(row[0])

    def ensure(self, name: str, share: Share | None = None, most: int | None = None) -> int:
        """
        Return the row of the tag called *name*; make it when there is none.

        With a *share* an unproved subscriber brings it, else it becomes the shop's own.
        Raises NoRoomError for a new name beyond *share*, or where *most* names exist.
        """
        sql = """
            INSERT INTO tags (name, folded, sender) VALUES (:name, :folded, :sender)
            RETURNING id
        """
        own = "UPDATE tags SET sender = NULL WHERE id = :id AND sender IS NOT NULL"
        with self._store.write():
            known = self.find(name)
            if known is not None:
                if share is None:
                    self._write(own, id=known)
                return known
            if most is not None and self.count_names() >= most:
                raise NoRoomError("new tags beyond the most that there may be")
            if share is not None:
                self._check_share(share)
            values = {"name": fields.tag(name), "folded": fields.fold(name)}
            return self._insert(sql, **values, sender=share and share.sender)

    def _check_share(self, share: Share) -> None:
        by = "SELECT count(*) FROM tags WHERE sender = :sender"
        if share.sender and 0 < share.most_of_sender <= self._read_value(
            by, sender=share.sender
        ):
            raise NoRoomError("new tags beyond the share of one address")
        if 0 < share.most_of_all <= self.count_unproved_names():
            raise NoRoomError("new tags beyond the share of unproved subscribers")

    def prove(self, subscription: int) -> None:
        """Count the names of a subscription's tags no longer: it is a proved one now."""
        sql = """
            UPDATE tags SET sender = NULL
             WHERE sender IS NOT NULL
               AND id IN (SELECT tag_id FROM subscription_tags WHERE subscription_id = :id)
        """
        self._write(sql, id=subscription)

    def count_unproved_names(self) -> int:
        """Return how many names only unproved subscribers have brought."""
        return int(self._read_value("SELECT count(*) FROM tags WHERE sender IS NOT NULL"))

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
    ) -> int:
        """
        Add a tag to subscriptions; return how many did not have it.

        Sets time and expiry anew on those that have it. Creates no tag without subscriptions.
        Those that were erased since they were chosen get none.
        """
        sql = """
            SELECT id FROM subscriptions WHERE id IN (SELECT value FROM json_each(:ids))
             ORDER BY id
        """
        fields.tag(name)  # has to be one, also where nobody gets it
        with self._store.write():
            rows = [row for (row,) in self._read(sql, ids=as_json(set(subscriptions)))]
            if not rows:
                return 0
            tag = self.ensure(name)
            had = self._count_holders(tag, rows, now)
            return self.put(tag, rows, now, expires_at) - had

    def put(
        self, tag: int, subscriptions: Iterable[int], now: Millis, expires_at: Millis | None
    ) -> int:
        """
        Add the tag of a row to subscriptions; set time and expiry of those that have it.

        Leaves out who was erased since they were looked up; returns how many have it now.
        """
        # By one statement: see ``Noun._insert_many``.
        sql = """
            INSERT INTO subscription_tags (tag_id, subscription_id, set_at, expires_at)
            SELECT :tag, s.id, :now, :expires_at
              FROM json_each(:ids) AS j CROSS JOIN subscriptions AS s ON s.id = j.value
             WHERE true
            ON CONFLICT DO UPDATE SET set_at = excluded.set_at,
                                      expires_at = excluded.expires_at
        """
        ids = as_json(subscriptions)
        return self._write(sql, tag=tag, ids=ids, now=now, expires_at=expires_at)

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

    def list_names(self, subscriptions: Iterable[int], now: Millis) -> dict[int, list[str]]:
        """Return the names of the tags that each of *subscriptions* has."""
        sql = """
            SELECT st.subscription_id, g.name
              FROM subscription_tags AS st JOIN tags AS g ON g.id = st.tag_id
             WHERE st.subscription_id IN (SELECT value FROM json_each(:ids))
               AND (st.expires_at IS NULL OR st.expires_at > :now)
             ORDER BY g.folded
        """
        found: dict[int, list[str]] = {}
        for subscription, name in self._read(sql, ids=as_json(subscriptions), now=now):
            found.setdefault(subscription, []).append(name)
        return found

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
