"""Schedules: campaigns for later, each message with its own time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from pushctl.model import Millis
from pushctl.store.idle import FIND_WORK, SCHEDULED_DUE
from pushctl.store.noun import Noun, as_json
from pushctl.store.recurring import Recurring

if TYPE_CHECKING:
    from pushctl.store import Store


_PAGE = 5_000


class Waiting(NamedTuple):
    """A planned message of a trigger's step, with the subscriber's time zone."""

    delivery: int
    enrolment: int
    subscription: int
    timezone: str | None
    site: str
    step: int


class Work(NamedTuple):
    """What there is to do."""

    planned: bool  # a scan, a series, a campaign that was planned for now
    new: bool  # events, reports, enrolments that are due
    due: bool  # messages
    calls: bool  # to programs and webhooks


class Schedules(Noun):
    def __init__(self, store: "Store") -> None:
        super().__init__(store)
        self.recurring = Recurring(store)

    def find_work(self, fingerprint: str, now: Millis) -> Work:
        """Return what a sweep would find; *fingerprint* is that of pushctl.toml."""
        row = self._read(FIND_WORK, config=fingerprint, now=now).fetchone()
        return Work(*map(bool, row))

    def withhold(self, subscription: int, until: Millis, reason: str, now: Millis) -> int:
        """Skip a subscription's planned broadcasts before *until*; return how many."""
        sql = """
            UPDATE deliveries
               SET status = 'skipped', reason = :reason, cause = 'paused_by_subscriber',
                   changed_at = :now
             WHERE subscription_id = :id AND status = 'planned' AND enrolment_id <= 0
               AND coalesce(next_attempt_at, 0) < :until
               AND NOT EXISTS (SELECT 1 FROM campaigns AS c
                                WHERE c.id = campaign_id AND c.options ->> '$.transactional')
        """
        return self._write(sql, id=subscription, until=until, reason=reason, now=now)

    def plan(
        self,
        campaign: int,
        rows: Iterable[tuple[int, Millis]],
        *,
        now: Millis,
        expires_after: Millis,
        holdout: float | None = None,
    ) -> None:
        """
        Write one row for each (subscription, when it is due) that was not erased since.

        *holdout* is the probability with which they are not in the control group.
        """
        sql = """
            INSERT INTO deliveries (campaign_id, subscription_id, next_attempt_at,
                                    expires_at, changed_at, holdout_probability)
            SELECT :campaign, s.id, :due, :due + :life, :now, :holdout
              FROM json_each(:ids) AS j CROSS JOIN subscriptions AS s ON s.id = j.value
        """
        values = {"campaign": campaign, "life": expires_after, "now": now, "holdout": holdout}
        rest = iter(rows)
        with self._store.write() as connection:
            while page := list(islice(rest, _PAGE)):
                # Most share a time or live in few time zones: rows by the statement cost a
                # third of rows one by one.
                times: defaultdict[Millis, list[int]] = defaultdict(list)
                for row, due in page:
                    times[due].append(row)
                for due, ids in times.items():
                    connection.execute(sql, {**values, "due": due, "ids": as_json(ids)})

    def list_waiting(self, campaign: int, now: Millis) -> list[Waiting]:
        """Return the messages of a trigger's step that would go out at *now*."""
        sql = """
            SELECT d.id, d.enrolment_id, s.id, s.timezone, t.name, c.step
              FROM campaigns AS c JOIN deliveries AS d ON d.campaign_id = c.id
              JOIN subscriptions AS s ON s.id = d.subscription_id
              JOIN sites AS t ON t.id = s.site_id
             WHERE c.id = :campaign AND d.status = 'planned'
               AND (d.next_attempt_at IS NULL OR d.next_attempt_at <= :now)
        """
        return [Waiting._make(row) for row in self._read(sql, campaign=campaign, now=now)]

    def postpone(self, rows: Iterable[tuple[Millis, str, Millis, int]]) -> None:
        """
        Postpone planned messages to the end of quiet hours: (when, reason, now, row).

        Their lives are longer by the wait, which is not their fault.
        """
        sql = """
            UPDATE deliveries
               SET next_attempt_at = :at, reason = :reason, cause = 'quiet_hours',
                   changed_at = :now, expires_at = expires_at + :at - :now
             WHERE id = :row AND status = 'planned'
        """
        self._write_each(
            sql,
            (
                {"at": at, "reason": reason, "now": now, "row": row}
                for at, reason, now, row in rows
            ),
        )

    def count_due(self, campaign: int, now: Millis) -> int:
        """Return how many of a campaign's messages would go out at *now*."""
        sql = """
            SELECT count(*) FROM deliveries
             WHERE campaign_id = :campaign AND status = 'planned'
               AND (next_attempt_at IS NULL OR next_attempt_at <= :now)
               AND (expires_at IS NULL OR expires_at > :now)
        """
        return int(self._read_value(sql, campaign=campaign, now=now))

    def count_overdue(self, before: Millis) -> int:
        """
        Return how many messages and enrolments were due *before*, and still wait.

        Paused campaigns and triggers wait for a person, and what a process is sending now
        isn't late.
        """
        sql = """
            SELECT (SELECT count(*) FROM campaigns AS c
                      JOIN deliveries AS d INDEXED BY deliveries_due ON d.campaign_id = c.id
                     WHERE c.status IN ('running', 'scheduled') AND d.status = 'planned'
                       AND d.next_attempt_at IS NOT NULL AND d.next_attempt_at <= :before
                       AND (d.expires_at IS NULL OR d.expires_at > :before))
                 + (SELECT count(*) FROM enrolments
                     WHERE state = 'active' AND next_at <= :before
                       AND trigger NOT IN (SELECT name FROM trigger_states
                                            WHERE paused_at IS NOT NULL))
        """
        return int(self._read_value(sql, before=before))

    def list_due(self, now: Millis) -> list[int]:
        """Return the scheduled campaigns whose first message is due."""
        return [row for (row,) in self._read(SCHEDULED_DUE, now=now)]

    def load_languages(self, subscriptions: Sequence[int]) -> dict[int, tuple[str, str | None]]:
        """Return site and language of each of these subscriptions."""
        sql = """
            SELECT s.id, t.name, s.language
              FROM json_each(:ids) AS j JOIN subscriptions AS s ON s.id = j.value
              JOIN sites AS t ON t.id = s.site_id
        """
        return {
            row: (site, it) for row, site, it in self._read(sql, ids=as_json(subscriptions))
        }

    def list_zones(self, subscriptions: Sequence[int]) -> Iterator[tuple[int, str | None, str]]:
        """Yield (row, time zone, site) of these subscriptions."""
        sql = """
            SELECT s.id, s.timezone, t.name
              FROM json_each(:ids) AS j JOIN subscriptions AS s ON s.id = j.value
              JOIN sites AS t ON t.id = s.site_id
        """
        for start in range(0, len(subscriptions), _PAGE):
            ids = as_json(subscriptions[start : start + _PAGE])
            yield from self._read(sql, ids=ids).fetchall()
