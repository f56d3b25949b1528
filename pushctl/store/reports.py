"""
Figures: each one a query over rows, none a counter that could drift from them.

Whoever clicked or closed a message has seen it, also when its ``shown`` got lost on the
way; so *shown* counts the deliveries with any interaction.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pushctl.model import Json, Millis

if TYPE_CHECKING:
    from pushctl.store import Store

# What a campaign's figures can be split by.
SPLITS = {
    "language": "d.language",
    "browser": "s.browser",
    "os": "s.os",
    "country": "s.country",
    "variant": "d.variant",
    "site": "t.name",
}

_FUNNEL = (
    "name",
    "status",
    "template",
    "at",
    "planned",
    "accepted",
    "gone",
    "rejected",
    "expired",
    "skipped",
    "in_doubt",
    "waiting",
    "shown",
    "clicked",
    "clicks",
)


class Reports:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def funnel(
        self, campaign: int | None = None, since: Millis | None = None
    ) -> list[Mapping[str, Json]]:
        """Return one row of counts a campaign, newest first."""
        values = {"campaign": campaign, "since": since}
        rows = self._store.connection.execute(_funnel_sql(campaign is not None), values)
        return [dict(zip(_FUNNEL, row, strict=True)) for row in rows]

    def split(self, campaign: int, by: str) -> list[Mapping[str, Json]]:
        """Return a campaign's counts by *by* (a key of SPLITS), the largest group first."""
        sql = f"""
            SELECT {SPLITS[by]}, count(*), sum(d.status = 'accepted'), sum(d.status = 'gone'),
                   sum(EXISTS (SELECT 1 FROM interactions WHERE delivery_id = d.id)),
                   sum(EXISTS (SELECT 1 FROM interactions
                                WHERE delivery_id = d.id AND kind = 'clicked')),
                   sum((SELECT count(*) FROM interactions
                         WHERE delivery_id = d.id AND kind = 'clicked'))
              FROM deliveries AS d
              LEFT JOIN subscriptions AS s ON s.id = d.subscription_id
              LEFT JOIN sites AS t ON t.id = s.site_id
             WHERE d.campaign_id = :campaign
             GROUP BY 1 ORDER BY 2 DESC, 1
        """  # noqa: S608 - one of our own column names
        names = ("value", "planned", "accepted", "gone", "shown", "clicked", "clicks")
        rows = self._store.connection.execute(sql, {"campaign": campaign})
        return [dict(zip(names, row, strict=True)) for row in rows]

    def actions(self, campaign: int) -> list[Mapping[str, Json]]:
        """Return clicks by button; None is the notification itself."""
        sql = """
            SELECT i.action, count(DISTINCT i.delivery_id), count(*)
              FROM deliveries AS d JOIN interactions AS i ON i.delivery_id = d.id
             WHERE d.campaign_id = :campaign AND i.kind = 'clicked'
             GROUP BY i.action ORDER BY 2 DESC
        """
        names = ("action", "clicked", "clicks")
        rows = self._store.connection.execute(sql, {"campaign": campaign})
        return [dict(zip(names, row, strict=True)) for row in rows]

    def languages(self, subscriptions: Sequence[int]) -> list[tuple[str, str | None, int]]:
        """Return (site, language, count) of these subscriptions."""
        sql = """
            SELECT t.name, s.language, count(*)
              FROM json_each(:ids) AS j
              JOIN subscriptions AS s ON s.id = j.value
              JOIN sites AS t ON t.id = s.site_id
             GROUP BY 1, 2
        """
        found: Counter[tuple[str, str | None]] = Counter()
        # In pages: a list of a million rows would be a text of eight megabytes.
        for start in range(0, len(subscriptions), 50_000):
            ids = json.dumps(list(subscriptions[start : start + 50_000]))
            for site, language, count in self._store.connection.execute(sql, {"ids": ids}):
                found[site, language] += count
        return [(site, language, count) for (site, language), count in found.items()]

    def changes(
        self, since: Millis, site: int | None = None
    ) -> Iterator[tuple[Millis, str, int]]:
        """
        Yield (quarter of an hour, kind, count) of who came and went.

        *kind* is new, shown (of the new, who has shown a message since), revived,
        unsubscribed, gone or quarantined. A loss counts where an active subscription was
        lost, so nobody is lost twice. No time zone is off by
        anything but whole quarters: the caller adds these up to local days.
        """
        sql = """
            WITH steps AS (
                SELECT c.subscription_id, c.kind, c.at,
                       lag(c.kind) OVER (PARTITION BY c.subscription_id
                                             ORDER BY c.at, c.id) AS before
                  FROM subscription_changes AS c
                 WHERE c.kind IN ('revived', 'unsubscribed', 'gone', 'quarantined')
            ), happened AS (
                SELECT id AS subscription_id, 'new' AS kind, subscribed_at AS at
                  FROM subscriptions
                 UNION ALL
                SELECT id, 'shown', subscribed_at FROM subscriptions
                 WHERE verified_at IS NOT NULL
                 UNION ALL
                SELECT subscription_id, kind, at FROM steps
                 WHERE kind = 'revived' OR before IS NULL OR before = 'revived'
            )
            SELECT h.at / 900000 * 900000, h.kind, count(*)
              FROM happened AS h JOIN subscriptions AS s ON s.id = h.subscription_id
             WHERE h.at >= :since AND (:site IS NULL OR s.site_id = :site)
             GROUP BY 1, 2 ORDER BY 1
        """
        yield from self._store.connection.execute(sql, {"since": since, "site": site})

    def active(self, site: int | None = None) -> int:
        """Return how many subscriptions are active now."""
        sql = """
            SELECT count(*) FROM subscriptions
             WHERE state = 'active' AND (:site IS NULL OR site_id = :site)
        """
        (count,) = self._store.connection.execute(sql, {"site": site}).fetchone()
        return int(count)


def _funnel_sql(single: bool) -> str:
    # One campaign's interactions are found from its deliveries, all of them from the
    # interactions, whose index gives them in order of delivery.
    one = "AND d.campaign_id = :campaign" if single else ""
    join = "CROSS JOIN" if single else "JOIN"
    tables = ("deliveries AS d", "interactions AS i")
    left, right = tables if single else reversed(tables)
    return f"""
        WITH ledger AS (
            SELECT d.campaign_id, count(*) AS planned,
                   sum(d.status = 'accepted') AS accepted, sum(d.status = 'gone') AS gone,
                   sum(d.status = 'rejected') AS rejected, sum(d.status = 'expired') AS expired,
                   sum(d.status = 'skipped') AS skipped, sum(d.status = 'in_doubt') AS in_doubt,
                   sum(d.status IN ('planned', 'sending')) AS waiting
              FROM deliveries AS d WHERE true {one} GROUP BY d.campaign_id
        ), seen AS (
            SELECT d.campaign_id, count(DISTINCT i.delivery_id) AS shown,
                   count(DISTINCT iif(i.kind = 'clicked', i.delivery_id, NULL)) AS clicked,
                   sum(i.kind = 'clicked') AS clicks
              FROM {left} {join} {right} ON d.id = i.delivery_id
             WHERE true {one} GROUP BY d.campaign_id
        )
        SELECT c.name, c.status, c.template, coalesce(c.started_at, c.created_at),
               coalesce(l.planned, 0), coalesce(l.accepted, 0), coalesce(l.gone, 0),
               coalesce(l.rejected, 0), coalesce(l.expired, 0), coalesce(l.skipped, 0),
               coalesce(l.in_doubt, 0), coalesce(l.waiting, 0),
               coalesce(s.shown, 0), coalesce(s.clicked, 0), coalesce(s.clicks, 0)
          FROM campaigns AS c
          LEFT JOIN ledger AS l ON l.campaign_id = c.id
          LEFT JOIN seen AS s ON s.campaign_id = c.id
         WHERE (:campaign IS NULL OR c.id = :campaign)
           AND (:since IS NULL OR c.created_at >= :since)
         ORDER BY c.id DESC
    """  # noqa: S608 - no text of others
