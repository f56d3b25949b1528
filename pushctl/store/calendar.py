"""Calendar: the messages that are planned for later, counted by who gets them and when."""

from collections.abc import Sequence
from typing import NamedTuple

from pushctl.model import Millis
from pushctl.store.noun import Noun, as_json


class Planned(NamedTuple):
    """Messages of one campaign to people of one site, country and time zone in one hour."""

    campaign: str
    topic: str | None
    site: str
    country: str  # "" is unknown
    timezone: str | None
    at: Millis  # the first of them
    people: int
    is_local: bool  # each at one time of their own clock
    waits: str = ""  # why it is not sent in its time: "waits for approval", "paused"


class Calendar(Noun):
    """Used as ``Calendar(store)``: too rare to be an attribute of ``Store``."""

    def list_planned(self, since: Millis, until: Millis) -> list[Planned]:
        """
        Return what is planned in [since, until), earliest first; triggers' steps are not.

        What waits for approval is due from now on, also if its time has passed, for as long as
        it is of use.
        """
        sql = """
            SELECT c.name, c.topic, t.name, upper(coalesce(s.country, '')), s.timezone,
                   max(min(coalesce(d.next_attempt_at, :since)), :since), count(*),
                   coalesce(c.options ->> '$.local', 0),
                   CASE WHEN c.cause = 'needs_approval' THEN 'waits for approval'
                        WHEN c.status = 'paused' THEN 'paused' ELSE '' END
              FROM campaigns AS c
              JOIN deliveries AS d ON d.campaign_id = c.id
              JOIN subscriptions AS s ON s.id = d.subscription_id
              JOIN sites AS t ON t.id = s.site_id
             WHERE c.status IN ('scheduled', 'running', 'paused') AND c.trigger IS NULL
               AND d.status = 'planned' AND s.state = 'active'
               AND (d.next_attempt_at >= :since
                    OR c.cause IS 'needs_approval' AND coalesce(c.expires_at, :since) >= :since)
               AND coalesce(d.next_attempt_at, :since) < :until
             GROUP BY c.id, s.site_id, 4, s.timezone, d.next_attempt_at / 3600000
             ORDER BY 6, 1, 3, 4
        """
        return [Planned._make(row) for row in self._read(sql, since=since, until=until)]

    def count_places(
        self, subscriptions: Sequence[int]
    ) -> list[tuple[str, str, str | None, int]]:
        """Return (site, country, time zone, people) of *subscriptions*; "" is unknown."""
        sql = """
            SELECT t.name, upper(coalesce(s.country, '')), s.timezone, count(*)
              FROM json_each(:ids) AS j JOIN subscriptions AS s ON s.id = j.value
              JOIN sites AS t ON t.id = s.site_id
             GROUP BY 1, 2, 3
        """
        return self._read(sql, ids=as_json(subscriptions)).fetchall()

    def count_above(self, since: Millis, until: Millis, most: int) -> int:
        """Return how many active people have more than *most* messages planned in the time."""
        sql = """
            SELECT count(*) FROM (
                SELECT d.subscription_id FROM campaigns AS c
                  JOIN deliveries AS d ON d.campaign_id = c.id
                 WHERE c.status IN ('scheduled', 'running', 'paused') AND c.trigger IS NULL
                   AND d.status = 'planned' AND d.next_attempt_at >= :since
                   AND d.next_attempt_at < :until
                 GROUP BY 1 HAVING count(*) > :most)
        """
        return int(self._read_value(sql, since=since, until=until, most=most))
