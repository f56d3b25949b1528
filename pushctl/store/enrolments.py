"""
Enrolments: the progress of subscriptions through triggers, and the decisions about it.

``decisions`` is append-only. The present state of an enrolment is in its own row; both
change in one transaction.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace

import orjson

from pushctl.model import Json, Millis
from pushctl.rules.shops import cart
from pushctl.rules.triggers.changes import Decision
from pushctl.rules.triggers.enrolment import Enrolment, Event, State
from pushctl.rules.triggers.facts import Device
from pushctl.store.noun import Noun, as_json

_FIELDS = tuple(field.name for field in fields(Enrolment))
# In the order of _FIELDS.
_COLUMNS = """e.id, e.trigger, e.subscription_id, e.occurrence, e.entered_at, e.state, e.step,
    e.sent, e.accepted_at, e.shown_at, e.next_at, e.context, e.reached"""

Cause = tuple[str, int, str]  # trigger, subscription, occurrence


# campaign, subscription, enrolment, expires at, variant and the probabilities of its arm and
# of the control groups; None: no such choice was made. At last: why it is skipped
PlannedMessage = tuple[
    int,
    int,
    int,
    Millis | None,
    str | None,
    float | None,
    float | None,
    tuple[str, str] | None,
]


class Enrolments(Noun):
    def list_due(self, now: Millis, limit: int, skip: Collection[str] = ()) -> list[Enrolment]:
        """Return up to *limit* active enrolments that are due, the longest due first."""
        sql = f"""
            SELECT {_COLUMNS} FROM enrolments AS e
             WHERE e.state = 'active' AND e.next_at <= :now
               AND e.trigger NOT IN (SELECT value FROM json_each(:skip))
             ORDER BY e.next_at LIMIT :limit
        """  # noqa: S608
        return self._list(sql, {"now": now, "limit": limit, "skip": as_json(skip)})

    def list_newest(self, subscriptions: Iterable[int]) -> list[Enrolment]:
        """Return the active and the newest other enrolment of each subscription and trigger."""
        sql = f"""
            SELECT {_COLUMNS} FROM enrolments AS e WHERE e.id IN (
                SELECT id FROM (
                    SELECT n.id, row_number() OVER (
                               PARTITION BY n.subscription_id, n.trigger, n.state = 'active'
                               ORDER BY n.entered_at DESC, n.id DESC) AS age
                      FROM enrolments AS n
                     WHERE n.subscription_id IN (SELECT value FROM json_each(:ids)))
                 WHERE age = 1)
             ORDER BY e.subscription_id, e.trigger
        """  # noqa: S608
        return self._list(sql, {"ids": as_json(subscriptions)})

    def find_causes(self, asked: Iterable[Cause]) -> set[Cause]:
        """Return which of *asked* have begun an enrolment already."""
        sql = """
            SELECT e.trigger, e.subscription_id, e.occurrence
              FROM json_each(:asked) AS a CROSS JOIN enrolments AS e
             WHERE e.trigger = a.value ->> 0 AND e.subscription_id = a.value ->> 1
               AND e.occurrence = a.value ->> 2
        """
        return set(self._read(sql, asked=as_json(asked)))

    def get_many(self, ids: Iterable[int]) -> dict[int, Enrolment]:
        """Return the enrolments that exist, by id."""
        sql = f"""
            SELECT {_COLUMNS} FROM enrolments AS e
             WHERE e.id IN (SELECT value FROM json_each(:ids))
        """  # noqa: S608
        return {one.id: one for one in self._list(sql, {"ids": as_json(ids)})}

    def list_active(self, subscription: int) -> list[Enrolment]:
        """Return the active enrolments of a subscription."""
        sql = f"""
            SELECT {_COLUMNS} FROM enrolments AS e
             WHERE e.state = 'active' AND e.subscription_id = :subscription
        """  # noqa: S608
        return self._list(sql, {"subscription": subscription})

    def list_all(self, subscription: int, trigger: str | None = None) -> list[Enrolment]:
        """Return all enrolments of a subscription, oldest first."""
        sql = f"""
            SELECT {_COLUMNS} FROM enrolments AS e
             WHERE e.subscription_id = :subscription
               AND (:trigger IS NULL OR e.trigger = :trigger)
             ORDER BY e.entered_at, e.id
        """  # noqa: S608
        return self._list(sql, {"subscription": subscription, "trigger": trigger})

    def list_without(self, triggers: Collection[str]) -> list[Enrolment]:
        """Return the active enrolments in triggers other than *triggers*."""
        sql = f"""
            SELECT {_COLUMNS} FROM enrolments AS e
             WHERE e.state = 'active' AND e.trigger NOT IN (SELECT value FROM json_each(:names))
        """  # noqa: S608
        return self._list(sql, {"names": as_json(triggers)})

    def list_devices(self, subscriptions: Iterable[int]) -> list[Device]:
        """
        Return these subscriptions, and all others of the same persons.

        A person is a signed alias; who has none, and the hash of an address, is the person of
        the alias with that hash, else all who have it.
        """
        alias = """
            coalesce(iif({0}.alias_trusted, {0}.alias, NULL),
                     (SELECT min(q.alias) FROM subscriptions AS q
                       WHERE q.email_hash = {0}.email_hash AND q.site_id = {0}.site_id
                         AND q.alias_trusted))
        """
        sql = f"""
            WITH asked AS (
                SELECT p.id, p.site_id, {alias.format("p")} AS alias
                  FROM json_each(:ids) AS a JOIN subscriptions AS p ON p.id = a.value
            ), signed AS (
                SELECT id FROM asked
                 UNION
                SELECT o.id FROM asked AS p
                  JOIN subscriptions AS o ON o.alias = p.alias AND o.site_id = p.site_id
                 WHERE o.alias_trusted
            )
            SELECT s.id, s.public_id, t.name, s.timezone, s.state = 'active', s.last_seen_at,
                   coalesce({alias.format("s")}, nullif('@' || lower(hex(s.email_hash)), '@')),
                   s.site_id
              FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id
             WHERE s.id IN (
                   SELECT id FROM signed
                    UNION
                   SELECT o.id FROM signed CROSS JOIN subscriptions AS p ON p.id = signed.id
                     JOIN subscriptions AS o
                       ON o.email_hash = p.email_hash AND o.site_id = p.site_id
                    WHERE NOT o.alias_trusted)
        """  # noqa: S608
        return [Device(*row) for row in self._read(sql, ids=as_json(subscriptions))]

    def load_public_ids(self, subscriptions: Iterable[int]) -> dict[int, tuple[str, bool]]:
        """Return the public id of each, and whether it may have other devices of its person."""
        sql = """
            SELECT s.id, s.public_id, s.alias_trusted OR s.email_hash IS NOT NULL
              FROM json_each(:ids) AS j JOIN subscriptions AS s ON s.id = j.value
        """
        rows = self._read(sql, ids=as_json(subscriptions))
        return {row: (public_id, bool(several)) for row, public_id, several in rows}

    def list_events(self, wanted: Iterable[tuple[int, str, Millis]]) -> Iterator[Event]:
        """
        Yield the events of each (subscription, name, since) in *wanted*.

        They come without their properties, but for updates of a basket.
        """
        sql = """
            SELECT e.id, e.subscription_id, e.name, e.at,
                   iif(e.name = :updated, e.properties, '{}')
              FROM json_each(:wanted) AS w CROSS JOIN events AS e
             WHERE e.subscription_id = w.value ->> 0 AND e.name = w.value ->> 1
               AND e.at >= w.value ->> 2
        """
        return map(build_event, self._read(sql, wanted=as_json(wanted), updated=cart.UPDATED))

    def list_new_events(
        self, after: int, limit: int, late: Millis, stops: Collection[str]
    ) -> tuple[list[Event], int]:
        """
        Return up to *limit* events behind row *after*, in the order they were received, and
        the last row that was read for them.

        Events that were told *late* only end something: others than *stops* are left out.
        """
        sql = """
            SELECT id, subscription_id, name, min(at, received_at), properties,
                   received_at - at > :late
              FROM events
             WHERE id > :after
               AND (received_at - at <= :late
                    OR name IN (SELECT value FROM json_each(:stops)))
             ORDER BY id LIMIT :limit
        """
        rows = self._read(
            sql, after=after, limit=limit, late=late, stops=as_json(stops)
        ).fetchall()
        events = [replace(build_event(row), late=bool(row[5])) for row in rows]
        if len(events) == limit:
            return events, events[-1].id
        last = self._read_value("SELECT max(:after, max(id)) FROM events", after=after)
        return events, last or after

    def get_last_taken(self) -> int:
        """Return the row of the last event that a sweep has taken."""
        known = self._read_value("SELECT value FROM meta WHERE key = 'sweep.events'")
        return int(known or 0)

    def list_ends(
        self, after: int, names: Collection[str]
    ) -> tuple[int, list[tuple[int, str, Millis]]]:
        """
        Return the newest event's row, and the events called one of *names* behind *after*.

        The latter as (subscription, name, time).
        """
        last = self._read_value("SELECT coalesce(max(id), 0) FROM events")
        if last <= after:
            return after, []
        sql = """
            SELECT id, subscription_id, name, min(at, received_at), properties FROM events
             WHERE id > :after AND id <= :last
               AND name IN (SELECT value FROM json_each(:names))
        """
        # An emptied basket may come as an update of it.
        asked = {*names, *((cart.UPDATED,) if cart.EMPTIED in names else ())}
        events = map(build_event, self._read(sql, after=after, last=last, names=as_json(asked)))
        named = ((one, cart.meaning(one.name, one.properties)) for one in events)
        return last, [(one.subscription, name, one.at) for one, name in named if name in names]

    def list_entries(self, deliveries: Iterable[int]) -> dict[int, Millis]:
        """Return when the enrolment of each of *deliveries* began, where there is one."""
        sql = """
            SELECT d.id, e.entered_at
              FROM json_each(:ids) AS a CROSS JOIN deliveries AS d ON d.id = a.value
              JOIN enrolments AS e ON e.id = d.enrolment_id
                                  AND e.subscription_id = d.subscription_id
        """
        return dict(self._read(sql, ids=as_json(deliveries)).fetchall())

    def list_shown(self, after: int) -> tuple[int, list[tuple[int, int, Millis]]]:
        """
        Return the id of the newest report, and the first "shown" of each step since *after*.

        The latter as (enrolment, step, time), where the message was for the enrolment's person.
        """
        sql = """
            SELECT d.enrolment_id, c.step, min(i.at)
              FROM interactions AS i
              JOIN deliveries AS d ON d.id = i.delivery_id
              JOIN campaigns AS c ON c.id = d.campaign_id
              JOIN enrolments AS e ON e.id = d.enrolment_id
                                  AND e.subscription_id = d.subscription_id
             WHERE i.id > :after AND i.id <= :last
             GROUP BY 1, 2
        """
        last = self._read_value(
            "SELECT max(:after, coalesce(max(id), 0)) FROM interactions", after=after
        )
        return last, self._read(sql, after=after, last=last).fetchall()

    def list_accepted(self, triggers: Iterable[str]) -> list[tuple[int, int, Millis]]:
        """Return (enrolment, step, time) of accepted messages not yet noted in enrolments."""
        sql = """
            SELECT e.id, e.sent, d.changed_at
              FROM enrolments AS e
              JOIN campaigns AS c ON c.trigger = e.trigger AND c.step = e.sent
              JOIN deliveries AS d ON d.campaign_id = c.id
                                  AND d.subscription_id = e.subscription_id
                                  AND d.enrolment_id = e.id
             WHERE e.trigger IN (SELECT value FROM json_each(:triggers))
               AND e.state = 'active' AND e.sent > 0
               AND e.accepted_at IS NULL AND d.status = 'accepted'
        """
        return self._read(sql, triggers=as_json(triggers)).fetchall()

    def find_first_decision(self, enrolment: Enrolment, kind: str) -> Millis | None:
        """Return when the first decision of a kind was made since the enrolment began."""
        sql = """
            SELECT min(at) FROM decisions
             WHERE subscription_id = :subscription AND at >= :since
               AND enrolment_id = :id AND kind = :kind
        """
        asked = {"id": enrolment.id, "since": enrolment.entered_at, "kind": kind}
        found: Millis | None = self._read_value(
            sql, subscription=enrolment.subscription, **asked
        )
        return found

    def load_contexts(self, asked: Iterable[tuple[int, int]]) -> dict[int, Mapping[str, Json]]:
        """Return the context of each (enrolment, subscription): cart, event, ..."""
        sql = """
            SELECT e.id, e.context
              FROM json_each(:asked) AS a CROSS JOIN enrolments AS e
             WHERE e.id = a.value ->> 0 AND e.subscription_id = a.value ->> 1
        """
        rows = self._read(sql, asked=as_json(asked))
        return {row: orjson.loads(context) for row, context in rows}

    def find_reasons(
        self, asked: Iterable[tuple[str, int]]
    ) -> dict[tuple[str, int], tuple[Millis, str]]:
        """Return time and reason of the latest decision for each (trigger, subscription)."""
        sql = """
            SELECT d.trigger, d.subscription_id, d.at, d.reason
              FROM json_each(:asked) AS a CROSS JOIN decisions AS d
             WHERE d.id = (SELECT id FROM decisions
                            WHERE subscription_id = a.value ->> 1 AND trigger = a.value ->> 0
                            ORDER BY at DESC, id DESC LIMIT 1)
        """
        rows = self._read(sql, asked=as_json(asked))
        return {(trigger, one): (at, reason) for trigger, one, at, reason in rows}

    def add(self, enrolment: Enrolment, now: Millis, reason: str) -> int:
        """Write a new enrolment and return its row."""
        sql = """
            INSERT INTO enrolments (trigger, subscription_id, occurrence, state, step, sent,
                                    entered_at, next_at, context, changed_at, reason)
            VALUES (:trigger, :subscription, :occurrence, :state, :step, :sent, :entered_at,
                    :next_at, :context, :now, :reason)
            RETURNING id
        """
        values = _to_values(enrolment) | {"now": now, "reason": reason}
        return self._insert(sql, **values)

    def save(self, enrolments: Iterable[tuple[Enrolment, str]], now: Millis) -> None:
        """Update enrolments, each with the reason."""
        sql = """
            UPDATE enrolments
               SET occurrence = :occurrence, state = :state, step = :step, sent = :sent,
                   entered_at = :entered_at, accepted_at = :accepted_at,
                   shown_at = :shown_at, next_at = :next_at, context = :context,
                   reached = :reached, changed_at = :now, reason = :reason
             WHERE id = :id
        """
        rows = (_to_values(one) | {"now": now, "reason": reason} for one, reason in enrolments)
        self._write_each(sql, rows)

    def add_decisions(self, decisions: Iterable[Decision]) -> None:
        sql = """
            INSERT INTO decisions (trigger, subscription_id, enrolment_id, kind, step, at,
                                   until, reason)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """
        self._write_each(sql, decisions)

    def plan(self, messages: Iterable[PlannedMessage], now: Millis) -> None:
        """
        Put due messages into the ledger.

        There is at most one a campaign, person and enrolment.
        """
        sql = """
            INSERT INTO deliveries (campaign_id, subscription_id, enrolment_id, expires_at,
                                    variant, variant_probability, holdout_probability,
                                    status, reason, cause, changed_at)
            VALUES {rows} ON CONFLICT DO NOTHING
        """
        rows = (
            (*row, "skipped" if ended else "planned", *(ended or (None, None)), now)
            for *row, ended in messages
        )
        self._insert_many(sql, rows)

    def withdraw(self, rows: Iterable[tuple[int, str]], now: Millis) -> None:
        """Skip the planned messages of (enrolment, reason)."""
        # By few statements: see ``Noun._insert_many``.
        sql = """
            UPDATE deliveries
               SET status = 'skipped', reason = :reason, cause = 'enrolment_ended',
                   changed_at = :now
             WHERE id IN (SELECT d.id
                            FROM json_each(:ids) AS j
                           CROSS JOIN enrolments AS e ON e.id = j.value
                           CROSS JOIN deliveries AS d ON d.subscription_id = e.subscription_id
                           WHERE d.enrolment_id = e.id AND d.status = 'planned')
        """
        withdrawn: dict[str, list[int]] = {}
        for one, why in rows:
            withdrawn.setdefault(why, []).append(one)
        for why, ids in withdrawn.items():
            self._write(sql, ids=as_json(ids), reason=why, now=now)

    def _list(self, sql: str, values: Mapping[str, Json]) -> list[Enrolment]:
        return [_build_enrolment(row) for row in self._read(sql, **values)]


def _build_enrolment(row: Sequence[Json]) -> Enrolment:
    values = [*row[:5], State(row[5]), *row[6:11], orjson.loads(row[11]), row[12]]
    return Enrolment(*values)


def _to_values(enrolment: Enrolment) -> dict[str, Json]:
    values = {name: getattr(enrolment, name) for name in _FIELDS}
    context = orjson.dumps(enrolment.context).decode()
    return values | {"state": enrolment.state.value, "context": context}


def build_event(row: Sequence[Json]) -> Event:
    return Event(row[0], row[1], row[2], row[3], orjson.loads(row[4]))
