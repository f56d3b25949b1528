"""Histories: past decisions, messages and events, for reports to people."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import orjson

from pushctl.model import Json, Millis
from pushctl.rules.triggers.changes import Decision
from pushctl.rules.triggers.enrolment import Event
from pushctl.rules.triggers.facts import Sent
from pushctl.rules.triggers.only import Reacted
from pushctl.rules.triggers.rehearsal import PastReaction
from pushctl.store.audience_query import OUTCOMES
from pushctl.store.enrolments import build_event
from pushctl.store.noun import Noun, as_json


class LedgerRow(NamedTuple):
    """A message of one subscription."""

    campaign: int
    name: str  # the campaign's
    trigger: str | None
    status: str
    reason: str | None
    language: str | None  # of the text; None: not rendered yet
    at: Millis  # of its last change
    due_at: Millis | None  # of the next try
    variant: str | None  # of a test
    probability: float | None  # with which it fell to that; None: there was no choice
    delivery: int


class Histories(Noun):
    def list_decisions(
        self, subscription: int, trigger: str | None = None
    ) -> Iterator[Decision]:
        """Yield the decisions about a subscription, oldest first."""
        sql = """
            SELECT trigger, subscription_id, enrolment_id, kind, step, at, until, reason
              FROM decisions
             WHERE subscription_id = :subscription
               AND (:trigger IS NULL OR trigger = :trigger)
             ORDER BY at, id
        """
        rows = self._read(sql, subscription=subscription, trigger=trigger)
        yield from map(Decision._make, rows)

    def list_ledger(self, subscription: int, limit: int) -> list[LedgerRow]:
        """Return a subscription's messages, the newest first."""
        sql = """
            SELECT c.id, c.name, c.trigger, d.status, d.reason, d.language, d.changed_at,
                   d.next_attempt_at, d.variant, d.variant_probability, d.id
              FROM deliveries AS d JOIN campaigns AS c ON c.id = d.campaign_id
             WHERE d.subscription_id = :id ORDER BY d.id DESC LIMIT :limit
        """
        return list(map(LedgerRow._make, self._read(sql, id=subscription, limit=limit)))

    def load_step_messages(self) -> dict[int, str]:
        """Return the campaign of every message that a trigger has sent, by delivery."""
        sql = """
            SELECT d.id, c.name FROM deliveries AS d JOIN campaigns AS c ON c.id = d.campaign_id
             WHERE c.trigger IS NOT NULL AND d.status = 'accepted'
        """
        return dict(self._read(sql))

    def list_entered(self, trigger: str, since: Millis, note: str) -> Iterator[dict[str, Json]]:
        """Yield the enrolments in *trigger* since then, newest first; *note*: a path."""
        sql = """
            SELECT s.public_id, iif(s.alias_trusted, s.alias, NULL) AS alias,
                   e.state, e.sent, e.entered_at, e.context, s.attributes ->> :note AS note
              FROM enrolments AS e JOIN subscriptions AS s ON s.id = e.subscription_id
             WHERE e.trigger = :trigger AND e.entered_at >= :since
             ORDER BY e.entered_at DESC, e.id DESC
        """
        for row in self._read_dicts(sql, trigger=trigger, since=since, note=note):
            yield row | {"context": orjson.loads(row["context"])}

    def list_messages(self, subscriptions: Iterable[int], since: Millis) -> list[Sent]:
        """
        Return the messages of *subscriptions* that went out, or were about to, after *since*.

        What is planned for a time of its own, next Friday's campaign, isn't one yet; a test
        never is.
        """
        sql = """
            SELECT subscription_id, enrolment_id, changed_at, status = 'planned', campaign_id
              FROM deliveries
             WHERE subscription_id IN (SELECT value FROM json_each(:ids))
               AND changed_at > :since
               AND campaign_id NOT IN (SELECT id FROM campaigns WHERE is_test)
               AND NOT EXISTS (SELECT 1 FROM campaigns AS c
                                WHERE c.id = campaign_id AND c.options ->> '$.transactional')
               AND (status IN ('accepted', 'in_doubt', 'sending')
                    OR status = 'planned' AND (next_attempt_at IS NULL OR attempts > 0
                                               OR enrolment_id <> 0))
        """
        return list(map(Sent._make, self._read(sql, ids=as_json(subscriptions), since=since)))

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
                   d.status = 'planned', 0
              FROM deliveries AS d JOIN campaigns AS c ON c.id = d.campaign_id
             WHERE d.subscription_id IN (SELECT value FROM json_each(:ids))
               AND d.enrolment_id > 0
               AND (d.status IN ('accepted', 'in_doubt', 'sending') AND d.changed_at > :since
                    OR d.status = 'planned' AND c.status = 'running'
                       AND coalesce(d.next_attempt_at, 0) <= :until
                       AND coalesce(d.expires_at, :until) > :since)
        """
        ids = as_json(subscriptions)
        return list(map(Sent._make, self._read(sql, ids=ids, since=since, until=until)))

    def list_reactions(self, enrolments: Iterable[int]) -> dict[int, list[Reacted]]:
        """Return what became of the messages of *enrolments*, by their rows."""
        sql = f"""
            WITH messages AS MATERIALIZED (
                SELECT d.id, d.enrolment_id AS enrolment, c.step, c.name, d.status,
                       d.http_status
                  FROM json_each(:ids) AS j
                  JOIN enrolments AS e ON e.id = j.value
                  JOIN campaigns AS c ON c.trigger = e.trigger
                  JOIN deliveries AS d ON d.campaign_id = c.id
                                      AND d.subscription_id = e.subscription_id
                                      AND d.enrolment_id = e.id)
            SELECT m.enrolment, m.step, m.name, i.kind, count(*)
              FROM messages AS m JOIN interactions AS i ON i.delivery_id = m.id
             GROUP BY 1, 2, 3, 4
             UNION ALL
            SELECT d.enrolment, d.step, d.name, 'sent', 1
              FROM messages AS d WHERE {OUTCOMES["sent"]}
             UNION ALL
            SELECT d.enrolment, d.step, d.name, d.status, 1
              FROM messages AS d WHERE d.status IN ('accepted', 'rejected')
        """  # noqa: S608 - our own condition
        found: dict[int, list[Reacted]] = {}
        for enrolment, *reacted in self._read(sql, ids=as_json(enrolments)):
            found.setdefault(enrolment, []).append(Reacted(*reacted))
        return found

    def list_past_events(self, since: Millis) -> Iterator[Event]:
        """Yield all events since then, each subscription's together, in order of time."""
        sql = """
            SELECT id, subscription_id, name, at, properties FROM events
             WHERE at >= :since ORDER BY subscription_id, at, id
        """
        yield from map(build_event, self._read(sql, since=since))

    def list_past_reactions(self, since: Millis) -> dict[int, list[PastReaction]]:
        """Return the reports about messages of triggers' steps, by subscription."""
        sql = """
            SELECT d.subscription_id, c.trigger, c.step, i.kind, i.at
              FROM interactions AS i JOIN deliveries AS d ON d.id = i.delivery_id
              JOIN campaigns AS c ON c.id = d.campaign_id
             WHERE c.trigger IS NOT NULL AND i.at >= :since AND i.kind <> 'shown'
               AND d.subscription_id IS NOT NULL
        """
        found: dict[int, list[PastReaction]] = {}
        for subscription, *reacted in self._read(sql, since=since):
            found.setdefault(subscription, []).append(PastReaction(*reacted))
        return found

    def count_sent(self, since: Millis, until: Millis) -> dict[str, int]:
        """Return how many messages of each trigger's step went out between two times."""
        sql = """
            SELECT c.name, count(*) FROM deliveries AS d
              JOIN campaigns AS c ON c.id = d.campaign_id
             WHERE c.trigger IS NOT NULL AND d.changed_at >= :since AND d.changed_at <= :until
               AND d.status IN ('accepted', 'in_doubt')
             GROUP BY c.name
        """
        return dict(self._read(sql, since=since, until=until))
