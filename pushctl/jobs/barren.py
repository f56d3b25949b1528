"""
What rows without a message mean: a few are set aside, each with its reason.

Where none at all can be written, the template or a lost key is at fault, and nobody's
message is spent on it.
"""

from collections.abc import Sequence, Set

from pushctl.errors import ConfigError, TemplateError
from pushctl.jobs.letters import Unwritten
from pushctl.model import Campaign
from pushctl.store import Store

BARREN = 20  # renderings that may fail before any works; then the template is to blame


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
