"""Subscribers in bulk: thousands of rows in one transaction, new or known."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pushctl.model import Millis, NoTracking
from pushctl.rules.limits import MAX_ATTRIBUTES_CHARACTERS
from pushctl.store.noun import Noun, as_json
from pushctl.store.public_ids import make_public_ids

if TYPE_CHECKING:
    from pushctl.store import Store

OURS = "pushctl"  # our own worker, in Row.worker

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
    no_tracking: NoTracking | None = None
    worker: str | None = None  # of model.Worker, or OURS


class Change(NamedTuple):
    """What a file changes of somebody known; None changes nothing."""

    language: str | None
    timezone: str | None
    country: str | None
    city: str | None
    attributes: str | None  # JSON
    tags: tuple[str, ...]


class Upserted(NamedTuple):
    """The result of a batch."""

    added: int
    updated: int
    unsubscribed: int  # of those, people whom this batch made unsubscribed
    untracked: int  # of those, people of whom no alias, source, city, attribute or tag is kept
    refused: list[tuple[int, str]]  # position in the batch, reason
    workers: Mapping[str, int]  # active people of the batch by another service's worker


class _Known(NamedTuple):
    id: int
    p256dh: bytes | None  # None: an endpoint that the browser has left for another
    auth: bytes | None
    site_id: int
    state: str
    untracked: bool  # they asked not to be tracked


class Imports(Noun):
    def __init__(self, store: "Store") -> None:
        super().__init__(store)
        self._tags: dict[str, int] = {}  # as spelled in the file -> row, in one transaction

    def enlarge_cache(self) -> None:
        """
        Keep more of a large database in memory: for work that writes all over its indexes.

        A 48th of the file, at most 256 MB. A batch that does not fit writes its pages twice.
        """
        size = self._store.path.stat().st_size // 48 // 1024
        kilobytes = min(max(size, 65_536), 262_144)
        self._store.connection.execute(f"PRAGMA cache_size = -{kilobytes}")

    def upsert(self, rows: Sequence[Row], now: Millis) -> Upserted:
        """
        Add or update *rows* in one transaction.

        Refuses an endpoint that exists with other keys or for another site. Gone
        subscriptions become active again, unsubscribed ones do not. Whom the file calls
        unsubscribed is that from now on, also who is gone or in quarantine: both end. An
        exception is who came by themselves since: the file is older than what they wish.
        A former endpoint of somebody stands for them: they moved since the file was written.
        """
        with self._store.write() as connection:
            # Another process may have deleted a tag since the last batch.
            self._tags.clear()
            known = self._load_known(connection, rows)
            last = self._read_value(
                "SELECT seq FROM sqlite_sequence WHERE name = 'subscriptions'"
            )
            new, old, refused = _sort(rows, known, last)
            names = make_public_ids(len(new))
            connection.executemany(
                _INSERT,
                (
                    _build_insert(i, name, row, now)
                    for name, (i, row) in zip(names, new, strict=True)
                ),
            )
            revived = [
                i
                for i, row in old
                if known[row.endpoint_hash].state == "gone" and row.state in (None, "active")
            ]
            untracked = sum(known[row.endpoint_hash].untracked for _, row in old)
            old = [
                (i, _strip(row) if known[row.endpoint_hash].untracked else row)
                for i, row in old
            ]
            connection.executemany(_UPDATE, (_build_update(i, row) for i, row in old))
            self._revive(connection, revived, now)
            connection.executemany(_REFUSE, _list_refusals([*new, *old], now))
            leaving = [i for i, row in old if row.state == "unsubscribed"]
            left = self._unsubscribe(connection, leaving, now)
            placed = ((i, row.tags) for i, row in (*new, *old))
            self._store.tags.add_many(self._list_tags(placed, now))
            workers = self._note_workers(connection, new, old)
        left += sum(row.state == "unsubscribed" for _, row in new)
        return Upserted(len(new), len(old), left, untracked, refused, workers)

    def change(self, people: Sequence[tuple[Sequence[int], Change]], now: Millis) -> set[int]:
        """
        Change what is known of people, each in all of their subscriptions.

        Returns the positions of those whose attributes would be too many; they stay as they
        were.
        """
        refused: set[int] = set()
        with self._store.write() as connection:
            self._tags.clear()
            for position, (ids, change) in enumerate(people):
                *about, attributes, _ = change
                for one in ids:
                    values = (*about, attributes, attributes, one, attributes, attributes)
                    if connection.execute(_CHANGE, values).rowcount == 0:
                        refused.add(position)
            placed = (
                (one, change.tags)
                for position, (ids, change) in enumerate(people)
                for one in ids
                if position not in refused
            )
            self._store.tags.add_many(self._list_tags(placed, now))
        return refused

    def _load_known(
        self, connection: sqlite3.Connection, rows: Sequence[Row]
    ) -> dict[bytes, _Known]:
        found: dict[bytes, _Known] = {}
        for start in range(0, len(rows), _AT_ONCE):
            hashes = [row.endpoint_hash for row in rows[start : start + _AT_ONCE]]
            sql = (
                "SELECT endpoint_hash, id, p256dh, auth, site_id, state, "  # noqa: S608
                "gpc_at IS NOT NULL OR tracking_refused_at IS NOT NULL FROM subscriptions "
                f"WHERE endpoint_hash IN ({','.join('?' * len(hashes))})"
            )
            for endpoint_hash, *rest in connection.execute(sql, hashes):
                found[endpoint_hash] = _Known(*rest)
            former = (
                "SELECT f.endpoint_hash, s.id, NULL, NULL, s.site_id, s.state, "  # noqa: S608
                "s.gpc_at IS NOT NULL OR s.tracking_refused_at IS NOT NULL "
                "FROM former_endpoints AS f "
                "JOIN subscriptions AS s ON s.id = f.subscription_id "
                f"WHERE f.endpoint_hash IN ({','.join('?' * len(hashes))})"
            )
            for endpoint_hash, *rest in connection.execute(former, hashes):
                found.setdefault(endpoint_hash, _Known(*rest))
        return found

    def _note_workers(
        self, connection: sqlite3.Connection, new: "_Placed", old: "_Placed"
    ) -> Mapping[str, int]:
        """Note whose worker people run, and count those of others; who came runs ours."""
        if all(row.worker is None for _, row in (*new, *old)):
            return {}
        told = [(row.worker, OURS, i) for i, row in (*new, *old) if row.worker is not None]
        sql = f"""
            UPDATE subscriptions AS s SET worker = nullif(?, ?)
             WHERE id = ? AND verified_at IS NULL AND {_NEVER_CAME}
        """  # noqa: S608
        connection.executemany(sql, told)
        count = """
            SELECT worker, count(*) FROM subscriptions
             WHERE id IN (SELECT value FROM json_each(?)) AND worker IS NOT NULL
               AND state = 'active' GROUP BY worker
        """
        ids = as_json({i for i, _ in (*new, *old)})
        return dict(connection.execute(count, [ids]).fetchall())

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
        silent = f"state <> 'unsubscribed' AND {_NEVER_CAME}"
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
        self, placed: Iterable[tuple[int, Sequence[str]]], now: Millis
    ) -> Iterator[tuple[int, int, Millis]]:
        for i, tags in placed:
            for name in tags:
                tag = self._tags.get(name)
                if tag is None:
                    tag = self._tags[name] = self._store.tags.ensure(name)
                yield tag, i, now


# What only a browser leaves behind: it came, agreed, did something or moved. We
# ourselves revive people, too.
_NEVER_CAME = """
    NOT EXISTS (SELECT 1 FROM events AS e WHERE e.subscription_id = s.id)
    AND NOT EXISTS (SELECT 1 FROM consents AS c WHERE c.subscription_id = s.id)
    AND NOT EXISTS (SELECT 1 FROM subscription_changes AS h
                     WHERE h.subscription_id = s.id
                       AND h.kind IN ('moved', 'revived')
                       AND h.cause IS NOT 'mass_gone'
                       AND coalesce(h.reason, '') NOT IN ('imported', 'tried again'))
"""

_Placed = list[tuple[int, Row]]  # with the row's id


def _sort(
    rows: Sequence[Row], known: dict[bytes, _Known], last: int
) -> tuple[_Placed, _Placed, list[tuple[int, str]]]:
    """Return new rows, with ids behind *last*, known ones, and (position, why) of refused."""
    new: _Placed = []
    old: _Placed = []
    refused: list[tuple[int, str]] = []
    for position, row in enumerate(rows):
        there = known.get(row.endpoint_hash)
        if there is None:
            last += 1
            new.append((last, row))
            # A file may name the same endpoint twice.
            known[row.endpoint_hash] = _Known(
                last, row.p256dh, row.auth, row.site_id, row.state or "active",
                row.no_tracking is not None,
            )  # fmt: skip
        elif there.site_id != row.site_id:
            refused.append((position, "the endpoint belongs to another site"))
        elif there.auth and (there.p256dh, there.auth) != (row.p256dh, row.auth):
            refused.append((position, "the endpoint is known with other keys"))
        else:
            old.append((there.id, row))
    return new, old, refused


def _strip(row: Row) -> Row:
    """Return what is kept of a row of somebody who asked us not to be tracked."""
    return row._replace(alias=None, city=None, source=None, attributes=None, tags=())


_REFUSE = """
    UPDATE subscriptions
       SET tracking_refused_at = iif(:why = 'consent', coalesce(tracking_refused_at, :now),
                                     tracking_refused_at),
           gpc_at = iif(:why = 'gpc', coalesce(gpc_at, :now), gpc_at)
     WHERE id = :id
"""


def _list_refusals(
    placed: Sequence[tuple[int, Row]], now: Millis
) -> Iterator[dict[str, object]]:
    for i, row in placed:
        if row.no_tracking is not None:
            yield {"id": i, "why": row.no_tracking.value, "now": now}


_INSERT = """
    INSERT INTO subscriptions (id, public_id, endpoint_hash, endpoint, p256dh, auth, site_id,
                               key_id, state, alias, alias_trusted, language, timezone,
                               country, city, browser, os, source, attributes, subscribed_at,
                               last_seen_at, state_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def _build_insert(i: int, name: str, row: Row, now: Millis) -> tuple[object, ...]:
    since = row.subscribed_at if row.subscribed_at is not None else now
    seen = row.last_seen_at if row.last_seen_at is not None else since
    return (
        i,
        name,
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


_CHANGE = f"""
    UPDATE subscriptions
       SET language = coalesce(?, language), timezone = coalesce(?, timezone),
           country = coalesce(?, country), city = coalesce(?, city),
           attributes = iif(? IS NULL, attributes, json_patch(attributes, ?))
     WHERE id = ?
       AND (? IS NULL OR length(json_patch(attributes, ?)) <= {MAX_ATTRIBUTES_CHARACTERS})
"""  # noqa: S608


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
