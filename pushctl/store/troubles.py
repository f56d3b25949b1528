"""Troubles: what sending has met and what waits, counted for whoever looks after it."""

from typing import NamedTuple

from pushctl.model import Millis
from pushctl.store.noun import Noun


class Waiting(NamedTuple):
    """Messages that are not sent yet; *due* of them now, *next_at* of the others."""

    messages: int
    due: int
    next_at: Millis | None


class LastRun(NamedTuple):
    """The newest sweep: *finished_at* is None for one that died, or is under way."""

    started_at: Millis
    finished_at: Millis | None
    exit_code: int | None


class Troubles(Noun):
    def count_quarantined(self) -> list[tuple[str, int]]:
        """Return (reason, subscriptions) of those in quarantine, the most frequent first."""
        sql = """
            SELECT coalesce(state_reason, ''), count(*) FROM subscriptions
             WHERE state = 'quarantined' GROUP BY 1 ORDER BY 2 DESC, 1
        """
        return list(self._read(sql))

    def count_in_doubt(self) -> list[tuple[str, int]]:
        """Return (campaign, messages) of those in doubt, the most first."""
        sql = """
            SELECT c.name, count(*) FROM campaigns AS c
              JOIN deliveries AS d INDEXED BY deliveries_status ON d.campaign_id = c.id
             WHERE d.status = 'in_doubt' GROUP BY c.id ORDER BY 2 DESC, c.id
        """
        return list(self._read(sql))

    def count_spared(self, since: Millis) -> list[tuple[str, int]]:
        """
        Return (campaign, subscriptions) of those that stay active though they were found gone.

        Too many were gone at once, *since* then, and nobody has decided yet.
        """
        sql = """
            SELECT c.name, count(DISTINCT s.id)
              FROM subscription_changes AS h
              JOIN subscriptions AS s ON s.id = h.subscription_id AND s.state = 'active'
                                     AND s.state_at = h.at
              JOIN deliveries AS d ON d.subscription_id = s.id AND d.status = 'gone'
                                  AND d.changed_at <= h.at
              JOIN campaigns AS c ON c.id = d.campaign_id
             WHERE h.at >= :since AND h.kind = 'revived' AND h.cause = 'mass_gone'
             GROUP BY c.id ORDER BY 2 DESC, c.id
        """
        return list(self._read(sql, since=since))

    def count_waiting(self, now: Millis) -> Waiting:
        """Count what campaigns that may send have not sent yet."""
        sql = """
            SELECT count(*), sum(coalesce(d.next_attempt_at, 0) <= :now),
                   min(iif(d.next_attempt_at > :now, d.next_attempt_at, NULL))
              FROM campaigns AS c
              JOIN deliveries AS d INDEXED BY deliveries_status ON d.campaign_id = c.id
             WHERE c.status IN ('running', 'scheduled') AND d.status = 'planned'
        """
        count, due, next_at = self._read(sql, now=now).fetchone()
        return Waiting(count, due or 0, next_at)

    def list_paused(self) -> list[tuple[str, str]]:
        """Return (name, note) of the campaigns that wait for a person, the newest first."""
        sql = """
            SELECT name, coalesce(note, '') FROM campaigns
             WHERE status = 'paused' ORDER BY id DESC
        """
        return list(self._read(sql))

    def find_last_sweep(self) -> LastRun | None:
        sql = """
            SELECT started_at, finished_at, exit_code FROM runs
             WHERE command = 'sweep' ORDER BY id DESC LIMIT 1
        """
        row = self._read(sql).fetchone()
        return LastRun._make(row) if row else None
