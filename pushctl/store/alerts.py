"""Alerts: what they found and told, and the counts that they look at."""

from typing import NamedTuple

from pushctl.model import Millis
from pushctl.store.idle import ALERTS_KEY
from pushctl.store.noun import Noun, as_json

_OF_SITE = "(SELECT s.site_id FROM subscriptions AS s WHERE s.id = d.subscription_id) = :site"


class Known(NamedTuple):
    """What is known of an alert; *told*: whether the last that was told is that it began."""

    name: str
    state: str
    text: str
    since: Millis
    told: bool
    told_at: Millis | None
    failure: str | None
    looked_at: Millis


class Alerts(Noun):
    def load_states(self) -> dict[str, Known]:
        sql = """
            SELECT name, state, text, since, told, told_at, failure, looked_at FROM alerts
        """
        rows = (Known._make(row) for row in self._read(sql))
        return {one.name: one._replace(told=bool(one.told)) for one in rows}

    def sync(self, names: list[str], now: Millis) -> None:
        """Forget alerts that pushctl.toml has no more; where there are some, look soon."""
        sql = "DELETE FROM alerts WHERE name NOT IN (SELECT value FROM json_each(:names))"
        with self._store.write():
            self._write(sql, names=as_json(names))
            if not names:
                self._store.meta.remove(ALERTS_KEY)
            elif self._store.meta.get(ALERTS_KEY) is None:
                self._store.meta.set(ALERTS_KEY, str(now))

    def take_look(self, now: Millis, again: Millis) -> bool:
        """Return whether it is time to look; the next look is at *again*, whoever asks."""
        sql = """
            UPDATE meta SET value = :again WHERE key = :key AND CAST(value AS INTEGER) <= :now
        """
        return self._write(sql, key=ALERTS_KEY, now=now, again=str(again)) == 1

    def save(self, name: str, state: str, text: str, now: Millis) -> None:
        """Write what a look has found."""
        sql = """
            INSERT INTO alerts (name, state, text, since, looked_at)
            VALUES (:name, :state, :text, :now, :now)
            ON CONFLICT (name) DO UPDATE
               SET since = iif(state = excluded.state, since, excluded.since),
                   state = excluded.state, text = excluded.text, looked_at = :now
        """
        self._write(sql, name=name, state=state, text=text, now=now)

    def claim(self, name: str, *, told: bool, now: Millis, before: Millis) -> bool:
        """
        Note that *told* is told; return whether it is ours to tell.

        Committed before anybody is told: who dies in between tells nothing, and nobody tells
        it twice. Not where something was told later than *before*.
        """
        sql = """
            UPDATE alerts SET told = :told, told_at = :now, failure = NULL
             WHERE name = :name AND told <> :told AND coalesce(told_at, 0) <= :before
        """
        return self._write(sql, name=name, told=int(told), now=now, before=before) == 1

    def note_failure(self, name: str, why: str, *, told: bool, again: bool) -> None:
        """Write why telling failed; *again*: nobody was told, so it is tried anew."""
        sql = """
            UPDATE alerts SET failure = :why, told = iif(:again, 1 - :told, told)
             WHERE name = :name AND told = :told
        """
        self._write(sql, name=name, why=why, told=int(told), again=again)

    def find_beginning(self) -> Millis | None:
        """Return when the first message was sent, None before that."""
        sql = (
            "SELECT min(coalesce(started_at, created_at)) FROM campaigns WHERE is_test IS NULL"
        )
        found: Millis | None = self._read_value(sql)
        return found

    def list_campaigns(
        self,
        since: Millis,
        until: Millis,
        most: int,
        topics: list[str | None] | None = None,
        *,
        site: int | None = None,
    ) -> list[tuple[str, str | None, int, int]]:
        """
        Return (name, topic, accepted, clicked) of broadcasts begun in the time, newest first.

        *topics*: only about one of these; *site*: of its subscribers' messages alone.
        """
        sql = f"""
            SELECT c.name, c.topic, sum(d.status = 'accepted'), count(d.clicked_at)
              FROM (SELECT id, name, topic FROM campaigns
                     WHERE trigger IS NULL AND is_test IS NULL
                       AND options ->> '$.channel' IS NULL
                       AND started_at >= :since AND started_at < :until
                       AND (:topics IS NULL OR EXISTS (SELECT 1 FROM json_each(:topics)
                                                        WHERE value IS topic))
                       AND (:site IS NULL OR EXISTS (SELECT 1 FROM deliveries AS d
                             WHERE d.campaign_id = campaigns.id AND {_OF_SITE}))
                     ORDER BY id DESC LIMIT :most) AS c
              JOIN deliveries AS d ON d.campaign_id = c.id
             WHERE :site IS NULL OR {_OF_SITE}
             GROUP BY c.id ORDER BY c.id DESC
        """  # noqa: S608 - our own words
        asked = None if topics is None else as_json(topics)
        rows = self._read(sql, since=since, until=until, most=most, topics=asked, site=site)
        return [
            (name, topic, int(taken or 0), int(clicks)) for name, topic, taken, clicks in rows
        ]

    def count_purchases(
        self, since: Millis, until: Millis, now: Millis, within: Millis, site: int | None
    ) -> int:
        """Return how many orders were made in the time, at the hours of day up to *now*."""
        sql = """
            SELECT count(*) FROM orders
             WHERE at >= :since AND at < :until AND NOT test
               AND (:now - at) % 86400000 < :within AND (:site IS NULL OR site_id = :site)
        """
        values = {"since": since, "until": until, "now": now, "within": within, "site": site}
        return int(self._read_value(sql, **values))

    def find_first_purchase(self, site: int | None) -> Millis | None:
        sql = """
            SELECT at FROM orders WHERE NOT test AND (:site IS NULL OR site_id = :site)
             ORDER BY at LIMIT 1
        """
        found: Millis | None = self._read_value(sql, site=site)
        return found

    def count_waiting(self, before: Millis, site: int | None = None) -> int:
        """
        Return how many messages of running campaigns should have gone out by *before*.

        *site*: only those to its subscribers.
        """
        sql = f"""
            SELECT count(*) FROM campaigns AS c JOIN deliveries AS d ON d.campaign_id = c.id
             WHERE c.status = 'running' AND c.options ->> '$.over' IS NULL
               AND d.status = 'planned'
               AND coalesce(d.next_attempt_at, c.started_at, c.created_at) <= :before
               AND (:site IS NULL OR {_OF_SITE})
        """  # noqa: S608 - our own words
        return int(self._read_value(sql, before=before, site=site))
