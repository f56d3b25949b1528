"""The rows of one campaign while it is sent; claims are committed before a letter goes out."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from pushctl.config import Config
from pushctl.jobs.delivery.claims import promo_codes
from pushctl.jobs.delivery.claims.contact_policy import ClaimFilter
from pushctl.jobs.delivery.claims.leases import Leases
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.jobs.delivery.results import recovery
from pushctl.jobs.delivery.types import CLAIM, RenderedRow, UnrenderedRow
from pushctl.model import Campaign, CampaignStatus, Cause, Millis, Outcome
from pushctl.push import Postbox
from pushctl.store import Store
from pushctl.store.clocks import read_now
from pushctl.store.ledger_rows import ClaimedRow, FinishedRow, ReleasedRow


class Ledger:
    """*brief*: letters need no columns behind ``ClaimedRow.worker``."""

    def __init__(
        self,
        store: Store,
        config: Config,
        campaign: Campaign,
        contact_policy: ClaimFilter | None = None,
        *,
        brief: bool = False,
    ) -> None:
        self._store, self._config, self._campaign = store, config, campaign
        self._contact_policy = contact_policy
        self._brief = brief and contact_policy is None  # which read a person's clock
        self._left_out: list[UnrenderedRow] = []  # of this claim
        self.rows: dict[int, RenderedRow] = {}  # claimed and without an outcome yet
        self._after = 0  # the last fresh row that was claimed
        self._fresh = True  # whether there may be more after it
        self.has_more = False  # whether the last claim took rows: there may be others
        self._generation: int | None = None  # of the claim in this transaction
        self._promo = promo_codes.make_binder(store, campaign)
        self.ran_out: str | None = None  # why nobody gets a promo code any more

    def settle(self, postbox: Postbox, now: Millis) -> int:
        """Settle the rows of a dead process; return how many are now in doubt."""
        return recovery.settle(self._store, self._campaign, postbox.journal, postbox.run, now)

    def open_leases(self, seconds: float) -> Leases:
        """Return the leases of this run's chunks, each of *seconds*."""
        return Leases(self._store, self._campaign, read_now, seconds)

    def begin(self, now: Millis) -> int:
        """Set the campaign running, unless it has ended; return how many rows wait."""
        count, _ = self.count_waiting(now)
        # A finished one may have rows again (in doubt, and sent again by hand); without
        # any, the time of its end stays.
        if count or self._campaign.status is not CampaignStatus.FINISHED:
            self._store.campaigns.change_status(self._campaign.id, CampaignStatus.RUNNING, now)
        if count:
            self._store.shrink_caches()
        return count

    def hasten(self, origins: Iterable[str | None], now: Millis) -> None:
        """Have the rows that wait for a connection to *origins* become due; None: to any."""
        for origin in origins:
            self._store.deliveries.hasten(self._campaign.id, origin, now)

    def is_running(self) -> bool:
        """Return whether the campaign is still running; another process may have changed it."""
        return self._store.campaigns.get_status(self._campaign.id) is CampaignStatus.RUNNING

    def count_waiting(self, now: Millis) -> tuple[int, Millis | None]:
        """Return the number of planned rows, and when the next is due (None: at once)."""
        return self._store.deliveries.count_waiting(self._campaign.id, now)

    def pause(self, note: str, now: Millis) -> None:
        self._store.campaigns.change_status(self._campaign.id, CampaignStatus.PAUSED, now, note)

    def end(self, pause: str | None, now: Millis) -> Campaign:
        """Pause the campaign for the reason *pause*, or finish it if it is done; return it."""
        number, campaigns = self._campaign.id, self._store.campaigns
        if campaigns.get_status(number) is CampaignStatus.CANCELLED:
            self._store.deliveries.cancel(number, now)
        elif pause is not None:
            self.pause(pause, now)
        else:
            campaigns.finish_if_done(number, now)
        return campaigns.get_by_id(number)

    @contextmanager
    def transaction(self) -> Iterator[Store]:
        """Hold a transaction; once a claim is committed, write its generation to the file."""
        self._generation = None
        with self._store.write():
            yield self._store
        if self._generation is not None:
            restore_guard.write_generation(self._config, self._generation)

    def claim(self, room: int, now: Millis) -> list[ClaimedRow]:
        """
        Claim up to *room* rows, those with a date first.

        Those that the contact policy holds back or leaves out are not among them.
        """
        campaign, deliveries = self._campaign.id, self._store.deliveries
        limit = min(room, CLAIM)
        rows, taken = deliveries.claim_due(campaign, limit, now)
        self.has_more = taken > 0
        rows = self._keep(rows, now, dated=True)
        if self._fresh and taken < limit:
            more, last = deliveries.claim_fresh(
                campaign, self._after, limit - taken, now, brief=self._brief
            )
            rows += self._keep(more, now, dated=False)
            self._fresh = last is not None
            self._after = last or self._after
            self.has_more = self.has_more or self._fresh
        if rows and self._promo is not None:
            rows = self._bind(self._promo, rows, now)
        if rows:
            self._generation = restore_guard.count_up(self._store, self._config)
        return rows

    def _keep(self, rows: list[ClaimedRow], now: Millis, *, dated: bool) -> list[ClaimedRow]:
        """Return those of *rows* that may go out now; hold back or end the others."""
        if self._contact_policy is None or not rows:
            return rows
        found = self._contact_policy.sort(rows, now, dated=dated)
        if found.held:
            self._store.deliveries.release(found.held, now)
        if found.ended:
            self.reject(found.ended, now)
            self._left_out += found.ended
        return found.kept

    def take_left_out(self) -> list[UnrenderedRow]:
        """Return the rows that claims have ended since the last call."""
        ended, self._left_out = self._left_out, []
        return ended

    def _bind(
        self, promo: promo_codes.Binder, rows: list[ClaimedRow], now: Millis
    ) -> list[ClaimedRow]:
        """Return the rows that have a promo code; without one the campaign pauses."""
        kept, without = promo.bind(rows, now)
        if without and promo.reminds:
            reason = "has used the promo code meanwhile"
            self._store.deliveries.finish(
                (FinishedRow(row.id, "skipped", reason, Cause.CODE_USED, given_back=1)
                 for row in without), now,
            )  # fmt: skip
        elif without:
            self.ran_out = promo.explain_end(now)
            undated = recovery.choose_due(self._campaign, now)
            self.release((ReleasedRow(row.id, undated) for row in without), now)
            number, paused = self._campaign.id, CampaignStatus.PAUSED
            self._store.campaigns.change_status(
                number, paused, now, self.ran_out, Cause.NO_CODES
            )
        return kept

    def find_shortage(self, now: Millis) -> list[str]:
        """Return what the owner has to know of the promo codes that are left."""
        why = self._promo.find_shortage(now) if self._promo is not None else None
        return [] if why is None else [f"{why[0].upper()}{why[1:]}."]

    def add(self, rows: Iterable[RenderedRow]) -> None:
        # A letter and a claimed row have it first; by name it is a call of Python's own.
        self.rows.update([(row.letter[0], row) for row in rows])

    def release(self, rows: Iterable[ReleasedRow], now: Millis) -> None:
        """Plan claimed rows again that were not sent."""
        undated = recovery.choose_due(self._campaign, now)
        dated = [row._replace(next_attempt_at=row.next_attempt_at or undated) for row in rows]
        if dated:
            self._store.deliveries.release(dated, now)
            for row in dated:
                self.rows.pop(row.id, None)

    def forget(self, outcomes: Iterable[Outcome]) -> None:
        """Drop the rows whose outcomes are committed."""
        for outcome in outcomes:
            del self.rows[outcome.delivery]

    def reject(self, rows: Sequence[UnrenderedRow], now: Millis) -> None:
        """End claimed rows that get no message."""
        self._store.deliveries.finish(
            (FinishedRow(it.id, it.status, it.reason, it.cause, given_back=1) for it in rows),
            now,
        )
        for row in rows:
            self.rows.pop(row.id, None)
