"""
Webhooks: what has happened since the last look, the calls about it, and how each hook does.

A call is claimed before it is made: its try and the time of the next one are committed, so a
kill in between repeats it then, under the same id.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import orjson

from pushctl.model import Json, Millis
from pushctl.rules.web import webhooks as names
from pushctl.store.events import ARRIVAL
from pushctl.store.noun import Noun, as_json

# Cursors over rows that are added and never changed; they exist while there are webhooks.
CURSORS = {"events": "webhooks.events", "interactions": "webhooks.interactions"}

# Others are told nothing of what people do who asked not to be tracked.
_TRACKED = "s.gpc_at IS NULL AND s.tracking_refused_at IS NULL"
_PERSON = "s.id, s.public_id, t.name, iif(s.alias_trusted, s.alias, NULL)"


class Person(NamedTuple):
    """Whom an event is about, as far as it may be told."""

    subscription: int
    public_id: str
    site: str
    alias: str | None  # one that the shop signed


class Happened(NamedTuple):
    """One row that webhooks are told of."""

    row: int
    event: str
    source: str  # the table
    at: Millis
    person: Person | None  # None: of a campaign
    data: Mapping[str, Json]


class NewCall(NamedTuple):
    webhook: str
    message: str  # its id
    event: str
    payload: str  # JSON
    subscription: int | None


class Call(NamedTuple):
    """A call that is claimed: this try is counted."""

    id: int
    webhook: str
    message: str
    payload: str
    attempts: int
    created_at: Millis


class State(NamedTuple):
    """How a webhook does."""

    name: str
    events: tuple[str, ...]
    delivered_at: Millis | None
    failures: int  # in a row
    failing_since: Millis | None
    open_until: Millis | None  # nothing is tried before
    reason: str | None


class Webhooks(Noun):
    def load_states(self) -> dict[str, State]:
        sql = """
            SELECT name, events, delivered_at, failures, failing_since, open_until, reason
              FROM webhooks ORDER BY name
        """
        return {row[0]: State(row[0], tuple(orjson.loads(row[1])), *row[2:])
                for row in self._read(sql)}  # fmt: skip

    def sync(self, hooks: Mapping[str, Sequence[str]], now: Millis) -> None:
        """
        Store the webhooks of the file with their events; what waits for others is dead.

        With the first one everything begins: rows that are older are told to nobody.
        """
        known = self.load_states()
        if {name: one.events for name, one in known.items()} == {
            name: tuple(events) for name, events in hooks.items()
        }:
            return
        add = """
            INSERT INTO webhooks (name, events) VALUES (?, ?)
            ON CONFLICT (name) DO UPDATE SET events = excluded.events
        """
        bury = """
            UPDATE webhook_calls
               SET state = 'dead', next_at = NULL, changed_at = :now,
                   reason = 'the webhook was taken out of pushctl.toml'
             WHERE state = 'waiting' AND webhook IN (SELECT value FROM json_each(:gone))
        """
        gone = as_json(known.keys() - hooks.keys())
        with self._store.write():
            self._write_each(
                "DELETE FROM webhooks WHERE name = ?",
                [(it,) for it in known.keys() - hooks.keys()],
            )
            self._write_each(add, [(it, as_json(events)) for it, events in hooks.items()])
            self._write(bury, gone=gone, now=now)
            for table, key in CURSORS.items():
                if not hooks:
                    self._store.meta.remove(key)
                elif not known:
                    self.skip(table)
            if not hooks:
                self._write("DELETE FROM webhook_sources")

    def skip(self, table: str) -> None:
        """Set the cursor of *table* behind its newest row."""
        newest = str(self._read_value(f"SELECT coalesce(max(id), 0) FROM {table}"))  # noqa: S608
        if self._store.meta.get(CURSORS[table]) != newest:
            self._store.meta.set(CURSORS[table], newest)

    def list_arrivals(self, after: int, limit: int) -> tuple[int, list[Happened]]:
        """Return the last event read, at most *limit* after it, and who subscribed by them."""
        last = self._find_last("events", after, limit)
        sql = f"""
            SELECT e.id, e.at, {_PERSON}
              FROM events AS e JOIN subscriptions AS s ON s.id = e.subscription_id
              JOIN sites AS t ON t.id = s.site_id
             WHERE e.id > :after AND e.id <= :last AND e.name = 'subscribed'
               AND e.dedupe_key = s.id || '{ARRIVAL}'
             ORDER BY e.id
        """  # noqa: S608
        rows = self._read(sql, after=after, last=last)
        return last, [
            Happened(row, names.SUBSCRIBED, "events", at, Person(*person), {})
            for row, at, *person in rows
        ]

    def list_reports(self, after: int, limit: int) -> tuple[int, list[Happened]]:
        """Return the last report read, and what people of ours saw and clicked; as above."""
        last = self._find_last("interactions", after, limit)
        sql = f"""
            SELECT i.id, i.kind, i.at, i.action, c.name, c.trigger, c.step, {_PERSON}
              FROM interactions AS i JOIN deliveries AS d ON d.id = i.delivery_id
              JOIN campaigns AS c ON c.id = d.campaign_id
              JOIN subscriptions AS s ON s.id = d.subscription_id
              JOIN sites AS t ON t.id = s.site_id
             WHERE i.id > :after AND i.id <= :last AND i.kind IN ('shown', 'clicked')
               AND {_TRACKED}
             ORDER BY i.id
        """  # noqa: S608
        found: list[Happened] = []
        for row, kind, at, action, name, trigger, step, *person in self._read(
            sql, after=after, last=last
        ):
            data = {"campaign": name, "trigger": trigger, "step": step}
            if kind == "clicked":
                data["button"] = action
            found.append(Happened(row, kind, "interactions", at, Person(*person), data))
        return last, found

    def take_sources(self, limit: int, orders_since: Millis) -> tuple[int, list[Happened]]:
        """
        Return how many noted rows were taken, and what became of them; in ``Store.write``.

        Each is told of once, so it is deleted here. Orders that were paid before
        *orders_since* are told to nobody.
        """
        sql = "SELECT id, kind, row FROM webhook_sources ORDER BY id LIMIT :limit"
        noted = self._read(sql, limit=limit).fetchall()
        found: list[Happened] = []
        for _, kind, row in noted:
            found += (
                one for one in _READERS[kind](self, row)
                if one.source != "orders" or one.at >= orders_since
            )  # fmt: skip
        self._write_each("DELETE FROM webhook_sources WHERE id = ?", [(it[0],) for it in noted])
        return len(noted), found

    def add(self, calls: Iterable[NewCall], now: Millis) -> int:
        """Write calls that are due at once; one that is known under its id is not repeated."""
        sql = """
            INSERT INTO webhook_calls (webhook, message, event, payload, subscription_id,
                                       next_at, created_at, changed_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (webhook, message) DO NOTHING
        """
        return self._write_each(sql, [(*one, now, now, now) for one in calls])

    def list_due(self, webhook: str, now: Millis, limit: int) -> list[Call]:
        """Return calls that are due, the longest waiting first; not claimed yet."""
        sql = """
            SELECT id, webhook, message, payload, attempts, created_at FROM webhook_calls
             WHERE webhook = :webhook AND state = 'waiting' AND next_at <= :now
             ORDER BY next_at, id LIMIT :limit
        """
        return [Call(*row) for row in self._read(sql, webhook=webhook, now=now, limit=limit)]

    def claim(self, tries: Iterable[tuple[int, Millis]], now: Millis) -> None:
        """Count a try of each (call, time of the next try); commit it before the call."""
        sql = """
            UPDATE webhook_calls SET attempts = attempts + 1, next_at = ?, changed_at = ?
             WHERE id = ? AND state = 'waiting'
        """
        self._write_each(sql, [(next_at, now, row) for row, next_at in tries])

    def accept(self, call: Call, http_status: int, now: Millis) -> None:
        """Book a call that the receiver took: its payload is of no use any more."""
        sql = """
            UPDATE webhook_calls
               SET state = 'delivered', payload = NULL, next_at = NULL, http_status = :status,
                   reason = NULL, changed_at = :now
             WHERE id = :id
        """
        well = """
            UPDATE webhooks
               SET delivered_at = :now, failures = 0, failing_since = NULL, open_until = NULL,
                   reason = NULL
             WHERE name = :name
        """
        with self._store.write():
            self._write(sql, id=call.id, status=http_status, now=now)
            self._write(well, name=call.webhook, now=now)

    def fail(
        self, call: Call, why: str, now: Millis, *, http_status: int | None,
        next_at: Millis | None,
    ) -> None:  # fmt: skip
        """Book a failed call: tried again at *next_at*, or dead (None)."""
        sql = """
            UPDATE webhook_calls
               SET state = iif(:next_at IS NULL, 'dead', 'waiting'), next_at = :next_at,
                   http_status = :status, reason = :why, changed_at = :now
             WHERE id = :id
        """
        worse = """
            UPDATE webhooks
               SET failures = failures + 1, failing_since = coalesce(failing_since, :now),
                   reason = :why
             WHERE name = :name
        """
        with self._store.write():
            self._write(sql, id=call.id, next_at=next_at, status=http_status, why=why, now=now)
            self._write(worse, name=call.webhook, why=why, now=now)

    def rest(self, webhook: str, until: Millis) -> None:
        """Try nothing of a webhook before *until*."""
        self._write("UPDATE webhooks SET open_until = :until WHERE name = :name",
                    name=webhook, until=until)  # fmt: skip

    def bury(self, webhook: str, before: Millis, now: Millis) -> int:
        """Give up what a failing webhook was not told since *before*; return how much."""
        sql = """
            UPDATE webhook_calls
               SET state = 'dead', next_at = NULL, changed_at = :now,
                   reason = coalesce(reason, 'the webhook failed all the time')
             WHERE webhook = :webhook AND state = 'waiting' AND created_at < :before
               AND EXISTS (SELECT 1 FROM webhooks AS w
                            WHERE w.name = :webhook AND w.failing_since < :before)
        """
        return self._write(sql, webhook=webhook, before=before, now=now)

    def count_states(self) -> dict[tuple[str, str], int]:
        """Return the calls of each (webhook, state); delivered ones are kept for a day."""
        sql = "SELECT webhook, state, count(*) FROM webhook_calls GROUP BY webhook, state"
        return {(webhook, state): count for webhook, state, count in self._read(sql)}

    def count_due(self, now: Millis) -> dict[str, int]:
        """Return how many calls of each webhook are due, the resting ones left out."""
        sql = """
            SELECT c.webhook, count(*) FROM webhooks AS w
              JOIN webhook_calls AS c ON c.webhook = w.name
             WHERE coalesce(w.open_until, 0) <= :now AND c.state = 'waiting'
               AND c.next_at <= :now
             GROUP BY 1
        """
        return dict(self._read(sql, now=now))

    def list_dead(
        self, webhook: str | None = None, last: int = -1
    ) -> Iterator[dict[str, Json]]:
        """Yield dead letters, newest first."""
        sql = """
            SELECT c.id, c.webhook, c.event, c.message, s.public_id AS subscriber, c.attempts,
                   c.http_status, c.reason, c.created_at, c.changed_at
              FROM webhook_calls AS c LEFT JOIN subscriptions AS s ON s.id = c.subscription_id
             WHERE c.state = 'dead' AND (:webhook IS NULL OR c.webhook = :webhook)
             ORDER BY c.changed_at DESC, c.id DESC LIMIT :last
        """
        yield from self._read_dicts(sql, webhook=webhook, last=last)

    def replay(self, webhook: str, message: str | None, now: Millis) -> int:
        """Let dead letters wait again, under their ids; return how many."""
        sql = """
            UPDATE webhook_calls
               SET state = 'waiting', attempts = 0, next_at = :now, created_at = :now,
                   changed_at = :now
             WHERE webhook = :webhook AND state = 'dead'
               AND (:message IS NULL OR message = :message)
        """
        wake = "UPDATE webhooks SET open_until = NULL WHERE name = :webhook"
        with self._store.write():
            count = self._write(sql, webhook=webhook, message=message, now=now)
            self._write(wake, webhook=webhook)
        return count

    def drop_delivered(self, before: Millis) -> None:
        """Delete calls that were delivered before then, in small transactions."""
        sql = """
            DELETE FROM webhook_calls WHERE id IN (
                SELECT id FROM webhook_calls
                 WHERE state = 'delivered' AND changed_at < :before LIMIT 5000)
        """
        while self._write(sql, before=before):
            pass

    def _find_last(self, table: str, after: int, limit: int) -> int:
        sql = f"""
            SELECT coalesce(max(id), :after) FROM (
                SELECT id FROM {table} WHERE id > :after ORDER BY id LIMIT :limit)
        """  # noqa: S608 - one of our own
        return int(self._read_value(sql, after=after, limit=limit))

    def _read_enrolment(self, row: int) -> Iterator[Happened]:
        sql = f"""
            SELECT e.trigger, e.reached, e.sent, e.entered_at, e.changed_at, {_PERSON}
              FROM enrolments AS e JOIN subscriptions AS s ON s.id = e.subscription_id
              JOIN sites AS t ON t.id = s.site_id WHERE e.id = :row AND {_TRACKED}
        """  # noqa: S608
        for trigger, reached, sent, entered_at, at, *rest in self._read(sql, row=row):
            person = Person(*rest)
            data = {
                "trigger": trigger,
                "goal": reached,
                "steps": sent,
                "entered_at": entered_at,
            }
            yield Happened(row, names.TRIGGER_FINISHED, "enrolments", at, person, data)
            if reached is not None:
                told = {"by": "goal", "trigger": trigger, "goal": reached}
                yield Happened(row, names.CONVERTED, "enrolments", at, person, told)

    def _read_order(self, row: int) -> Iterator[Happened]:
        sql = f"""
            SELECT o.number, o.source, o.minor, o.exponent, o.currency, o.at, {_PERSON}
              FROM orders AS o JOIN subscriptions AS s ON s.id = o.subscription_id
              JOIN sites AS t ON t.id = s.site_id
             WHERE o.id = :row AND o.state = 'paid' AND NOT o.test AND {_TRACKED}
        """  # noqa: S608
        for number, source, minor, exponent, currency, at, *person in self._read(sql, row=row):
            order = {"number": number, "source": source, "minor": minor, "exponent": exponent,
                     "currency": currency}  # fmt: skip
            told = {"by": "order", "order": order}
            yield Happened(row, names.CONVERTED, "orders", at, Person(*person), told)

    def _read_campaign(self, row: int) -> Iterator[Happened]:
        sql = "SELECT name, started_at, finished_at FROM campaigns WHERE id = :row"
        counts = "SELECT status, count(*) FROM deliveries WHERE campaign_id = :row GROUP BY 1"
        for name, began, at in self._read(sql, row=row):
            messages = dict(self._read(counts, row=row))
            data = {"campaign": name, "started_at": began, "messages": messages}
            yield Happened(row, names.CAMPAIGN_FINISHED, "campaigns", at or 0, None, data)


_READERS = {
    "enrolment": Webhooks._read_enrolment,
    "order": Webhooks._read_order,
    "campaign": Webhooks._read_campaign,
}
