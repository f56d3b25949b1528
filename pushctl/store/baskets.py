"""What befell baskets besides their events: reminders, and who was there."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pushctl.model import Millis
from pushctl.store.noun import Noun, as_json


class Reminder(NamedTuple):
    subscription: int
    sent_at: Millis
    clicked_at: Millis | None


class Baskets(Noun):
    def list_reminders(
        self, campaigns: Iterable[int], subscriptions: Iterable[int], since: Millis
    ) -> Iterator[Reminder]:
        """Yield the accepted messages of *campaigns* to these people that left since then."""
        sql = """
            SELECT d.subscription_id, d.sent_at, d.clicked_at
              FROM json_each(:campaigns) AS c CROSS JOIN json_each(:people) AS p
             CROSS JOIN deliveries AS d
                ON d.campaign_id = c.value AND d.subscription_id = p.value
             WHERE d.status = 'accepted' AND d.sent_at >= :since
        """
        rows = self._read(
            sql, campaigns=as_json(campaigns), people=as_json(subscriptions), since=since
        )
        return map(Reminder._make, rows)

    def find_visited(
        self, spans: Iterable[tuple[int, Millis, Millis]], besides: Iterable[str]
    ) -> list[bool]:
        """
        Return for each (subscription, after, until) whether it sent any event in that time.

        Those called one of *besides* are no visits.
        """
        sql = """
            SELECT EXISTS (
                       SELECT 1 FROM events AS e
                        WHERE e.subscription_id = s.value ->> 0
                          AND e.at > s.value ->> 1 AND e.at <= s.value ->> 2
                          AND e.name NOT IN (SELECT value FROM json_each(:besides)))
              FROM json_each(:spans) AS s ORDER BY s.key
        """
        rows = self._read(sql, spans=as_json(spans), besides=as_json(besides))
        return [bool(found) for (found,) in rows]
