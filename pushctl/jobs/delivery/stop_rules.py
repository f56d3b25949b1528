"""
When a campaign stops by itself: too many errors, or no message that can be written.

A campaign bears a quarter of errors among its last thousand answers, then it pauses. They
are the campaign's last, not one run's: what is spread over hours goes out in handfuls, one
with each sweep, and no handful is enough to judge by.

Rows without a message are set aside, each with its reason. Where none at all can be
written, the template or a lost key is at fault, and nobody's message is spent on it.
"""

from collections.abc import Sequence, Set

from pushctl.errors import ConfigError, TemplateError
from pushctl.jobs.delivery.outcomes import Book
from pushctl.jobs.delivery.render import Unwritten
from pushctl.model import Campaign, CampaignStatus
from pushctl.rules.delivery import stop_rules
from pushctl.store import Store

BARREN = 20  # renderings that may fail before any works; then the template is to blame


class Tolerance:
    """The last final answers of *campaign*, as it was before this run."""

    def __init__(self, store: Store, campaign: Campaign) -> None:
        self._meta = store.meta
        self._key = f"campaign.{campaign.id}.recent"
        # Who goes on with a paused campaign has decided: it is judged afresh.
        going = campaign.status in (CampaignStatus.RUNNING, CampaignStatus.SCHEDULED)
        self._kept = self._meta.get(self._key) or ""
        self._recent = self._kept if going else ""

    def exceeded(self, book: Book) -> bool:
        """Add the answers in *book*; say whether they are too many errors."""
        ended = stop_rules.spread(book.errors, book.ended)
        self._recent = (self._recent + ended)[-stop_rules.ERROR_WINDOW :]
        return book.errors > 0 and stop_rules.too_many_errors(self._recent)

    def keep(self, more: bool) -> None:
        """Write down what the next run has to know, if there is *more* to come."""
        if not more:
            self._recent = ""
        if self._recent == self._kept:
            return
        if self._recent:
            self._meta.set(self._key, self._recent)
        else:
            self._meta.remove(self._key)


def fault(
    store: Store,
    campaign: Campaign,
    keys: Set[str],
    rows: Sequence[Unwritten],
    count: int,
) -> ConfigError | None:
    """
    Return what to stop *campaign* with, or None where *rows* may be set aside.

    They are the last of the first *count* rows, none of which could be written.
    """
    failed = [row for row in rows if row.status == "rejected"]
    if failed and count >= BARREN:
        return TemplateError(
            f"none of the first {count:,} messages can be written: {failed[0].reason}. "
            "Nothing was sent. Put the template right, then cancel this campaign (pushctl "
            f"campaigns cancel {campaign.name!r}) and send anew."
        )
    if failed or not keys.isdisjoint(store.soundness.keys_in_use()):
        return None
    return ConfigError(
        f"no subscriber was made with a key that is in keys/: {rows[0].reason}. Nothing was "
        "sent. Bring the key's file back from your safe or a backup, then go on: pushctl "
        f"campaigns resume {campaign.name!r}"
    )
