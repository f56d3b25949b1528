"""Outcomes of a pool or a journal -> rows, lanes and subscriptions."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter, itemgetter

from pushctl.jobs.delivery.push_services.outages import Outages
from pushctl.jobs.delivery.push_services.throttle import Throttle
from pushctl.jobs.delivery.types import LaneKey, RenderedRow
from pushctl.model import Answer, Cause, DeliveryStatus, Millis, Outcome
from pushctl.rules.delivery import answers, lane, retry
from pushctl.store import Store
from pushctl.store.health import Answered
from pushctl.store.ledger_rows import FinishedRow

_ACCEPTED = DeliveryStatus.ACCEPTED.value
_PLANNED = DeliveryStatus.PLANNED.value
_pick = itemgetter(
    *map(Outcome._fields.index, ("delivery", "answer", "http_status", "location"))
)
_state = attrgetter("hold_until", "stopped", "probing", "unreached_since")


@lru_cache(maxsize=1024)
def _is_recallable(origin: str) -> bool:
    """Return whether messages can be recalled by their Location (see push/recall)."""
    return answers.service(origin.removeprefix("https://").partition(":")[0]) == "mozilla"


def _answered(row: RenderedRow, reason: str) -> Answered:
    return Answered(row.subscription, row.letter.endpoint, reason)


@dataclass
class _Lane:
    """The answers of one lane within a batch."""

    codes: list[str] = field(default_factory=list)
    retry_after: Millis | None = None
    reason: str = ""


class OutcomeBatch:
    """
    The outcomes of one batch, decided and not yet written.

    *is_about_one* returns whether an answer is about its subscription alone; without
    *outages* no service counts as one that may be made up.
    """

    def __init__(
        self,
        now: Millis,
        is_about_one: Callable[[Outcome, RenderedRow], bool] = lambda *_: False,
        outages: Outages | None = None,
    ) -> None:
        self.now, self._is_about_one, self._outages = now, is_about_one, outages
        self.tally: Counter[str] = Counter()  # by status
        self.errors = 0  # answers that ended a delivery badly
        self.ours: str | None = None  # the reason of an answer that blames our message
        self.gone: dict[LaneKey, list[Answered]] = defaultdict(list)
        # Rows of which HTTP status and language are written, nothing else.
        self._accepted: dict[tuple[int | None, str | None], list[int]] = defaultdict(list)
        self._finished: list[FinishedRow] = []
        self._lanes: dict[LaneKey, _Lane] = defaultdict(_Lane)
        self._failed: list[Answered] = []
        self._worked: list[Answered] = []
        self._small: list[Answered] = []
        # Services that answer for the first time in this run, or after an outage. What an
        # earlier run put off for want of a connection to them need wait no longer: it may
        # have been another campaign's run that met the outage's end, or nobody's for long.
        self.reached: set[str] = set()

    def add(
        self, outcomes: Iterable[Outcome], rows: dict[int, RenderedRow], throttle: Throttle
    ) -> None:
        """Decide on *outcomes*; *rows* has the row of each, by delivery."""
        accepted = 0
        last: LaneKey | None = None
        same: tuple[int | None, str | None] | None = None
        for outcome in outcomes:
            delivery, answer, status, location = _pick(outcome)
            row = rows[delivery]
            # Nearly all are accepted: these skip retry.decide, for speed.
            if answer is not Answer.ACCEPTED:
                self._decide(outcome, row, throttle)
                continue
            accepted += 1
            lane, language = row.lane, row.language
            if location is not None and _is_recallable(lane[0]):
                told = delivery, _ACCEPTED, None, None, status, location, None, language
                self._finished.append(FinishedRow(*told))
            else:
                # Neighbours are mostly alike.
                if same is None or same[0] != status or same[1] is not language:
                    same = status, language
                    alike = self._accepted[same]
                alike.append(delivery)
            if lane is not last:
                codes, last = self._lanes[lane].codes, lane
            codes.append("a")
            if row.failures:
                self._worked.append(_answered(row, ""))
        if accepted:
            self.tally[_ACCEPTED] += accepted

    def _decide(self, outcome: Outcome, row: RenderedRow, throttle: Throttle) -> None:
        learnt = self._lanes[row.lane]
        proved = throttle.load_lane(row.lane, self.now).accepted > 0 or "a" in learnt.codes
        outage: Millis | None = 0
        if self._outages is not None:
            outcome = self._outages.adjust(outcome, row)
            outage = self._outages.measure(row.lane, self.now)
        own = self._is_about_one(outcome, row)
        decision = retry.decide(
            outcome, row.tries, row.expires_at, self.now, random.random(), proved or own, outage
        )
        if retry.is_by_service(outcome) and not own:
            self.errors += decision.status.value in ("rejected", "in_doubt")
            if outcome.cause is not Cause.CONNECTION_LOST_WITH_OTHERS:
                learnt.codes.append(lane.encode(outcome))
                learnt.reason = outcome.reason
            if outcome.retry_after is not None:
                learnt.retry_after = max(outcome.retry_after, learnt.retry_after or 0)
        self._finished.append(
            FinishedRow(
                outcome.delivery,
                decision.status.value,
                decision.reason,
                outcome.cause,
                outcome.http_status,
                outcome.location,
                decision.next_attempt_at,
                row.language,
                decision.given_back,
            )
        )
        self.tally[decision.status.value] += 1
        if outcome.answer is Answer.OUR_FAULT and decision.status is DeliveryStatus.PLANNED:
            self.ours = outcome.reason
        if decision.effect == "gone":
            self.gone[row.lane].append(_answered(row, decision.reason))
        elif decision.effect == "failed":
            self._failed.append(_answered(row, decision.reason))
        elif decision.effect == "small":
            self._small.append(_answered(row, decision.reason))

    @property
    def ended(self) -> int:
        """The number of deliveries with a final status."""
        return self.tally.total() - self.tally[_PLANNED]

    def update_lanes(self, throttle: Throttle) -> list[LaneKey]:
        """Add the answers to the lanes; return those whose state has changed."""
        changed = []
        for key, learnt in self._lanes.items():
            if codes := "".join(learnt.codes):
                before = throttle.load_lane(key, self.now)
                wait, reason = learnt.retry_after, learnt.reason
                after = throttle.add_answers(key, codes, self.now, wait, reason)
                if _state(after) != _state(before):
                    changed.append(key)
                was_away = before.unreached_since or not before.answered
                if was_away and after.answered and not after.unreached_since:
                    self.reached.add(key[0])
        return changed

    def write_rows(self, store: Store, *, late: bool = False) -> None:
        """
        Write the rows' outcomes, in the caller's transaction.

        *late*: they are a dead process's, and nobody knows when the answers came.
        """
        for (status, language), rows in self._accepted.items():
            store.deliveries.accept(rows, status, language, self.now, late=late)
        store.deliveries.finish(self._finished, self.now, late=late)

    def write_subscriptions(self, store: Store, spared: Collection[str] = ()) -> None:
        """Update the subscriptions; none of an origin in *spared* is made gone."""
        for (origin, _), gone in self.gone.items():
            if origin not in spared:
                store.health.mark_gone(gone, self.now)
        if self._failed:
            store.health.mark_failed(self._failed, self.now)
        if self._worked:
            store.health.clear_failures(self._worked)
        if self._small:
            store.health.mark_small_payload(self._small)
