"""
Messages of the server API: what a request asked for, and what has become of it.

A message's deliveries are found by its number (``own`` 0: many messages share a campaign),
or they are all of its campaign.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import orjson

from pushctl.model import Json, Millis
from pushctl.store.noun import Noun, as_json


class ApiMessage(NamedTuple):
    """One message as a request of the API asked for it."""

    id: int
    request: str
    key: str  # the id of its API key
    site_id: int
    at: Millis  # when it came
    state: str
    campaign: int | None
    own: bool  # whether the campaign is this message's alone
    due_at: Millis | None
    content: Mapping[str, Json]
    counts: Mapping[str, int]  # as they were published last
    reason: str | None
    filed: bool
    changed_at: Millis


_COLUMNS = """
    id, request, key, site_id, at, state, campaign_id, own, due_at, content, counts, reason,
    filed, changed_at
"""


class Messages(Noun):
    def add(
        self, request: str, key: str, site: int, at: Millis, content: Mapping[str, Json]
    ) -> None:
        """Write a message that is to be planned."""
        sql = """
            INSERT INTO messages (request, key, site_id, at, content, look_at, changed_at)
            VALUES (:request, :key, :site, :at, :content, :at, :at)
        """
        text = orjson.dumps(content).decode()
        self._write(sql, request=request, key=key, site=site, at=at, content=text)

    def list_due(self, now: Millis, limit: int, *, all_sizes: bool = True) -> list[ApiMessage]:
        """
        Return the messages to look at by *now*, those first that wait longest.

        Without *all_sizes* none whose audience was found to be large.
        """
        sql = f"""
            SELECT {_COLUMNS} FROM messages INDEXED BY messages_look
             WHERE look_at <= :now AND (:all OR NOT own OR state <> 'received')
             ORDER BY look_at, id LIMIT :limit
        """  # noqa: S608
        return [_build(row) for row in self._read(sql, now=now, limit=limit, all=all_sizes)]

    def find(self, request: str) -> ApiMessage | None:
        sql = f"SELECT {_COLUMNS} FROM messages WHERE request = :request"  # noqa: S608
        row = self._read(sql, request=request).fetchone()
        return None if row is None else _build(row)

    def save(self, one: ApiMessage, look_at: Millis | None) -> None:
        """Write what has become of a message, and when to look at it again."""
        sql = """
            UPDATE messages
               SET state = :state, campaign_id = :campaign, own = :own, due_at = :due_at,
                   content = :content, counts = :counts, reason = :reason, filed = :filed,
                   look_at = :look_at, changed_at = :changed_at
             WHERE id = :id
        """
        values = one._asdict()
        for name in ("content", "counts"):
            values[name] = orjson.dumps(values[name]).decode()
        for name in ("request", "key", "site_id", "at"):
            del values[name]
        self._write(sql, look_at=look_at, **values)

    def plan(
        self,
        message: int,
        campaign: int,
        subscriptions: Iterable[int],
        *,
        now: Millis,
        due: Millis,
        expires_at: Millis,
    ) -> None:
        """Write a message's deliveries, which become due at *due*."""
        # With a date they are claimed by a run that is under way already.
        sql = """
            INSERT INTO deliveries (campaign_id, subscription_id, enrolment_id,
                                    next_attempt_at, expires_at, changed_at)
            VALUES (:campaign, :one, -:message, :due, :expires_at, :now)
        """
        values = {"campaign": campaign, "message": message, "due": due, "now": now}
        values["expires_at"] = expires_at
        self._write_each(sql, (values | {"one": one} for one in subscriptions))

    def count_deliveries(self, one: ApiMessage) -> dict[str, int]:
        """Return how many of its deliveries are in each state, shown and clicked besides."""
        which = "d.campaign_id = :campaign" if one.own else _OF_MESSAGE
        sql = f"SELECT status, count(*) FROM deliveries AS d WHERE {which} GROUP BY 1"  # noqa: S608
        seen = f"""
            SELECT count(DISTINCT i.delivery_id),
                   count(DISTINCT iif(i.kind = 'clicked', i.delivery_id, NULL))
              FROM deliveries AS d CROSS JOIN interactions AS i ON i.delivery_id = d.id
             WHERE {which}
        """  # noqa: S608
        values = {"campaign": one.campaign} if one.own else {"id": one.id}
        counts: dict[str, int] = dict(self._read(sql, **values))
        counts["shown"], counts["clicked"] = self._read(seen, **values).fetchone()
        return counts

    def find_reason(self, one: ApiMessage) -> str | None:
        """Return the commonest reason of a message's deliveries."""
        which = "d.campaign_id = :campaign" if one.own else _OF_MESSAGE
        sql = f"""
            SELECT d.reason FROM deliveries AS d
             WHERE {which} AND d.reason IS NOT NULL
             GROUP BY 1 ORDER BY count(*) DESC LIMIT 1
        """  # noqa: S608
        values = {"campaign": one.campaign} if one.own else {"id": one.id}
        found: str | None = self._read_value(sql, **values)
        return found

    def cancel(self, one: ApiMessage, now: Millis) -> int:
        """Skip a message's deliveries that are not begun; return how many."""
        sql = f"""
            UPDATE deliveries AS d
               SET status = 'skipped', reason = 'cancelled', cause = 'cancelled',
                   next_attempt_at = NULL, changed_at = :now
             WHERE {_OF_MESSAGE} AND d.status = 'planned'
        """  # noqa: S608
        return self._write(sql, id=one.id, now=now)

    def look_again(self, delivery: int, at: Millis) -> None:
        """Have the message of a delivery looked at: its figures have changed."""
        sql = """
            UPDATE messages SET look_at = min(coalesce(look_at, :at), :at)
             WHERE id = (SELECT -enrolment_id FROM deliveries
                          WHERE id = :delivery AND enrolment_id < 0)
        """
        own = """
            UPDATE messages SET look_at = min(coalesce(look_at, :at), :at)
             WHERE own AND campaign_id = (SELECT campaign_id FROM deliveries
                                           WHERE id = :delivery AND enrolment_id = 0)
        """
        if not self._write(sql, delivery=delivery, at=at):
            self._write(own, delivery=delivery, at=at)

    def look_at_changed(self, since: Millis, came: Millis, now: Millis) -> int:
        """Have those looked at that changed *since*, of all that came after *came*."""
        sql = """
            UPDATE messages SET look_at = :now
             WHERE at >= :came AND changed_at >= :since AND look_at IS NULL
        """
        return self._write(sql, since=since, came=came, now=now)

    def load_contents(self, numbers: Iterable[int]) -> dict[int, Mapping[str, Json]]:
        """Return what the texts of some messages need, by their numbers."""
        sql = """
            SELECT id, content FROM messages
             WHERE id IN (SELECT value FROM json_each(:ids))
        """
        return {row: orjson.loads(text) for row, text in self._read(sql, ids=as_json(numbers))}

    def find_group(self, digest: bytes) -> int | None:
        """Return the campaign of a kind of messages, None where it is over."""
        sql = """
            SELECT c.id FROM message_groups AS g JOIN campaigns AS c ON c.id = g.campaign_id
             WHERE g.digest = :digest AND c.status IN ('running', 'paused')
        """
        found: int | None = self._read_value(sql, digest=digest)
        return found

    def is_stuck(self, campaign: int, since: Millis) -> bool:
        """Return whether a message of a campaign has been under way *since* then."""
        sql = """
            SELECT 1 FROM deliveries INDEXED BY deliveries_status
             WHERE campaign_id = :campaign AND status = 'sending' AND changed_at <= :since
        """
        return self._read_value(sql, campaign=campaign, since=since) is not None

    def save_group(self, digest: bytes, campaign: int, at: Millis) -> None:
        sql = """
            INSERT INTO message_groups (digest, campaign_id, at)
            VALUES (:digest, :campaign, :at)
            ON CONFLICT DO UPDATE SET campaign_id = excluded.campaign_id, at = excluded.at
        """
        self._write(sql, digest=digest, campaign=campaign, at=at)

    def close_groups(self, before: Millis, now: Millis) -> int:
        """Finish the campaigns of groups from before *before* once no message waits there."""
        finish = """
            UPDATE campaigns
               SET status = 'finished', finished_at = :now, note = NULL, cause = NULL
             WHERE status = 'running'
               AND id IN (SELECT campaign_id FROM message_groups WHERE at < :before)
               AND NOT EXISTS (SELECT 1 FROM deliveries AS d
                                WHERE d.campaign_id = campaigns.id
                                  AND d.status IN ('planned', 'sending'))
        """
        drop = """
            DELETE FROM message_groups
             WHERE at < :before
               AND campaign_id IN (SELECT id FROM campaigns
                                    WHERE status IN ('finished', 'cancelled'))
        """
        with self._store.write():
            count = self._write(finish, before=before, now=now)
            self._write(drop, before=before)
        return count

    def hold_back(self, reason: str, now: Millis) -> int:
        """Refuse what is not planned yet; return how many."""
        sql = """
            UPDATE messages
               SET state = 'refused', reason = :reason, content = '{}', look_at = :now,
                   changed_at = :now
             WHERE state = 'received'
        """
        return self._write(sql, reason=reason, now=now)

    def count_unplanned(self) -> int:
        sql = """
            SELECT count(*) FROM messages
             WHERE look_at IS NOT NULL AND state = 'received'
        """
        return int(self._read_value(sql))

    def list_held(self) -> Sequence[tuple[str, int]]:
        """Return (campaign, people) of the audiences that wait for a person, oldest first."""
        sql = """
            SELECT c.name, (SELECT count(*) FROM deliveries WHERE campaign_id = c.id)
              FROM campaigns AS c
             WHERE c.status = 'paused' AND c.cause = 'large_audience' ORDER BY c.id
        """
        return self._read(sql).fetchall()


# The second condition is that of the index: the planner knows no value of the first.
_OF_MESSAGE = "d.enrolment_id = -:id AND d.enrolment_id < 0"


def _build(row: tuple[Json, ...]) -> ApiMessage:
    made = ApiMessage._make(row)
    return made._replace(
        own=bool(made.own),
        filed=bool(made.filed),
        content=orjson.loads(row[9]),
        counts=orjson.loads(row[10]),
    )
