"""
The messages of experiments: who fell to which arm, who waits, and what became of them.

A row of the ledger says where somebody fell with two columns:

variant x, probability below 1     the person fell to arm x: they are compared
variant x, probability 1           the winner, after the decision
variant "a", probability NULL      no choice was there, as in a language without the arms'
                                   files: left out of the comparison
variant NULL, cause awaits_winner  of the others: it goes out once the test is decided
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pushctl.model import Cause, Millis
from pushctl.store.noun import Noun, as_json


class ArmCounts(NamedTuple):
    """
    What became of an arm's people. A person with several devices is one.

    *accepted* are those of whom a report could come; *clickers*, *shown*, *unsubscribed* and
    *gone* are some of them.
    """

    assigned: int = 0
    accepted: int = 0
    shown: int = 0
    clickers: int = 0
    unsubscribed: int = 0
    gone: int = 0


class Place(NamedTuple):
    """Where somebody falls: an arm, none, or among those who wait for the winner."""

    code: bytes  # one byte
    variant: str | None
    probability: float | None
    due: Millis | None  # None: as soon as it is claimed
    expires_at: Millis
    cause: Cause | None = None
    reason: str | None = None


PAGE = 20_000

# The messages of an experiment, the winner's and those without a choice among them. CROSS
# keeps the sequence: SQLite would read all messages of all campaigns first.
_ROWS = """
    experiments AS e
      CROSS JOIN campaigns AS c
        ON c.id = e.campaign_id OR c.trigger = e.trigger AND c.step = e.step
      CROSS JOIN deliveries AS d ON d.campaign_id = c.id AND d.id > e.after_delivery
"""

# Who has several devices: as ``store.enrolments.list_devices``, which draws their lot.
_PERSON = """
    s.site_id || '@' || coalesce(
        iif(s.alias_trusted, s.alias, NULL),
        (SELECT min(q.alias) FROM subscriptions AS q
          WHERE q.email_hash = s.email_hash AND q.site_id = s.site_id AND q.alias_trusted),
        nullif('@' || hex(s.email_hash), '@'))
"""


class ExperimentRows(Noun):
    """What ``Experiments`` does with the ledger."""

    def plan(
        self,
        campaign: int,
        subscriptions: Sequence[int],
        fell: bytes,
        places: Sequence[Place],
        *,
        now: Millis,
    ) -> None:
        """
        Write the messages of a broadcast that goes out now, each with its arm.

        *fell* has the code of a place for each of *subscriptions*. Who was erased since gets
        none.
        """
        each = ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * len(places))
        # In pages, as deliveries.plan; a byte of a blob is found at once, of a text it is not.
        sql = f"""
            WITH places (code, variant, probability, due, until, cause, reason)
              AS (VALUES {each})
            INSERT INTO deliveries (campaign_id, subscription_id, variant, variant_probability,
                                    next_attempt_at, expires_at, cause, reason, changed_at)
            SELECT ?, j.value, p.variant, p.probability, p.due, p.until, p.cause, p.reason, ?
              FROM json_each(?) AS j CROSS JOIN places AS p
             WHERE p.code = substr(?, j.key + 1, 1)
               AND EXISTS (SELECT 1 FROM subscriptions AS s WHERE s.id = j.value)
             ORDER BY j.key
        """  # noqa: S608 - marks for values
        values = [value for place in places for value in place]
        with self._store.write() as connection:
            for start in range(0, len(subscriptions), PAGE):
                page = as_json(subscriptions[start : start + PAGE])
                part = fell[start : start + PAGE]
                connection.execute(sql, (*values, campaign, now, page, part))

    def plan_each(
        self,
        campaign: int,
        rows: Iterable[tuple[int, Millis, Place]],
        *,
        life: Millis,
        now: Millis,
    ) -> None:
        """Write the messages of a broadcast for later: (subscription, due, place)."""
        sql = """
            INSERT INTO deliveries (campaign_id, subscription_id, next_attempt_at, expires_at,
                                    variant, variant_probability, cause, reason, changed_at)
            SELECT ?, s.id, ?, ?, ?, ?, ?, ?, ? FROM subscriptions AS s WHERE s.id = ?
        """
        self._write_each(
            sql,
            (
                (campaign, due, due + life, it.variant, it.probability, it.cause, it.reason,
                 now, one)
                for one, due, it in rows
            ),
        )  # fmt: skip

    def load_variants(self, campaign: int) -> dict[int, str]:
        """Return the variant that each subscription of a broadcast fell to."""
        sql = """
            SELECT subscription_id, variant FROM deliveries
             WHERE campaign_id = :id AND variant IS NOT NULL AND subscription_id IS NOT NULL
        """
        return dict(self._read(sql, id=campaign).fetchall())

    def list_first_arms(
        self, subscriptions: Iterable[int], triggers: Iterable[str]
    ) -> dict[tuple[str, int, int], tuple[int, str | None, float | None, str]]:
        """
        Return the first message of each step and subscription that may have arrived.

        As number, variant, probability and template, by trigger, step and subscription.
        Messages without a choice are left out: a winner's, or of a language without variants.
        """
        sql = """
            SELECT c.trigger, c.step, d.subscription_id, min(d.id), d.variant,
                   d.variant_probability, c.template
              FROM json_each(:ids) AS j
              JOIN deliveries AS d ON d.subscription_id = j.value
              JOIN campaigns AS c ON c.id = d.campaign_id
             WHERE c.trigger IN (SELECT value FROM json_each(:triggers))
               AND d.status NOT IN ('skipped', 'rejected', 'expired')
               AND (d.variant_probability < 1 OR d.variant IS NULL)
             GROUP BY 1, 2, 3
        """
        rows = self._read(sql, ids=as_json(subscriptions), triggers=as_json(triggers))
        return {(name, step, one): tuple(rest) for name, step, one, *rest in rows}

    def count_arms(self, experiment: int, until: Millis | None = None) -> dict[str, ArmCounts]:
        """
        Count the people who are compared, by variant; an arm without any is missing.

        *until*: only messages that have been as they are since then.
        """
        sql = f"""
            WITH compared AS MATERIALIZED (
                SELECT d.variant,
                       coalesce({_PERSON}, s.id, -d.id) AS person,
                       d.status = 'accepted' AND NOT EXISTS (
                           SELECT 1 FROM foreign_deliveries AS f WHERE f.delivery_id = d.id)
                           AS accepted,
                       EXISTS (SELECT 1 FROM interactions AS i
                                WHERE i.delivery_id = d.id) AS shown,
                       EXISTS (SELECT 1 FROM interactions AS i
                                WHERE i.delivery_id = d.id AND i.kind = 'clicked') AS clicked,
                       iif(s.state_at >= d.changed_at, s.state, NULL) AS since
                  FROM {_ROWS} LEFT JOIN subscriptions AS s ON s.id = d.subscription_id
                 WHERE e.id = :experiment AND d.variant_probability < 1
                   AND (:until IS NULL OR d.changed_at <= :until)
            ), people AS (
                SELECT variant, max(accepted) AS accepted, max(accepted AND shown) AS shown,
                       max(accepted AND clicked) AS clicked,
                       max(accepted AND since IS 'unsubscribed') AS unsubscribed,
                       max(accepted AND since IS 'gone') AS gone
                  FROM compared GROUP BY variant, person
            )
            SELECT variant, count(*), sum(accepted), sum(shown), sum(clicked),
                   sum(unsubscribed), sum(gone)
              FROM people GROUP BY variant
        """  # noqa: S608 - our own tables
        rows = self._read(sql, experiment=experiment, until=until)
        return {variant: ArmCounts(*counts) for variant, *counts in rows}

    def count_others(self, experiment: int) -> dict[str, int]:
        """
        Count the messages that are not compared, by what they are.

        ``outside``: no choice was there, such as a language without the arms' files;
        ``waiting``: for the winner; ``winner``: got it after the decision.
        """
        sql = f"""
            SELECT coalesce(sum(d.variant IS NOT NULL AND d.variant_probability IS NULL), 0),
                   coalesce(sum(d.status = 'planned' AND d.cause IS 'awaits_winner'), 0),
                   coalesce(sum(d.variant_probability = 1), 0)
              FROM {_ROWS} WHERE e.id = :experiment
        """  # noqa: S608 - our own tables
        found = self._read(sql, experiment=experiment).fetchone()
        return dict(zip(("outside", "waiting", "winner"), found, strict=True))

    def count_outside(self, experiment: int) -> dict[str, int]:
        """Count those without a choice by the language of their text, most first."""
        sql = f"""
            SELECT coalesce(d.language, s.language, '?'), count(*)
              FROM {_ROWS} LEFT JOIN subscriptions AS s ON s.id = d.subscription_id
             WHERE e.id = :experiment AND d.variant IS NOT NULL
               AND d.variant_probability IS NULL
             GROUP BY 1 ORDER BY 2 DESC, 1
        """  # noqa: S608 - our own tables
        return dict(self._read(sql, experiment=experiment).fetchall())

    def release(self, campaign: int, winner: str, now: Millis) -> int:
        """
        Give the winner to all who wait for it; return how many.

        Where it is found early, all are due at once. On each person's own clock the times
        stay as they are.
        """
        sql = """
            UPDATE deliveries AS d
               SET variant = :winner, variant_probability = 1, reason = NULL, cause = NULL,
                   next_attempt_at = iif(c.options ->> '$.local', next_attempt_at,
                                         min(next_attempt_at, :now)),
                   expires_at = iif(c.options ->> '$.local', d.expires_at,
                                    d.expires_at - max(0, next_attempt_at - :now)),
                   changed_at = :now
              FROM campaigns AS c
             WHERE c.id = :campaign AND d.campaign_id = c.id AND d.status = 'planned'
               AND d.cause = 'awaits_winner'
        """
        return self._write(sql, campaign=campaign, winner=winner, now=now)

    def drop(self, campaign: int, why: str, now: Millis) -> int:
        """Skip all who wait for a winner: there is none. Return how many."""
        sql = """
            UPDATE deliveries
               SET status = 'skipped', reason = :why, cause = 'test_stopped',
                   next_attempt_at = NULL, changed_at = :now
             WHERE campaign_id = :campaign AND status = 'planned' AND cause = 'awaits_winner'
        """
        return self._write(sql, campaign=campaign, why=why, now=now)
