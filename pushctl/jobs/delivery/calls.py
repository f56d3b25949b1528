"""
Calls on other channels: a step's rows, each handed to a program or a webhook at most once.

A row is claimed and committed before its call is begun; what a dead process left claimed is in
doubt. What ends the trigger is looked for before each claim, as for messages (``goals``).
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from enum import StrEnum
from typing import NamedTuple, Protocol

from pushctl import log
from pushctl.config import Config
from pushctl.jobs.delivery import deliver
from pushctl.jobs.delivery.claims import goals
from pushctl.jobs.delivery.claims.ledger import Ledger
from pushctl.jobs.delivery.clock import Clock
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.delivery.rendering import context
from pushctl.jobs.delivery.rendering.context import Context
from pushctl.jobs.delivery.signals import Stop
from pushctl.jobs.delivery.types import RenderedRow
from pushctl.jobs.ingest import erasures, revocations
from pushctl.model import Campaign, CampaignStatus, Cause, Letter, Millis
from pushctl.rules.shops.promo_codes import hide
from pushctl.rules.units import MINUTE
from pushctl.store import Store
from pushctl.store.ledger_rows import ClaimedRow, FinishedRow, ReleasedRow

SIDE_BY_SIDE = 4
AGAIN: Millis = 5 * MINUTE  # what could not be begun, until it is too late


class Ended(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    IN_DOUBT = "in_doubt"  # it may have done its work
    NOT_BEGUN = "not_begun"  # for certain: it is tried again


class Called(NamedTuple):
    """What became of a call."""

    ended: Ended
    reason: str = ""
    http_status: int | None = None


class Caller(Protocol):
    """Makes the calls of one step."""

    def describe(
        self, rows: Sequence[ClaimedRow], contexts: Context, now: Millis
    ) -> Mapping[int, str]:
        """Return what each call is about, as JSON by row."""

    def refuse(self, rows: Sequence[ClaimedRow]) -> Mapping[int, str]:
        """Return the rows that are not to be called any more, each with the reason."""

    def call(self, row: int, payload: str) -> Called:
        """Make one call, in a thread; never raises for what is wrong with this one."""


def run(
    store: Store,
    config: Config,
    campaign: Campaign,
    now: Millis,
    caller: Caller,
    seconds: float,
) -> Counter[str]:
    """
    Make the due calls of *campaign* for *seconds*, and what is under way then.

    Return the outcomes by state of the ledger. Raises BusyError when another process does so.
    """
    what = f"calls of {campaign.name}"
    with deliver.hold(store, config, campaign.id, what), Stop() as stop:
        campaign = store.campaigns.get_by_id(campaign.id)
        restore_guard.check(store, config)
        erasures.erase_returned(store, config, now)
        revocations.revoke_returned(store)
        return _Calls(store, config, campaign, now, caller, stop).run(seconds)


class _Calls:
    def __init__(
        self, store: Store, config: Config, campaign: Campaign, now: Millis, caller: Caller,
        stop: Stop,
    ) -> None:  # fmt: skip
        self._store, self._campaign, self._caller, self._stop = store, campaign, caller, stop
        self._clock = Clock(now)
        self._ledger = Ledger(store, config, campaign)
        self._goals = goals.watch(store, config, campaign, None)
        self._load = context.make_loader(store, config, campaign)
        self._shared_code = str(campaign.options.get("extra", {}).get("promo") or "")
        self._under_way: dict[Future[Called], int] = {}
        self._counts: Counter[str] = Counter()

    def run(self, seconds: float) -> Counter[str]:
        self._settle()
        with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="call") as pool:
            while True:
                informed = self._knows_goals()
                if informed and self._may_go_on(seconds):
                    self._begin(pool)
                if self._under_way:
                    done, _ = wait(self._under_way, timeout=1.0, return_when=FIRST_COMPLETED)
                    self._book(done)
                elif informed or not self._may_go_on(seconds):
                    break
                else:
                    time.sleep(goals.EVERY)
        counts = dict(self._counts)
        log.note("calls", "ended", campaign=self._campaign.name, counts=counts)
        return self._counts

    def _settle(self) -> None:
        """What a dead process had claimed may have been called."""
        reason, cause = "pushctl was stopped while it called", Cause.SENDER_STOPPED
        claimed = self._store.deliveries.load_claimed(self._campaign.id)
        rows = [FinishedRow(row, "in_doubt", reason, cause) for row in claimed]
        if rows:
            self._store.deliveries.finish(rows, self._clock.now())
            self._counts["in_doubt"] += len(rows)

    def _may_go_on(self, seconds: float) -> bool:
        late = self._clock.elapsed() > seconds
        status = self._store.campaigns.get_status(self._campaign.id)
        return not (self._stop.asked or late) and status is CampaignStatus.RUNNING

    def _knows_goals(self) -> bool:
        """Return whether all that came was read: else nothing is begun yet."""
        if self._goals is None:
            return True
        self._goals.look({})
        return self._goals.whole

    def _begin(self, pool: ThreadPoolExecutor) -> None:
        """Claim as many rows as there are places, and begin their calls."""
        room = SIDE_BY_SIDE - len(self._under_way)
        if room <= 0:
            return
        now = self._clock.now()
        with self._ledger.transaction():
            rows = self._leave_out(self._ledger.claim(room, now), now)
        if not rows:
            return
        contexts = self._load(rows) if self._load else {}
        payloads = self._caller.describe(rows, contexts, now)
        for row in rows:
            future = pool.submit(self._caller.call, row.id, payloads[row.id])
            self._under_way[future] = row.id

    def _leave_out(self, rows: Sequence[ClaimedRow], now: Millis) -> Sequence[ClaimedRow]:
        """End the rows of people who got there meanwhile; return the others."""
        if not rows:
            return rows
        reached = self._goals.find(map(_as_rendered, rows)) if self._goals else {}
        causes = {row: goals.find_cause(why) for row, why in reached.items()}
        for row, why in self._caller.refuse(rows).items():
            reached[row], causes[row] = why, Cause.NO_CONSENT
        ended = [
            FinishedRow(row, "skipped", why, causes[row], given_back=1)
            for row, why in reached.items()
        ]
        self._store.deliveries.finish(ended, now)
        self._counts.update(row.status for row in ended)
        return [row for row in rows if row.id not in reached]

    def _book(self, done: set[Future[Called]]) -> None:
        """Write what became of calls."""
        now = self._clock.now()
        codes = self._store.promo_bindings.load_codes(self._under_way[one] for one in done)
        with self._store.write():
            for future in done:
                row, called = self._under_way.pop(future), _get_result(future)
                # What a program says may have the code in it that it was given.
                reason = hide(called.reason, codes.get(row, self._shared_code))
                called = called._replace(reason=reason)
                self._counts[called.ended.value] += 1
                if called.ended is Ended.NOT_BEGUN:
                    at, cause = now + AGAIN, Cause.CALL_NOT_BEGUN
                    released = ReleasedRow(row, at, called.reason, cause)
                    self._store.deliveries.release([released], now)
                    continue
                ended = FinishedRow(
                    row, called.ended.value, called.reason or None, _CAUSES[called.ended],
                    called.http_status,
                )  # fmt: skip
                self._store.deliveries.finish([ended], now)


_CAUSES = {
    Ended.ACCEPTED: None,
    Ended.REJECTED: Cause.CALL_REFUSED,
    Ended.IN_DOUBT: Cause.TIMEOUT,
}


def _get_result(future: Future[Called]) -> Called:
    """Return what a call came to; after a fault of ours it may have been made."""
    try:
        return future.result()
    except Exception as error:
        log.note_error("calls", "failed", error)
        return Called(Ended.IN_DOUBT, f"a fault of pushctl: {type(error).__name__}")


def _as_rendered(row: ClaimedRow) -> RenderedRow:
    """Return what ``goals`` takes: a call has no letter."""
    letter = Letter(row.id, "", b"", b"", "", b"", 0, "", None)
    return RenderedRow(letter, ("", ""), row.tries, row.expires_at, row.subscription, None, 0)
