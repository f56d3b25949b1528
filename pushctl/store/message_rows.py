"""Rows of messages and persons as figures need them: read once, and counted elsewhere."""

from collections.abc import Iterator, Sequence

from pushctl.states import Json
from pushctl.store.noun import Noun, as_json


class MessageRows(Noun):
    def list_campaigns(self, campaigns: Sequence[int] | None = None) -> list[int]:
        """Return those of *campaigns* that exist; else all of push but tests, oldest first."""
        sql = """
            SELECT id FROM campaigns
             WHERE iif(:campaigns IS NULL, options ->> '$.channel' IS NULL AND is_test IS NULL,
                       id IN (SELECT value FROM json_each(:campaigns)))
             ORDER BY id
        """
        asked = None if campaigns is None else as_json(campaigns)
        return [one for (one,) in self._read(sql, campaigns=asked)]

    def read(self, campaign: int) -> Iterator[tuple[Json, ...]]:
        """
        Yield each message of *campaign*.

        (id, subscription or 0, sent_at / 15 minutes or -1, 1 shown + 2 clicked + 4 bought
        + 8 unreported, status, language, variant, reason, the probability of its hour where
        that was drawn and clicks are known)
        """
        sql = """
            SELECT d.id, coalesce(d.subscription_id, 0), coalesce(d.sent_at / 900000, -1),
                   (d.shown_at IS NOT NULL) + 2 * (d.clicked_at IS NOT NULL)
                   + 4 * (k.delivery_id IS NOT NULL)
                   + 8 * (f.delivery_id IS NOT NULL AND d.status = 'accepted'
                          AND d.shown_at IS NULL),
                   d.status, d.language, d.variant, d.reason,
                   iif(d.hour_probability > 0 AND f.delivery_id IS NULL, d.hour_probability,
                       NULL)
              FROM deliveries AS d
              LEFT JOIN thanked AS k ON k.delivery_id = d.id
              LEFT JOIN foreign_deliveries AS f ON f.delivery_id = d.id
             WHERE d.campaign_id = :campaign
        """
        yield from self._read(sql, campaign=campaign)

    def read_receivers(self, campaign: int) -> Iterator[tuple[int, int]]:
        """Yield (id, subscription or 0) of each message of *campaign*: an index has both."""
        sql = """
            SELECT id, coalesce(subscription_id, 0) FROM deliveries
             WHERE campaign_id = :campaign
        """
        yield from self._read(sql, campaign=campaign)

    def read_clicks(self, deliveries: Sequence[int]) -> Iterator[tuple[int, str | None]]:
        """Yield (delivery, button or None) of each click on these messages."""
        sql = """
            SELECT i.delivery_id, i.action
              FROM json_each(:ids) AS j
              JOIN interactions AS i ON i.delivery_id = j.value AND i.kind = 'clicked'
        """
        yield from self._read(sql, ids=as_json(deliveries))

    def read_persons(self) -> Iterator[tuple[int, int, str | None, bytes | None]]:
        """
        Yield id, site, signed alias and address's hash of those who share one of these.

        Most share none, and their numbers alone would be a gigabyte of ten million people.
        """
        sql = """
            WITH shared AS MATERIALIZED (
                SELECT s.id FROM subscriptions AS s
                 WHERE s.alias IN (SELECT alias FROM subscriptions WHERE alias IS NOT NULL
                                    GROUP BY alias HAVING count(*) > 1)
                 UNION
                SELECT s.id FROM subscriptions AS s
                 WHERE s.email_hash IN (SELECT email_hash FROM subscriptions
                                         WHERE email_hash IS NOT NULL
                                         GROUP BY email_hash HAVING count(*) > 1)
            )
            SELECT s.id, s.site_id, iif(s.alias_trusted, s.alias, NULL), s.email_hash
              FROM shared CROSS JOIN subscriptions AS s ON s.id = shared.id
             WHERE s.email_hash IS NOT NULL OR s.alias IS NOT NULL AND s.alias_trusted
        """
        yield from self._read(sql)
