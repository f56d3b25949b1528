"""Losses: when subscriptions were left, and what their browsers closed, as figures need it."""

from collections.abc import Iterator

from pushctl.model import Millis
from pushctl.store.noun import Noun


class Losses(Noun):
    def list_changes(self) -> Iterator[tuple[int, str, Millis]]:
        """
        Yield (subscription, revived, unsubscribed, gone or quarantined; when), in order.

        Who is gone because our VAPID key is lost counts as quarantined: no message is to blame.
        """
        sql = """
            SELECT subscription_id,
                   iif(kind = 'gone' AND cause IS 'key_lost', 'quarantined', kind), at
              FROM subscription_changes
             WHERE kind IN ('revived', 'unsubscribed', 'gone', 'quarantined')
             ORDER BY subscription_id, at, id
        """
        yield from self._read(sql)

    def list_closed(self, first: int) -> Iterator[int]:
        """Yield the deliveries from number *first* on whose notification was closed by hand."""
        sql = """
            SELECT DISTINCT delivery_id FROM interactions
             WHERE delivery_id >= :first AND kind = 'closed'
        """
        for (row,) in self._read(sql, first=first):
            yield row

    def count_unsubscribed(self, since: Millis, until: Millis, site: int | None = None) -> int:
        """Return how many subscriptions were unsubscribed from *since* to before *until*."""
        sql = """
            SELECT count(DISTINCT c.subscription_id)
              FROM subscription_changes AS c JOIN subscriptions AS s ON s.id = c.subscription_id
             WHERE c.kind = 'unsubscribed' AND c.at >= :since AND c.at < :until
               AND (:site IS NULL OR s.site_id = :site)
        """
        return int(self._read_value(sql, since=since, until=until, site=site))
