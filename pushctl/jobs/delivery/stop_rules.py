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
from pushctl.jobs.delivery.outcomes import OutcomeBatch
from pushctl.jobs.delivery.types import UnrenderedRow
from pushctl.model import Campaign, CampaignStatus, Cause
from pushctl.rules.delivery import stop_rules
from pushctl.store import Store

# Messages that can't be rendered before any is; then the template is to blame.
MAX_UNRENDERED = 20


class StopRules:
    """
    When *campaign*, as it was before this run, stops by itself.

    *keys* are the names of the VAPID keys that there are.
    """

    def __init__(self, store: Store, campaign: Campaign, keys: Set[str]) -> None:
        self._store, self._campaign, self._keys = store, campaign, keys
        self._name = f"campaign.{campaign.id}.recent"
        # Who goes on with a paused campaign has decided: it is judged afresh.
        going = campaign.status in (CampaignStatus.RUNNING, CampaignStatus.SCHEDULED)
        self._kept = store.meta.get(self._name) or ""
        self._recent = self._kept if going else ""  # its last final answers
        self._rendered = self._unrendered = 0

    def judge(self, batch: OutcomeBatch) -> str | None:
        """Add the answers of *batch*; return why the campaign must pause, if it must."""
        ended = stop_rules.spread(batch.errors, batch.ended)
        self._recent = (self._recent + ended)[-stop_rules.ERROR_WINDOW :]
        if batch.ours is not None:
            return f"a push service says that the message is wrong: {batch.ours}"
        if batch.errors and stop_rules.has_too_many_errors(self._recent):
            return "a quarter of the last answers were errors"
        return None

    def judge_rendering(
        self, rendered: int, unrendered: Sequence[UnrenderedRow]
    ) -> ConfigError | None:
        """
        Add what was *rendered* and what was not; return what stops the campaign, if anything.

        None: those *unrendered* may be set aside.
        """
        self._rendered += rendered
        self._unrendered += len(unrendered)
        if self._rendered or not unrendered:
            return None
        failed = [row for row in unrendered if row.cause is Cause.NO_MESSAGE]
        name = self._campaign.name
        if failed and self._unrendered >= MAX_UNRENDERED:
            return TemplateError(
                f"none of the first {self._unrendered:,} messages can be written: "
                f"{failed[0].reason}. Nothing was sent. Put the template right, then cancel "
                f"this campaign (pushctl campaigns cancel {name!r}) and send anew."
            )
        if failed or not self._keys.isdisjoint(self._store.soundness.count_keys()):
            return None
        return ConfigError(
            "no subscriber was made with a key that is in keys/: "
            f"{unrendered[0].reason}. Nothing was sent. Bring the key's file back from your "
            f"safe or a backup, then go on: pushctl campaigns resume {name!r}"
        )

    def keep(self, more: bool) -> None:
        """Write down what the next run has to know, if there is *more* to come."""
        if not more:
            self._recent = ""
        if self._recent == self._kept:
            return
        if self._recent:
            self._store.meta.set(self._name, self._recent)
        else:
            self._store.meta.remove(self._name)
