"""
Subscriptions: their state and its history.

The state is in the row, the history in ``subscription_changes``: kind is the new state's
name, or ``revived`` (active again) or ``moved`` (a new endpoint).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import orjson

from pushctl.errors import InputError, NotFoundError, UsageError
from pushctl.model import (
    Cause,
    Json,
    Millis,
    NoTracking,
    Subscription,
    SubscriptionState,
    Worker,
)
from pushctl.rules import tokens
from pushctl.rules.folding import fold
from pushctl.rules.limits import MAX_ATTRIBUTES_CHARACTERS
from pushctl.store.noun import Noun, as_json
from pushctl.store.public_ids import make_public_id

MIN_PREFIX = 6

_SELECT = """
    SELECT s.id, s.public_id, t.name AS site, s.endpoint, s.p256dh, s.auth, s.key_id,
           s.state, s.language, s.timezone, s.country, s.city, s.browser, s.os, s.alias,
           s.alias_trusted, s.source, s.attributes, s.subscribed_at, s.last_seen_at,
           CASE WHEN s.tracking_refused_at IS NOT NULL THEN 'consent'
                WHEN s.gpc_at IS NOT NULL THEN 'gpc' END AS no_tracking, s.worker,
           (SELECT json_group_array(g.name)
              FROM subscription_tags AS st JOIN tags AS g ON g.id = st.tag_id
             WHERE st.subscription_id = s.id
               AND (st.expires_at IS NULL OR :now IS NULL OR st.expires_at > :now)) AS tags
      FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id
"""

_SEE = "UPDATE subscriptions SET last_seen_at = :at WHERE id = :id AND last_seen_at < :at"

# In the order of _SELECT.
_FIELDS = tuple(field.name for field in fields(Subscription))

_TOO_LONG = "the attributes would have more than 16 KiB together"
# The columns that a browser, an import or the shop may set.
ABOUT = ("language", "timezone", "country", "city", "browser", "os", "source")


class KnownSubscription(NamedTuple):
    """The columns that decide about a request of a browser."""

    id: int
    public_id: str
    site: str
    p256dh: bytes
    auth: bytes
    key_id: str
    state: SubscriptionState
    state_at: Millis
    alias: str | None
    alias_trusted: bool
    proved: bool  # a message was shown there
    gpc_at: Millis | None  # since when it sends Global Privacy Control
    tracking_refused_at: Millis | None
    worker: str | None = None  # another service's


class Registration(NamedTuple):
    """A push subscription as a browser made it, checked."""

    site_id: int
    endpoint: str
    endpoint_hash: bytes
    p256dh: bytes
    auth: bytes
    key_id: str


class Subscriptions(Noun):
    def get(self, ref: str, now: Millis | None = None) -> Subscription:
        """
        Return the one subscription that *ref* names; see ``find``.

        Raises UsageError when an alias names several.
        """
        found = self.find(ref, now)
        if len(found) > 1:
            ids = ", ".join(one.public_id for one in found[:5])
            raise UsageError(f"{ref} stands for {len(found)} subscribers: {ids}. Name one.")
        return found[0]

    def find(self, ref: str, now: Millis | None = None) -> list[Subscription]:
        """
        Return the subscriptions that *ref* names; ``alias:NAME`` may name several.

        Only an alias that the shop signed counts: any browser may claim one. Otherwise *ref*
        is a public id, a prefix of one from six characters on, the number of the row, or the
        id that a browser's preferences show (``rules.tokens``). *now* leaves expired tags out.
        Raises NotFoundError, or UsageError for what fits several and for an alias that is
        only claimed.
        """
        if ref.startswith("alias:"):
            alias = ref.removeprefix("alias:")
            found = self._list("s.alias = :alias AND s.alias_trusted", now, alias=alias)
            if not found and (claims := self.list_claims(alias)):
                raise UsageError(_describe_claims(ref, claims))
        else:
            found = self._list("s.public_id = :ref", now, ref=ref)
            if not found and ref.isascii() and ref.isdecimal() and len(ref) < 19:
                found = self._list("s.id = :id", now, id=int(ref))
            if not found and len(ref) >= MIN_PREFIX:
                found = self._find_by_prefix(ref, now)
            if not found and (start := tokens.read_browser_id(ref)):
                found = self._find_by_browser(start, ref, now)
        if not found:
            raise NotFoundError(
                f"no subscriber is called {ref!r}. Give an id from `pushctl subscribers "
                f"list`, at least {MIN_PREFIX} characters of one, alias:NAME, or the id that "
                "a browser's preferences show."
            )
        return found

    def list_claims(self, alias: str) -> list[str]:
        """Return the public ids of subscriptions that claim *alias* without a signature."""
        sql = """
            SELECT public_id FROM subscriptions WHERE alias = :alias AND NOT alias_trusted
             ORDER BY id
        """
        return [one for (one,) in self._read(sql, alias=alias)]

    def list_shared_aliases(self, least: int) -> list[tuple[str, str, int]]:
        """Return site, signed alias and count of those that *least* active browsers share."""
        sql = """
            SELECT t.name, s.alias, count(*)
              FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id
             WHERE s.alias IN (SELECT alias FROM subscriptions WHERE alias IS NOT NULL
                                GROUP BY alias HAVING count(*) >= :least)
               AND s.alias_trusted AND s.state = 'active'
             GROUP BY s.alias, t.id HAVING count(*) >= :least ORDER BY 3 DESC, 2
        """
        return self._read(sql, least=least).fetchall()

    def _find_by_prefix(self, ref: str, now: Millis | None) -> list[Subscription]:
        # Characters of base64url sort below "~", so this is a range of the index.
        condition = "s.public_id >= :ref AND s.public_id < :ref || '~'"
        found = self._list(condition, now, ref=ref, limit=2)
        if len(found) > 1:
            raise UsageError(f"several subscribers' ids begin with {ref}. Give more of it.")
        return found

    def _find_by_browser(
        self, start: bytes, ref: str, now: Millis | None
    ) -> list[Subscription]:
        # Its endpoint may have changed since the person wrote it down.
        condition = """
            s.id IN (SELECT id FROM subscriptions WHERE endpoint_hash BETWEEN :low AND :high
                      UNION
                     SELECT subscription_id FROM former_endpoints
                      WHERE endpoint_hash BETWEEN :low AND :high)
        """
        rest = 16 - len(start)
        values = {"low": start + b"\x00" * rest, "high": start + b"\xff" * rest}
        found = self._list(condition, now, **values, limit=2)
        if len(found) > 1:
            ids = " and ".join(one.public_id for one in found)
            raise UsageError(f"{ref} stands for {ids}. Name one.")
        return found

    def get_many(self, ids: Collection[int], now: Millis | None = None) -> list[Subscription]:
        """Return the subscriptions of these rows, in order of rows."""
        condition = "s.id IN (SELECT value FROM json_each(:ids)) ORDER BY s.id"
        return self._list(condition, now, ids=as_json(ids))

    def _list(self, condition: str, now: Millis | None, **values: Any) -> list[Subscription]:
        sql = f"{_SELECT} WHERE {condition} LIMIT :limit"
        values = {"now": now, "limit": -1, **values}
        return [_build_subscription(row) for row in self._read(sql, **values)]

    def find_by_endpoint(self, endpoint_hash: bytes) -> KnownSubscription | None:
        sql = """
            SELECT s.id, s.public_id, t.name, s.p256dh, s.auth, s.key_id, s.state, s.state_at,
                   s.alias, s.alias_trusted, s.verified_at IS NOT NULL, s.gpc_at,
                   s.tracking_refused_at, s.worker
              FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id
             WHERE s.endpoint_hash = :hash
        """
        row = self._read(sql, hash=endpoint_hash).fetchone()
        if row is None:
            return None
        known = KnownSubscription._make(row)
        return known._replace(
            state=SubscriptionState(known.state),
            alias_trusted=bool(known.alias_trusted),
            proved=bool(known.proved),
        )

    def add(
        self,
        made: Registration,
        about: Mapping[str, str | None],
        at: Millis,
        attributes: Mapping[str, Json] | None = None,
    ) -> int:
        """Write a new subscription and return its row; *about* has keys of ABOUT."""
        sql = """
            INSERT INTO subscriptions (public_id, site_id, endpoint_hash, endpoint, p256dh,
                                       auth, key_id, state_at, language, timezone, country,
                                       city, browser, os, source, subscribed_at, last_seen_at,
                                       attributes)
            VALUES (:public_id, :site_id, :endpoint_hash, :endpoint, :p256dh, :auth, :key_id,
                    :at, :language, :timezone, :country, :city, :browser, :os, :source, :at,
                    :at, json_patch('{}', :attributes))
            RETURNING id, length(attributes)
        """
        values = dict.fromkeys(ABOUT) | dict(about) | made._asdict()
        values |= {"public_id": make_public_id(), "at": at}
        values["attributes"] = orjson.dumps(attributes or {}).decode()
        with self._store.write():
            ((row, size),) = self._read(sql, **values).fetchall()
            if size > MAX_ATTRIBUTES_CHARACTERS:
                raise InputError(_TOO_LONG)
        return int(row)

    def refresh(self, subscription: int, about: Mapping[str, str | None], at: Millis) -> None:
        """Update what the browser reports about itself; None changes nothing."""
        # Hardly ever is one of them another: then neither indexes nor triggers need a look.
        sql = """
            UPDATE subscriptions
               SET language = coalesce(:language, language),
                   timezone = coalesce(:timezone, timezone),
                   country = coalesce(:country, country), city = coalesce(:city, city),
                   browser = coalesce(:browser, browser), os = coalesce(:os, os),
                   source = coalesce(source, :source)
             WHERE id = :id
               AND (:language IS NOT NULL AND language IS NOT :language
                    OR :timezone IS NOT NULL AND timezone IS NOT :timezone
                    OR :country IS NOT NULL AND country IS NOT :country
                    OR :city IS NOT NULL AND city IS NOT :city
                    OR :browser IS NOT NULL AND browser IS NOT :browser
                    OR :os IS NOT NULL AND os IS NOT :os
                    OR :source IS NOT NULL AND source IS NULL)
        """
        values = dict.fromkeys(ABOUT) | dict(about) | {"id": subscription}
        with self._store.write():
            self._write(_SEE, id=subscription, at=at)
            if any(one is not None for one in about.values()):
                self._write(sql, **values)

    def move(
        self,
        subscription: int,
        made: Registration,
        reason: str,
        at: Millis,
        *,
        revive: bool = True,
    ) -> None:
        """Set a new endpoint and keys; with *revive* activate the subscription."""
        revived = """
            INSERT INTO subscription_changes (subscription_id, kind, reason, at)
            SELECT id, 'revived', 'moved', :at FROM subscriptions
             WHERE id = :id AND state <> 'active' AND :revive
        """
        former = """
            INSERT OR REPLACE INTO former_endpoints (endpoint_hash, subscription_id)
            SELECT endpoint_hash, id FROM subscriptions
             WHERE id = :id AND endpoint_hash <> :endpoint_hash
        """
        sql = """
            UPDATE subscriptions
               SET endpoint_hash = :endpoint_hash, endpoint = :endpoint, p256dh = :p256dh,
                   auth = :auth, key_id = :key_id, state = iif(:revive, 'active', state),
                   state_reason = iif(:revive, NULL, state_reason),
                   state_at = iif(:revive AND state <> 'active', :at, state_at),
                   failures = 0, failing_since = NULL, small_payload = 0,
                   worker = NULL
             WHERE id = :id
        """
        change = """
            INSERT INTO subscription_changes (subscription_id, kind, reason, at)
            VALUES (:id, 'moved', :reason, :at)
        """
        values = made._asdict() | {"id": subscription, "reason": reason, "at": at}
        values["revive"] = revive
        with self._store.write() as connection:
            for statement in (revived, former, sql, change):
                connection.execute(statement, values)

    def set_key_id(self, subscription: int, key_id: str) -> None:
        """Note which VAPID key the browser subscribed with."""
        sql = "UPDATE subscriptions SET key_id = :key_id WHERE id = :id"
        self._write(sql, id=subscription, key_id=key_id)

    def own(self, subscription: int) -> None:
        """Note that the browser runs our worker now."""
        self._write("UPDATE subscriptions SET worker = NULL WHERE id = :id", id=subscription)

    def set_attributes(self, subscription: int, attributes: Mapping[str, Json]) -> None:
        """
        Set these attributes; others stay, null removes one.

        Raises InputError when all together would be more than 16 KiB.
        """
        sql = """
            UPDATE subscriptions SET attributes = json_patch(attributes, :attributes)
             WHERE id = :id AND length(json_patch(attributes, :attributes)) <= :most
        """
        values = {"attributes": orjson.dumps(attributes).decode(), "id": subscription}
        if not self._write(sql, **values, most=MAX_ATTRIBUTES_CHARACTERS):
            raise InputError(_TOO_LONG)

    def set_alias(self, subscription: int, alias: str | None, trusted: bool) -> None:
        """Set the shop's own id of the person; *trusted* when the shop signed it."""
        sql = "UPDATE subscriptions SET alias = :alias, alias_trusted = :trusted WHERE id = :id"
        self._write(sql, id=subscription, alias=alias, trusted=trusted)

    def verify(self, subscription: int, at: Millis) -> bytes | None:
        """Note that a message was shown there; return the endpoint's hash the first time."""
        first = """
            UPDATE subscriptions
               SET verified_at = :at, last_seen_at = max(last_seen_at, :at)
             WHERE id = :id AND verified_at IS NULL RETURNING endpoint_hash
        """
        with self._store.write():
            if rows := self._read(first, id=subscription, at=at).fetchall():
                return bytes(rows[0][0])
            self._write(_SEE, id=subscription, at=at)
        return None

    def list_proved(self) -> Iterator[bytes]:
        """Yield the hashes of endpoints where a message was shown."""
        sql = "SELECT endpoint_hash FROM subscriptions WHERE verified_at IS NOT NULL"
        return (one for (one,) in self._read(sql))

    def mark(
        self,
        ids: Sequence[int],
        state: SubscriptionState,
        reason: str,
        now: Millis,
        cause: Cause | None = None,
    ) -> int:
        """
        Set the state of subscriptions; return how many changed.

        Active ones begin anew: their failures are reset.
        """
        change = """
            INSERT INTO subscription_changes (subscription_id, kind, reason, cause, at)
            SELECT id, iif(:state = 'active', 'revived', :state), :reason, :cause, :now
              FROM subscriptions WHERE id = :id AND state <> :state
        """
        update = """
            UPDATE subscriptions
               SET state = :state, state_reason = :reason, state_at = :now,
                   failures = iif(:state = 'active', 0, failures),
                   failing_since = iif(:state = 'active', NULL, failing_since)
             WHERE id = :id AND state <> :state
        """
        common = {"state": state.value, "reason": reason, "cause": cause, "now": now}
        values = [{"id": one, **common} for one in ids]
        with self._store.write():
            self._write_each(change, values)
            return self._write_each(update, values)

    def list_changes(self, subscription: int) -> list[Mapping[str, Json]]:
        """Return the history of a subscription, oldest first: kind, reason, at."""
        sql = """
            SELECT kind, reason, at FROM subscription_changes
             WHERE subscription_id = :id ORDER BY at, id
        """
        return list(self._read_dicts(sql, id=subscription))


def _describe_claims(ref: str, claims: Sequence[str]) -> str:
    names = ", ".join(claims[:5]) + (", ..." if len(claims) > 5 else "")
    return (
        f"the alias {ref.removeprefix('alias:')!r} is not signed: any browser may claim one. "
        f"Let your shop sign it (docs/embedding.md), or name the subscriber by its id: {names}"
    )


def _build_subscription(row: tuple[Any, ...]) -> Subscription:
    values = dict(zip(_FIELDS, row, strict=True))
    values["state"] = SubscriptionState(values["state"])
    values["alias_trusted"] = bool(values["alias_trusted"])
    if values["no_tracking"] is not None:
        values["no_tracking"] = NoTracking(values["no_tracking"])
    if values["worker"] is not None:
        values["worker"] = Worker(values["worker"])
    values["attributes"] = orjson.loads(values["attributes"])
    values["tags"] = tuple(sorted(orjson.loads(values["tags"]), key=fold))
    return Subscription(**values)
