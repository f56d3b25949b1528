"""Carts, read from people's events: the same for a broadcast and a sweep, at any time."""

from collections.abc import Iterable, Mapping

from pushctl import log
from pushctl.config import Config, Site
from pushctl.jobs.subscribers import restore_links
from pushctl.jobs.subscribers.restore_links import Holder, RestoreLinks
from pushctl.model import Json
from pushctl.rules.messages.values import RESTORE
from pushctl.rules.shops import cart
from pushctl.rules.triggers.enrolment import Event
from pushctl.store import Store
from pushctl.store.events import EVER
from pushctl.store.faults import concerns_one
from pushctl.store.ledger_rows import ClaimedRow


def is_used(sources: Mapping[str, str]) -> bool:
    return restore_links.is_used(sources) or any("cart" in text for text in sources.values())


def load(
    store: Store, config: Config, people: Mapping[int, str]
) -> Mapping[int, Mapping[str, Json]]:
    """
    Return the carts of *people* (subscription -> site) who have one now.

    The last cart event decides: after an empty cart or a purchase there is none.
    """
    carts = {}
    asked = {one: (one, EVER, EVER) for one in people}
    found = store.events.find_latest(asked, cart.TELLING, cart.CHECKOUT)
    for subscription, (name, properties) in found.items():
        site = config.sites.get(people[subscription])
        held = _read(site, name, properties) if site else None
        if held is not None:
            carts[subscription] = held
    return carts


def _read(site: Site, name: str, properties: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """Return an event's cart; one that can't be read must not stop the others' messages."""
    try:
        properties = cart.complete(properties, site.currency)
        origins = site.origin, *site.origins
        return cart.after(None, name, properties, origins, site.checkouts)
    except Exception as error:
        if not concerns_one(error):
            raise
        log.note_error("send", "cart left out", error, site=site.name)
        return None


def load_before(
    store: Store, events: Iterable[Event]
) -> Mapping[int, tuple[str, Mapping[str, Json]]]:
    """Return, by event, name and properties of the last cart event before it."""
    asked = {event.id: (event.subscription, event.at, event.id) for event in events}
    return store.events.find_latest(asked, cart.TELLING, cart.CHECKOUT) if asked else {}


def load_extras(
    store: Store, config: Config, rows: Iterable[ClaimedRow], links: RestoreLinks | None
) -> dict[int, Mapping[str, Json]]:
    """Return, by delivery, the cart for messages to *rows*, with its link where asked."""
    rows = list(rows)
    carts = load(store, config, {row.subscription: row.site for row in rows})
    extras: dict[int, Mapping[str, Json]] = {
        row.id: {"cart": carts[row.subscription]} for row in rows if row.subscription in carts
    }
    return add_links(links, rows, extras) if links else extras


def add_links(
    links: RestoreLinks, rows: Iterable[ClaimedRow], extras: Mapping[int, Mapping[str, Json]]
) -> dict[int, Mapping[str, Json]]:
    """Return *extras*, by delivery, with the link of each cart in them."""
    held = {
        row.id: Holder(row.subscription, row.site, row.public_id, row.alias, cart)
        for row in rows
        if (cart := extras.get(row.id, {}).get("cart"))
    }
    made = zip(held, links.make([*held.values()]), strict=True)
    return {**extras, **{row: {**extras[row], RESTORE: make} for row, make in made}}
