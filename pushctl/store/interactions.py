"""Interactions: reports of browsers about messages. Append-only."""

from typing import NamedTuple

from pushctl.model import Cause, InteractionKind, Millis
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
    may_be_of_api: bool  # no trigger's step, so perhaps a message of the API


class Interactions(Noun):
    def get_subject(self, delivery: int) -> Subject | None:
        """Return the subject of a report on a delivery, None where there is no such row."""
        sql = """
            SELECT subscription_id, changed_at, enrolment_id <= 0 FROM deliveries
             WHERE id = :id
        """
        row = self._read(sql, id=delivery).fetchone()
        return None if row is None else Subject(row[0], row[1], bool(row[2]))

    def add(self, one: Interaction) -> bool:
        """
        Write a report; return whether it is new.

        A report proves that the message arrived. So the delivery becomes accepted, if it was
        in doubt, in sending (its process died) or planned (it waited for another try). Its
        times follow the report by SQL's trigger (m038).
        """
        sql = """
            INSERT INTO interactions (delivery_id, kind, action, at, dedupe_key)
            VALUES (:delivery, :kind, :action, :at, :dedupe_key)
        """
        # Nearly all are accepted already: to look is cheaper than to update nothing.
        known = """
            SELECT EXISTS (SELECT 1 FROM interactions WHERE dedupe_key = :key),
                   EXISTS (SELECT 1 FROM deliveries
                            WHERE id = :delivery
                              AND status IN ('in_doubt', 'sending', 'planned'))
        """
        with self._store.write():
            found = self._read(known, key=one.dedupe_key, delivery=one.delivery)
            ((is_known, is_open),) = found.fetchall()
            if not is_known:
                self._write(sql, **one._asdict())
            if is_open and not is_known:
                self._settle(one.delivery, one.at, "shown", Cause.SHOWN)
            return not is_known

    def add_thanks(self, delivery: int, at: Millis) -> bool:
        """
        Write that the browser thanked for a purchase in place of a message; as ``add``.

        The message arrived, but nobody has seen it: it counts as neither shown nor clicked.
        """
        sql = "INSERT OR IGNORE INTO thanked (delivery_id, at) VALUES (:delivery, :at)"
        with self._store.write():
            new = self._write(sql, delivery=delivery, at=at) > 0
            if new:
                self._settle(delivery, at, "bought meanwhile, and was thanked", Cause.THANKED)
            return new

    def _settle(self, delivery: int, at: Millis, reason: str, cause: Cause) -> None:
        sql = """
            UPDATE deliveries
               SET status = 'accepted', reason = :reason, cause = :cause,
                   next_attempt_at = NULL, changed_at = :at,
                   sent_at = iif(status = 'sending', changed_at, sent_at)
             WHERE id = :delivery AND status IN ('in_doubt', 'sending', 'planned')
        """
        self._write(sql, delivery=delivery, at=at, reason=reason, cause=cause)

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
