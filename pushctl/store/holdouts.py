"""Who was held out, and since when: for figures of effects."""

from collections.abc import Iterable
from typing import NamedTuple

from pushctl.model import Millis
from pushctl.store.noun import Noun, as_json


class Broadcast(NamedTuple):
    """
    A broadcast, and the probability of what befell one of its rows: held out, or not.

    0 where nobody was drawn, None where it has no rows.
    """

    id: int
    options: str  # JSON
    created_at: Millis
    probability: float | None


class StepMessages(NamedTuple):
    """The campaign of a step; its *label* is the step's number: "1", "1/b"."""

    id: int
    trigger: str
    label: str


class Holdouts(Noun):
    def list_broadcasts(self) -> list[Broadcast]:
        """Return all broadcasts but tests, oldest first, with the draw of one of their rows."""
        sql = """
            SELECT c.id, c.options, c.created_at,
                   (SELECT coalesce(d.holdout_probability, 0) FROM deliveries AS d
                     WHERE d.campaign_id = c.id LIMIT 1)
              FROM campaigns AS c
             WHERE c.trigger IS NULL AND c.is_test IS NULL ORDER BY c.id
        """
        return [Broadcast._make(row) for row in self._read(sql)]

    def find_held(self, campaigns: Iterable[int], reason: str) -> dict[int, Millis]:
        """Return when somebody was first held out of each of *campaigns* for that *reason*."""
        sql = """
            SELECT c.value, (SELECT d.changed_at FROM deliveries AS d
                              WHERE d.campaign_id = c.value AND d.status = 'skipped'
                                AND d.cause = 'holdout' AND d.reason = :reason
                              ORDER BY d.id LIMIT 1) AS first
              FROM json_each(:campaigns) AS c WHERE first IS NOT NULL
        """
        return dict(self._read(sql, campaigns=as_json(campaigns), reason=reason).fetchall())

    def list_steps(self) -> list[StepMessages]:
        """Return the campaigns of all triggers' steps that send push messages."""
        sql = """
            SELECT id, trigger, substr(name, length(trigger) + 2) FROM campaigns
             WHERE trigger IS NOT NULL AND options ->> '$.channel' IS NULL
             ORDER BY trigger, step, name
        """
        return [StepMessages._make(row) for row in self._read(sql)]
