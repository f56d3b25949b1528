"""Find which of a template's segments receivers are in, a batch at a time."""

from collections.abc import Callable, Mapping, Sequence

from pushctl.config import Config
from pushctl.model import Millis
from pushctl.store import Store

Segments = Callable[[Sequence[int]], Mapping[int, tuple[str, ...]]]  # by subscription


def find_segments(store: Store, config: Config, names: Sequence[str], now: Millis) -> Segments:
    """
    Return a function from subscriptions to their segments among *names*.

    Segments are in pushctl.toml's order: the first one with a text wins. Raises
    NotFoundError for a segment that isn't in pushctl.toml, or a campaign that isn't known.
    """
    from pushctl.rules.audience import expression, parse

    order = [name for name in config.segments if name in names]
    order += [name for name in names if name not in order]
    known = {name: parse.expand(expression.Segment(name), config.segments) for name in order}
    for condition in known.values():
        store.audience.check(condition)

    def of(subscriptions: Sequence[int]) -> Mapping[int, tuple[str, ...]]:
        found: dict[int, tuple[str, ...]] = dict.fromkeys(subscriptions, ())
        asked = {name: (condition, subscriptions) for name, condition in known.items()}
        for name, ids in store.audience.filter_each(asked, now, any_state=True).items():
            for one in ids:
                found[one] += (name,)
        return found

    return of
