"""Plans: what is known of a broadcast's rows when they are written: who waits or gets none."""

from collections import defaultdict
from collections.abc import Iterable

from pushctl.model import Cause, Millis
from pushctl.store.noun import Noun, as_json

_PAGE = 20_000


class Plans(Noun):
    def reject(
        self, campaign: int, rows: Iterable[tuple[int, str, str, Cause]], now: Millis
    ) -> None:
        """
        End planned rows that get no message: (subscription, status, reason, cause).

        Who is in the control group is there with the probability that the others are not, and
        falls to no arm of an experiment and to no hour.
        """
        sql = """
            UPDATE deliveries
               SET status = ?, reason = ?, cause = ?, changed_at = ?, next_attempt_at = NULL,
                   holdout_probability = iif(?3 = 'holdout', round(1 - holdout_probability, 9),
                                             holdout_probability),
                   variant = iif(?3 = 'holdout', NULL, variant),
                   variant_probability = iif(?3 = 'holdout', NULL, variant_probability),
                   hour_probability = iif(?3 = 'holdout', NULL, hour_probability)
             WHERE campaign_id = ? AND subscription_id = ? AND enrolment_id = 0
               AND status = 'planned'
        """
        self._write_each(sql, ((*row[1:], now, campaign, row[0]) for row in rows))

    def note_holdout(self, campaign: int, probability: float) -> None:
        """Note with which probability a campaign's people are not in the control group."""
        sql = "UPDATE deliveries SET holdout_probability = :kept WHERE campaign_id = :campaign"
        self._write(sql, kept=probability, campaign=campaign)

    def note_hours(self, campaign: int, rows: Iterable[tuple[int, float]]) -> None:
        """Note how probable the hour of each (subscription, probability) was."""
        sql = """
            UPDATE deliveries SET hour_probability = :probability
             WHERE campaign_id = :campaign AND enrolment_id = 0
               AND subscription_id IN (SELECT value FROM json_each(:ids))
        """
        drawn: dict[float, list[int]] = defaultdict(list)
        for one, probability in rows:
            drawn[round(probability, 12)].append(one)
        for probability, ids in drawn.items():
            for start in range(0, len(ids), _PAGE):
                page = as_json(ids[start : start + _PAGE])
                self._write(sql, probability=probability, campaign=campaign, ids=page)

    def hold(
        self,
        campaign: int,
        subscriptions: Iterable[int],
        until: Millis,
        reason: str,
        cause: Cause,
        now: Millis,
    ) -> None:
        """
        Have a broadcast's planned messages wait; they live no longer by it.

        Where they wait for another message, their hour is none that was drawn. The end of
        quiet hours is the usual hour of who was drawn at night.
        """
        sql = """
            UPDATE deliveries
               SET next_attempt_at = :until, reason = :reason, cause = :cause,
                   changed_at = :now,
                   hour_probability = iif(:cause = 'quiet_hours', hour_probability, NULL)
             WHERE campaign_id = :campaign AND enrolment_id = 0 AND status = 'planned'
               AND cause IS NULL
               AND subscription_id IN (SELECT value FROM json_each(:ids))
        """
        ids = as_json(subscriptions)
        values = {"until": until, "reason": reason, "cause": cause, "now": now}
        self._write(sql, campaign=campaign, ids=ids, **values)
