"""Campaigns: they group deliveries, and hold a snapshot of the message."""

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from hashlib import blake2b
from typing import NamedTuple

from pushctl.errors import NotFoundError, UsageError
from pushctl.model import Campaign, CampaignStatus, Cause, Json, Millis
from pushctl.rules import wording
from pushctl.rules.messages.content import hash_content
from pushctl.store.noun import Noun, as_json

_FIELDS = tuple(field.name for field in fields(Campaign))
_COLUMNS = ", ".join(_FIELDS)

# The states from which a campaign may reach each state. A finished one may run again
# (rows in doubt that are to be sent again), a cancelled one never.
_BEFORE = {
    CampaignStatus.RUNNING: ("scheduled", "paused", "running", "finished"),
    CampaignStatus.SCHEDULED: ("paused",),  # approved before its time
    CampaignStatus.PAUSED: ("scheduled", "running", "paused"),
    CampaignStatus.CANCELLED: ("scheduled", "running", "paused"),
    CampaignStatus.FINISHED: ("running",),
}


class Described(NamedTuple):
    """What a table of figures says of a campaign."""

    id: int
    name: str
    topic: str | None
    trigger: str | None
    at: Millis  # when it started, or was frozen


class Campaigns(Noun):
    def create(
        self,
        *,
        name: str,
        template: str,
        audience: str,
        sources: Mapping[str, str],
        options: Mapping[str, Json],
        now: Millis,
        expires_at: Millis | None,
        status: CampaignStatus = CampaignStatus.RUNNING,
        trigger: str | None = None,
        step: int | None = None,
        topic: str | None = None,
    ) -> Campaign:
        """Write a campaign and return it; UsageError when the name is taken."""
        sql = """
            INSERT INTO campaigns (name, status, template, audience, sources, options,
                                   trigger, step, topic, created_at, expires_at,
                                   content_hash, is_test)
            VALUES (:name, :status, :template, :audience, :sources, :options,
                    :trigger, :step, :topic, :now, :expires_at, :content, :is_test)
        """
        with self._store.write():
            try:
                self._write(
                    sql,
                    name=name,
                    status=status,
                    template=template,
                    audience=audience,
                    sources=json.dumps(dict(sources), ensure_ascii=False),
                    options=json.dumps(dict(options), ensure_ascii=False),
                    trigger=trigger,
                    step=step,
                    topic=topic,
                    now=now,
                    expires_at=expires_at,
                    is_test=1 if options.get("test") else None,
                    content=_hash_broadcast(sources, options, trigger),
                )
            except sqlite3.IntegrityError:
                raise UsageError(
                    f"there is a campaign called {name!r} already. Choose another --name, or "
                    f"go on with it: pushctl campaigns resume {name!r}"
                ) from None
            return self.get(name)

    def get(self, name: str) -> Campaign:
        """Return the campaign called *name*; NotFoundError lists the latest names."""
        sql = f"SELECT {_COLUMNS} FROM campaigns WHERE name = :name"  # noqa: S608
        row = self._read(sql, name=name).fetchone()
        if row is None:
            raise NotFoundError(f"no campaign is called {name!r}. {self._suggest(name)}")
        return _build_campaign(row)

    def exists(self, name: str) -> bool:
        """Return whether a campaign is called *name*."""
        return bool(self._read_value("SELECT 1 FROM campaigns WHERE name = :name", name=name))

    def get_by_id(self, campaign: int) -> Campaign:
        sql = f"SELECT {_COLUMNS} FROM campaigns WHERE id = :id"  # noqa: S608
        row = self._read(sql, id=campaign).fetchone()
        if row is None:
            raise NotFoundError(f"there is no campaign number {campaign}")
        return _build_campaign(row)

    def list_newest(self, limit: int | None = None) -> list[Campaign]:
        """Return the campaigns, newest first."""
        sql = f"SELECT {_COLUMNS} FROM campaigns ORDER BY id DESC LIMIT :limit"  # noqa: S608
        return [
            _build_campaign(row)
            for row in self._read(sql, limit=-1 if limit is None else limit)
        ]

    def list_latest(self, last: int | None = None, since: Millis = 0) -> list[int]:
        """Return the *last* campaigns of push that began *since* then, but tests."""
        sql = """
            SELECT id FROM campaigns
             WHERE coalesce(started_at, created_at) >= :since
               AND options ->> '$.channel' IS NULL AND is_test IS NULL
             ORDER BY id DESC LIMIT :last
        """
        rows = self._read(sql, since=since, last=-1 if last is None else last)
        return [number for (number,) in rows]

    def list_described(
        self, topic: str | None = None, last: int | None = None
    ) -> list[Described]:
        """Return all campaigns of push but tests, or those about *topic*, newest first."""
        sql = """
            SELECT id, name, topic, trigger, coalesce(started_at, created_at) FROM campaigns
             WHERE options ->> '$.channel' IS NULL AND is_test IS NULL
               AND (:topic IS NULL OR topic = :topic)
             ORDER BY id DESC LIMIT :last
        """
        rows = self._read(sql, topic=topic, last=-1 if last is None else last)
        return [Described._make(row) for row in rows]

    def describe(self, name: str) -> Described:
        """Return the campaign called *name*, whatever it is; raises NotFoundError."""
        sql = """
            SELECT id, name, topic, trigger, coalesce(started_at, created_at) FROM campaigns
             WHERE id = :id
        """
        return Described._make(self._read(sql, id=self.get(name).id).fetchone())

    def list_topics(self) -> list[str]:
        """Return the topics of all campaigns, in order of the alphabet."""
        sql = "SELECT DISTINCT topic FROM campaigns WHERE topic IS NOT NULL ORDER BY 1"
        return [topic for (topic,) in self._read(sql)]

    def digest_texts(self, campaigns: Collection[int]) -> str:
        """Return a digest of the texts of all *campaigns*: another one where a word differs."""
        found = blake2b(digest_size=16)
        sql = """
            SELECT id, sources FROM campaigns
             WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY id
        """
        for row, sources in self._read(sql, ids=as_json(campaigns)):
            found.update(f"{row} {len(sources)} {sources}".encode())
        return found.hexdigest()

    def find_unfinished(self, template: str, audience: str) -> str | None:
        """Return the newest unfinished broadcast of this template to this audience."""
        sql = """
            SELECT name FROM campaigns
             WHERE template = :template AND audience = :audience AND trigger IS NULL
               AND status IN ('running', 'paused')
             ORDER BY id DESC LIMIT 1
        """
        row = self._read(sql, template=template, audience=audience).fetchone()
        return None if row is None else str(row[0])

    def list_holders(
        self, content: bytes, since: Millis, now: Millis
    ) -> Iterator[tuple[int, bool, str]]:
        """
        Yield the subscriptions that have a broadcast's content already, or will have it.

        As (subscription, whether it is still to come, campaign). A message in doubt may have
        arrived, so it counts; one that was rejected, skipped, expired or recalled does not.
        What went out before a campaign's texts were replaced counts for the earlier ones.
        """
        # Without a hint the planner takes deliveries by status before the campaigns.
        sql = """
            SELECT d.subscription_id, 0, c.name
              FROM campaigns AS c CROSS JOIN deliveries AS d ON d.campaign_id = c.id
             WHERE c.content_hash = :content AND d.content_hash IS NULL
               AND (c.finished_at IS NULL OR c.finished_at >= :since)
               AND d.status IN ('accepted', 'in_doubt') AND d.changed_at >= :since
               AND d.cause IS NOT 'recalled' AND d.subscription_id IS NOT NULL
             UNION ALL
            SELECT d.subscription_id, 0, c.name
              FROM deliveries AS d INDEXED BY deliveries_content
              JOIN campaigns AS c ON c.id = d.campaign_id
             WHERE d.content_hash = :content
               AND d.status IN ('accepted', 'in_doubt') AND d.changed_at >= :since
               AND d.cause IS NOT 'recalled' AND d.subscription_id IS NOT NULL
             UNION ALL
            SELECT d.subscription_id, 1, c.name
              FROM campaigns AS c CROSS JOIN deliveries AS d ON d.campaign_id = c.id
             WHERE c.content_hash = :content AND d.status IN ('planned', 'sending')
               AND (d.expires_at IS NULL OR d.expires_at > :now)
               AND d.subscription_id IS NOT NULL
        """
        for subscription, later, name in self._read(sql, content=content, since=since, now=now):
            yield subscription, bool(later), name

    def find_free_name(self, wanted: str) -> str:
        """Return *wanted*, or ``wanted 2``, ``wanted 3``, ... where that exists."""
        name, number = wanted, 1
        while self.exists(name):
            number += 1
            name = f"{wanted} {number}"
        return name

    def list_urgent(self) -> list[int]:
        """Return the running campaigns for whose messages somebody waits, oldest first."""
        sql = """
            SELECT id FROM campaigns
             WHERE status = 'running' AND options ->> '$.urgent' ORDER BY id
        """
        return [number for (number,) in self._read(sql)]

    def list_out_of_codes(self) -> list[str]:
        """Return the campaigns that are paused because no promo code was left."""
        sql = """
            SELECT name FROM campaigns
             WHERE status = 'paused' AND cause = 'no_codes' ORDER BY id
        """
        return [name for (name,) in self._read(sql)]

    def get_status(self, campaign: int) -> CampaignStatus:
        """Return the status now: another process may have changed it."""
        sql = "SELECT status FROM campaigns WHERE id = :id"
        return CampaignStatus(self._read_value(sql, id=campaign))

    def change_status(
        self,
        campaign: int,
        status: CampaignStatus,
        now: Millis,
        note: str | None = None,
        cause: Cause | None = None,
    ) -> bool:
        """Set the status if _BEFORE allows it; return whether it did."""
        before = _BEFORE[status]
        sql = f"""
            UPDATE campaigns
               SET status = :status,
                   note = :note, cause = :cause,
                   started_at = CASE WHEN :status = 'running'
                                     THEN coalesce(started_at, :now) ELSE started_at END,
                   finished_at = CASE WHEN :status IN ('finished', 'cancelled')
                                      THEN :now END
             WHERE id = :id AND status IN ({", ".join(f"'{name}'" for name in before)})
        """  # noqa: S608
        values = {"id": campaign, "status": status, "now": now, "note": note, "cause": cause}
        return self._write(sql, **values) == 1

    def replace_sources(
        self, campaign: int, sources: Mapping[str, str], expires_at: Millis
    ) -> None:
        """
        Give a broadcast the texts as they are now, and a later end of its use.

        Messages that went out, or may have, keep the hash of the texts that they had.
        """
        keep = """
            UPDATE deliveries AS d
               SET content_hash = c.content_hash
              FROM campaigns AS c
             WHERE c.id = :id AND d.campaign_id = c.id AND c.content_hash <> :content
               AND d.status IN ('accepted', 'in_doubt', 'sending') AND d.content_hash IS NULL
        """
        sql = """
            UPDATE campaigns
               SET sources = :sources, content_hash = :content,
                   expires_at = max(coalesce(expires_at, 0), :expires_at)
             WHERE id = :id AND trigger IS NULL
        """
        extra = self.get_by_id(campaign).options.get("extra", {})
        content = hash_content(sources, extra)
        with self._store.write():
            self._write(keep, id=campaign, content=content)
            self._write(
                sql,
                id=campaign,
                sources=json.dumps(dict(sources), ensure_ascii=False),
                content=content,
                expires_at=expires_at,
            )

    def finish_if_done(self, campaign: int, now: Millis) -> bool:
        """
        Finish a running broadcast that has no row left to send; return whether it did.

        A trigger's campaign never ends, and one that messages of the API share ends with its
        day: their next row may come at any time.
        """
        sql = """
            UPDATE campaigns SET status = 'finished', finished_at = :now, note = NULL,
                   cause = NULL
             WHERE id = :id AND status = 'running' AND trigger IS NULL
               AND options ->> '$.grouped' IS NULL
               AND NOT EXISTS (SELECT 1 FROM deliveries
                                WHERE campaign_id = :id AND status IN ('planned', 'sending'))
        """
        return self._write(sql, id=campaign, now=now) == 1

    def check_known(self, name: str) -> None:
        """
        Raise NotFoundError for a campaign whose messages nobody can be asked about.

        Either there is none of that name, or its rows were deleted: what is not known is
        no empty audience. A step of a trigger is known before its first message, and may
        have none for long.
        """
        sql = """
            SELECT c.trigger IS NOT NULL
                OR EXISTS (SELECT 1 FROM deliveries WHERE campaign_id = c.id)
              FROM campaigns AS c WHERE c.name = :name
        """
        has_rows = self._read_value(sql, name=name)
        if has_rows is None and not self._is_step(name):
            raise NotFoundError(f"no campaign is called {name!r}. {self._suggest(name)}")
        if has_rows == 0:
            raise NotFoundError(
                f"the messages of the campaign {name!r} were deleted, so it is not known any "
                "more who got it. Leave it out of the audience."
            )

    def list_steps(self) -> set[str]:
        """Return the campaigns of triggers' steps that have begun."""
        return {name for (name,) in self._read("SELECT name FROM campaigns WHERE step > 0")}

    def _is_step(self, name: str) -> bool:
        sql = "SELECT EXISTS (SELECT 1 FROM trigger_states WHERE name = :trigger)"
        return bool(self._read_value(sql, trigger=name.partition("/")[0]) and "/" in name)

    def _suggest(self, name: str) -> str:
        """Return a sentence with the names nearest to *name*, or with the latest ones."""
        sql = "SELECT name FROM campaigns ORDER BY id DESC LIMIT 1000"
        names = [known for (known,) in self._read(sql)]
        return wording.ask_nearest(name, names) or self._list_names()

    def _list_names(self) -> str:
        sql = "SELECT name FROM campaigns ORDER BY id DESC LIMIT 5"
        names = [name for (name,) in self._read(sql)]
        if not names:
            return "There is none yet; `pushctl send` makes one."
        return "The latest: " + ", ".join(names) + " (pushctl campaigns list shows all)."


def _hash_broadcast(
    sources: Mapping[str, str], options: Mapping[str, Json], trigger: str | None
) -> bytes | None:
    """Return what a broadcast is known again by; None for what is no broadcast."""
    # Steps and grouped messages of the API are each person's own, and a test is no broadcast.
    if trigger is not None or options.keys() & {"grouped", "test"}:
        return None
    return hash_content(sources, options.get("extra", {}))


def _build_campaign(row: tuple[Json, ...]) -> Campaign:
    values = dict(zip(_FIELDS, row, strict=True))
    values["status"] = CampaignStatus(values["status"])
    values["sources"] = json.loads(values["sources"])
    values["options"] = json.loads(values["options"])
    values["cause"] = values["cause"] and Cause(values["cause"])
    return Campaign(**values)
