"""
Renders a broadcast for everybody before it is frozen: who would get no message, and why.

The code is that of the sending itself. The messages are not kept: 300,000 of them are over
100 MB, and each needs its delivery's token. Kept is the verdict: who gets none, and why.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pushctl.config import Config
from pushctl.jobs.delivery.render import Composer, collect_shared_values
from pushctl.jobs.delivery.types import UnrenderedRow
from pushctl.jobs.subscribers import carts
from pushctl.jobs.subscribers.segments import find_segments
from pushctl.model import Cause, Json, Millis
from pushctl.push import vapid
from pushctl.store import Store
from pushctl.templates import Template

PAGE = 2_000


@dataclass(slots=True)
class Verdict:
    """Who gets no message: by subscription, the status, reason and cause of the ledger."""

    without: dict[int, tuple[str, str, Cause]] = field(default_factory=dict)
    first: int | None = None  # a subscription that gets one

    def list_statuses(self) -> list[str]:
        """Return the ledger's status of each person without a message."""
        return [status for status, _, _ in self.without.values()]

    def count_reasons(self) -> list[tuple[str, int]]:
        """Return (reason, people), the largest first."""
        return Counter(reason for _, reason, _ in self.without.values()).most_common()


def judge(
    store: Store,
    config: Config,
    template: Template,
    receivers: Sequence[int],
    now: Millis,
    *,
    name: str,
    options: Mapping[str, Json],
    has_cart: bool,
    progress: Callable[[int], None] = lambda done: None,
) -> Verdict:
    """
    Render the message of each of *receivers* for the campaign called *name*.

    Raises NotFoundError for a segment of the template that isn't in pushctl.toml.
    """
    segments = template.segments
    composer = Composer(
        template,
        config,
        # Without any key nothing is frozen: that has an error of its own.
        frozenset(vapid.load(config.keys)) or None,
        collect_shared_values(name, options),
        segments=find_segments(store, config, segments, now) if segments else None,
        extras=(lambda rows: carts.load_extras(store, config, rows)) if has_cart else None,
    )
    found = Verdict()
    reasons: dict[str, str] = {}  # each text once, however many people it is about
    for start in range(0, len(receivers), PAGE):
        rows = store.deliveries.load_unplanned(receivers[start : start + PAGE])
        for it in composer.compose(rows):
            if isinstance(it, UnrenderedRow):
                reason = reasons.setdefault(it.reason, it.reason)
                found.without[it.id] = it.status, reason, it.cause
            elif found.first is None:
                found.first = it[0].subscription
        progress(len(rows))
    return found
