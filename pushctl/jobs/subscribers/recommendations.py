"""
Products for the messages of a batch: what templates may propose to each person.

What people own is loaded for a whole batch; look-ups are made when a text asks, each
bounded, and the last ones are remembered for the whole run.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pushctl.config import Config
from pushctl.jobs.subscribers import carts
from pushctl.model import Json
from pushctl.rules.limits import MAX_PROPOSED_ENTRIES
from pushctl.rules.messages.values import GOODS
from pushctl.rules.shops import recommendations
from pushctl.rules.shops.recommendations import Offer, Owned, Subject
from pushctl.store import Store
from pushctl.store.ledger_rows import ClaimedRow

# Of each look-up: some of them may be owned.
_CANDIDATES = 2 * MAX_PROPOSED_ENTRIES
_REMEMBERED = 500  # look-ups of one run, each of up to twice so many products
_CALL = re.compile(r"\b(?:alternatives|better|promotion)\s*\(")

_Things = list[tuple[Json, Json]]  # (id, name)


def is_used(sources: Mapping[str, str]) -> bool:
    return any(map(_CALL.search, sources.values()))


class Goods:
    """The catalogue of all sites, for the time of one run."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config
        self._sites = store.sites.load_ids()
        self._found: dict[tuple[object, ...], tuple[Offer, ...]] = {}
        self._known: dict[tuple[int, str], Offer | None] = {}

    def load(
        self, rows: Sequence[ClaimedRow], contexts: Mapping[int, Mapping[str, Json]]
    ) -> dict[int, Mapping[str, Json]]:
        """Return *contexts*, by delivery, with each person's shelf in them."""
        owned = self._load_owned({row.subscription: row.site for row in rows})
        made: dict[int, Mapping[str, Json]] = {}
        for row in rows:
            context = contexts.get(row.id, {})
            held = _list_items(context.get("cart"))
            things = [*owned.get(row.subscription, ()), *held]
            made[row.id] = {**context, GOODS: self.open_shelf(row.site, things)}
        return made

    def load_for(self, subscription: int, site: str) -> "Shelf":
        """Return the shelf of one person."""
        return self.open_shelf(site, self._load_owned({subscription: site})[subscription])

    def open_shelf(self, site: str, things: _Things) -> "Shelf":
        return Shelf(self, site, things)

    def _load_owned(self, people: Mapping[int, str]) -> dict[int, _Things]:
        """Return what the person of each subscription has bought or has in a basket."""
        devices = self._store.enrolments.list_devices(people)
        sites = {one.subscription: one.site for one in devices} | dict(people)
        things: dict[int, _Things] = defaultdict(list)
        for one, bought in self._store.products.list_bought(sites):
            things[one] += bought
        for one, cart in carts.load(self._store, self._config, sites).items():
            things[one] += _list_items(cart)
        persons = {one.subscription: (one.site, one.person) for one in devices if one.person}
        shared: dict[object, _Things] = defaultdict(list)
        for one in sites:
            shared[persons.get(one, one)] += things[one]
        return {one: shared[persons.get(one, one)] for one in people}

    # --- what a shelf asks -----------------------------------------------------------------

    def own(self, site: str, things: _Things) -> Owned:
        ids = sorted({str(one) for one, _ in things if one is not None})
        families = self._store.products.find_families(self._sites[site], ids) if ids else {}
        return recommendations.own(things, families)

    def describe(self, site: str, item: Json) -> Subject | None:
        """Return what *item* is, a table with an id or an id alone; None for anything else."""
        if isinstance(item, str | int) and not isinstance(item, bool):
            item = {"id": item}
        if not isinstance(item, Mapping):
            return None
        key = (self._sites[site], str(item.get("id")))
        if key not in self._known:
            _make_room(self._known)
            self._known[key] = self._store.products.find_offer(*key)
        return recommendations.describe(
            item, self._known[key], self._config.sites[site].currency
        )

    def list_alternatives(
        self, site: str, subject: Subject, shelf: str, name: str
    ) -> Sequence[Offer]:
        products, where = (
            self._store.products,
            (self._sites[site], shelf, name, subject.currency),
        )
        amount = subject.amount

        def look() -> Iterable[Offer]:
            if amount is None:
                return products.list_by_price(*where, -1.0, _CANDIDATES, dearer=True)
            return [
                offer
                for dearer in (True, False)
                for offer in products.list_by_price(*where, amount, _CANDIDATES, dearer=dearer)
            ]

        found = self._remember(("alternatives", *where, amount), look)
        return recommendations.list_nearest(found, subject)

    def list_better(
        self, site: str, subject: Subject, shelf: str, name: str
    ) -> Sequence[Offer]:
        where = (self._sites[site], shelf, name, subject.currency)
        amount = subject.amount
        if amount is None:
            return ()  # nothing is known to be better
        look = self._store.products.list_by_price
        return self._remember(
            ("better", *where, amount),
            lambda: look(*where, amount, _CANDIDATES, dearer=True),
        )

    def list_reduced(self, site: str, shelf: str, name: str) -> Sequence[Offer]:
        where = (self._sites[site], shelf, name)
        look = self._store.products.list_reduced
        return recommendations.list_most_reduced(
            self._remember(("reduced", *where), lambda: look(*where, _CANDIDATES))
        )

    def _remember(
        self, key: tuple[object, ...], look: Callable[[], Iterable[Offer]]
    ) -> tuple[Offer, ...]:
        if key not in self._found:
            _make_room(self._found)
            self._found[key] = tuple(look())
        return self._found[key]


class Shelf:
    """What one message may propose to its person; ``templates/recommendations.py`` calls it."""

    def __init__(self, all_goods: Goods, site: str, things: _Things) -> None:
        self._goods = all_goods
        self._site = site
        self._things = things
        self._owned: Owned | None = None

    def alternatives(self, item: Json, most: int) -> list[dict[str, Json]]:
        """Return products like *item*, the nearest in kind and price first."""
        subject = self._goods.describe(self._site, item)
        found: list[Offer] = []
        for shelf, name in subject.shelves if subject else ():
            assert subject is not None
            found += self._goods.list_alternatives(self._site, subject, shelf, name)
        return self._choose(found, subject, most)

    def better(self, item: Json, most: int) -> list[dict[str, Json]]:
        """Return the next dearer products of the same line or category."""
        subject = self._goods.describe(self._site, item)
        found: list[Offer] = []
        for shelf, name in subject.shelves if subject else ():
            assert subject is not None
            if shelf in recommendations.BETTER_SHELVES:
                found += self._goods.list_better(self._site, subject, shelf, name)
        return self._choose(found, subject, most)

    def promotion(self, line: Json, most: int) -> list[dict[str, Json]]:
        """Return reduced products of a line or category, named or that of an item."""
        names = [("line", line), ("category", line)]
        if isinstance(line, Mapping):
            subject = self._goods.describe(self._site, line)
            names = [it for it in subject.shelves if it[0] != "brand"] if subject else []
        found: list[Offer] = []
        for shelf, name in names:
            if isinstance(name, str) and name:
                found += self._goods.list_reduced(self._site, shelf, name)
        return self._choose(found, None, most)

    def _choose(
        self, found: Sequence[Offer], subject: Subject | None, most: int
    ) -> list[dict[str, Json]]:
        if not found:
            return []
        if self._owned is None:
            self._owned = self._goods.own(self._site, self._things)
        return [
            recommendations.write(one)
            for one in recommendations.choose(found, subject, self._owned, most)
        ]


def _list_items(cart: Json) -> _Things:
    items = cart.get("items") if isinstance(cart, Mapping) else None
    listed = items if isinstance(items, list) else []
    return [(one.get("id"), one.get("name")) for one in listed if isinstance(one, Mapping)]


def _make_room(remembered: dict[Any, Any]) -> None:
    if len(remembered) >= _REMEMBERED:
        remembered.clear()
