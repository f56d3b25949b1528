"""What lies in people's baskets now, for messages that speak of it."""

from collections.abc import Iterable, Mapping

from pushctl.config import Config
from pushctl.model import Json
from pushctl.rules import cart
from pushctl.store import Store
from pushctl.store.deliveries import Claimed

_TELLING = (cart.UPDATED, cart.EMPTIED, cart.PURCHASE)


def wanted(sources: Mapping[str, str]) -> bool:
    """Say whether a template's *sources* speak of a basket at all."""
    return any("cart" in text for text in sources.values())


def of(
    store: Store, config: Config, people: Mapping[int, str]
) -> Mapping[int, Mapping[str, Json]]:
    """
    Return the basket of each of *people* (subscription -> site) who has one.

    The last basket event decides; one that emptied it or paid for it leaves none.
    """
    baskets = {}
    for subscription, (name, properties) in store.events.latest(people, _TELLING).items():
        site = config.sites.get(people[subscription])
        if site is not None and cart.meaning(name, properties) == cart.UPDATED:
            baskets[subscription] = cart.read(properties, (site.origin, *site.origins))
    return baskets


def extras(
    store: Store, config: Config, rows: Iterable[Claimed]
) -> Mapping[int, Mapping[str, Json]]:
    """Return, by delivery, what messages to *rows* may speak of beside the receiver."""
    listed = list(rows)
    baskets = of(store, config, {row.subscription: row.site for row in listed})
    return {
        row.id: {"cart": baskets[row.subscription]}
        for row in listed
        if row.subscription in baskets
    }
