"""
Outcomes -> the ledger: what each answer means for its row, its lane, its subscription.

``Book`` collects the outcomes of a batch, and puts them down inside the caller's
transaction. Both an ordinary answer and what a journal tells after a crash go this way.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from pushctl.jobs.delivery.render import Item, LaneKey
from pushctl.jobs.delivery.throttle import Traffic
from pushctl.model import Answer, Cause, DeliveryStatus, Millis, Outcome
from pushctl.rules.delivery import answers, retry
from pushctl.rules.delivery.lane import CODES, Lane
from pushctl.store import Store
from pushctl.store.deliveries import FinishedRow

_ACCEPTED = DeliveryStatus.ACCEPTED.value
_PLANNED = DeliveryStatus.PLANNED.value


@lru_cache(maxsize=1024)
def _keeps(origin: str) -> bool:
    """Say whether a message's Location is good for anything (see push/recall)."""
    return answers.service(origin.removeprefix("https://").partition(":")[0]) == "mozilla"


def _course(lane: Lane) -> tuple[object, ...]:
    return lane.hold_until, lane.stopped, lane.probing


@dataclass
class _Heard:
    """The answers of one lane within a batch."""

    codes: list[str] = field(default_factory=list)
    retry_after: Millis | None = None
    reason: str = ""


@dataclass
class Book:
    """The outcomes of one batch, decided and not yet written."""

    now: Millis
    # Whether an answer is about its subscription alone; see Course.
    tells_nothing: Callable[[Outcome, Item], bool] = field(default=lambda *_: False)
    rows: list[FinishedRow] = field(default_factory=list)
    # Those of whom nothing more is to be said, by status and language of the text.
    accepted: dict[tuple[int | None, str | None], list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )
    heard: dict[LaneKey, _Heard] = field(default_factory=lambda: defaultdict(_Heard))
    gone: dict[LaneKey, list[tuple[int, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    failed: list[tuple[int, str]] = field(default_factory=list)
    worked: list[int] = field(default_factory=list)
    small: list[int] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)
    errors: int = 0  # answers that ended a delivery badly
    ours: str | None = None  # an answer that says that we wrote something wrong

    def add(
        self, outcomes: Iterable[Outcome], items: dict[int, Item], traffic: Traffic
    ) -> None:
        """Decide on *outcomes*; *items* holds what is known of each delivery."""
        for outcome in outcomes:
            item = items[outcome.delivery]
            # Nearly all are accepted: the short way, without a Decision.
            if outcome.answer is Answer.ACCEPTED:
                self._accept(outcome, item)
            else:
                self._decide(outcome, item, traffic)

    def _accept(self, outcome: Outcome, item: Item) -> None:
        delivery, status, location = outcome.delivery, outcome.http_status, outcome.location
        if location is not None and _keeps(item.lane[0]):
            self.rows.append(
                FinishedRow(
                    delivery, _ACCEPTED, None, None, status, location, None, item.language
                )
            )
        else:
            self.accepted[status, item.language].append(delivery)
        self.heard[item.lane].codes.append("a")
        self.tally[_ACCEPTED] += 1
        if item.failures:
            self.worked.append(item.subscription)

    def _decide(self, outcome: Outcome, item: Item, traffic: Traffic) -> None:
        heard = self.heard[item.lane]
        proved = traffic.lane(item.lane, self.now).accepted > 0 or "a" in heard.codes
        own = self.tells_nothing(outcome, item)
        decision = retry.decide(
            outcome, item.tries, item.expires_at, self.now, random.random(), proved or own
        )
        if retry.by_a_service(outcome) and not own:
            self.errors += decision.status.value in ("rejected", "in_doubt")
            if outcome.cause is not Cause.CONNECTION_LOST_WITH_OTHERS:
                heard.codes.append(CODES[outcome.answer])
                heard.reason = outcome.reason
            if outcome.retry_after is not None:
                heard.retry_after = max(outcome.retry_after, heard.retry_after or 0)
        self.rows.append(
            FinishedRow(
                outcome.delivery,
                decision.status.value,
                decision.reason,
                outcome.cause,
                outcome.http_status,
                outcome.location,
                decision.next_attempt_at,
                item.language,
                decision.given_back,
            )
        )
        self.tally[decision.status.value] += 1
        if outcome.answer is Answer.OUR_FAULT and decision.status is DeliveryStatus.PLANNED:
            self.ours = outcome.reason
        self._learn(decision, item)

    def _learn(self, decision: retry.Decision, item: Item) -> None:
        if decision.effect == "gone":
            self.gone[item.lane].append((item.subscription, decision.reason))
        elif decision.effect == "failed":
            self.failed.append((item.subscription, decision.reason))
        elif decision.effect == "small":
            self.small.append(item.subscription)

    @property
    def ended(self) -> int:
        """How many deliveries have come to their end."""
        return self.tally.total() - self.tally[_PLANNED]

    def listen(self, traffic: Traffic) -> list[LaneKey]:
        """Tell the lanes what was answered; return those that changed their course."""
        changed = []
        for key, heard in self.heard.items():
            if not heard.codes:
                continue
            before = traffic.lane(key, self.now)
            after = traffic.heard(
                key, "".join(heard.codes), self.now, heard.retry_after, heard.reason
            )
            if _course(before) != _course(after):
                changed.append(key)
        return changed

    def write_deliveries(self, store: Store) -> None:
        """
        Write what became of the deliveries.

        The caller holds the transaction, so rows and subscriptions change together.
        """
        for (status, language), rows in self.accepted.items():
            store.deliveries.accept(rows, status, language, self.now)
        store.deliveries.finish(self.rows, self.now)

    def write_subscriptions(self, store: Store, spared: Collection[str] = ()) -> None:
        """Write what was learnt of people; nobody of the origins in *spared* is made gone."""
        gone = [
            person
            for (origin, _), people in self.gone.items()
            if origin not in spared
            for person in people
        ]
        if gone:
            store.health.gone(gone, self.now)
        if self.failed:
            store.health.failed(self.failed, self.now)
        if self.worked:
            store.health.worked(self.worked)
        if self.small:
            store.health.too_large(self.small)
