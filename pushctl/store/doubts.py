"""Messages that a person decides about: in doubt, rejected, or to be recalled."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pushctl.model import Json, Millis
from pushctl.store.noun import Noun, as_json

_REJECTED = "(d.status = 'rejected' OR d.status = 'skipped' AND d.cause = 'key_missing')"


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
        One that waited for a test's winner gets it, or waits for it.
        """
        sql = """
            UPDATE deliveries
               SET status = 'planned', attempts = 0, changed_at = :now, sent_at = NULL,
                   next_attempt_at = max(coalesce(next_attempt_at, :now), :now),
                   reason = 'sent again by hand',
                   cause = iif(variant IS NULL AND test.state = 'testing', 'awaits_winner',
                               'by_hand'),
                   variant = coalesce(variant, test.winner),
                   variant_probability = iif(variant IS NULL AND test.winner IS NOT NULL, 1,
                                             variant_probability)
              FROM (SELECT max(state) AS state, max(winner) AS winner
                      FROM experiments WHERE campaign_id = :campaign) AS test
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

    def list_rejected(self, campaign: int) -> tuple[list[int], list[int]]:
        """
        Return the active subscriptions whose message was rejected, and those where it waits.

        A message whose key was not there counts as rejected: the key may be back.
        """
        sql = f"""
            SELECT d.subscription_id, d.status = 'planned'
              FROM deliveries AS d JOIN subscriptions AS s ON s.id = d.subscription_id
             WHERE d.campaign_id = :campaign AND s.state = 'active'
               AND (d.status = 'planned' OR {_REJECTED})
             ORDER BY d.id
        """  # noqa: S608 - our own condition
        rows = self._read(sql, campaign=campaign).fetchall()
        return [one for one, waits in rows if not waits], [one for one, waits in rows if waits]

    def send_rejected_again(
        self, campaign: int, subscriptions: Sequence[int], now: Millis, expires_at: Millis
    ) -> int:
        """Plan the rejected messages to *subscriptions* again, by hand; return how many."""
        sql = f"""
            UPDATE deliveries AS d
               SET status = 'planned', reason = 'sent again by hand', cause = 'by_hand',
                   attempts = 0, next_attempt_at = :now, expires_at = :expires_at,
                   http_status = NULL, location = NULL, changed_at = :now, sent_at = NULL
             WHERE campaign_id = :campaign AND {_REJECTED}
               AND subscription_id IN (SELECT value FROM json_each(:subscriptions))
        """  # noqa: S608 - our own condition
        return self._write(
            sql, campaign=campaign, subscriptions=as_json(subscriptions), now=now,
            expires_at=expires_at,
        )  # fmt: skip

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
