"""
When a campaign pauses by itself.

A quarter of errors among its last thousand answers pauses it. These are the campaign's
answers, not one run's: one that is spread over hours sends few with each sweep.

Rows that can't be rendered are ended, each with its reason. Where none at all can, the
template or a lost key is at fault: the campaign pauses and its rows wait.
"""

from collections.abc import Sequence, Set

from pushctl.errors import ConfigError, TemplateError
from pushctl.jobs.delivery.results.outcomes import OutcomeBatch
from pushctl.jobs.delivery.types import UnrenderedRow
from pushctl.model import Campaign, CampaignStatus, Cause
from pushctl.rules.delivery import stop_thresholds
from pushctl.store import Store

MAX_UNRENDERED = 20  # before any is rendered: then the template is at fault


class StopRules:
    """The stop rules for *campaign*, as it was before this run; *keys*: VAPID key ids."""

    def __init__(self, store: Store, campaign: Campaign, keys: Set[str]) -> None:
        self._store, self._campaign, self._keys = store, campaign, keys
        self._name = f"campaign.{campaign.id}.recent"
        # A person resumed a paused campaign: its earlier errors don't count.
        going = campaign.status in (CampaignStatus.RUNNING, CampaignStatus.SCHEDULED)
        self._kept = store.meta.get(self._name) or ""
        self._recent = self._kept if going else ""  # its last final answers
        self._rendered = self._unrendered = 0

    def judge(self, batch: OutcomeBatch) -> str | None:
        """Add the answers of *batch*; return why the campaign must pause, None: it need not."""
        ended = stop_thresholds.spread(batch.errors, batch.ended)
        self._recent = (self._recent + ended)[-stop_thresholds.ERROR_WINDOW :]
        if batch.ours is not None:
            return f"a push service says that the message is wrong: {batch.ours}"
        if batch.errors and stop_thresholds.has_too_many_errors(self._recent):
            return "a quarter of the last answers were errors"
        return None

    @property
    def has_rendered(self) -> bool:
        """Whether this run has found a message for anybody."""
        return self._rendered > 0

    def judge_rendering(
        self, rendered: int, unrendered: Sequence[UnrenderedRow]
    ) -> ConfigError | None:
        """Count *rendered* and *unrendered* rows; return the error that stops the campaign."""
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
        """Store the last answers for the next run if there is *more* to send."""
        recent = self._recent if more else ""
        if recent and recent != self._kept:
            self._store.meta.set(self._name, recent)
        elif self._kept and not recent:
            self._store.meta.remove(self._name)
