"""What is needed for the forecast of a campaign, and what was forecast of earlier ones."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import orjson

from pushctl.model import Json, Millis
from pushctl.rules import units
from pushctl.rules.figures.forecasts.forecast import Cell
from pushctl.store.noun import Noun, as_json

# People behave alike within a browser and an age of their subscription, in days.
_AGES = (7, 30, 180)
# Messages and people that are looked at, spread evenly: read in 0.1 s.
_SAMPLE = 20_000
_OF_SITE = 2_000  # receivers: of which site are they?
_LOOKED_AT = 100  # receivers of a campaign, from either end: of which site are they?


class PastCampaign(NamedTuple):
    """A broadcast that has gone out."""

    id: int
    name: str
    topic: str | None
    template: str
    at: Millis


class KeptForecast(NamedTuple):
    """What was forecast of a campaign when it was sent."""

    campaign: int
    name: str
    at: Millis
    people: int
    topic: str
    figures: list[dict[str, Json]]
    ended_at: Millis | None  # when nothing of it is sent any more; None: not yet


def _count_ages(when: str) -> str:
    passed = (f"({when} - s.subscribed_at >= {days * units.DAY})" for days in _AGES)
    return " + ".join(passed)


def _choose_some(receivers: Sequence[int], most: int = _SAMPLE) -> Sequence[int]:
    return receivers[:: max(1, len(receivers) // most)]


class Forecasts(Noun):
    def list_past(self, until: Millis, last: int) -> list[PastCampaign]:
        """Return the *last* broadcasts of push that began until then, newest first."""
        sql = """
            SELECT id, name, topic, template, started_at FROM campaigns
             WHERE trigger IS NULL AND is_test IS NULL AND started_at <= :until
               AND options ->> '$.channel' IS NULL AND options ->> '$.grouped' IS NULL
             ORDER BY id DESC LIMIT :last
        """
        return [PastCampaign(*row) for row in self._read(sql, until=until, last=last)]

    def count_messages(self, campaign: int) -> int:
        sql = "SELECT count(*) FROM deliveries WHERE campaign_id = :campaign"
        return int(self._read_value(sql, campaign=campaign))

    def has_many_orders(self, many: int) -> bool:
        """Return whether there are more than *many* orders."""
        sql = "SELECT EXISTS (SELECT 1 FROM orders LIMIT 1 OFFSET :many)"
        return bool(self._read_value(sql, many=many))

    def map_sites(self, campaigns: Sequence[int]) -> dict[int, int | None]:
        """Return the site that each campaign went to; None for several, as far as is seen."""
        ends = " UNION ALL ".join(
            f"""
            SELECT * FROM (SELECT subscription_id FROM deliveries WHERE campaign_id = c.value
                            ORDER BY subscription_id {way} LIMIT {_LOOKED_AT})
            """  # noqa: S608 - our own words
            for way in ("", "DESC")
        )
        sql = f"""
            SELECT c.value,
                   (SELECT iif(min(s.site_id) = max(s.site_id), min(s.site_id), NULL)
                      FROM ({ends}) AS d JOIN subscriptions AS s ON s.id = d.subscription_id)
              FROM json_each(:campaigns) AS c
        """  # noqa: S608
        return dict(self._read(sql, campaigns=as_json(campaigns)).fetchall())

    def find_site(self, receivers: Sequence[int]) -> int | None:
        """Return the site of all *receivers*, None for several; of many, of a sample."""
        sql = """
            SELECT iif(min(s.site_id) = max(s.site_id), min(s.site_id), NULL)
              FROM json_each(:ids) AS j JOIN subscriptions AS s ON s.id = j.value
        """
        site: int | None = self._read_value(sql, ids=as_json(_choose_some(receivers, _OF_SITE)))
        return site

    def count_reached(self, campaigns: Sequence[int]) -> Iterator[tuple[Cell, int, int]]:
        """
        Yield (cell, messages, shown) of *campaigns*; of many messages, of a sample.

        Messages are those that a push service took, or would have been taken by it had
        their subscription been alive.
        """
        sql = f"""
            WITH chosen AS MATERIALIZED (
                SELECT c.id, c.started_at FROM campaigns AS c
                 WHERE c.id IN (SELECT value FROM json_each(:campaigns))
            ), whole AS MATERIALIZED (
                SELECT max(1, count(*) / {_SAMPLE}) AS every
                  FROM chosen CROSS JOIN deliveries AS d ON d.campaign_id = chosen.id
            )
            SELECT s.browser, {_count_ages("chosen.started_at")}, count(*),
                   sum(d.shown_at IS NOT NULL)
              FROM chosen CROSS JOIN whole CROSS JOIN deliveries AS d
                   CROSS JOIN subscriptions AS s
             WHERE d.campaign_id = chosen.id AND d.id % every = 0 AND s.id = d.subscription_id
               AND d.status IN ('accepted', 'gone', 'expired', 'in_doubt')
               AND NOT EXISTS (SELECT 1 FROM foreign_deliveries AS f
                                WHERE f.delivery_id = d.id)
             GROUP BY 1, 2
        """  # noqa: S608 - our own numbers
        for browser, age, messages, shown in self._read(sql, campaigns=as_json(campaigns)):
            yield (browser, age), messages, shown

    def count_cells(self, receivers: Sequence[int], now: Millis) -> dict[Cell, int]:
        """Return how many of *receivers* are in each cell; of many, of a sample."""
        sql = f"""
            SELECT s.browser, {_count_ages(":now")}, count(*)
              FROM json_each(:ids) AS j JOIN subscriptions AS s ON s.id = j.value
             GROUP BY 1, 2
        """  # noqa: S608 - our own numbers
        rows = self._read(sql, ids=as_json(_choose_some(receivers)), now=now)
        return {(browser, age): count for browser, age, count in rows}

    def find_first_order(self) -> Millis | None:
        """Return when the first order was: of what was before nobody knows any."""
        at: Millis | None = self._read_value("SELECT min(at) FROM orders WHERE NOT test")
        return at

    def add(
        self,
        campaign: int,
        *,
        at: Millis,
        people: int,
        topic: str,
        figures: Sequence[dict[str, Json]],
        built_from: Sequence[Sequence[int]],
    ) -> None:
        """Keep what is forecast of *campaign*, in place of an earlier forecast."""
        sql = """
            INSERT OR REPLACE INTO forecasts
                   (campaign_id, at, people, topic, figures, built_from)
            VALUES (:campaign, :at, :people, :topic, :figures, :built_from)
        """
        self._write(
            sql,
            campaign=campaign,
            at=at,
            people=people,
            topic=topic,
            figures=orjson.dumps(figures).decode(),
            built_from=orjson.dumps(built_from).decode(),
        )

    def list_kept(self, campaign: int | None = None) -> list[KeptForecast]:
        """Return what was forecast of all campaigns, or of one; oldest first."""
        # A campaign that waits for a winner has a part that goes out later: it ends then.
        sql = """
            SELECT f.campaign_id, c.name, f.at, f.people, f.topic, f.figures, c.finished_at
              FROM forecasts AS f JOIN campaigns AS c ON c.id = f.campaign_id
             WHERE :campaign IS NULL OR f.campaign_id = :campaign
             ORDER BY f.campaign_id
        """
        return [
            KeptForecast._make((*row[:5], orjson.loads(row[5]), row[6]))
            for row in self._read(sql, campaign=campaign)
        ]
