"""
Figures of one campaign counted over its rows by SQL, slowly: what kept columns are held to.

Nothing here is shared with what builds them (store/message_rows.py, jobs/figures/keeping.py).
"""

from collections.abc import Mapping

from pushctl.store.noun import Noun


class Recounts(Noun):
    def count_rows(self, campaign: int) -> list[tuple[str | int | float | None, ...]]:
        """
        Return (state, language, variant, reason, quarter hour of sending, chance, messages).

        The chance is that of the hour, where it was drawn and the browser is ours.
        """
        sql = """
            SELECT status, language, variant, reason, sent_at / 900000,
                   CASE WHEN id NOT IN (SELECT delivery_id FROM foreign_deliveries)
                        THEN nullif(hour_probability, 0) END, count(*)
              FROM deliveries WHERE campaign_id = :campaign GROUP BY 1, 2, 3, 4, 5, 6
        """
        return self._read(sql, campaign=campaign).fetchall()

    def sum_receivers(self, campaign: int) -> tuple[int, int]:
        """Return how many messages are somebody's, and a sum of who got which."""
        sql = """
            SELECT count(subscription_id), coalesce(sum(subscription_id * (1 + id % 1009)), 0)
              FROM deliveries WHERE campaign_id = :campaign
        """
        known, total = self._read(sql, campaign=campaign).fetchone()
        return int(known), int(total)

    def count_reports(self, campaign: int) -> Mapping[str, int]:
        """
        Return shown, clicked, clicks, bought, unreported, by the reports themselves.

        ``untimely`` messages have other times than their reports.
        """
        reports = """
            SELECT count(*), count(clicked), coalesce(sum(clicks), 0),
                   coalesce(sum(shown IS NOT shown_at OR clicked IS NOT clicked_at), 0)
              FROM (SELECT d.shown_at, d.clicked_at, min(i.at) AS shown,
                           min(i.at) FILTER (WHERE i.kind = 'clicked') AS clicked,
                           sum(i.kind = 'clicked') AS clicks
                      FROM deliveries AS d CROSS JOIN interactions AS i
                        ON i.delivery_id = d.id
                     WHERE d.campaign_id = :campaign GROUP BY d.id)
        """
        thanks = """
            SELECT count(*) FROM thanked
             WHERE (SELECT campaign_id FROM deliveries WHERE id = delivery_id) = :campaign
        """
        foreign = """
            SELECT count(*) FROM foreign_deliveries AS f JOIN deliveries AS d
                ON d.id = f.delivery_id
             WHERE d.campaign_id = :campaign AND d.status = 'accepted'
               AND NOT EXISTS (SELECT 1 FROM interactions AS i WHERE i.delivery_id = d.id)
        """
        names = ("shown", "clicked", "clicks", "untimely")
        found = self._read(reports, campaign=campaign).fetchone()
        return dict(zip(names, found, strict=True)) | {
            "bought": self._read_value(thanks, campaign=campaign),
            "unreported": self._read_value(foreign, campaign=campaign),
        }
