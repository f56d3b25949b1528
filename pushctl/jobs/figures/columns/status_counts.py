"""
Counts of messages by the names that rules/figures/tables/campaigns.py declares.

``campaign_counts.load_counts`` has those of whole campaigns.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from pushctl.states import DeliveryStatus

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.integer]
    Bools = NDArray[np.bool_]

# Of a kept campaign, beside its columns (jobs/figures/columns/message_cache.py).
COUNTS = "counts"
# What is counted; "planned" is all.
NAMES = (
    *map(str, DeliveryStatus), "waiting", "reported", "unreported", "bought", "shown",
    "clicked", "clicks",
)  # fmt: skip
# What ``count`` needs of messages.
COLUMNS = ("status", "shown", "clicked", "unreported", "bought", "clicks")

Counts = Mapping[str, int]


class Counted(Protocol):
    """The columns of ``messages.Messages`` that are counted."""

    @property
    def status(self) -> "Numbers": ...
    @property
    def shown(self) -> "Bools": ...
    @property
    def clicked(self) -> "Bools": ...
    @property
    def unreported(self) -> "Bools": ...
    @property
    def bought(self) -> "Bools": ...
    @property
    def clicks(self) -> "Numbers": ...


def count(messages: Counted, groups: "Numbers", size: int) -> dict[str, list[int]]:
    """
    Return the counts NAMES of each group 0 to *size* - 1, each count as a list over groups.

    *groups* has the group of each message.
    """
    import numpy as np

    statuses = len(DeliveryStatus)
    place = groups.astype(np.int64) * statuses + messages.status
    table = np.bincount(place, minlength=size * statuses).reshape(size, statuses)
    found = {str(each): table[:, index] for index, each in enumerate(DeliveryStatus)}
    for name in ("shown", "clicked", "unreported", "bought"):
        found[name] = np.bincount(groups[getattr(messages, name)], minlength=size)
    some = np.flatnonzero(messages.clicks)
    clicks = np.bincount(groups[some], messages.clicks[some], size)
    found["clicks"] = clicks.astype(np.int64)
    found["waiting"] = found["planned"] + found["sending"]
    found["planned"] = table.sum(axis=1)
    found["reported"] = found["accepted"] - found["unreported"]
    return {name: found[name].tolist() for name in NAMES}
