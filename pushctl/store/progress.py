"""How far a campaign is: counts by state, and what its latest messages met."""

from typing import NamedTuple

from pushctl.model import Cause, Millis
from pushctl.store.noun import Noun

SAMPLE = 2_000  # messages, for shares of push services; counting all would take a second


class Sent(NamedTuple):
    """One of the latest messages: when it left, to which host, and whether it was accepted."""

    at: Millis
    host: str
    accepted: bool


class Waiting(NamedTuple):
    """
    *left* messages that are not sent, *due* of them now; *next_at* of the others.

    What waits for nothing but its turn in a rate is due, too.
    """

    left: int
    due: int
    next_at: Millis | None


class Unsettled(NamedTuple):
    """An open campaign, and how many of its messages wait, are in doubt, were rejected."""

    id: int
    name: str
    status: str
    waiting: int
    in_doubt: int
    rejected: int


class Progress(Noun):
    def count_states(self, campaign: int) -> dict[str, int]:
        """Return how many messages of *campaign* are in each state, by the index alone."""
        sql = """
            SELECT status, count(*) FROM deliveries WHERE campaign_id = :campaign GROUP BY 1
        """
        return dict(self._read(sql, campaign=campaign))

    def count_campaigns(self) -> dict[str, int]:
        """Return how many campaigns have each status."""
        return dict(self._read("SELECT status, count(*) FROM campaigns GROUP BY status"))

    def count_unsettled(self, limit: int) -> list[Unsettled]:
        """Return the newest open campaigns, with what of them is not settled."""
        sql = """
            SELECT c.id, c.name, c.status,
                   (SELECT count(*) FROM deliveries AS d WHERE d.campaign_id = c.id
                       AND d.status IN ('planned', 'sending')),
                   (SELECT count(*) FROM deliveries AS d WHERE d.campaign_id = c.id
                       AND d.status = 'in_doubt'),
                   (SELECT count(*) FROM deliveries AS d WHERE d.campaign_id = c.id
                       AND d.status = 'rejected')
              FROM campaigns AS c
             WHERE c.status IN ('running', 'paused', 'scheduled') AND c.is_test IS NULL
             ORDER BY c.id DESC LIMIT :limit
        """
        return [Unsettled._make(row) for row in self._read(sql, limit=limit)]

    def count_in_doubt(self) -> int:
        """Return how many messages of all campaigns are in doubt: a look-up for each."""
        sql = """
            SELECT coalesce(sum((SELECT count(*) FROM deliveries AS d
                                  WHERE d.campaign_id = c.id AND d.status = 'in_doubt')), 0)
              FROM campaigns AS c
        """
        return int(self._read_value(sql))

    def count_waiting(self, campaign: int, now: Millis) -> Waiting:
        sql = """
            SELECT count(*), sum(coalesce(next_attempt_at, 0) <= :now OR cause IS :rate),
                   min(next_attempt_at)
                       FILTER (WHERE next_attempt_at > :now AND cause IS NOT :rate)
              FROM deliveries WHERE campaign_id = :campaign AND status = 'planned'
        """
        count, due, next_at = self._read(
            sql, campaign=campaign, now=now, rate=Cause.RATE_LIMIT
        ).fetchone()
        return Waiting(count, due or 0, next_at)

    def list_latest(self, campaign: int, since: Millis) -> list[Sent]:
        """
        Return the latest messages of *campaign* that were answered after *since*.

        They are looked for among the SAMPLE with the highest numbers of each final state: a
        run goes through a campaign by its numbers.
        """
        sql = """
            SELECT l.at, substr(s.endpoint, 9, instr(substr(s.endpoint, 9), '/') - 1),
                   l.accepted
              FROM (SELECT * FROM (
                        SELECT subscription_id, sent_at AS at, 1 AS accepted FROM deliveries
                         WHERE campaign_id = :campaign AND status = 'accepted'
                         ORDER BY id DESC LIMIT :sample)
                     UNION ALL
                    SELECT * FROM (
                        SELECT subscription_id, changed_at, 0 FROM deliveries
                         WHERE campaign_id = :campaign AND status IN ('gone', 'rejected')
                         ORDER BY id DESC LIMIT :sample)) AS l
              JOIN subscriptions AS s ON s.id = l.subscription_id
             WHERE l.at > :since
        """
        rows = self._read(sql, campaign=campaign, since=since, sample=SAMPLE)
        return [Sent(at, host, bool(accepted)) for at, host, accepted in rows]
