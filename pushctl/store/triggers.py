"""The state of triggers between sweeps: pauses, how far was read, feed items."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import orjson

from pushctl.model import Cause, Json, Millis
from pushctl.rules.triggers.changes import StepCampaign
from pushctl.store.noun import Noun, as_json


class TriggerState(NamedTuple):
    name: str
    tag: str | None
    paused_at: Millis | None
    scanned_at: Millis | None


class Candidate(NamedTuple):
    """A subscription that a scan reads: *value* is the attribute, last seen or language."""

    subscription: int
    public_id: str
    site: str
    timezone: str | None
    value: Json


class OpenedCampaign(NamedTuple):
    """The campaign of a step, as it is now."""

    id: int
    status: str
    note: str | None
    cause: Cause | None


class Triggers(Noun):
    def load_states(self) -> dict[str, TriggerState]:
        sql = "SELECT name, tag, paused_at, scanned_at FROM trigger_states"
        return {row[0]: TriggerState._make(row) for row in self._read(sql)}

    def list_paused(self) -> set[str]:
        return {name for name, one in self.load_states().items() if one.paused_at is not None}

    def load_counts(self) -> dict[str, dict[str, int]]:
        """Return enrolments by state, accepted ``messages`` and ``calls``, for each trigger."""
        found: dict[str, dict[str, int]] = {}
        sql = "SELECT trigger, state, count(*) FROM enrolments GROUP BY trigger, state"
        for trigger, state, count in self._read(sql):
            found.setdefault(trigger, {})[state] = count
        sql = """
            SELECT c.trigger, iif(c.options ->> '$.channel' IS NULL, 'messages', 'calls'),
                   count(*)
              FROM campaigns AS c
              JOIN deliveries AS d ON d.campaign_id = c.id AND d.status = 'accepted'
             WHERE c.trigger IS NOT NULL GROUP BY 1, 2
        """
        for trigger, kind, count in self._read(sql):
            found.setdefault(trigger, {})[kind] = count
        return found

    def save_tags(self, tags: Mapping[str, str | None]) -> None:
        """Save the triggers of the file with their tags; delete all others."""
        forget = """
            DELETE FROM trigger_states WHERE name NOT IN (SELECT value FROM json_each(:names))
        """
        sql = """
            INSERT INTO trigger_states (name, tag) VALUES (?, ?)
            ON CONFLICT (name) DO UPDATE SET tag = excluded.tag
        """
        with self._store.write():
            self._write(forget, names=as_json(tags))
            self._write_each(sql, tags.items())

    def set_paused(self, name: str, at: Millis | None) -> None:
        """Pause a trigger at *at*, unless it is paused, or let it go on (None)."""
        sql = """
            INSERT INTO trigger_states (name, paused_at) VALUES (:name, :at)
            ON CONFLICT (name) DO UPDATE
               SET paused_at = iif(:at IS NULL, NULL, coalesce(paused_at, :at))
        """
        self._write(sql, name=name, at=at)

    def mark_scanned(self, name: str, at: Millis) -> None:
        """Note that all subscriptions were scanned for *name* up to *at*."""
        sql = "UPDATE trigger_states SET scanned_at = :at WHERE name = :name"
        self._write(sql, name=name, at=at)

    def find_first_event(self, since: Millis) -> int:
        """Return the row before the first event received at or after *since*."""
        # No index on received_at: rows come in its order, near enough, so read backwards.
        sql = "SELECT id, received_at FROM events ORDER BY id DESC"
        last = 0
        for row, received_at in self._read(sql):
            if received_at < since:
                return int(row)
            last = row - 1
        return int(last)

    def find_next_due(self, skip: Collection[str]) -> Millis | None:
        """Return when the next enrolment is due, or None."""
        sql = """
            SELECT min(next_at) FROM enrolments
             WHERE state = 'active' AND trigger NOT IN (SELECT value FROM json_each(:skip))
        """
        at: Millis | None = self._read_value(sql, skip=as_json(skip))
        return at

    def open_campaign(
        self,
        campaign: StepCampaign,
        sources: Mapping[str, str],
        now: Millis,
        topic: str | None = None,
    ) -> OpenedCampaign:
        """
        Create or update the campaign of a step, and return it.

        A finished one runs again; a paused or cancelled one stays so.
        """
        sql = """
            INSERT INTO campaigns (name, status, template, audience, sources, options,
                                   trigger, step, topic, created_at, started_at)
            VALUES (:name, 'running', :template, :audience, :sources, :options,
                    :trigger, :step, :topic, :now, :now)
            ON CONFLICT (name) DO UPDATE
               SET template = excluded.template, audience = excluded.audience,
                   sources = excluded.sources, options = excluded.options,
                   topic = excluded.topic,
                   status = iif(status = 'finished', 'running', status), finished_at = NULL
            RETURNING id, status, note, cause
        """
        values = campaign._asdict() | {
            "sources": orjson.dumps(sources).decode(),
            "options": orjson.dumps(campaign.options).decode(),
            "now": now,
            "topic": topic,
        }
        with self._store.write() as connection:
            row, status, note, cause = connection.execute(sql, values).fetchone()
        return OpenedCampaign(row, status, note, Cause(cause) if cause else None)

    def get_trigger(self, campaign: int) -> str | None:
        """Return the trigger that a campaign is a step of; None: it is a broadcast."""
        sql = "SELECT trigger FROM campaigns WHERE id = :id"
        name: str | None = self._read_value(sql, id=campaign)
        return name

    def list_held_steps(self) -> dict[str, list[str]]:
        """Return the campaigns of each trigger's steps that are paused or called off."""
        sql = """
            SELECT trigger, name, status FROM campaigns
             WHERE trigger IS NOT NULL AND status IN ('paused', 'cancelled') ORDER BY id
        """
        found: dict[str, list[str]] = {}
        for trigger, name, status in self._read(sql):
            found.setdefault(trigger, []).append(f"{name} {status}")
        return found

    def list_with_date(
        self, attribute: str, days: Collection[str] | None
    ) -> Iterator[Candidate]:
        """
        Yield active subscriptions whose *attribute* is a date on one of *days*
        ("04-28"; None: any).
        """
        sql = """
            SELECT s.id, s.public_id, t.name, s.timezone, s.attributes ->> :path
              FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id
             WHERE s.state = 'active' AND s.attributes <> '{}'
               AND (:days IS NULL AND s.attributes ->> :path IS NOT NULL
                    OR substr(s.attributes ->> :path, 6, 5)
                       IN (SELECT value FROM json_each(:days)))
        """
        path = '$."' + attribute.replace('"', "") + '"'
        listed = None if days is None else orjson.dumps(sorted(days)).decode()
        yield from map(Candidate._make, self._read(sql, path=path, days=listed).fetchall())

    def list_last_seen(self, since: Millis, until: Millis) -> Iterator[Candidate]:
        """Yield active subscriptions last seen in [since, until)."""
        sql = """
            SELECT s.id, s.public_id, t.name, s.timezone, s.last_seen_at
              FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id
             WHERE s.state = 'active' AND s.last_seen_at >= :since AND s.last_seen_at < :until
        """
        yield from map(Candidate._make, self._read(sql, since=since, until=until).fetchall())

    def list_active(self) -> Iterator[Candidate]:
        sql = """
            SELECT s.id, s.public_id, t.name, s.timezone, s.language
              FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id
             WHERE s.state = 'active' AND s.id > :after ORDER BY s.id LIMIT 5000
        """
        after = 0
        while page := self._read(sql, after=after).fetchall():
            yield from map(Candidate._make, page)
            after = page[-1][0]

    def find_known_items(self, trigger: str, items: Sequence[str]) -> set[str]:
        """Return which of a feed's *items* were there before."""
        sql = """
            SELECT item FROM feed_items
             WHERE trigger = :trigger AND item IN (SELECT value FROM json_each(:items))
        """
        return {item for (item,) in self._read(sql, trigger=trigger, items=as_json(items))}

    def save_items(self, trigger: str, items: Iterable[str], now: Millis) -> None:
        """Save the items of a feed and their time, which pruning reads."""
        sql = """
            INSERT INTO feed_items (trigger, item, at) VALUES (?, ?, ?)
            ON CONFLICT DO UPDATE SET at = excluded.at
        """
        self._write_each(sql, [(trigger, item, now) for item in items])
