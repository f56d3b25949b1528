"""
Renders a broadcast for everybody before it is frozen: who would get no message, and why.

The code is that of the sending itself. The messages are not kept: 300,000 of them are over
100 MB, and each needs its delivery's token. Kept is the verdict: who gets none, and why.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pushctl.config import Config
from pushctl.jobs.delivery.claims.promo_codes import collect_samples
from pushctl.jobs.delivery.rendering.render import Composer, Extras, collect_shared_values
from pushctl.jobs.delivery.types import UnrenderedRow
from pushctl.jobs.ingest import former_names
from pushctl.jobs.subscribers import carts, restore_links
from pushctl.jobs.subscribers.recommendations import Goods
from pushctl.jobs.subscribers.restore_links import RestoreLinks
from pushctl.jobs.subscribers.segments import find_segments
from pushctl.model import Cause, Json, Millis
from pushctl.push import vapid
from pushctl.rules.compact_numbers import NumberMap
from pushctl.store import Store
from pushctl.store.ledger_rows import ClaimedRow
from pushctl.templates import Template

PAGE = 2_000


@dataclass(slots=True)
class Verdict:
    """Who gets no message: by subscription, the status, reason and cause of the ledger."""

    without: NumberMap[tuple[str, str, Cause]] = field(default_factory=NumberMap)
    first: int | None = None  # a subscription that gets one

    def list_statuses(self) -> list[str]:
        """Return the ledger's status of each person without a message."""
        return [status for status, _, _ in self.without.values()]

    def count_reasons(self, besides: Collection[Cause] = ()) -> list[tuple[str, int]]:
        """Return (reason, people), the largest first, but not those of some causes."""
        found = Counter[str]()
        for (_, reason, why), people in self.without.count_values().items():
            if why not in besides:
                found[reason] += people
        return found.most_common()


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
    keys: Collection[str] | None = None,
    variant: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Verdict:
    """
    Render the message of each of *receivers*, all of one *variant*, for the campaign *name*.

    *keys* are the ids of our VAPID keys; None: they are read.
    Raises NotFoundError for a segment of the template that isn't in pushctl.toml.
    """
    segments = template.segments
    composer = Composer(
        template,
        former_names.adopt(store, config),
        # Without any key nothing is frozen: that has an error of its own.
        frozenset(vapid.load(config.keys) if keys is None else keys) or None,
        {**collect_shared_values(name, options), **collect_samples(store, options)},
        segments=find_segments(store, config, segments, now) if segments else None,
        extras=_make_loader(store, config, template, has_cart),
        options=options,
    )
    found = Verdict()
    reasons: dict[str, str] = {}  # each text once, however many people it is about
    for start in range(0, len(receivers), PAGE):
        rows = store.deliveries.load_unplanned(receivers[start : start + PAGE], variant)
        for it in composer.compose(rows):
            if isinstance(it, UnrenderedRow):
                reason = reasons.setdefault(it.reason, it.reason)
                found.without[it.id] = it.status, reason, it.cause
            elif found.first is None:
                found.first = it[0].subscription
        progress(len(rows))
    return found


def _make_loader(
    store: Store, config: Config, template: Template, has_cart: bool
) -> Extras | None:
    """Return what loads carts, links and products as the sending does; None: not asked for."""
    texts = template.all_texts
    shop = Goods(store, config) if any(it.proposes for it in texts) else None
    if not (has_cart or shop):
        return None
    reads_link = any(restore_links.NAME in text.variables for text in texts)
    links = RestoreLinks(store, config) if reads_link else None

    def load(rows: Sequence[ClaimedRow]) -> Mapping[int, Mapping[str, Json]]:
        extras = carts.load_extras(store, config, rows, links)
        return shop.load(rows, extras) if shop else extras

    return load


def judge_arms(
    store: Store,
    config: Config,
    template: Template,
    arms: Mapping[str | None, Sequence[int]],
    now: Millis,
    **more: Any,
) -> Verdict:
    """Return what ``judge`` says of all receivers; *arms* has them by variant."""
    verdicts = [
        judge(store, config, template, receivers, now, variant=variant, **more)
        for variant, receivers in arms.items()
    ]
    found = Verdict(first=next((it.first for it in verdicts if it.first is not None), None))
    for each in verdicts:
        found.without.update(each.without)
    return found
