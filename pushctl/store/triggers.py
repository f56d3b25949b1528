"""
What triggers remember between sweeps: who is paused, how far was read, interests.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import orjson

from pushctl.model import Cause, Json, Millis
from pushctl.rules.triggers.changes import StepCampaign

if TYPE_CHECKING:
    from pushctl.store import Store


class Standing(NamedTuple):
    """A trigger as the database knows it."""

    name: str
    tag: str | None
    paused_at: Millis | None
    scanned_at: Millis | None


class Candidate(NamedTuple):
    """A subscription that a scan looks at: *value* is the attribute, or last seen."""

    subscription: int
    public_id: str
    site: str
    timezone: str | None
    value: Json


class OpenedCampaign(NamedTuple):
    """The campaign under which a step's messages are counted, as it stands."""

    id: int
    status: str
    note: str | None
    cause: Cause | None


class Triggers:
    def __init__(self, store: "Store") -> None:
        self._store = store

    def standings(self) -> dict[str, Standing]:
        sql = "SELECT name, tag, paused_at, scanned_at FROM trigger_states"
        rows = self._store.connection.execute(sql)
        return {row[0]: Standing._make(row) for row in rows}

    def paused(self) -> set[str]:
        return {name for name, one in self.standings().items() if one.paused_at is not None}

    def counts(self) -> dict[str, dict[str, int]]:
        """Return enrolments by state, and ``messages`` accepted, for each trigger."""
        found: dict[str, dict[str, int]] = {}
        sql = "SELECT trigger, state, count(*) FROM enrolments GROUP BY trigger, state"
        for trigger, state, count in self._store.connection.execute(sql):
            found.setdefault(trigger, {})[state] = count
        sql = """
            SELECT c.trigger, count(*) FROM campaigns AS c
              JOIN deliveries AS d ON d.campaign_id = c.id AND d.status = 'accepted'
             WHERE c.trigger IS NOT NULL GROUP BY c.trigger
        """
        for trigger, count in self._store.connection.execute(sql):
            found.setdefault(trigger, {})["messages"] = count
        return found

    def note(self, tags: Mapping[str, str | None]) -> None:
        """Remember the triggers of the file with their tags, forget all others."""
        sql = """
            INSERT INTO trigger_states (name, tag) VALUES (?, ?)
            ON CONFLICT (name) DO UPDATE SET tag = excluded.tag
        """
        names = orjson.dumps(list(tags)).decode()
        with self._store.write() as connection:
            connection.execute(
                "DELETE FROM trigger_states WHERE name NOT IN (SELECT value FROM json_each(?))",
                (names,),
            )
            connection.executemany(sql, tags.items())

    def pause(self, name: str, at: Millis | None) -> None:
        """Pause a trigger at *at*, or let it go on (None)."""
        sql = """
            INSERT INTO trigger_states (name, paused_at) VALUES (:name, :at)
            ON CONFLICT (name) DO UPDATE SET paused_at = excluded.paused_at
        """
        with self._store.write() as connection:
            connection.execute(sql, {"name": name, "at": at})

    def scanned(self, name: str, at: Millis) -> None:
        """Remember that everybody was looked at for *name* up to *at*."""
        sql = "UPDATE trigger_states SET scanned_at = :at WHERE name = :name"
        with self._store.write() as connection:
            connection.execute(sql, {"name": name, "at": at})

    def first_event_since(self, since: Millis) -> int:
        """Return the row before the first event received at or after *since*."""
        # No index on received_at: rows come in its order, near enough, so read backwards.
        sql = "SELECT id, received_at FROM events ORDER BY id DESC"
        last = 0
        for row, received_at in self._store.connection.execute(sql):
            if received_at < since:
                return int(row)
            last = row - 1
        return int(last)

    def next_due(self, skip: Collection[str]) -> Millis | None:
        """Return when the next enrolment is to be looked at, or None."""
        sql = """
            SELECT min(next_at) FROM enrolments
             WHERE state = 'active' AND trigger NOT IN (SELECT value FROM json_each(?))
        """
        names = orjson.dumps(list(skip)).decode()
        at: Millis | None = self._store.connection.execute(sql, (names,)).fetchone()[0]
        return at

    def open_campaign(
        self, campaign: StepCampaign, sources: Mapping[str, str], now: Millis
    ) -> OpenedCampaign:
        """
        Make a step's campaign or bring it up to date, and return it as it stands.

        One that was finished runs again; what a person paused or cancelled stays so.
        """
        sql = """
            INSERT INTO campaigns (name, status, template, audience, sources, options,
                                   trigger, step, created_at, started_at)
            VALUES (:name, 'running', :template, :audience, :sources, :options,
                    :trigger, :step, :now, :now)
            ON CONFLICT (name) DO UPDATE
               SET template = excluded.template, audience = excluded.audience,
                   sources = excluded.sources, options = excluded.options,
                   status = iif(status = 'finished', 'running', status), finished_at = NULL
            RETURNING id, status, note, cause
        """
        values = campaign._asdict() | {
            "sources": orjson.dumps(sources).decode(),
            "options": orjson.dumps(campaign.options).decode(),
            "now": now,
        }
        with self._store.write() as connection:
            row, status, note, cause = connection.execute(sql, values).fetchone()
        return OpenedCampaign(row, status, note, Cause(cause) if cause else None)

    def leader(self, campaign: int) -> str | None:
        """Return the trigger that a campaign is a step of; None: it is a broadcast."""
        sql = "SELECT trigger FROM campaigns WHERE id = :id"
        name: str | None = self._store.connection.execute(sql, {"id": campaign}).fetchone()[0]
        return name

    def leads(self, campaign: int) -> bool:
        """Say whether a campaign is a trigger's step, and no broadcast."""
        return self.leader(campaign) is not None

    def held_steps(self) -> dict[str, list[str]]:
        """Return the campaigns of each trigger's steps that are paused or called off."""
        sql = """
            SELECT trigger, name, status FROM campaigns
             WHERE trigger IS NOT NULL AND status IN ('paused', 'cancelled') ORDER BY id
        """
        found: dict[str, list[str]] = {}
        for trigger, name, status in self._store.connection.execute(sql):
            found.setdefault(trigger, []).append(f"{name} {status}")
        return found

    # --- scans -----------------------------------------------------------------------

    def with_date(self, attribute: str, days: Collection[str] | None) -> Iterator[Candidate]:
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
        values = {"path": path, "days": listed}
        for row in self._store.connection.execute(sql, values).fetchall():
            yield Candidate._make(row)

    def last_seen_between(self, since: Millis, until: Millis) -> Iterator[Candidate]:
        """Yield active subscriptions last seen in [since, until)."""
        sql = """
            SELECT s.id, s.public_id, t.name, s.timezone, s.last_seen_at
              FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id
             WHERE s.state = 'active' AND s.last_seen_at >= :since AND s.last_seen_at < :until
        """
        values = {"since": since, "until": until}
        for row in self._store.connection.execute(sql, values).fetchall():
            yield Candidate._make(row)

    def everybody(self) -> Iterator[Candidate]:
        """Yield all active subscriptions, for what concerns everyone: a feed's new item."""
        sql = """
            SELECT s.id, s.public_id, t.name, s.timezone, NULL
              FROM subscriptions AS s JOIN sites AS t ON t.id = s.site_id
             WHERE s.state = 'active' AND s.id > :after ORDER BY s.id LIMIT 5000
        """
        after = 0
        while page := self._store.connection.execute(sql, {"after": after}).fetchall():
            yield from map(Candidate._make, page)
            after = page[-1][0]

    # --- feeds -----------------------------------------------------------------------

    def known_items(self, trigger: str, items: Sequence[str]) -> set[str]:
        """Return which of a feed's *items* were there before."""
        sql = """
            SELECT item FROM feed_items
             WHERE trigger = :trigger AND item IN (SELECT value FROM json_each(:items))
        """
        values = {"trigger": trigger, "items": orjson.dumps(list(items)).decode()}
        return {item for (item,) in self._store.connection.execute(sql, values)}

    def met_items(self, trigger: str, items: Iterable[str], now: Millis) -> None:
        """Remember that a feed has *items*, anew each time: pruning asks when that was."""
        sql = """
            INSERT INTO feed_items (trigger, item, at) VALUES (?, ?, ?)
            ON CONFLICT DO UPDATE SET at = excluded.at
        """
        with self._store.write() as connection:
            connection.executemany(sql, [(trigger, item, now) for item in items])
