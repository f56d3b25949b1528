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


class DrawnArm(NamedTuple):
    """A message of a trigger's step, with the arm that was drawn; none: it was no test."""

    delivery: int
    subscription: int  # 0: the person was erased
    step: int
    template: str
    variant: str | None
    probability: float | None  # None: there was no choice
    enrolment: int
    clicked: int


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

    def list_arms(self, trigger: str, since: Millis, until: Millis) -> Iterator[DrawnArm]:
        """
        Yield the messages of a trigger's steps from *since* to before *until*.

        Whoever was skipped got no arm; of a former service's worker no click is known.
        """
        sql = """
            SELECT d.id, coalesce(d.subscription_id, 0), c.step, c.template, d.variant,
                   d.variant_probability, d.enrolment_id, d.clicked_at IS NOT NULL
              FROM campaigns AS c JOIN deliveries AS d ON d.campaign_id = c.id
             WHERE c.trigger = :trigger AND c.options ->> '$.channel' IS NULL
               AND d.status IN ('accepted', 'gone', 'rejected', 'in_doubt', 'expired')
               AND coalesce(d.sent_at, d.changed_at) >= :since
               AND coalesce(d.sent_at, d.changed_at) < :until
               AND NOT EXISTS (SELECT 1 FROM foreign_deliveries AS f WHERE f.delivery_id = d.id)
             ORDER BY d.id
        """
        rows = self._read(sql, trigger=trigger, since=since, until=until)
        yield from map(DrawnArm._make, rows)
