"""What earlier messages brought: the rate that a new one will probably have."""

from pushctl.model import Millis
from pushctl.store.noun import Noun

_CAMPAIGNS = 10  # the newest; older ones say little about the next
# Of them, spread evenly: enough for a rate to a tenth of itself, and read in 0.1 s.
_SAMPLE = 20_000


class BaseRates(Noun):
    def count_clickers(
        self, until: Millis, *, template: str | None = None, topic: str | None = None
    ) -> tuple[int, int]:
        """
        Return (clickers, people) of the newest campaigns with *template*, or about *topic*.

        *until*: only campaigns that began before it, as clicks come in for a day. People
        are accepted messages whose click would be reported. Of many, a sample is counted.
        """
        # The two tables of a campaign's rows are read by their index alone.
        sql = """
            WITH latest AS MATERIALIZED (
                SELECT id FROM campaigns
                 WHERE (template = :template OR topic = :topic)
                   AND options ->> '$.channel' IS NULL AND is_test IS NULL
                   AND coalesce(started_at, created_at) <= :until
                 ORDER BY id DESC LIMIT :campaigns
            ), whole AS MATERIALIZED (
                SELECT max(1, count(*) / :sample) AS every
                  FROM latest JOIN deliveries AS d
                    ON d.campaign_id = latest.id AND d.status = 'accepted'
            )
            SELECT coalesce(sum(EXISTS (SELECT 1 FROM interactions AS i
                                         WHERE i.delivery_id = d.id AND i.kind = 'clicked')),
                            0),
                   count(*)
              FROM latest CROSS JOIN whole CROSS JOIN deliveries AS d
             WHERE d.campaign_id = latest.id AND d.status = 'accepted' AND d.id % every = 0
               AND NOT EXISTS (SELECT 1 FROM foreign_deliveries AS f
                                WHERE f.delivery_id = d.id)
        """
        values = {"template": template, "topic": topic, "until": until}
        row = self._read(sql, campaigns=_CAMPAIGNS, sample=_SAMPLE, **values).fetchone()
        return int(row[0]), int(row[1])
