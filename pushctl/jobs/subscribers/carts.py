"""
What lies in people's baskets: read from their events, the one place that knows it.

So it is right whoever asks and when: a broadcast, a sweep, a second later or a day.
"""

from collections.abc import Iterable, Mapping, Sequence

from pushctl.config import Config
from pushctl.model import Json
from pushctl.rules.shops import cart
from pushctl.rules.triggers.enrolment import Event
from pushctl.store import Store
from pushctl.store.deliveries import ClaimedRow


def wanted(sources: Mapping[str, str]) -> bool:
    """Say whether a template's *sources* speak of a basket at all."""
    return any("cart" in text for text in sources.values())


def of(
    store: Store, config: Config, people: Mapping[int, str]
) -> Mapping[int, Mapping[str, Json]]:
    """
    Return the basket of each of *people* (subscription -> site) who has one now.

    The last basket event decides; one that emptied it or paid for it leaves none.
    """
    baskets = {}
    found = store.events.latest(people, cart.TELLING, with_items=cart.CHECKOUT)
    for subscription, (name, properties) in found.items():
        site = config.sites.get(people[subscription])
        if site is not None:
            basket = cart.after(None, name, properties, (site.origin, *site.origins))
            if basket is not None:
                baskets[subscription] = basket
    return baskets


def at(store: Store, event: Event, origins: Sequence[str]) -> Mapping[str, Json] | None:
    """
    Return the basket that *event* tells of, else what lay in it when the event came.

    A purchase still knows what was bought, and emptying what was there.
    """
    basket = cart.after(None, event.name, event.properties, origins)
    if basket is not None:
        return basket
    found = store.events.latest(
        [event.subscription],
        cart.TELLING,
        with_items=cart.CHECKOUT,
        before=(event.at, event.id),
    )
    if event.subscription not in found:
        return None
    return cart.after(None, *found[event.subscription], origins)


def extras(
    store: Store, config: Config, rows: Iterable[ClaimedRow]
) -> Mapping[int, Mapping[str, Json]]:
    """Return, by delivery, the basket that messages to *rows* may speak of."""
    listed = list(rows)
    baskets = of(store, config, {row.subscription: row.site for row in listed})
    return {
        row.id: {"cart": baskets[row.subscription]}
        for row in listed
        if row.subscription in baskets
    }
