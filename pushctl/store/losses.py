"""Losses: what browsers closed, and how many subscriptions were left, as figures need it."""

from collections.abc import Iterator

from pushctl.model import Millis
from pushctl.store.noun import Noun


class Losses(Noun):
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
