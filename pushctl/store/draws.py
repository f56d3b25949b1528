"""Draws: messages whose hour or arm was drawn by lots, with the probability of it."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from pushctl.model import Millis
from pushctl.store.noun import Noun, as_json


class DrawnHour(NamedTuple):
    """A message that the push service took, in an hour that was drawn."""

    delivery: int
    campaign: int
    subscription: int
    sent_at: Millis
    probability: float
    clicked: int


class DrawnArms(NamedTuple):
    """
    Messages of a trigger's step that drew the same arm; none: it was no test.

    The last three are lists of numbers, texts with commas between: of many thousands of rows
    most of the time would go into handing them over one by one.
    """

    step: int
    template: str
    variant: str | None
    probability: float | None  # None: there was no choice
    deliveries: str
    subscriptions: str  # 0: the person was erased
    enrolments: str  # 2 * the number, + 1 where it was clicked


class Draws(Noun):
    def list_explored(self) -> list[int]:
        """Return the campaigns of which some people got another hour."""
        sql = """
            SELECT id FROM campaigns
             WHERE options ->> '$.explore' IS NOT NULL AND is_test IS NULL
        """
        return [row for (row,) in self._read(sql)]

    def list_broadcasts(self, topic: str | None = None) -> list[int]:
        """Return the campaigns that are no steps of triggers; those about *topic*."""
        sql = """
            SELECT id FROM campaigns
             WHERE trigger IS NULL AND is_test IS NULL AND (:topic IS NULL OR topic = :topic)
               AND options ->> '$.channel' IS NULL
        """
        return [row for (row,) in self._read(sql, topic=topic)]

    def list_hours(self, campaigns: Collection[int]) -> list[DrawnHour]:
        """
        Return these campaigns' messages whose hour was drawn and is known.

        Of who was erased the clock is unknown; of who runs a former service's worker, whether
        they clicked.
        """
        sql = """
            SELECT d.id, d.campaign_id, d.subscription_id, d.sent_at, d.hour_probability,
                   d.clicked_at IS NOT NULL
              FROM json_each(:ids) AS j JOIN deliveries AS d ON d.campaign_id = j.value
             WHERE d.hour_probability > 0 AND d.status = 'accepted' AND d.sent_at IS NOT NULL
               AND d.subscription_id IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM foreign_deliveries AS f WHERE f.delivery_id = d.id)
        """
        return [DrawnHour._make(row) for row in self._read(sql, ids=as_json(campaigns))]

    def list_arms(self, trigger: str, since: Millis, until: Millis) -> Iterator[DrawnArms]:
        """
        Yield the messages of a trigger's steps from *since* to before *until*.

        Whoever was skipped got no arm; of a former service's worker no click is known.
        """
        campaigns = """
            SELECT id FROM campaigns
             WHERE trigger = :trigger AND options ->> '$.channel' IS NULL ORDER BY id
        """
        sql = """
            SELECT c.step, c.template, d.variant, d.variant_probability, group_concat(d.id),
                   group_concat(coalesce(d.subscription_id, 0)),
                   group_concat(2 * d.enrolment_id + (d.clicked_at IS NOT NULL))
              FROM campaigns AS c CROSS JOIN deliveries AS d ON d.campaign_id = c.id
             WHERE c.id = :campaign
               AND d.status IN ('accepted', 'gone', 'rejected', 'in_doubt', 'expired')
               AND coalesce(d.sent_at, d.changed_at) >= :since
               AND coalesce(d.sent_at, d.changed_at) < :until
               AND NOT EXISTS (SELECT 1 FROM foreign_deliveries AS f WHERE f.delivery_id = d.id)
             GROUP BY c.step, c.template, d.variant, d.variant_probability
        """
        for (campaign,) in self._read(campaigns, trigger=trigger).fetchall():
            rows = self._read(sql, campaign=campaign, since=since, until=until)
            yield from map(DrawnArms._make, rows)
