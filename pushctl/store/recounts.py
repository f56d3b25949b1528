"""
Figures of one campaign counted over its rows by SQL, slowly: what kept columns are held to.

And the raw rows that kept answers are counted from once more (jobs/figures/recount/). Nothing
here is shared with what builds them (store/message_rows.py and
jobs/figures/columns/message_cache.py).
"""

import sqlite3
from collections.abc import Collection, Iterator, Mapping

from pushctl.states import Json
from pushctl.store.noun import Noun, as_json


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

    def read_people(self) -> sqlite3.Cursor:
        """
        Return rows of all subscriptions by their numbers.

        (number, site, time zone, browser, since when, state, signed alias, address's hash)
        """
        return self._read("""
            SELECT s.id, t.name, s.timezone, s.browser, s.subscribed_at, s.state,
                   iif(s.alias_trusted, s.alias, NULL), s.email_hash
              FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id ORDER BY s.id
        """)

    def read_named_addresses(self) -> sqlite3.Cursor:
        """Return (site, address's hash, signed alias) of who has both."""
        return self._read("""
            SELECT t.name, s.email_hash, s.alias
              FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id
             WHERE s.email_hash IS NOT NULL AND s.alias IS NOT NULL AND s.alias_trusted
        """)

    def read_messages(self, campaign: int) -> sqlite3.Cursor:
        """
        Return rows of all messages of *campaign* by their numbers.

        (number, subscription or 0, quarter hour of sending or -1, 1 accepted + 2 gone + 4 it
        has left + 8 foreign + 16 thanked + 32 shown + 64 clicked, language, variant)
        """
        sql = """
            SELECT id, coalesce(subscription_id, 0), coalesce(sent_at / 900000, -1),
                   (status = 'accepted') + 2 * (status = 'gone')
                   + 4 * (status IN ('accepted', 'gone', 'rejected', 'in_doubt'))
                   + 8 * (id IN (SELECT delivery_id FROM foreign_deliveries))
                   + 16 * (id IN (SELECT delivery_id FROM thanked))
                   + 32 * (shown_at IS NOT NULL) + 64 * (clicked_at IS NOT NULL),
                   language, variant
              FROM deliveries WHERE campaign_id = :campaign ORDER BY id
        """
        return self._read(sql, campaign=campaign)

    def count_more_clicks(self) -> dict[int, int]:
        """Return the messages that were clicked more than once: how many times more."""
        sql = """
            SELECT delivery_id, count(*) - 1 FROM interactions
             WHERE kind = 'clicked' GROUP BY 1 HAVING count(*) > 1
        """
        return dict(self._read(sql).fetchall())

    def find_messages(self, deliveries: Collection[int]) -> dict[int, tuple[int, int]]:
        """Return (subscription or 0, quarter hour of sending or -1) of each of *deliveries*."""
        sql = """
            SELECT d.id, coalesce(d.subscription_id, 0), coalesce(d.sent_at / 900000, -1)
              FROM json_each(:ids) AS j CROSS JOIN deliveries AS d ON d.id = j.value
        """
        rows = self._read(sql, ids=as_json(deliveries))
        return {row: (person, quarter) for row, person, quarter in rows}

    def read_chances(self, campaign: int) -> sqlite3.Cursor:
        """
        Return the messages of *campaign* whose hour was drawn and whose clicks are known.

        (subscription, quarter hour of sending, whether it was clicked, the hour's probability)
        """
        sql = """
            SELECT subscription_id, sent_at / 900000, clicked_at IS NOT NULL, hour_probability
              FROM deliveries
             WHERE campaign_id = :campaign AND status = 'accepted' AND hour_probability > 0
               AND sent_at IS NOT NULL AND subscription_id IS NOT NULL
               AND id NOT IN (SELECT delivery_id FROM foreign_deliveries)
        """
        return self._read(sql, campaign=campaign)

    def read_losses(self) -> sqlite3.Cursor:
        """Return (subscription, kind, cause, time) of what ended or revived one, in order."""
        return self._read("""
            SELECT subscription_id, kind, cause, at FROM subscription_changes
             WHERE kind IN ('revived', 'unsubscribed', 'gone', 'quarantined')
             ORDER BY subscription_id, at, id
        """)

    def read_arms(self, campaign: int, after: int) -> sqlite3.Cursor:
        """
        Return who fell to an arm of a test, and how they stand now.

        (number, subscription or 0, variant, 1 accepted, its reports known + 2 shown
        + 4 clicked, what the subscription has become since or None)
        """
        sql = """
            SELECT d.id, coalesce(d.subscription_id, 0), d.variant,
                   (d.status = 'accepted' AND d.id NOT IN
                    (SELECT delivery_id FROM foreign_deliveries))
                   + 2 * (d.shown_at IS NOT NULL) + 4 * (d.clicked_at IS NOT NULL),
                   iif(s.state_at >= d.changed_at, s.state, NULL)
              FROM deliveries AS d LEFT JOIN subscriptions AS s ON s.id = d.subscription_id
             WHERE d.campaign_id = :campaign AND d.variant_probability < 1 AND d.id > :after
        """
        return self._read(sql, campaign=campaign, after=after)

    def read_closed(self) -> Iterator[int]:
        """Yield the messages whose notification was closed by hand."""
        sql = "SELECT DISTINCT delivery_id FROM interactions WHERE kind = 'closed'"
        for (row,) in self._read(sql):
            yield row

    def count_active(self) -> dict[str, Json]:
        """Return how many subscriptions of each site are active, of all sites that have any."""
        sql = """
            SELECT t.name, sum(s.state = 'active')
              FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id GROUP BY 1
        """
        return dict(self._read(sql).fetchall())
