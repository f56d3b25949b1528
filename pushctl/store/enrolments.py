"""
Enrolments: each walk of a subscription through a trigger, and why it went as it went.

``decisions`` is append-only: one row for each thing decided. What a walk is now stands
in its own row; both change in one transaction.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import orjson

from pushctl.model import Json, Millis
from pushctl.rules.triggers.enrolment import Enrolment, Event, State

if TYPE_CHECKING:
    from pushctl.store import Store

_COLUMNS = """e.id, e.trigger, e.subscription_id, e.occurrence, e.entered_at, e.state, e.step,
    e.sent, e.accepted_at, e.shown_at, e.next_at, e.context"""

_WHO = """s.id, s.public_id, t.name, s.timezone, s.state, s.last_seen_at, s.alias,
    s.alias_trusted, s.site_id"""


class Decision(NamedTuple):
    """One thing that was decided about a subscription, and why."""

    trigger: str
    subscription: int
    enrolment: int | None
    kind: str  # entered, restarted, refused, deliver, hold, skip, expire, cancel, finish
    step: int | None
    at: Millis
    until: Millis | None
    reason: str


class Planned(NamedTuple):
    """A message that a walk is due: becomes a row of the ledger."""

    campaign: int
    subscription: int
    enrolment: int
    variant: str | None
    expires_at: Millis


@dataclass(frozen=True, slots=True)
class Who:
    """The columns of a subscription that deciding takes."""

    subscription: int
    public_id: str
    site: str
    timezone: str | None
    active: bool
    last_seen_at: Millis
    # All subscriptions that count as the same person: one alias that the shop signed.
    alias: str | None
    site_id: int

    @property
    def key(self) -> str:
        """Return a name that all subscriptions of one person and site share."""
        return f"{self.site_id}:{self.alias}" if self.alias else f"#{self.subscription}"


class Enrolments:
    def __init__(self, store: "Store") -> None:
        self._store = store

    # --- reading ---------------------------------------------------------------------

    def due(
        self, now: Millis, limit: int, skip: Collection[str] = ()
    ) -> list[tuple[Enrolment, Who]]:
        """Return up to *limit* active walks to look at, the longest due first."""
        sql = f"""
            SELECT {_COLUMNS}, {_WHO}
              FROM enrolments AS e
              JOIN subscriptions AS s ON s.id = e.subscription_id
              JOIN sites AS t ON t.id = s.site_id
             WHERE e.state = 'active' AND e.next_at <= :now
               AND e.trigger NOT IN (SELECT value FROM json_each(:skip))
             ORDER BY e.next_at LIMIT :limit
        """  # noqa: S608
        values = {"now": now, "limit": limit, "skip": orjson.dumps(list(skip)).decode()}
        rows = self._store.connection.execute(sql, values)
        return [(_enrolment(row[:12]), _who(row[12:])) for row in rows]

    def latest(self, trigger: str, subscriptions: Collection[int]) -> Enrolment | None:
        """Return the newest walk of *subscriptions* through *trigger*; an active one first."""
        sql = f"""
            SELECT {_COLUMNS} FROM enrolments AS e
             WHERE e.subscription_id IN (SELECT value FROM json_each(:ids))
               AND e.trigger = :trigger
             ORDER BY e.state = 'active' DESC, e.entered_at DESC, e.id DESC LIMIT 1
        """  # noqa: S608
        values = {"trigger": trigger, "ids": orjson.dumps(list(subscriptions)).decode()}
        row = self._store.connection.execute(sql, values).fetchone()
        return None if row is None else _enrolment(row)

    def knows(self, trigger: str, subscriptions: Collection[int], occurrence: str) -> bool:
        """Say whether something has begun a walk of one of *subscriptions* already."""
        sql = """
            SELECT 1 FROM enrolments
             WHERE trigger = :trigger AND occurrence = :occurrence
               AND subscription_id IN (SELECT value FROM json_each(:ids)) LIMIT 1
        """
        ids = orjson.dumps(list(subscriptions)).decode()
        values = {"trigger": trigger, "occurrence": occurrence, "ids": ids}
        return self._store.connection.execute(sql, values).fetchone() is not None

    def last_seen(self, subscriptions: Collection[int]) -> Millis:
        """Return when one of *subscriptions* was seen last."""
        sql = """
            SELECT coalesce(max(last_seen_at), 0) FROM subscriptions
             WHERE id IN (SELECT value FROM json_each(:ids))
        """
        ids = orjson.dumps(list(subscriptions)).decode()
        return int(self._store.connection.execute(sql, {"ids": ids}).fetchone()[0])

    def get(self, enrolment: int) -> Enrolment | None:
        sql = f"SELECT {_COLUMNS} FROM enrolments AS e WHERE e.id = :id"  # noqa: S608
        row = self._store.connection.execute(sql, {"id": enrolment}).fetchone()
        return None if row is None else _enrolment(row)

    def active_of(self, subscriptions: Collection[int]) -> list[Enrolment]:
        """Return the active walks of these subscriptions."""
        sql = f"""
            SELECT {_COLUMNS} FROM enrolments AS e
             WHERE e.state = 'active'
               AND e.subscription_id IN (SELECT value FROM json_each(:ids))
        """  # noqa: S608
        return self._several(sql, {"ids": orjson.dumps(list(subscriptions)).decode()})

    def of(self, subscription: int, trigger: str | None = None) -> list[Enrolment]:
        """Return all walks of a subscription, oldest first."""
        sql = f"""
            SELECT {_COLUMNS} FROM enrolments AS e
             WHERE e.subscription_id = :subscription
               AND (:trigger IS NULL OR e.trigger = :trigger)
             ORDER BY e.entered_at, e.id
        """  # noqa: S608
        return self._several(sql, {"subscription": subscription, "trigger": trigger})

    def without(self, triggers: Collection[str]) -> list[Enrolment]:
        """Return the active walks of triggers other than *triggers*: nobody leads them."""
        sql = f"""
            SELECT {_COLUMNS} FROM enrolments AS e
             WHERE e.state = 'active' AND e.trigger NOT IN (SELECT value FROM json_each(:names))
        """  # noqa: S608
        return self._several(sql, {"names": orjson.dumps(list(triggers)).decode()})

    def who(self, subscription: int) -> Who | None:
        sql = f"""
            SELECT {_WHO} FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id
             WHERE s.id = :id
        """  # noqa: S608
        row = self._store.connection.execute(sql, {"id": subscription}).fetchone()
        return None if row is None else _who(row)

    def same_person(self, who: Who) -> list[int]:
        """Return the rows of all subscriptions of the person, its own included."""
        if who.alias is None:
            return [who.subscription]
        sql = """
            SELECT id FROM subscriptions
             WHERE alias = :alias AND alias_trusted AND site_id = :site
        """
        values = {"alias": who.alias, "site": who.site_id}
        return [row for (row,) in self._store.connection.execute(sql, values)]

    def events_of(
        self, subscriptions: Sequence[int], names: Collection[str], since: Millis
    ) -> list[Event]:
        """Return these people's events called *names* from *since* on."""
        sql = """
            SELECT id, subscription_id, name, at, properties FROM events
             WHERE subscription_id = ? AND name = ? AND at >= ?
        """
        execute = self._store.connection.execute
        return [
            event(row)
            for subscription in subscriptions
            for name in names
            for row in execute(sql, (subscription, name, since))
        ]

    def new_events(self, after: int, limit: int) -> list[Event]:
        """Return up to *limit* events behind row *after*, in the order they were received."""
        sql = """
            SELECT id, subscription_id, name, min(at, received_at), properties FROM events
             WHERE id > :after ORDER BY id LIMIT :limit
        """
        rows = self._store.connection.execute(sql, {"after": after, "limit": limit})
        return [event(row) for row in rows]

    def new_shown(self, after: int) -> tuple[int, list[tuple[int, int, Millis]]]:
        """
        Return the newest report behind row *after*, and what was shown of whose step:
        (enrolment, step, time).
        """
        sql = """
            SELECT d.enrolment_id, c.step, min(i.at)
              FROM interactions AS i
              JOIN deliveries AS d ON d.id = i.delivery_id
              JOIN campaigns AS c ON c.id = d.campaign_id
             WHERE i.id > :after AND i.id <= :last AND d.enrolment_id <> 0
             GROUP BY 1, 2
        """
        (last,) = self._store.connection.execute(
            "SELECT coalesce(max(id), 0) FROM interactions"
        ).fetchone()
        values = {"after": after, "last": last}
        return last, self._store.connection.execute(sql, values).fetchall()

    def just_accepted(self, trigger: str) -> list[tuple[int, int, Millis]]:
        """Return (walk, step, time) of messages that were taken, and no walk knows it yet."""
        sql = """
            SELECT e.id, e.sent, d.changed_at
              FROM enrolments AS e
              JOIN campaigns AS c ON c.trigger = e.trigger AND c.step = e.sent
              JOIN deliveries AS d ON d.campaign_id = c.id
                                  AND d.subscription_id = e.subscription_id
                                  AND d.enrolment_id = e.id
             WHERE e.trigger = :trigger AND e.state = 'active' AND e.sent > 0
               AND e.accepted_at IS NULL AND d.status = 'accepted'
        """
        return self._store.connection.execute(sql, {"trigger": trigger}).fetchall()

    def contexts(self, ids: Collection[int]) -> dict[int, Mapping[str, Json]]:
        """Return what each walk's messages may speak of: cart, event, promo, ..."""
        sql = """
            SELECT id, context FROM enrolments
             WHERE id IN (SELECT value FROM json_each(:ids))
        """
        rows = self._store.connection.execute(sql, {"ids": orjson.dumps(list(ids)).decode()})
        return {row: orjson.loads(context) for row, context in rows}

    def last_word(self, trigger: str, subscription: int) -> str | None:
        """Return the reason of the latest decision about a subscription and trigger."""
        sql = """
            SELECT reason FROM decisions
             WHERE subscription_id = :subscription AND trigger = :trigger
             ORDER BY at DESC, id DESC LIMIT 1
        """
        values = {"subscription": subscription, "trigger": trigger}
        row = self._store.connection.execute(sql, values).fetchone()
        return None if row is None else str(row[0])

    # --- writing ---------------------------------------------------------------------

    def add(self, enrolment: Enrolment, now: Millis, reason: str) -> int | None:
        """Write a new walk and return its row; None when its cause already had one."""
        sql = """
            INSERT INTO enrolments (trigger, subscription_id, occurrence, state, step, sent,
                                    entered_at, next_at, context, changed_at, reason)
            VALUES (:trigger, :subscription, :occurrence, :state, :step, :sent, :entered_at,
                    :next_at, :context, :now, :reason)
            ON CONFLICT DO NOTHING
        """
        values = _values(enrolment) | {"now": now, "reason": reason}
        with self._store.write() as connection:
            cursor = connection.execute(sql, values)
            return cursor.lastrowid if cursor.rowcount == 1 else None

    def save(self, enrolments: Iterable[tuple[Enrolment, str]], now: Millis) -> None:
        """Write what walks have become, each with the reason."""
        sql = """
            UPDATE enrolments
               SET occurrence = :occurrence, state = :state, step = :step, sent = :sent,
                   entered_at = :entered_at, accepted_at = :accepted_at,
                   shown_at = :shown_at, next_at = :next_at, context = :context,
                   changed_at = :now, reason = :reason
             WHERE id = :id
        """
        rows = (_values(one) | {"now": now, "reason": reason} for one, reason in enrolments)
        with self._store.write() as connection:
            connection.executemany(sql, rows)

    def supersede(self, enrolment: int, reason: str, now: Millis) -> None:
        """End a walk because a newer one of the same person begins."""
        sql = """
            UPDATE enrolments
               SET state = 'superseded', next_at = NULL, changed_at = :now, reason = :reason
             WHERE id = :id AND state = 'active'
        """
        with self._store.write() as connection:
            connection.execute(sql, {"id": enrolment, "reason": reason, "now": now})

    def decide(self, decisions: Iterable[Decision]) -> None:
        sql = """
            INSERT INTO decisions (trigger, subscription_id, enrolment_id, kind, step, at,
                                   until, reason)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """
        with self._store.write() as connection:
            connection.executemany(sql, decisions)

    def plan(self, messages: Iterable[Planned], now: Millis) -> None:
        """Put due messages into the ledger: at most one a campaign, person and walk."""
        sql = """
            INSERT INTO deliveries (campaign_id, subscription_id, enrolment_id, variant,
                                    expires_at, changed_at)
            VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT DO NOTHING
        """
        with self._store.write() as connection:
            connection.executemany(sql, ((*message, now) for message in messages))

    def withdraw(self, ids: Sequence[int], reason: str, now: Millis) -> int:
        """Skip what these walks still have planned; return how many messages that was."""
        sql = """
            UPDATE deliveries
               SET status = 'skipped', reason = :reason, cause = 'enrolment_ended',
                   changed_at = :now
             WHERE subscription_id = (SELECT subscription_id FROM enrolments WHERE id = :id)
               AND enrolment_id = :id AND status = 'planned'
        """
        with self._store.write() as connection:
            rows = [{"id": one, "reason": reason, "now": now} for one in ids]
            return connection.executemany(sql, rows).rowcount

    def _several(self, sql: str, values: Mapping[str, Json]) -> list[Enrolment]:
        return [_enrolment(row) for row in self._store.connection.execute(sql, values)]


def _enrolment(row: Sequence[Json]) -> Enrolment:
    return Enrolment(
        id=row[0],
        trigger=row[1],
        subscription=row[2],
        occurrence=row[3],
        entered_at=row[4],
        state=State(row[5]),
        step=row[6],
        sent=row[7],
        accepted_at=row[8],
        shown_at=row[9],
        next_at=row[10],
        context=orjson.loads(row[11]),
    )


def _values(enrolment: Enrolment) -> dict[str, Json]:
    return {
        "id": enrolment.id,
        "trigger": enrolment.trigger,
        "subscription": enrolment.subscription,
        "occurrence": enrolment.occurrence,
        "entered_at": enrolment.entered_at,
        "state": enrolment.state.value,
        "step": enrolment.step,
        "sent": enrolment.sent,
        "accepted_at": enrolment.accepted_at,
        "shown_at": enrolment.shown_at,
        "next_at": enrolment.next_at,
        "context": orjson.dumps(enrolment.context).decode(),
    }


def _who(row: Sequence[Json]) -> Who:
    trusted = row[6] if row[7] else None
    return Who(row[0], row[1], row[2], row[3], row[4] == "active", row[5], trusted, row[8])


def event(row: Sequence[Json]) -> Event:
    return Event(row[0], row[1], row[2], row[3], orjson.loads(row[4]))
