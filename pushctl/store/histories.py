"""Histories: what was decided and sent, read back for people."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import orjson

from pushctl.model import Json, Millis
from pushctl.rules.triggers.changes import Decision
from pushctl.rules.triggers.enrolment import Event
from pushctl.rules.triggers.facts import Sent
from pushctl.store.enrolments import event

if TYPE_CHECKING:
    from pushctl.store import Store


class Histories:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def decisions(self, subscription: int, trigger: str | None = None) -> Iterator[Decision]:
        """Yield what was decided about a subscription, oldest first."""
        sql = """
            SELECT trigger, subscription_id, enrolment_id, kind, step, at, until, reason
              FROM decisions
             WHERE subscription_id = :subscription
               AND (:trigger IS NULL OR trigger = :trigger)
             ORDER BY at, id
        """
        values = {"subscription": subscription, "trigger": trigger}
        for row in self._store.connection.execute(sql, values):
            yield Decision._make(row)

    def ledger(
        self, subscription: int, limit: int
    ) -> list[tuple[str, str | None, str, str | None, Millis]]:
        """Return (campaign, trigger, status, reason, time) of a subscription's messages."""
        sql = """
            SELECT c.name, c.trigger, d.status, d.reason, d.changed_at
              FROM deliveries AS d JOIN campaigns AS c ON c.id = d.campaign_id
             WHERE d.subscription_id = :id ORDER BY d.id DESC LIMIT :limit
        """
        values = {"id": subscription, "limit": limit}
        return self._store.connection.execute(sql, values).fetchall()

    def steps_sent(self) -> dict[int, str]:
        """Return the campaign of every message that a trigger has sent, by delivery."""
        sql = """
            SELECT d.id, c.name FROM deliveries AS d JOIN campaigns AS c ON c.id = d.campaign_id
             WHERE c.trigger IS NOT NULL AND d.status = 'accepted'
        """
        return dict(self._store.connection.execute(sql))

    def reached(self, trigger: str, since: Millis, note: str) -> Iterator[dict[str, Json]]:
        """Yield who entered *trigger* since then, newest first; *note* a path in attributes."""
        sql = """
            SELECT s.public_id, s.alias, e.state, e.sent, e.entered_at, e.context,
                   s.attributes ->> :note
              FROM enrolments AS e JOIN subscriptions AS s ON s.id = e.subscription_id
             WHERE e.trigger = :trigger AND e.entered_at >= :since
             ORDER BY e.entered_at DESC, e.id DESC
        """
        names = ("public_id", "alias", "state", "sent", "entered_at", "context", "note")
        values = {"trigger": trigger, "since": since, "note": note}
        for row in self._store.connection.execute(sql, values):
            yield dict(zip(names, row, strict=True)) | {"context": orjson.loads(row[5])}

    def list_messages(self, subscriptions: Iterable[int], since: Millis) -> list[Sent]:
        """
        Return the messages of *subscriptions* that went out, or were about to, after *since*.

        What is planned for a time of its own, next Friday's campaign, isn't one yet.
        """
        sql = """
            SELECT subscription_id, enrolment_id, changed_at, status = 'planned'
              FROM deliveries
             WHERE subscription_id IN (SELECT value FROM json_each(:ids))
               AND changed_at > :since
               AND (status IN ('accepted', 'in_doubt', 'sending')
                    OR status = 'planned' AND (next_attempt_at IS NULL OR attempts > 0
                                               OR enrolment_id <> 0))
        """
        values = {"ids": orjson.dumps(list(subscriptions)).decode(), "since": since}
        return list(map(Sent._make, self._store.connection.execute(sql, values)))

    def list_enrolment_messages(
        self, subscriptions: Iterable[int], since: Millis, until: Millis
    ) -> list[Sent]:
        """
        Return the messages of enrolments to *subscriptions* after *since*.

        A message that waits for a second try, or for the night's end, counts where that
        comes by *until*; one that is overdue goes out any moment.
        """
        sql = """
            SELECT d.subscription_id, d.enrolment_id,
                   iif(d.status = 'planned',
                       max(coalesce(d.next_attempt_at, d.changed_at), :since + 1),
                       d.changed_at),
                   d.status = 'planned'
              FROM deliveries AS d JOIN campaigns AS c ON c.id = d.campaign_id
             WHERE d.subscription_id IN (SELECT value FROM json_each(:ids))
               AND d.enrolment_id <> 0
               AND (d.status IN ('accepted', 'in_doubt', 'sending') AND d.changed_at > :since
                    OR d.status = 'planned' AND c.status = 'running'
                       AND coalesce(d.next_attempt_at, 0) <= :until
                       AND coalesce(d.expires_at, :until) > :since)
        """
        ids = orjson.dumps(list(subscriptions)).decode()
        values = {"ids": ids, "since": since, "until": until}
        return list(map(Sent._make, self._store.connection.execute(sql, values)))

    def past_events(self, since: Millis) -> Iterator[Event]:
        """Yield all events since then, each subscription's together, in order of time."""
        sql = """
            SELECT id, subscription_id, name, at, properties FROM events
             WHERE at >= :since ORDER BY subscription_id, at, id
        """
        for row in self._store.connection.execute(sql, {"since": since}):
            yield event(row)

    def went_out(self, since: Millis, until: Millis) -> dict[str, int]:
        """Return how many messages of each trigger's step went out between two times."""
        sql = """
            SELECT c.name, count(*) FROM deliveries AS d
              JOIN campaigns AS c ON c.id = d.campaign_id
             WHERE c.trigger IS NOT NULL AND d.changed_at >= :since AND d.changed_at <= :until
               AND d.status IN ('accepted', 'in_doubt')
             GROUP BY c.name
        """
        return dict(self._store.connection.execute(sql, {"since": since, "until": until}))
