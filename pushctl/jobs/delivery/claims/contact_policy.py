"""
Judges claimed rows of a broadcast by the contact policy, in the transaction of the claim.

Quiet hours may have begun since a row was planned, for a slow campaign or a second try. A row
that had a time of its own (for later, or the night's end) takes its place in the frequency
cap only now. As both are decided while the database is held, two campaigns never take the
same place, and neither leaves it to the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pushctl.config import Config
from pushctl.jobs.delivery.types import UnrenderedRow
from pushctl.jobs.subscribers.contact_policy import Judge
from pushctl.model import Campaign, Cause, Millis
from pushctl.rules.contact_policy import TOO_LATE, is_exempt
from pushctl.store import Store
from pushctl.store.ledger_rows import ClaimedRow, ReleasedRow


@dataclass(slots=True)
class Sorted:
    """Claimed rows: those that go out now, that wait, and that have ended."""

    kept: list[ClaimedRow] = field(default_factory=list)
    held: list[ReleasedRow] = field(default_factory=list)
    ended: list[UnrenderedRow] = field(default_factory=list)


class ClaimFilter:
    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def sort(self, rows: Sequence[ClaimedRow], now: Millis, *, dated: bool) -> Sorted:
        """Sort rows that are claimed at *now*; *dated*: they had times of their own."""
        found = Sorted()
        for row in rows:
            until = self._judge.find_quiet_end(row.timezone, row.site, now)
            if until <= now:
                found.kept.append(row)
            elif row.expires_at is not None and until >= row.expires_at:
                ended = UnrenderedRow(row.id, "expired", TOO_LATE, Cause.QUIET_HOURS)
                found.ended.append(ended)
            else:
                why = self._judge.describe_quiet(row.site)
                found.held.append(ReleasedRow(row.id, until, why, Cause.QUIET_HOURS))
        # A second try has its place in the cap already.
        fresh = [row for row in found.kept if row.tries == 1] if dated else []
        if fresh:
            self._leave_out(fresh, found, now)
        return found

    def _leave_out(self, rows: Sequence[ClaimedRow], found: Sorted, now: Millis) -> None:
        """Move those of *rows* that get no message, or not yet."""
        judged = self._judge.refuse([row.subscription for row in rows], now)
        moved = set[int]()
        for row in rows:
            if row.subscription in judged.without:
                ended = UnrenderedRow(row.id, *judged.without[row.subscription])
                found.ended.append(ended)
            elif row.subscription in judged.held:
                found.held.append(ReleasedRow(row.id, *judged.held[row.subscription]))
            else:
                continue
            moved.add(row.id)
        found.kept = [row for row in found.kept if row.id not in moved]


def watch(store: Store, config: Config, campaign: Campaign, now: Millis) -> ClaimFilter | None:
    """Return the filter of a broadcast; None: there are none, or it is a trigger's step."""
    is_step = store.triggers.get_trigger(campaign.id) is not None
    if is_step or "grouped" in campaign.options or is_exempt(campaign.options):
        return None
    judge = Judge(store, config, campaign.options, now, campaign.id)
    return ClaimFilter(judge) if judge.is_needed else None
