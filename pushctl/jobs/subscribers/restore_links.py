"""
Where a basket is picked up again: ``restore_url`` in templates.

It is the address that the page or the shop named. For a site that sells over 2Checkout it
is a link that fills the basket at that checkout.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from pushctl import log
from pushctl.config import Config
from pushctl.errors import ConfigError
from pushctl.model import Json, Subscription
from pushctl.rules.shops import buy_links
from pushctl.rules.shops.buy_links import Buyer, Seller
from pushctl.store import Store

NAME = "restore_url"
# Takes the message's promo code.
MakeUrl = Callable[[Json], str | None]


class Holder(NamedTuple):
    """Somebody's cart, and what is to come back with its order."""

    subscription: int
    site: str
    public_id: str
    alias: str | None  # one that the shop signed
    cart: Mapping[str, Json]


class RestoreLinks:
    """Makes the links of a campaign's receivers."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._sellers = load_sellers(config)

    def make(self, holders: Sequence[Holder]) -> list[MakeUrl]:
        """Return what makes the link of each cart."""
        ids = [one.subscription for one in holders if one.site in self._sellers]
        keys = self._store.matches.find_cart_keys(ids) if ids else {}
        return [
            # Where there is no key, the subscriber's id comes back with the order.
            partial(
                _make_url,
                self._sellers.get(one.site),
                one.cart,
                Buyer(keys.get(one.subscription, one.public_id), one.alias),
            )
            for one in holders
        ]

    def make_for(self, who: Subscription, cart: Mapping[str, Json]) -> MakeUrl:
        alias = who.alias if who.alias_trusted else None
        return self.make([Holder(who.id, who.site, who.public_id, alias, cart)])[0]


def is_used(sources: Mapping[str, str]) -> bool:
    return any(NAME in text for text in sources.values())


def load_sellers(config: Config) -> dict[str, Seller]:
    """Return the seller of each site whose baskets are sold over 2Checkout."""
    own = {name: site.twocheckout for name, site in config.sites.items() if site.twocheckout}
    if not own:
        return {}
    from pushctl import source_secrets

    try:
        entries = source_secrets.load(config.keys)
    except ConfigError as error:
        # A bare link is better than no message; `check` says what is lost.
        log.note_error("send", "links to baskets are not signed", error)
        entries = {}
    sellers = {}
    for name, settings in own.items():
        source = find_source(config, name)
        words = entries[source].words if source in entries else {}
        word = words.get(buy_links.WORD, "")
        sellers[name] = Seller(
            settings.merchant,
            word.encode() or None,
            settings.return_url,
            settings.sign_products,
            settings.unsigned,
        )
    return sellers


def find_source(config: Config, site: str) -> str:
    """Return the name of the source that has a site's Buy Link Secret Word, "" for none."""
    settings = config.sites[site].twocheckout
    if settings is None or settings.source:
        return settings.source or "" if settings else ""
    return next(
        (
            name
            for name, source in config.sources.items()
            if source.kind == buy_links.KIND and source.site == site
        ),
        "",
    )


def _make_url(
    seller: Seller | None, cart: Mapping[str, Json], buyer: Buyer, promo: Json
) -> str | None:
    coupon = promo if isinstance(promo, str) else ""
    found = buy_links.build(seller, cart, buyer, coupon) if seller else None
    return found or cart.get("url")
