"""Columns of events, orders, enrolments, subscriptions and their changes, from kept pages."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256

import numpy as np
import orjson
from numpy.typing import NDArray

from pushctl.errors import ConfigError, DatabaseBusyError
from pushctl.jobs.figures.columns.page_cache import (
    Columns,
    Page,
    Words,
    decode,
    encode,
    join,
    load,
    load_numbered,
    transpose,
)
from pushctl.jobs.figures.columns.row_places import Folding
from pushctl.model import Json
from pushctl.rules.figures.basket import Kind
from pushctl.rules.shops import cart
from pushctl.store import Store
from pushctl.store.kept_pages import BITS

TOUCHES = (cart.UPDATED, cart.CHECKOUT, cart.FAILED)
# Read in one go, whichever of them is asked for.
BASKET = (*TOUCHES, cart.EMPTIED, cart.PURCHASE)
_PERSONS = "persons"
_OTHERS = "others"  # than their person's first subscription
# Columns of people that are no words.
NUMERIC = ("subscribed_at", "verified")


def load_events(store: Store, names: Sequence[str]) -> Columns:
    """
    Return all events called one of *names*: ``subscription``, ``at`` and ``kind``.

    The kind is that of baskets (``rules.figures.basket.Kind``); of other events TOUCHED.
    """

    def build(low: int, high: int, asked: Sequence[str]) -> dict[str, Page]:
        return _build_events(store, low, high, [*dict.fromkeys((*asked, *BASKET))])

    columns, _ = join(load(store, "events", names, build), _EVENT)
    return columns


def load_orders(store: Store) -> tuple[Columns, list[str | None]]:
    """
    Return the orders of subscribers by their time, and the words that ``currency`` indexes.

    ``subscription``, ``at``, ``counts``, ``minor``, ``exponent`` (-1: no amount is known).
    """

    def build(low: int, high: int, _: Sequence[str]) -> dict[str, Page]:
        return {"": transpose(store.kept_pages.read_orders(low, high), _ORDER, "currency")}

    found, words = join(load(store, "orders", [""], build), _ORDER, "currency")
    places = np.argsort(found["at"], kind="stable")
    return {name: column[places] for name, column in found.items()}, words


def load_enrolments(store: Store) -> tuple[Columns, list[str | None]]:
    """Return ``subscription``, ``at``, ``held``, ``trigger``, and what the last indexes."""

    def build(low: int, high: int, _: Sequence[str]) -> dict[str, Page]:
        rows = store.kept_pages.read_enrolments(low, high)
        return {"": transpose(rows, _ENROLMENT, "trigger")}

    return join(load(store, "enrolments", [""], build), _ENROLMENT, "trigger")


def load_subscriptions(store: Store) -> Columns:
    """Return ``id``, ``site``, ``joined`` and ``left`` (-1: active), in order of numbers."""

    def build(low: int, high: int, _: Sequence[str]) -> dict[str, Page]:
        rows = store.kept_pages.read_subscriptions(low, high)
        return {"": transpose(rows, _SUBSCRIPTION)}

    return join(load(store, "subscriptions", [""], build), _SUBSCRIPTION)[0]


def load_people(
    store: Store, names: Sequence[str], folding: Folding
) -> dict[str, tuple[NDArray[np.integer], Words]]:
    """
    Return the columns *names* (of ``store.kept_pages.PEOPLE``) of all subscriptions.

    By the place of the subscription: an index into the words that stand
    beside, of which the first is None (unknown, or nobody has the place). Of NUMERIC columns
    it is the value itself, else 0. Raises KeyError for what PEOPLE lacks.
    """

    def build(low: int, high: int, asked: Sequence[str]) -> dict[str, Page]:
        return _build_people(store, low, high, asked)

    # Of ten million people a column of eight bytes takes 80 MB: words get as few as they need.
    found: dict[str, NDArray[np.integer]] = {
        name: np.zeros(folding.size, np.int64 if name == "subscribed_at" else np.uint8)
        for name in names
    }
    words: dict[str, dict[str | None, int]] = {name: {None: 0} for name in names}
    for low, name, page in load_numbered(store, "people", names, build):
        values = page.columns[name]
        if name not in NUMERIC:
            known = words[name]
            codes = [known.setdefault(word, len(known)) for word in page.words[name]]
            values = np.array(codes, np.int64)[values]
            needed = np.min_scalar_type(len(known))
            if needed.itemsize > found[name].itemsize:
                found[name] = found[name].astype(needed)
        # Who came since falls on 0, as does nobody at all.
        found[name][folding.fold(np.arange(low, low + len(values)))] = values
        found[name][0] = 0
    return {name: (found[name], list(words[name])) for name in names}


def load_changes(store: Store) -> tuple[Columns, Words]:
    """
    Return all that became active or was lost: ``subscription``, ``at``, ``kind``; and words.

    Those of a subscription stand together, in order of time; the kind indexes the words.
    """

    def build(low: int, high: int, _: Sequence[str]) -> dict[str, Page]:
        return {"": transpose(store.kept_pages.read_changes(low, high), _CHANGE, "kind")}

    found, words = join(load(store, "changes", [""], build), _CHANGE, "kind")
    places = np.lexsort((found["at"], found["subscription"]))
    return {name: column[places] for name, column in found.items()}, words


def load_lots(store: Store, group: str) -> Columns:
    """
    Return ``id`` and ``lot`` of all subscriptions for the control group of that name.

    Lots are whole numbers below 2^56, else as ``rules.lots.lot``.
    """
    start = f"holdout\n{group}\n".encode()

    def build(low: int, high: int, names: Sequence[str]) -> dict[str, Page]:
        rows = store.kept_pages.read_public_ids(low, high)
        drawn = [
            (row, int.from_bytes(sha256(start + word.encode()).digest()[:7], "big"))
            for row, word in rows
        ]
        return {names[0]: transpose(drawn, _LOT)}

    return join(load(store, "subscriptions", [f"lots {group}"], build), _LOT)[0]


def load_persons(store: Store, build: Callable[[], Columns]) -> Columns:
    """Return what *build* does (``subscription`` and ``person``), or did when last asked."""
    for one in store.kept_pages.read(_PERSONS, [_OTHERS]):
        if (page := decode(one)) is not None:
            return page.columns
    if store.kept_pages.is_free():
        with suppress(DatabaseBusyError, ConfigError), store.kept_pages.keep():
            made = build()
            page = Page(made, {})
            store.kept_pages.write(_PERSONS, [encode(_OTHERS, 0, 0, page)])
            return made
    return build()


def check(store: Store) -> Iterator[tuple[str, str, int, int]]:
    """Yield (source, what, kept, counted) where a page is not what its rows are."""
    yield from _check_people(store)
    for source, bits in BITS.items():
        if source == "people":
            continue
        who, when = ("id", "joined") if source == "subscriptions" else ("subscription", "at")
        with store.snapshot():
            names = store.kept_pages.list_names(source)
            for one in store.kept_pages.read(source, names):
                page = decode(one)
                if page is None or when not in page.columns:
                    continue
                owners, times = page.columns[who], page.columns[when]
                kept = len(owners), int(owners.sum()), int(times.sum())
                counted = store.kept_pages.sum_rows(
                    source, one.name, one.page << bits, one.upto
                )
                for what, had, has in zip(_SUMS, kept, counted, strict=True):
                    if had != has:
                        yield source, f"{one.name} {what} of page {one.page}".strip(), had, has


def _check_people(store: Store) -> Iterator[tuple[str, str, int, int]]:
    bits = BITS["people"]
    with store.snapshot():
        for one in store.kept_pages.read("people", store.kept_pages.list_names("people")):
            page = decode(one)
            if page is None:
                continue
            low = one.page << bits
            counted = store.kept_pages.sum_people(one.name, low, one.upto)
            kept = _sum_people(page, one.name, low)
            for value in [*counted, *(each for each in kept if each not in counted)]:
                had, has = kept.get(value, (0, 0)), counted.get(value, (0, 0))
                what = f"{one.name} {'unknown' if value is None else value} of page {one.page}"
                for place, said in enumerate((what, f"sum of numbers of {what}")):
                    if had[place] != has[place] and value not in (None, 0):
                        yield "people", said, had[place], has[place]


def _sum_people(page: Page, name: str, low: int) -> dict[Json, tuple[int, int]]:
    """Return how many subscriptions have each value, and the sum of their numbers."""
    values, places = np.unique(page.columns[name], return_inverse=True)
    counts = np.bincount(places)
    sums = [0] * len(values)
    numbers = np.arange(low, low + len(places))
    order = np.argsort(places, kind="stable")
    for place, part in enumerate(np.split(numbers[order], np.cumsum(counts)[:-1])):
        sums[place] = int(part.sum())
    words = [value if name in NUMERIC else page.words[name][value] for value in values.tolist()]
    pairs = zip(counts.tolist(), sums, strict=True)
    return dict(zip(words, pairs, strict=True))


_SUMS = ("rows", "sum of people", "sum of times")
_EVENT = ("subscription", "at", "kind")
_ORDER = ("subscription", "at", "counts", "minor", "exponent", "currency")
_ENROLMENT = ("subscription", "at", "held", "trigger")
_SUBSCRIPTION = ("id", "site", "joined", "left")
_CHANGE = ("subscription", "at", "kind")
_LOT = ("id", "lot")


def _build_people(store: Store, low: int, high: int, names: Sequence[str]) -> dict[str, Page]:
    """Return a page a name, with an entry for each number from *low* to *high*."""
    rows = store.kept_pages.read_people(low, high, names)
    ids, *columns = zip(*rows, strict=True) if rows else [()] * (1 + len(names))
    places = np.array(ids, np.int64) - low
    found = {}
    for name, values in zip(names, columns, strict=True):
        codes: dict[str | None, int] = {None: 0}
        numbers = values
        if name not in NUMERIC:
            numbers = tuple(codes.setdefault(value, len(codes)) for value in values)
        entries = np.zeros(high - low + 1, np.int64)
        entries[places] = numbers
        found[name] = Page({name: entries}, {} if name in NUMERIC else {name: list(codes)})
    return found


def _build_events(store: Store, low: int, high: int, names: Sequence[str]) -> dict[str, Page]:
    rows: dict[str, list[tuple[int, int, int]]] = {name: [] for name in names}
    for subscription, name, at, told in store.kept_pages.read_events(
        low, high, names, BASKET, cart.UPDATED
    ):
        rows[name].append((subscription, at, int(read_kind(name, told))))
    return {name: transpose(own, _EVENT) for name, own in rows.items()}


def read_kind(name: str, properties: str | None) -> Kind:
    """Return what an event of a basket means; *properties* only where the name is not all."""
    known = orjson.loads(properties) if properties else {}
    if name == cart.PURCHASE:
        return Kind.VISITED if known.get("test") is True else Kind.BOUGHT
    if name == cart.EMPTIED or (known and cart.meaning(name, known) == cart.EMPTIED):
        return Kind.EMPTIED
    return Kind.TOUCHED
