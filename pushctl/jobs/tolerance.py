"""
How many errors a campaign bears: a quarter of its last thousand answers, then it pauses.

They are the campaign's last, not one run's: what is spread over hours goes out in handfuls,
one with each sweep, and no handful is enough to judge by.
"""

from pushctl.jobs.booking import Book
from pushctl.model import Campaign, CampaignStatus
from pushctl.rules import policy
from pushctl.store import Store


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
        ended = policy.spread(book.errors, book.ended)
        self._recent = (self._recent + ended)[-policy.ERROR_WINDOW :]
        return book.errors > 0 and policy.too_many_errors(self._recent)

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
