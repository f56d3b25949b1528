"""Events as pages really sent them: refused ones, and names that nothing knows."""

from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches

from pushctl.config import Config
from pushctl.errors import PushctlError
from pushctl.jobs.ingest import event_faults
from pushctl.model import Millis
from pushctl.rules import events
from pushctl.rules.audience import expression, parse
from pushctl.rules.config import checks
from pushctl.rules.shops import cart
from pushctl.rules.wording import counted, number
from pushctl.store import Store

Note = tuple[str, str, str]  # place, text, remedy

_MOST_NAMED = 10


def find_notes(config: Config, store: Store, now: Millis) -> Iterator[Note]:
    """Yield the events that were refused today, and the names that nobody listens to."""
    for why, count in event_faults.load(store, now).items():
        text = f"today {counted(count, 'event')} could not be meant: {why}"
        remedy = "The basket stays as it was. Send cart({ items: [{ id, name, price }] })."
        yield config.database.name, text, remedy
    known = {*events.KNOWN, *_list_names(config)}
    folded = {one.casefold(): one for one in known}
    unknown = [one for one in store.events.count_names() if one[0] not in known]
    for name, count in unknown[:_MOST_NAMED]:
        near = get_close_matches(name.casefold(), folded, n=1)
        text = f"{name!r} comes in ({number(count)} of the last events), no trigger knows it"
        remedy = f"Did you mean {folded[near[0]]}?" if near else "Fine, if nothing follows."
        yield config.file.name, text, remedy
    if unknown[_MOST_NAMED:]:
        more = counted(len(unknown) - _MOST_NAMED, "more name")
        text = f"there are {more} of events that no trigger knows"
        yield config.file.name, text, "Write triggers for what matters to you."
    yield from _find_dropped_links(config, store)


def _find_dropped_links(config: Config, store: Store) -> Iterator[Note]:
    """Yield the origins that baskets can't be picked up at, as they are none of the site's."""
    dropped: Counter[tuple[str, str]] = Counter()
    for site, url, count in store.events.list_basket_links((cart.UPDATED, cart.CHECKOUT)):
        known = config.sites.get(site)
        origin = "/".join(url.split("/")[:3])
        if known and checks.origin(origin) is None:
            own = known.origin, *known.origins, *known.checkouts
            dropped[site, origin] += count if origin not in own else 0
    for (site, origin), count in dropped.most_common(_MOST_NAMED):
        if count:
            text = (
                f"{counted(count, 'basket')} of the last events can't be picked up at {origin}"
            )
            remedy = f'If that is your checkout: checkout_origins = ["{origin}"]'
            yield f"{config.file.name}: sites.{site}", text, remedy


def _list_names(config: Config) -> Iterator[str]:
    """Yield the names of events in triggers, segments and audiences."""
    for trigger in config.triggers.values():
        yield from (*trigger.on, *trigger.also_on, *trigger.stops)
    triggers = config.triggers.values()
    audiences = [one.audience for one in triggers if one.audience]
    audiences += [step.only for one in triggers for step in one.steps if step.only]
    for text in (*config.segments.values(), *audiences):
        try:
            parsed = parse.parse(text, steps=True)
        except PushctlError:  # said where segments and triggers are checked
            continue
        yield from (
            one.name for one in expression.walk(parsed) if isinstance(one, expression.Event)
        )
