"""
Columns of events, orders, enrolments and subscriptions, from pages that are kept.

What is not kept is built from its rows, and kept where the database can be written to at once
(``store/kept_pages.py`` says why nothing here is ever stale).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256

import numpy as np
import orjson
from numpy.typing import NDArray

from pushctl.errors import ConfigError, DatabaseBusyError
from pushctl.model import Json
from pushctl.rules.figures.basket import Kind
from pushctl.rules.shops import cart
from pushctl.store import Store
from pushctl.store.kept_pages import BITS, KeptPage

Numbers = NDArray[np.int64]
Columns = dict[str, Numbers]

TOUCHES = (cart.UPDATED, cart.CHECKOUT, cart.FAILED)
# Read in one go, whichever of them is asked for.
BASKET = (*TOUCHES, cart.EMPTIED, cart.PURCHASE)
_VERSION = 1  # another where what is kept means something else
_BATCH = 4  # pages in one transaction: others wait for some tenths of a second
_PERSONS = "persons"


class Page:
    """The columns of a page; *words* has those of a column that is an index into them."""

    def __init__(self, columns: Columns, words: Mapping[str, Sequence[str | None]]) -> None:
        self.columns, self.words = columns, words


# Builds the pages of names between two numbers.
_Build = Callable[[int, int, Sequence[str]], dict[str, Page]]


def load_events(store: Store, names: Sequence[str]) -> Columns:
    """
    Return all events called one of *names*: ``subscription``, ``at`` and ``kind``.

    The kind is that of baskets (``rules.figures.basket.Kind``); of other events TOUCHED.
    """

    def build(low: int, high: int, asked: Sequence[str]) -> dict[str, Page]:
        return _build_events(store, low, high, [*dict.fromkeys((*asked, *BASKET))])

    columns, _ = _join(_load(store, "events", names, build), _EVENT)
    return columns


def load_orders(store: Store) -> tuple[Columns, list[str | None]]:
    """
    Return the orders of subscribers by their time, and the words that ``currency`` indexes.

    ``subscription``, ``at``, ``counts``, ``minor``, ``exponent`` (-1: no amount is known).
    """

    def build(low: int, high: int, _: Sequence[str]) -> dict[str, Page]:
        return {"": _transpose(store.kept_pages.read_orders(low, high), _ORDER, "currency")}

    found, words = _join(_load(store, "orders", [""], build), _ORDER, "currency")
    places = np.argsort(found["at"], kind="stable")
    return {name: column[places] for name, column in found.items()}, words


def load_enrolments(store: Store) -> tuple[Columns, list[str | None]]:
    """Return ``subscription``, ``at``, ``held``, ``trigger``, and what the last indexes."""

    def build(low: int, high: int, _: Sequence[str]) -> dict[str, Page]:
        rows = store.kept_pages.read_enrolments(low, high)
        return {"": _transpose(rows, _ENROLMENT, "trigger")}

    return _join(_load(store, "enrolments", [""], build), _ENROLMENT, "trigger")


def load_subscriptions(store: Store) -> Columns:
    """Return ``id``, ``site``, ``joined`` and ``left`` (-1: active), in order of numbers."""

    def build(low: int, high: int, _: Sequence[str]) -> dict[str, Page]:
        rows = store.kept_pages.read_subscriptions(low, high)
        return {"": _transpose(rows, _SUBSCRIPTION)}

    return _join(_load(store, "subscriptions", [""], build), _SUBSCRIPTION)[0]


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
        return {names[0]: _transpose(drawn, _LOT)}

    return _join(_load(store, "subscriptions", [f"lots {group}"], build), _LOT)[0]


def load_persons(store: Store, build: Callable[[], Numbers]) -> Numbers:
    """Return the person of each subscription that there was when *build* was last asked."""
    for one in store.kept_pages.read(_PERSONS, [""]):
        if (page := _decode(one)) is not None:
            return page.columns["person"]
    if store.kept_pages.is_free():
        with suppress(DatabaseBusyError, ConfigError), store.kept_pages.keep():
            made = build()
            page = Page({"person": made}, {})
            store.kept_pages.write(_PERSONS, [_encode("", 0, 0, page)])
            return made
    return build()


def check(store: Store) -> Iterator[tuple[str, str, int, int]]:
    """Yield (source, what, kept, counted) where a page is not what its rows are."""
    for source, bits in BITS.items():
        who, when = ("id", "joined") if source == "subscriptions" else ("subscription", "at")
        with store.snapshot():
            names = store.kept_pages.list_names(source)
            for one in store.kept_pages.read(source, names):
                page = _decode(one)
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


_SUMS = ("rows", "sum of people", "sum of times")
_EVENT = ("subscription", "at", "kind")
_ORDER = ("subscription", "at", "counts", "minor", "exponent", "currency")
_ENROLMENT = ("subscription", "at", "held", "trigger")
_SUBSCRIPTION = ("id", "site", "joined", "left")
_LOT = ("id", "lot")


def _load(store: Store, source: str, names: Sequence[str], build: _Build) -> list[Page]:
    """Return all pages of *names*, in the order of their numbers."""
    bits, last = BITS[source], store.kept_pages.find_last(source)
    found: dict[tuple[int, str], Page] = {}
    for one in store.kept_pages.read(source, names):
        if one.upto == _find_end(one.page, bits, last) and (page := _decode(one)) is not None:
            found[one.page, one.name] = page
    wanted = range((last >> bits) + 1)
    missing = [one for one in wanted if any((one, name) not in found for name in names)]
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        for number, name, page in _build_batch(store, source, batch, names, build):
            found[number, name] = page
    return [found[number, name] for number in wanted for name in names]


def _find_end(page: int, bits: int, last: int) -> int:
    return min(((page + 1) << bits) - 1, last)


def _build_batch(
    store: Store, source: str, batch: Sequence[int], names: Sequence[str], build: _Build
) -> Iterator[tuple[int, str, Page]]:
    kept = store.kept_pages
    if kept.is_free():
        # Somebody writes, or nobody can: the figures are counted all the same.
        with suppress(DatabaseBusyError, ConfigError), kept.keep():
            yield from _build_pages(store, source, batch, names, build, keep=True)
            return
    yield from _build_pages(store, source, batch, names, build, keep=False)


def _build_pages(
    store: Store, source: str, batch: Sequence[int], names: Sequence[str], build: _Build,
    *, keep: bool,
) -> list[tuple[int, str, Page]]:  # fmt: skip
    bits, last = BITS[source], store.kept_pages.find_last(source)
    found = []
    for number in batch:
        low, end = number << bits, _find_end(number, bits, last)
        made = build(low, end, names)
        if keep:
            each = [_encode(name, number, end, page) for name, page in made.items()]
            store.kept_pages.write(source, each)
        found += [(number, name, page) for name, page in made.items()]
    return found


def _build_events(store: Store, low: int, high: int, names: Sequence[str]) -> dict[str, Page]:
    rows: dict[str, list[tuple[int, int, int]]] = {name: [] for name in names}
    for subscription, name, at, told in store.kept_pages.read_events(
        low, high, names, BASKET, cart.UPDATED
    ):
        rows[name].append((subscription, at, int(read_kind(name, told))))
    return {name: _transpose(own, _EVENT) for name, own in rows.items()}


def read_kind(name: str, properties: str | None) -> Kind:
    """Return what an event of a basket means; *properties* only where the name is not all."""
    known = orjson.loads(properties) if properties else {}
    if name == cart.PURCHASE:
        return Kind.VISITED if known.get("test") is True else Kind.BOUGHT
    if name == cart.EMPTIED or (known and cart.meaning(name, known) == cart.EMPTIED):
        return Kind.EMPTIED
    return Kind.TOUCHED


def _transpose(
    rows: Sequence[Sequence[Json]], names: Sequence[str], worded: str | None = None
) -> Page:
    """Return the columns *names* of *rows*; of *worded* the words stand apart."""
    columns, words = dict[str, Numbers](), dict[str, Sequence[str | None]]()
    for name, values in zip(names, zip(*rows, strict=True) if rows else [()] * len(names),
                            strict=True):  # fmt: skip
        numbers: Sequence[int] = values
        if name == worded:
            codes: dict[str | None, int] = {}
            numbers = [codes.setdefault(value, len(codes)) for value in values]
            words[name] = list(codes)
        columns[name] = np.array(numbers, np.int64)
    return Page(columns, words)


def _join(
    pages: Sequence[Page], names: Sequence[str], worded: str | None = None
) -> tuple[Columns, list[str | None]]:
    """Return the columns of all *pages* in one, and the words of *worded*."""
    known: dict[str | None, int] = {}
    none = np.empty(0, np.int64)
    found = {
        name: np.concatenate([none, *(page.columns[name] for page in pages)])
        for name in names
        if name != worded
    }
    if worded is not None:
        parts = [none]
        for page in pages:
            codes = [known.setdefault(word, len(known)) for word in page.words.get(worded, ())]
            parts.append(np.array(codes, np.int64)[page.columns[worded]])
        found[worded] = np.concatenate(parts)
    return found, list(known)


def _encode(name: str, page: int, upto: int, made: Page) -> KeptPage:
    """Return a page as it is kept: each column less its lowest value, in few bytes each."""
    columns, data = list[tuple[str, int, str]](), []
    count = 0
    for word, values in made.columns.items():
        count = len(values)
        low = int(values.min()) if count else 0
        span = int(values.max()) - low if count else 0
        kind = f"<u{next(size for size in (1, 2, 4, 8) if span < 1 << 8 * size)}"
        columns.append((word, low, kind))
        data.append((values - low).astype(kind).tobytes())
    about = {"version": _VERSION, "count": count, "columns": columns, "words": made.words}
    return KeptPage(name, page, upto, orjson.dumps(about).decode(), b"".join(data))


def _decode(one: KeptPage) -> Page | None:
    """Return the columns of a page that is kept, None where they are of another version."""
    about = orjson.loads(one.about)
    if about.get("version") != _VERSION:
        return None
    columns, start = dict[str, Numbers](), 0
    for word, low, kind in about["columns"]:
        values = np.frombuffer(one.data, kind, about["count"], start)
        start += values.nbytes
        columns[word] = values.astype(np.int64)
        columns[word] += low
    return Page(columns, about["words"])
