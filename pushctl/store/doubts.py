"""
What a person settles in the ledger: messages in doubt, and messages to be taken back.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from pushctl.model import Json, Millis

if TYPE_CHECKING:
    from pushctl.store import Store


class Doubts:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def in_doubt(self, campaign: int | None = None) -> Iterator[Mapping[str, Json]]:
        """Yield the rows in doubt, oldest first, with campaign and subscription."""
        sql = """
            SELECT d.id, c.name, s.public_id, s.alias, d.reason, d.changed_at, d.expires_at
              FROM deliveries AS d JOIN campaigns AS c ON c.id = d.campaign_id
              LEFT JOIN subscriptions AS s ON s.id = d.subscription_id
             WHERE d.status = 'in_doubt'
               AND d.campaign_id IN (SELECT id FROM campaigns
                                      WHERE :campaign IS NULL OR id = :campaign)
             ORDER BY d.campaign_id, d.id
        """
        names = ("id", "campaign", "subscriber", "alias", "reason", "since", "expires_at")
        for row in self._store.connection.execute(sql, {"campaign": campaign}):
            yield dict(zip(names, row, strict=True))

    def assume_sent(self, campaign: int | None, now: Millis) -> int:
        """Count rows in doubt as accepted because a person says so; return how many."""
        sql = """
            UPDATE deliveries
               SET status = 'accepted', reason = 'assumed sent', cause = 'by_hand',
                   changed_at = :now
             WHERE status = 'in_doubt'
               AND campaign_id IN (SELECT id FROM campaigns
                                    WHERE :campaign IS NULL OR id = :campaign)
        """
        with self._store.write() as connection:
            return connection.execute(sql, {"campaign": campaign, "now": now}).rowcount

    def send_again(self, campaign: int, now: Millis) -> int:
        """
        Plan a campaign's rows in doubt anew because a person says so; return how many.

        Those whose time is over stay in doubt: they would expire, and may have arrived.
        """
        sql = """
            UPDATE deliveries
               SET status = 'planned', reason = 'sent again by hand', cause = 'by_hand',
                   attempts = 0, next_attempt_at = :now, changed_at = :now
             WHERE campaign_id = :campaign AND status = 'in_doubt'
               AND (expires_at IS NULL OR expires_at > :now)
        """
        with self._store.write() as connection:
            return connection.execute(sql, {"campaign": campaign, "now": now}).rowcount

    def stored(self, campaign: int) -> Iterator[tuple[int, str, str]]:
        """Yield (row, location, key id) of accepted messages that a service may still keep."""
        sql = """
            SELECT d.id, d.location, s.key_id
              FROM deliveries AS d JOIN subscriptions AS s ON s.id = d.subscription_id
             WHERE d.campaign_id = :campaign AND d.status = 'accepted'
               AND d.location IS NOT NULL
             ORDER BY d.id
        """
        yield from self._store.connection.execute(sql, {"campaign": campaign})

    def recalled(self, deliveries: Iterable[int], now: Millis) -> None:
        """Note that the service deleted these messages before they were fetched."""
        sql = """
            UPDATE deliveries
               SET reason = 'recalled', cause = 'recalled', location = NULL, changed_at = ?
             WHERE id = ? AND status = 'accepted'
        """
        with self._store.write() as connection:
            connection.executemany(sql, ((now, delivery) for delivery in deliveries))
