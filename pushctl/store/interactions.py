"""Interactions: reports of browsers about messages. Append-only."""

from typing import NamedTuple

from pushctl.model import InteractionKind, Millis
from pushctl.store.noun import Noun


class Interaction(NamedTuple):
    """One report: shown, clicked (where), or closed."""

    delivery: int
    kind: InteractionKind
    action: str | None
    at: Millis
    dedupe_key: str


class Subject(NamedTuple):
    subscription: int | None  # None: the person was forgotten
    sent_at: Millis


class Interactions(Noun):
    def get_subject(self, delivery: int) -> Subject | None:
        """Return the subject of a report on a delivery, None where there is no such row."""
        sql = "SELECT subscription_id, changed_at FROM deliveries WHERE id = :id"
        row = self._read(sql, id=delivery).fetchone()
        return None if row is None else Subject._make(row)

    def add(self, one: Interaction) -> bool:
        """
        Write a report; return whether it is new.

        A report proves that the message arrived. So the delivery becomes accepted, if it was
        in doubt, in sending (its process died) or planned (it waited for another try).
        """
        sql = """
            INSERT INTO interactions (delivery_id, kind, action, at, dedupe_key)
            VALUES (:delivery, :kind, :action, :at, :dedupe_key)
        """
        known = "SELECT 1 FROM interactions WHERE dedupe_key = :key"
        settle = """
            UPDATE deliveries
               SET status = 'accepted', reason = 'shown', cause = 'shown',
                   next_attempt_at = NULL, changed_at = :at
             WHERE id = :delivery AND status IN ('in_doubt', 'sending', 'planned')
        """
        with self._store.write():
            new = self._read_value(known, key=one.dedupe_key) is None
            if new:
                self._write(sql, **one._asdict())
                self._write(settle, at=one.at, delivery=one.delivery)
            return new

    def list_newest(
        self, subscription: int, limit: int = 100
    ) -> list[tuple[str, str, str | None, Millis]]:
        """Return (campaign, kind, action, at) of a subscription's reports, newest first."""
        sql = """
            SELECT c.name, i.kind, i.action, i.at
              FROM deliveries AS d
              JOIN interactions AS i ON i.delivery_id = d.id
              JOIN campaigns AS c ON c.id = d.campaign_id
             WHERE d.subscription_id = :id ORDER BY i.at DESC, i.id DESC LIMIT :limit
        """
        return self._read(sql, id=subscription, limit=limit).fetchall()
