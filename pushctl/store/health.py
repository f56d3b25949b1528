"""
Health of subscriptions, as sending finds it: failing, gone, working again.

An answer is about the endpoint that was asked. It changes no subscription that has a new
endpoint meanwhile, and none where the person was erased.

A refusal quarantines a subscription for a day. Three failures over a week or more make it
gone, which a new registration undoes.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pushctl.model import Cause, Millis, SubscriptionState
from pushctl.rules.units import DAY
from pushctl.store.events import ARRIVAL
from pushctl.store.noun import Noun, as_json

QUARANTINE_TIME: Millis = DAY
FAILURES = 3
FAILING_FOR: Millis = 7 * DAY

# Whether the subscription s is reached by the push service :origin.
_AT_ORIGIN = "s.endpoint >= :origin || '/' AND s.endpoint < :origin || '0'"

# Whether the subscription s came through the receiver and has never accepted a message:
# an invented subscription gets no further.
_NEWCOMER = f"""
    s.verified_at IS NULL
    AND EXISTS (SELECT 1 FROM events AS e WHERE e.dedupe_key = s.id || '{ARRIVAL}')
    AND NOT EXISTS (SELECT 1 FROM deliveries AS a
                     WHERE a.subscription_id = s.id AND a.status = 'accepted')
"""  # noqa: S608


class Answered(NamedTuple):
    """A subscription that a push service has answered about."""

    id: int
    endpoint: str  # as it was asked
    reason: str


class Health(Noun):
    def mark_gone(self, answered: Sequence[Answered], now: Millis) -> None:
        """Mark subscriptions as gone; unsubscribed ones stay unsubscribed."""
        change = """
            INSERT INTO subscription_changes (subscription_id, kind, reason, at)
            SELECT id, 'gone', :reason, :now FROM subscriptions
             WHERE id = :id AND endpoint = :endpoint AND state IN ('active', 'quarantined')
        """
        update = """
            UPDATE subscriptions SET state = 'gone', state_reason = :reason, state_at = :now
             WHERE id = :id AND endpoint = :endpoint AND state IN ('active', 'quarantined')
        """
        self._change(change, update, answered, now)

    def count_newcomers(self, subscriptions: Sequence[int]) -> int:
        """Return how many came through the receiver and never accepted a message."""
        sql = f"""
            SELECT count(*) FROM subscriptions AS s
             WHERE s.id IN (SELECT value FROM json_each(:ids)) AND {_NEWCOMER}
        """  # noqa: S608
        return int(self._read_value(sql, ids=as_json(subscriptions)))

    def count_takers(self, campaign: int, origin: str, most: int) -> int:
        """
        Count subscriptions that accepted *campaign*'s message and an earlier one.

        Reads the last 1,000 that accepted it; returns *most* at most.
        """
        sql = f"""
            SELECT count(*) FROM (
                SELECT 1 FROM (
                    SELECT id, subscription_id FROM deliveries INDEXED BY deliveries_status
                     WHERE campaign_id = :campaign AND status = 'accepted'
                     ORDER BY id DESC LIMIT 1000) AS d
                  JOIN subscriptions AS s ON s.id = d.subscription_id
                 WHERE {_AT_ORIGIN}
                   AND EXISTS (SELECT 1 FROM deliveries AS a
                                WHERE a.subscription_id = s.id AND a.id < d.id
                                  AND a.status = 'accepted')
                 LIMIT :most)
        """  # noqa: S608
        return int(self._read_value(sql, campaign=campaign, origin=origin, most=most))

    def mark_failed(self, answered: Sequence[Answered], now: Millis) -> None:
        """Quarantine subscriptions; gone at the third failure over a week."""
        becomes = f"""
            CASE WHEN failures + 1 >= {FAILURES}
                      AND :now - coalesce(failing_since, :now) >= {FAILING_FOR}
                 THEN 'gone' ELSE 'quarantined' END
        """
        change = f"""
            INSERT INTO subscription_changes (subscription_id, kind, reason, at)
            SELECT id, {becomes}, :reason, :now FROM subscriptions
             WHERE id = :id AND endpoint = :endpoint AND state <> {becomes}
        """  # noqa: S608
        update = f"""
            UPDATE subscriptions
               SET state_at = :now, state_reason = :reason, state = {becomes},
                   failures = failures + 1, failing_since = coalesce(failing_since, :now)
             WHERE id = :id AND endpoint = :endpoint AND state IN ('active', 'quarantined')
        """  # noqa: S608
        self._change(change, update, answered, now)

    def _change(
        self, change: str, update: str, answered: Sequence[Answered], now: Millis
    ) -> None:
        values = [{**one._asdict(), "now": now} for one in answered]
        with self._store.write():
            self._write_each(change, values)
            self._write_each(update, values)

    def clear_failures(self, answered: Sequence[Answered]) -> None:
        """Reset the failures of subscriptions that accepted a message."""
        sql = """
            UPDATE subscriptions SET failures = 0, failing_since = NULL
             WHERE id = :id AND endpoint = :endpoint
        """
        self._write_each(sql, (one._asdict() for one in answered))

    def mark_small_payload(self, answered: Sequence[Answered]) -> None:
        """Note that the push service refused a message of full size (413)."""
        sql = """
            UPDATE subscriptions SET small_payload = 1 WHERE id = :id AND endpoint = :endpoint
        """
        self._write_each(sql, (one._asdict() for one in answered))

    def reactivate(self, now: Millis) -> int:
        """Activate subscriptions quarantined for a day; return how many."""
        change = """
            INSERT INTO subscription_changes (subscription_id, kind, reason, at)
            SELECT id, 'revived', 'tried again', :now FROM subscriptions
             WHERE state = 'quarantined' AND state_at <= :before
        """
        # The failures stay: a third one must still count as such.
        update = """
            UPDATE subscriptions SET state = 'active', state_reason = NULL, state_at = :now
             WHERE state = 'quarantined' AND state_at <= :before
        """
        before = now - QUARANTINE_TIME
        sql = "SELECT 1 FROM subscriptions WHERE state = 'quarantined' AND state_at <= :before"
        if self._read_value(sql, before=before) is None:
            return 0
        with self._store.write():
            self._write(change, now=now, before=before)
            return self._write(update, now=now, before=before)

    def compute_gone_share(self, origin: str, campaign: int) -> float | None:
        """
        Return the share of *origin*'s subscriptions found gone before *campaign*.

        Reads the last 50,000 rows of other campaigns; None where it has none there.
        Subscriptions that came back, were spared as too many, or may be invented do not count.
        """
        sql = f"""
            SELECT avg(d.status = 'gone' AND s.state = 'gone'
                       AND (s.state_at <= d.changed_at OR EXISTS (
                           SELECT 1 FROM subscription_changes AS c
                            WHERE c.subscription_id = s.id AND c.at = s.state_at
                              AND c.cause = 'mass_gone')))
              FROM (
                SELECT subscription_id, status, changed_at FROM deliveries
                 WHERE campaign_id <> :campaign AND status IN ('accepted', 'gone')
                 ORDER BY id DESC LIMIT 50000) AS d
              JOIN subscriptions AS s ON s.id = d.subscription_id
             WHERE {_AT_ORIGIN}
               AND NOT (d.status = 'gone' AND {_NEWCOMER})
        """  # noqa: S608
        share: float | None = self._read_value(sql, origin=origin, campaign=campaign)
        return share

    def find_lately_gone(
        self, campaign: int, origin: str, since: Millis, until: Millis
    ) -> tuple[list[int], int]:
        """
        Return the subscriptions of *origin* found gone in that time, and how many accepted.

        Reads the last 5,000 that are gone, and those accepted since the first of them.
        """
        gone = _ANSWERED.format(columns="s.id, d.id", status="gone", limit=5_000)
        accepted = _ANSWERED.format(columns="count(*)", status="accepted", limit=25_000)
        values = {"campaign": campaign, "origin": origin, "since": since, "until": until}
        found = self._read(gone, **values, first=0).fetchall()
        if not found:
            return [], 0
        count = self._read_value(accepted, **values, first=min(row for _, row in found))
        return [subscription for subscription, _ in found], count

    def list_gone(self, campaign: int, origin: str, since: Millis = 0) -> list[int]:
        """Return the subscriptions of *origin* that *campaign* found gone and still are."""
        sql = f"""
            SELECT s.id FROM deliveries AS d JOIN subscriptions AS s ON s.id = d.subscription_id
             WHERE d.campaign_id = :campaign AND d.status = 'gone' AND d.changed_at >= :since
               AND s.state = 'gone'
               AND {_AT_ORIGIN}
        """  # noqa: S608
        rows = self._read(sql, campaign=campaign, origin=origin, since=since)
        return [row for (row,) in rows]

    def list_spared(self, campaign: int) -> list[int]:
        """
        Return the subscriptions that *campaign* found gone and that were spared as too many.

        Those that came back by themselves since then are excluded.
        """
        sql = """
            SELECT d.subscription_id
              FROM deliveries AS d JOIN subscriptions AS s ON s.id = d.subscription_id
             WHERE d.campaign_id = :campaign AND d.status = 'gone' AND s.state = 'active'
               AND NOT EXISTS (SELECT 1 FROM subscription_changes AS c
                                WHERE c.subscription_id = s.id AND c.at >= d.changed_at
                                  AND c.kind IN ('revived', 'moved')
                                  AND c.cause IS NOT 'mass_gone')
        """
        return [row for (row,) in self._read(sql, campaign=campaign)]

    def give_up_key(self, key: str, now: Millis, limit: int) -> int:
        """
        Mark up to *limit* subscribers of the lost key with this id as gone; return how many.

        Nothing is tried for them any more. A visit subscribes them anew, with their history.
        """
        sql = """
            SELECT id FROM subscriptions
             WHERE key_id = :key AND state IN ('active', 'quarantined') LIMIT :limit
        """
        with self._store.write():
            return self._mark_keyless(self._read(sql, key=key, limit=limit), now)

    def give_up(self, subscription: int, now: Millis) -> None:
        """Mark one subscriber so, unless they have left; see ``give_up_key``."""
        sql = """
            SELECT id FROM subscriptions
             WHERE id = :id AND state IN ('active', 'quarantined')
        """
        with self._store.write():
            self._mark_keyless(self._read(sql, id=subscription), now)

    def _mark_keyless(self, found: Iterable[tuple[int]], now: Millis) -> int:
        rows = [row for (row,) in found]
        reason, gone = "its VAPID key has ended", SubscriptionState.GONE
        return self._store.subscriptions.mark(rows, gone, reason, now, Cause.KEY_LOST)

    def take_up_key(self, key: str, now: Millis, limit: int) -> int:
        """Activate up to *limit* of those whom ``give_up_key`` marked; return how many."""
        sql = """
            SELECT s.id FROM subscriptions AS s
             WHERE s.key_id = :key AND s.state = 'gone'
               AND EXISTS (SELECT 1 FROM subscription_changes AS c
                            WHERE c.subscription_id = s.id AND c.at = s.state_at
                              AND c.cause = 'key_lost')
             LIMIT :limit
        """
        with self._store.write():
            rows = [row for (row,) in self._read(sql, key=key, limit=limit)]
            reason = "its VAPID key is back"
            active = SubscriptionState.ACTIVE
            return self._store.subscriptions.mark(rows, active, reason, now, Cause.KEY_LOST)


_ANSWERED = f"""
    SELECT {{columns}} FROM (
        SELECT id, subscription_id, changed_at FROM deliveries INDEXED BY deliveries_status
         WHERE campaign_id = :campaign AND status = '{{status}}' AND id >= :first
         ORDER BY id DESC LIMIT {{limit}}) AS d
      JOIN subscriptions AS s ON s.id = d.subscription_id
     WHERE d.changed_at BETWEEN :since AND :until
       AND {_AT_ORIGIN}
"""  # noqa: S608
