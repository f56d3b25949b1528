"""
What lies in people's baskets: read from their events, the one place that knows it.

So it is right whoever asks and when: a broadcast, a sweep, a second later or a day.
"""

from collections.abc import Iterable, Mapping

from pushctl.config import Config
from pushctl.model import Json
from pushctl.rules.shops import cart
from pushctl.rules.triggers.enrolment import Event
from pushctl.store import Store
from pushctl.store.deliveries import ClaimedRow
from pushctl.store.events import EVER


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
    asked = {one: (one, EVER, EVER) for one in people}
    found = store.events.find_latest(asked, cart.TELLING, cart.CHECKOUT)
    for subscription, (name, properties) in found.items():
        site = config.sites.get(people[subscription])
        if site is not None:
            basket = cart.after(None, name, properties, (site.origin, *site.origins))
            if basket is not None:
                baskets[subscription] = basket
    return baskets


def load_before(
    store: Store, events: Iterable[Event]
) -> Mapping[int, tuple[str, Mapping[str, Json]]]:
    """Return, by event, the last one before it that tells of the basket: name, properties."""
    asked = {event.id: (event.subscription, event.at, event.id) for event in events}
    return store.events.find_latest(asked, cart.TELLING, cart.CHECKOUT) if asked else {}


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
