"""Messages that a person decides about: those in doubt, and those to be recalled."""

from collections.abc import Iterable, Iterator, Mapping

from pushctl.model import Json, Millis
from pushctl.store.noun import Noun


class Doubts(Noun):
    def list_in_doubt(self, campaign: int | None = None) -> Iterator[Mapping[str, Json]]:
        """Yield the rows in doubt, oldest first, with campaign and subscription."""
        sql = """
            SELECT d.id, c.name AS campaign, s.public_id AS subscriber,
                   iif(s.alias_trusted, s.alias, NULL) AS alias, d.reason,
                   d.changed_at AS since, d.expires_at
              FROM deliveries AS d JOIN campaigns AS c ON c.id = d.campaign_id
              LEFT JOIN subscriptions AS s ON s.id = d.subscription_id
             WHERE d.status = 'in_doubt'
               AND d.campaign_id IN (SELECT id FROM campaigns
                                      WHERE :campaign IS NULL OR id = :campaign)
             ORDER BY d.campaign_id, d.id
        """
        yield from self._read_dicts(sql, campaign=campaign)

    def assume_sent(self, campaign: int | None, now: Millis) -> int:
        """Mark rows in doubt as accepted, by hand; return how many."""
        sql = """
            UPDATE deliveries
               SET status = 'accepted', reason = 'assumed sent', cause = 'by_hand',
                   changed_at = :now
             WHERE status = 'in_doubt'
               AND campaign_id IN (SELECT id FROM campaigns
                                    WHERE :campaign IS NULL OR id = :campaign)
        """
        return self._write(sql, campaign=campaign, now=now)

    def send_again(self, campaign: int, now: Millis) -> int:
        """
        Plan a campaign's rows in doubt again, by hand; return how many.

        One that is due later keeps its time. Expired ones stay in doubt: they may have arrived.
        """
        sql = """
            UPDATE deliveries
               SET status = 'planned', reason = 'sent again by hand', cause = 'by_hand',
                   attempts = 0, changed_at = :now,
                   next_attempt_at = max(coalesce(next_attempt_at, :now), :now)
             WHERE campaign_id = :campaign AND status = 'in_doubt'
               AND (expires_at IS NULL OR expires_at > :now)
        """
        # Sweeps send what is due later: they look for running campaigns.
        reopen = """
            UPDATE campaigns
               SET status = 'running', finished_at = NULL, note = NULL, cause = NULL
             WHERE id = :campaign AND status = 'finished'
               AND EXISTS (SELECT 1 FROM deliveries
                            WHERE campaign_id = :campaign AND status = 'planned'
                              AND next_attempt_at > :now)
        """
        with self._store.write():
            planned = self._write(sql, campaign=campaign, now=now)
            self._write(reopen, campaign=campaign, now=now)
        return planned

    def list_stored(self, campaign: int) -> Iterator[tuple[int, str, str]]:
        """Yield (row, location, key id) of accepted messages that a service may still keep."""
        sql = """
            SELECT d.id, d.location, s.key_id
              FROM deliveries AS d JOIN subscriptions AS s ON s.id = d.subscription_id
             WHERE d.campaign_id = :campaign AND d.status = 'accepted'
               AND d.location IS NOT NULL
             ORDER BY d.id
        """
        yield from self._read(sql, campaign=campaign)

    def mark_recalled(self, deliveries: Iterable[int], now: Millis) -> None:
        """Note that the service deleted these messages before they were fetched."""
        sql = """
            UPDATE deliveries
               SET reason = 'recalled', cause = 'recalled', location = NULL, changed_at = ?
             WHERE id = ? AND status = 'accepted'
        """
        self._write_each(sql, ((now, delivery) for delivery in deliveries))
