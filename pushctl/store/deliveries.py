"""
Deliveries: the ledger. One row for each message and receiver, from plan to end.

A row is claimed (``sending``, committed) before anything goes out, and gets its outcome
after; ``jobs/delivery/results/recovery`` settles what a crash leaves in ``sending``. Rows are
named tuples: a dataclass for each row would cost more than the query.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, cast

from pushctl.model import Cause, Millis
from pushctl.rules.delivery.retry import NEVER_SENT
from pushctl.store.idle import RUNNING_DUE
from pushctl.store.ledger_rows import AbandonedRow, ClaimedRow, FinishedRow, ReleasedRow
from pushctl.store.noun import Noun, as_json

# A ClaimedRow from a row, without a call of Python's own for each (as _make has).
_row = cast("Callable[[tuple[Any, ...]], ClaimedRow]", partial(tuple.__new__, ClaimedRow))

_state = itemgetter(ClaimedRow._fields.index("state"))
_expires_at = itemgetter(ClaimedRow._fields.index("expires_at"))

# States of subscriptions that get messages.
_SENDABLE = frozenset(("active", "quarantined"))

PAGE = 20_000

# Rows that a run may send before their time, because the network is back: see hasten.
CAN_BE_HASTENED = "status = 'planned' AND cause = 'no_connection'"


class Deliveries(Noun):
    def plan(
        self,
        campaign: int,
        subscriptions: Sequence[int],
        *,
        now: Millis,
        expires_after: Millis | None,
        over: Millis = 0,
        holdout: float | None = None,
    ) -> int:
        """
        Write one row for each of *subscriptions*; return how many.

        Those that were erased since they were chosen get none. With *over* the rows become due
        evenly spread over that time, and each message's life of *expires_after* begins when it
        is due. *holdout* is the probability with which they are not in the control group.
        """
        sql = """
            INSERT INTO deliveries (campaign_id, subscription_id, next_attempt_at, expires_at,
                                    changed_at, holdout_probability)
            SELECT :campaign, value, iif(:over, :now + :over * (:start + key) / :count, NULL),
                   :now + :over * (:start + key) / :count + :life, :now,
                   :holdout
              FROM json_each(:page)
             WHERE EXISTS (SELECT 1 FROM subscriptions AS s WHERE s.id = value)
        """
        count, planned = len(subscriptions), 0
        values = {"campaign": campaign, "now": now, "life": expires_after, "over": over}
        with self._store.write() as connection:
            # In pages: rows by the statement cost a third of rows one by one, and a
            # million of them as one text would be eight megabytes. By json, because orjson
            # reserves 200 bytes a row meanwhile.
            for start in range(0, count, PAGE):
                page = json.dumps(list(subscriptions[start : start + PAGE]))
                all_values = values | {
                    "holdout": holdout,
                    "start": start,
                    "count": count,
                    "page": page,
                }
                planned += connection.execute(sql, all_values).rowcount
        return planned

    def load_unplanned(
        self, subscriptions: Sequence[int], variant: str | None = None
    ) -> list[ClaimedRow]:
        """
        Return rows for subscriptions without a delivery, to see what their message would be.

        All are of the arm *variant*. Their ids are the subscriptions'; endpoints and keys are
        empty.
        """
        sql = f"""
            SELECT s.id, s.id, 0, 1, NULL, :variant, '', x'', x'', s.key_id, 0, {_PERSON}
              FROM json_each(:page) AS j CROSS JOIN subscriptions AS s ON s.id = j.value
              JOIN sites AS t ON t.id = s.site_id
        """  # noqa: S608 - our own columns
        rows = self._read(sql, page=as_json(subscriptions), variant=variant)
        return [_row(row) for row in rows]

    def claim_fresh(
        self, campaign: int, after: int, limit: int, now: Millis, *, brief: bool = False
    ) -> tuple[list[ClaimedRow], int | None]:
        """
        Mark the next rows behind row *after* as ``sending``; return those to send.

        Fresh rows have no date. The second value is where to go on, None when there is
        nothing behind. Rows whose time is over or whose subscription isn't active become
        expired or skipped here. The caller commits before it sends. With *brief* rows end with
        ``worker``, which takes a third of the time.
        """
        # Bound by the range and by the same condition in the same transaction, so it
        # touches the rows that were read and no other.
        claim = """
            UPDATE deliveries
               SET status = 'sending', attempts = attempts + 1, changed_at = :now,
                   content_hash = NULL
             WHERE campaign_id = :campaign AND status = 'planned'
               AND id > :after AND id <= :last AND next_attempt_at IS NULL
        """
        values = {"campaign": campaign, "after": after, "limit": limit, "now": now}
        with self._store.write() as connection:
            found = connection.execute(_BRIEF_FRESH if brief else _ALL_FRESH, values)
            rows = list(map(_row, found.fetchall()))
            if not rows:
                return [], None
            connection.execute(claim, values | {"last": rows[-1].id})
            return self._end_unsendable(connection, rows, now), rows[-1].id

    def claim_due(self, campaign: int, limit: int, now: Millis) -> tuple[list[ClaimedRow], int]:
        """
        Mark rows whose date has come as ``sending``; return those to send.

        The second value counts all that were taken, the expired and skipped among them:
        none means that nothing is due.
        """
        claim = """
            UPDATE deliveries
               SET status = 'sending', attempts = attempts + 1, changed_at = ?,
                   content_hash = NULL
             WHERE id = ?
        """
        values = {"campaign": campaign, "limit": limit, "now": now}
        if self._read_value(_ANY_DUE, campaign=campaign, now=now) is None:
            return [], 0
        with self._store.write() as connection:
            rows = [_row(row) for row in connection.execute(_DUE, values)]
            connection.executemany(claim, ((now, row.id) for row in rows))
            return self._end_unsendable(connection, rows, now), len(rows)

    def _end_unsendable(
        self, connection: sqlite3.Connection, rows: list[ClaimedRow], now: Millis
    ) -> list[ClaimedRow]:
        """End those of *rows* that can't be sent any more; return the others."""
        # In C, for thousands of rows of which mostly none is such a one.
        ends = set(map(_expires_at, rows)) - {None}
        if _SENDABLE.issuperset(map(_state, rows)) and min(ends, default=now + 1) > now:
            return rows
        unsendable = [
            row
            for row in rows
            if row.state not in _SENDABLE
            or (row.expires_at is not None and row.expires_at <= now)
        ]
        ended = []
        for row in unsendable:
            if row.expires_at is not None and row.expires_at <= now:
                ended.append(("expired", "its time was over", Cause.TIME_OVER, now, row.id))
            else:
                cause = Cause.FORGOTTEN if row.state is None else Cause.NOT_ACTIVE
                reason = "forgotten" if row.state is None else f"meanwhile {row.state}"
                ended.append(("skipped", reason, cause, now, row.id))
        sql = """
            UPDATE deliveries
               SET status = ?, reason = ?, cause = ?, changed_at = ?,
                   attempts = attempts - 1, next_attempt_at = NULL
             WHERE id = ?
        """
        connection.executemany(sql, ended)
        left_out = {row.id for row in unsendable}
        self._store.promo_bindings.give_back(left_out)
        return [row for row in rows if row.id not in left_out]

    def finish(self, rows: Iterable[FinishedRow], now: Millis, *, late: bool = False) -> None:
        """
        Write outcomes of claimed rows; a row that isn't ``sending`` stays as it is.

        *late*: a dead process got the answers, some time after it had claimed the rows.
        """
        sql = """
            UPDATE deliveries
               SET status = ?, reason = ?, cause = ?, http_status = ?, location = ?,
                   next_attempt_at = ?, language = coalesce(?, language),
                   attempts = attempts - ?, changed_at = ?,
                   sent_at = CASE ? WHEN 'answered' THEN ? WHEN 'left' THEN changed_at END
             WHERE id = ? AND status = 'sending'
        """
        finished = list(rows)
        with self._store.write():
            self._write_each(
                sql,
                ((*row[1:], now, row.find_sent(late), now, row.id) for row in finished),
            )
            self._sort_codes(finished)

    def _sort_codes(self, rows: Sequence[FinishedRow]) -> None:
        """Keep the promo codes of rows that were on the wire; return the others to the pool."""
        never = [row.id for row in rows if row.cause in NEVER_SENT]
        tried = [
            row.id
            for row in rows
            if row.cause not in NEVER_SENT and row.status != "accepted"  # that says it
        ]
        if never:
            self._store.promo_bindings.give_back(never)
        if tried:
            self._store.promo_bindings.mark_tried(tried)

    def accept(
        self,
        rows: Sequence[int],
        http_status: int | None,
        language: str | None,
        now: Millis,
        *,
        late: bool = False,
    ) -> None:
        """
        Write that these claimed rows were accepted; as ``finish``, for many alike.

        One statement for all of them takes a third of the time of one each.
        """
        sql = """
            UPDATE deliveries
               SET status = 'accepted', reason = NULL, cause = NULL, http_status = :http_status,
                   next_attempt_at = NULL, language = coalesce(:language, language),
                   changed_at = :now, sent_at = iif(:late, changed_at, :now)
             WHERE id IN (SELECT value FROM json_each(:rows)) AND status = 'sending'
        """
        values = {"http_status": http_status, "language": language, "now": now, "late": late}
        self._write(sql, rows=as_json(rows), **values)

    def note_foreign(self, rows: Sequence[int]) -> None:
        """Note that these go out in another service's form: who shows them reports nothing."""
        sql = """
            INSERT OR IGNORE INTO foreign_deliveries (delivery_id)
            SELECT value FROM json_each(:rows)
        """
        self._write(sql, rows=as_json(rows))

    def release(self, rows: Iterable[ReleasedRow], now: Millis) -> None:
        """Return claimed rows that were not sent to the plan: without code and drawn hour."""
        sql = """
            UPDATE deliveries
               SET status = 'planned', attempts = attempts - 1, next_attempt_at = ?,
                   reason = ?, cause = ?, changed_at = ?, hour_probability = NULL
             WHERE id = ? AND status = 'sending'
        """
        released = list(rows)
        with self._store.write():
            self._write_each(sql, ((*row[1:], now, row.id) for row in released))
            if released:
                self._store.promo_bindings.give_back(row.id for row in released)

    def hasten(self, campaign: int, origin: str | None, now: Millis) -> int:
        """Make the rows due that wait for a connection (to *origin*); return how many."""
        sql = f"""
            UPDATE deliveries SET next_attempt_at = :now, changed_at = :now
             WHERE campaign_id = :campaign AND {CAN_BE_HASTENED} AND next_attempt_at > :now
               AND (:first IS NULL OR EXISTS (
                   SELECT 1 FROM subscriptions AS s
                    WHERE s.id = subscription_id
                      AND s.endpoint >= :first AND s.endpoint < :beyond))
        """  # noqa: S608 - our own condition
        # "0" follows "/".
        first, beyond = (f"{origin}/", f"{origin}0") if origin else (None, None)
        return self._write(sql, campaign=campaign, first=first, beyond=beyond, now=now)

    def load_claimed(self, campaign: int) -> dict[int, AbandonedRow]:
        """Return the rows in ``sending``, by their ids."""
        sql = """
            SELECT d.id, d.attempts, d.expires_at, d.subscription_id, s.endpoint, s.key_id
              FROM deliveries AS d LEFT JOIN subscriptions AS s ON s.id = d.subscription_id
             WHERE d.campaign_id = :campaign AND d.status = 'sending'
        """
        return {row: AbandonedRow(*rest) for row, *rest in self._read(sql, campaign=campaign)}

    def count_waiting(self, campaign: int, now: Millis) -> tuple[int, Millis | None]:
        """Return how many rows are planned and when the next is due (None: at once)."""
        sql = """
            SELECT count(*), min(coalesce(next_attempt_at, 0)) FROM deliveries
             WHERE campaign_id = :campaign AND status = 'planned'
        """
        count, first = self._read(sql, campaign=campaign).fetchone()
        return count, first if first and first > now else None

    def list_due_campaigns(self, now: Millis) -> list[int]:
        """
        Return the campaigns that have due rows or may have lost their process.

        A lost process leaves planned rows without a date, or rows in ``sending``, also in a
        cancelled campaign. The campaign's lock shows whether a process is alive. Calls on
        other channels are not among them.
        """
        return self._list_due(now, "c.options ->> '$.channel' IS NULL")

    def list_due_calls(self, now: Millis) -> list[int]:
        """Return the campaigns with due calls on other channels, as ``list_due_campaigns``."""
        return self._list_due(now, "c.options ->> '$.channel' IS NOT NULL")

    def _list_due(self, now: Millis, which: str) -> list[int]:
        sql = f"{RUNNING_DUE} AND {which} ORDER BY c.id"
        return [campaign for (campaign,) in self._read(sql, now=now)]

    def count_reasons(self, campaign: int) -> list[tuple[str, str | None, int]]:
        """Return (status, reason, count), the largest first within each status."""
        sql = """
            SELECT status, reason, count(*) FROM deliveries WHERE campaign_id = :campaign
             GROUP BY status, reason ORDER BY status, count(*) DESC
        """
        return self._read(sql, campaign=campaign).fetchall()

    def cancel(self, campaign: int, now: Millis) -> int:
        """Skip all planned rows; return how many."""
        sql = """
            UPDATE deliveries
               SET status = 'skipped', reason = 'cancelled', cause = 'cancelled',
                   next_attempt_at = NULL, changed_at = :now
             WHERE campaign_id = :campaign AND status = 'planned'
        """
        return self._write(sql, campaign=campaign, now=now)


_COLUMNS = """
    SELECT d.id, d.subscription_id, d.enrolment_id, d.attempts + 1, d.expires_at, d.variant,
           s.endpoint, s.p256dh, s.auth, s.key_id, s.failures,
"""
_NEEDED = "s.small_payload, t.name, s.language, s.attributes, s.state, s.worker"
_PERSON = f"""
           {_NEEDED}, s.public_id, s.timezone, s.country, s.city, s.browser, s.os,
           iif(s.alias_trusted, s.alias, NULL) AS alias, s.source, s.subscribed_at,
           s.last_seen_at
"""
_PEOPLE = """
      LEFT JOIN subscriptions AS s ON s.id = d.subscription_id
      LEFT JOIN sites AS t ON t.id = s.site_id
"""

_FRESH = """
    {_COLUMNS} {columns} FROM deliveries AS d {_PEOPLE}
     WHERE d.campaign_id = :campaign AND d.status = 'planned' AND d.id > :after
       AND d.next_attempt_at IS NULL
     ORDER BY d.id LIMIT :limit
"""
_ALL_FRESH = _FRESH.format(_COLUMNS=_COLUMNS, columns=_PERSON, _PEOPLE=_PEOPLE)
_BRIEF_FRESH = _FRESH.format(_COLUMNS=_COLUMNS, columns=_NEEDED, _PEOPLE=_PEOPLE)

# Without a hint the planner reads every planned row of the campaign.
_IS_DUE = "deliveries AS d INDEXED BY deliveries_due"
# What waits for a test's winner has no text yet, also where its time has come.
_WHEN_DUE = """
     WHERE d.campaign_id = :campaign AND d.status = 'planned' AND d.next_attempt_at <= :now
       AND d.cause IS NOT 'awaits_winner'
"""
_DUE = f"""
    {_COLUMNS} {_PERSON} FROM {_IS_DUE} {_PEOPLE} {_WHEN_DUE}
     ORDER BY d.next_attempt_at LIMIT :limit
"""
_ANY_DUE = f"SELECT 1 FROM {_IS_DUE} {_WHEN_DUE} LIMIT 1"  # noqa: S608
