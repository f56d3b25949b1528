"""
Figures: each is a query over rows, none a stored counter.

Counts are requested by the names of the figures (rules/figures); others are not read.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from pushctl.model import DeliveryStatus, Millis
from pushctl.rules.figures.figure import Row
from pushctl.store.noun import Noun, as_json

# What a campaign's figures can be split by.
SPLITS = {
    "language": "d.language",
    "browser": "s.browser",
    "country": "s.country",
    "site": "t.name",
    "variant": "d.variant",
}
_PEOPLE = """
    LEFT JOIN subscriptions AS s ON s.id = d.subscription_id
    LEFT JOIN sites AS t ON t.id = s.site_id
"""

# Counts of messages, over deliveries.
_LEDGER = {
    **{status.value: f"sum(d.status = '{status}')" for status in DeliveryStatus},
    "planned": "count(*)",
    "waiting": "sum(d.status IN ('planned', 'sending'))",
}
# Counts of reports, over interactions. A click or a closing proves that the message was
# shown, also where its "shown" got lost.
_REACTIONS = {
    "shown": "count(DISTINCT i.delivery_id)",
    "clicked": "count(DISTINCT iif(i.kind = 'clicked', i.delivery_id, NULL))",
    "clicks": "sum(i.kind = 'clicked')",
}


class Reports(Noun):
    def load_funnel(
        self, names: Collection[str], campaigns: Sequence[int] | None = None
    ) -> list[Row]:
        """
        Return a row of name, status, at and the counts *names* a campaign, newest first.

        *campaigns*: only these. Raises KeyError for a name that has no SQL here.
        """
        given, counts = _build_counts(names, "d.campaign_id", some=campaigns is not None)
        sql = f"""
            {given}
            SELECT c.name, c.status, coalesce(c.started_at, c.created_at), {counts}
              FROM campaigns AS c
              LEFT JOIN ledger AS l ON l.part = c.id
              LEFT JOIN reactions AS r ON r.part = c.id
             WHERE :campaigns IS NULL OR c.id IN (SELECT value FROM json_each(:campaigns))
             ORDER BY c.id DESC
        """  # noqa: S608 - no text of others
        return self._list_rows(sql, ("name", "status", "at", *names), campaigns)

    def split(self, names: Collection[str], campaign: int, by: str) -> list[Row]:
        """Return value and the counts *names* by *by* (see SPLITS), largest group first."""
        given, counts = _build_counts(names, SPLITS[by], _PEOPLE, some=True)
        sql = f"""
            {given}
            SELECT l.part, {counts}
              FROM ledger AS l LEFT JOIN reactions AS r ON r.part IS l.part
             ORDER BY l.planned DESC, l.part
        """  # noqa: S608 - one of our own column names
        return self._list_rows(sql, ("value", *names), [campaign])

    def count_actions(self, campaign: int) -> list[Row]:
        """Return clicked and clicks by value, the button; None is the notification itself."""
        sql = """
            SELECT i.action, count(DISTINCT i.delivery_id), count(*)
              FROM deliveries AS d JOIN interactions AS i ON i.delivery_id = d.id
             WHERE d.campaign_id IN (SELECT value FROM json_each(:campaigns))
               AND i.kind = 'clicked'
             GROUP BY i.action ORDER BY 2 DESC
        """
        return self._list_rows(sql, ("value", "clicked", "clicks"), [campaign])

    def _list_rows(
        self, sql: str, names: Sequence[str], campaigns: Sequence[int] | None
    ) -> list[Row]:
        found = self._read(sql, campaigns=None if campaigns is None else as_json(campaigns))
        return [dict(zip(names, row, strict=True)) for row in found]

    def count_languages(
        self, subscriptions: Sequence[int]
    ) -> list[tuple[str, str | None, int]]:
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
            for site, language, count in self._read(sql, ids=ids):
                found[site, language] += count
        return [(site, language, count) for (site, language), count in found.items()]

    def count_changes(
        self, since: Millis, site: int | None = None
    ) -> Iterator[tuple[Millis, str, int]]:
        """
        Yield (quarter of an hour, figure, count) of subscriptions won and lost.

        The figure is new, shown (new ones that have shown a message since), back,
        unsubscribed, gone or quarantined. Only a loss of an active subscription counts, and
        who came here inactive (imported after leaving elsewhere) is not new, but may be back.
        Time zones differ by whole quarters: the caller adds these up to local days.
        """
        sql = """
            WITH steps AS (
                SELECT c.subscription_id, c.kind, c.at,
                       lag(c.kind) OVER (PARTITION BY c.subscription_id
                                             ORDER BY c.at, c.id) AS before
                  FROM subscription_changes AS c
                 WHERE c.kind IN ('revived', 'unsubscribed', 'gone', 'quarantined')
            ), inactive AS (
                SELECT subscription_id FROM steps WHERE before IS NULL AND kind = 'revived'
                 UNION ALL
                SELECT id FROM subscriptions
                 WHERE state <> 'active' AND id NOT IN (SELECT subscription_id FROM steps)
            ), joined AS (
                SELECT id AS subscription_id, verified_at, subscribed_at AS at
                  FROM subscriptions WHERE id NOT IN (SELECT subscription_id FROM inactive)
            ), happened AS (
                SELECT subscription_id, 'new' AS kind, at FROM joined
                 UNION ALL
                SELECT subscription_id, 'shown', at FROM joined WHERE verified_at IS NOT NULL
                 UNION ALL
                SELECT subscription_id, kind, at FROM steps
                 WHERE before IS NULL OR (before = 'revived') <> (kind = 'revived')
            )
            SELECT h.at / 900000 * 900000, iif(h.kind = 'revived', 'back', h.kind), count(*)
              FROM happened AS h JOIN subscriptions AS s ON s.id = h.subscription_id
             WHERE h.at >= :since AND (:site IS NULL OR s.site_id = :site)
             GROUP BY 1, 2 ORDER BY 1
        """
        yield from self._read(sql, since=since, site=site)

    def count_active(self, site: int | None = None) -> int:
        """Return how many subscriptions are active now."""
        sql = """
            SELECT count(*) FROM subscriptions
             WHERE state = 'active' AND (:site IS NULL OR site_id = :site)
        """
        return int(self._read_value(sql, site=site))


def _build_counts(
    names: Collection[str], part: str, more: str = "", *, some: bool
) -> tuple[str, str]:
    """
    Return a WITH clause of ledger (l) and reactions (r), and the counts *names* of them.

    Both are grouped by *part*, which *more* joins; *some*: only the campaigns :campaigns.
    """
    listed = "SELECT value FROM json_each(:campaigns)"
    where = f"WHERE d.campaign_id IN ({listed})" if some else ""
    ledger = {name: _LEDGER[name] for name in ("planned", *names) if name not in _REACTIONS}
    reactions = {name: _REACTIONS[name] for name in names if name in _REACTIONS}
    # Some campaigns' interactions are found from their deliveries, all of them from the
    # interactions, whose index gives them in order of delivery.
    both = ("deliveries AS d", "interactions AS i")
    joined = " CROSS JOIN ".join(both) if some else " JOIN ".join(reversed(both))

    def select(counts: Mapping[str, str], tables: str) -> str:
        columns = ", ".join(f"{sql} AS {name}" for name, sql in counts.items())
        return f"SELECT {part} AS part, {columns} FROM {tables} {more} {where} GROUP BY 1"  # noqa: S608

    first, second = select(ledger, both[0]), "SELECT 0 AS part"
    if reactions:
        second = select(reactions, f"{joined} ON d.id = i.delivery_id")
    counts = (f"coalesce({'r' if name in reactions else 'l'}.{name}, 0)" for name in names)
    return f"WITH ledger AS ({first}), reactions AS ({second})", ", ".join(counts)
