"""Subscribers in bulk: thousands of rows in one transaction, new or known."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pushctl.model import Millis
from pushctl.store.noun import Noun
from pushctl.store.subscriptions import make_public_id

if TYPE_CHECKING:
    from pushctl.store import Store

# SQLite before 3.32 takes 999 values in a statement.
_AT_ONCE = 900


class Row(NamedTuple):
    """A subscriber in a file; None changes nothing."""

    endpoint_hash: bytes
    endpoint: str
    p256dh: bytes
    auth: bytes
    site_id: int
    key_id: str
    state: str | None
    alias: str | None
    alias_trusted: bool
    language: str | None
    timezone: str | None
    country: str | None
    city: str | None
    browser: str | None
    os: str | None
    source: str | None
    attributes: str | None  # JSON
    subscribed_at: Millis | None
    last_seen_at: Millis | None
    tags: tuple[str, ...]


class Upserted(NamedTuple):
    """The result of a batch."""

    added: int
    updated: int
    unsubscribed: int  # of those, people whom this batch made unsubscribed
    refused: list[tuple[int, str]]  # position in the batch, reason


class _Known(NamedTuple):
    id: int
    p256dh: bytes
    auth: bytes
    site_id: int
    state: str


class Imports(Noun):
    def __init__(self, store: "Store") -> None:
        super().__init__(store)
        self._tags: dict[str, int] = {}  # as spelled in the file -> row, in one transaction

    def upsert(self, rows: Sequence[Row], now: Millis) -> Upserted:
        """
        Add or update *rows* in one transaction.

        Refuses an endpoint that exists with other keys or for another site. Gone
        subscriptions become active again, unsubscribed ones do not. Whom the file calls
        unsubscribed is that from now on, also who is gone or in quarantine: both end. An
        exception is who came by themselves since: the file is older than what they wish.
        """
        with self._store.write() as connection:
            # Another process may have deleted a tag since the last batch.
            self._tags.clear()
            known = self._load_known(connection, rows)
            last = self._read_value(
                "SELECT seq FROM sqlite_sequence WHERE name = 'subscriptions'"
            )
            new: list[tuple[int, Row]] = []
            old: list[tuple[int, Row]] = []
            refused: list[tuple[int, str]] = []
            for position, row in enumerate(rows):
                there = known.get(row.endpoint_hash)
                if there is None:
                    last += 1
                    new.append((last, row))
                    # A file may name the same endpoint twice.
                    known[row.endpoint_hash] = _Known(
                        last, row.p256dh, row.auth, row.site_id, row.state or "active"
                    )
                elif there.site_id != row.site_id:
                    refused.append((position, "the endpoint belongs to another site"))
                elif (there.p256dh, there.auth) != (row.p256dh, row.auth):
                    refused.append((position, "the endpoint is known with other keys"))
                else:
                    old.append((there.id, row))
            connection.executemany(_INSERT, (_build_insert(i, row, now) for i, row in new))
            revived = [
                i
                for i, row in old
                if known[row.endpoint_hash].state == "gone" and row.state in (None, "active")
            ]
            connection.executemany(_UPDATE, (_build_update(i, row) for i, row in old))
            self._revive(connection, revived, now)
            leaving = [i for i, row in old if row.state == "unsubscribed"]
            left = self._unsubscribe(connection, leaving, now)
            self._store.tags.add_many(self._list_tags([*new, *old], now))
        left += sum(row.state == "unsubscribed" for _, row in new)
        return Upserted(len(new), len(old), left, refused)

    def _load_known(
        self, connection: sqlite3.Connection, rows: Sequence[Row]
    ) -> dict[bytes, _Known]:
        found: dict[bytes, _Known] = {}
        for start in range(0, len(rows), _AT_ONCE):
            hashes = [row.endpoint_hash for row in rows[start : start + _AT_ONCE]]
            sql = (
                "SELECT endpoint_hash, id, p256dh, auth, site_id, state FROM subscriptions "  # noqa: S608
                f"WHERE endpoint_hash IN ({','.join('?' * len(hashes))})"
            )
            for endpoint_hash, *rest in connection.execute(sql, hashes):
                found[endpoint_hash] = _Known(*rest)
        return found

    def _revive(self, connection: sqlite3.Connection, ids: Sequence[int], now: Millis) -> None:
        change = """
            INSERT INTO subscription_changes (subscription_id, kind, reason, at)
            VALUES (?, 'revived', 'imported', ?)
        """
        sql = """
            UPDATE subscriptions
               SET state = 'active', state_reason = 'imported', state_at = ?, failures = 0,
                   failing_since = NULL
             WHERE id = ?
        """
        connection.executemany(change, ((i, now) for i in ids))
        connection.executemany(sql, ((now, i) for i in ids))

    def _unsubscribe(
        self, connection: sqlite3.Connection, ids: Sequence[int], now: Millis
    ) -> int:
        """Unsubscribe whose browser never came by itself; return how many changed."""
        # What only a browser leaves behind: it came, agreed, did something or moved. We
        # ourselves revive people, too.
        silent = """
            state <> 'unsubscribed'
            AND NOT EXISTS (SELECT 1 FROM events AS e WHERE e.subscription_id = s.id)
            AND NOT EXISTS (SELECT 1 FROM consents AS c WHERE c.subscription_id = s.id)
            AND NOT EXISTS (SELECT 1 FROM subscription_changes AS h
                             WHERE h.subscription_id = s.id
                               AND h.kind IN ('moved', 'revived')
                               AND h.cause IS NOT 'mass_gone'
                               AND coalesce(h.reason, '') NOT IN ('imported', 'tried again'))
        """
        change = f"""
            INSERT INTO subscription_changes (subscription_id, kind, reason, at)
            SELECT id, 'unsubscribed', 'imported', ? FROM subscriptions AS s
             WHERE id = ? AND {silent}
        """  # noqa: S608
        sql = f"""
            UPDATE subscriptions AS s
               SET state = 'unsubscribed', state_reason = 'imported', state_at = ?
             WHERE id = ? AND {silent}
        """  # noqa: S608
        connection.executemany(change, ((now, i) for i in ids))
        # No row at all leaves -1 as the count.
        return max(0, connection.executemany(sql, ((now, i) for i in ids)).rowcount)

    def _list_tags(
        self, placed: Sequence[tuple[int, Row]], now: Millis
    ) -> Iterator[tuple[int, int, Millis]]:
        for i, row in placed:
            for name in row.tags:
                tag = self._tags.get(name)
                if tag is None:
                    tag = self._tags[name] = self._store.tags.ensure(name)
                yield tag, i, now


_INSERT = """
    INSERT INTO subscriptions (id, public_id, endpoint_hash, endpoint, p256dh, auth, site_id,
                               key_id, state, alias, alias_trusted, language, timezone,
                               country, city, browser, os, source, attributes, subscribed_at,
                               last_seen_at, state_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def _build_insert(i: int, row: Row, now: Millis) -> tuple[object, ...]:
    since = row.subscribed_at if row.subscribed_at is not None else now
    seen = row.last_seen_at if row.last_seen_at is not None else since
    return (
        i,
        make_public_id(),
        *row[:6],
        row.state or "active",
        row.alias,
        row.alias is not None and row.alias_trusted,
        *row[9:16],
        row.attributes or "{}",
        since,
        seen,
        now,
    )


_UPDATE = """
    UPDATE subscriptions
       SET alias = coalesce(?, alias), alias_trusted = coalesce(?, alias_trusted),
           language = coalesce(?, language), timezone = coalesce(?, timezone),
           country = coalesce(?, country), city = coalesce(?, city),
           browser = coalesce(?, browser), os = coalesce(?, os),
           source = coalesce(?, source),
           attributes = iif(? IS NULL, attributes, json_patch(attributes, ?)),
           subscribed_at = coalesce(?, subscribed_at),
           last_seen_at = max(last_seen_at, coalesce(?, last_seen_at))
     WHERE id = ?
"""


def _build_update(i: int, row: Row) -> tuple[object, ...]:
    return (
        row.alias,
        None if row.alias is None else row.alias_trusted,
        *row[9:16],
        row.attributes,
        row.attributes,
        row.subscribed_at,
        row.last_seen_at,
        i,
    )
