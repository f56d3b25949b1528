"""
Builds the columns of a campaign's messages from its rows, and keeps them in the database.

What depends on people as they are now (country, browser, whose device it is) is never kept.
A column is numbers of one size with the smallest value taken away: most fit into a byte. One
value for all needs no data at all.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import orjson
from numpy.typing import NDArray

from pushctl.errors import ConfigError, DatabaseBusyError
from pushctl.jobs.figures.columns.status_counts import COUNTS, Counts, count
from pushctl.model import DeliveryStatus, Json
from pushctl.store import Store
from pushctl.store.kept_columns import KeptColumn

STATUSES = tuple(DeliveryStatus)
# chance: with which probability its hour was drawn; as text, so that no digit is lost.
# click_row: the entry that each click belongs to; click_button: what was clicked.
COLUMNS = (
    "delivery", "subscription", "sent", "flags", "status", "language", "variant", "reason",
    "chance", "click_row", "click_button",
)  # fmt: skip
_WORDED = ("language", "variant", "reason", "chance")
_ROWS = frozenset(COLUMNS) - {"click_row", "click_button"}  # with an entry a message
# How many bytes of columns one transaction writes: others wait for a moment only.
_BATCH_BYTES = 4_000_000
_PAGE = 20_000
_BLOCK = 100_000

# The bits of "flags".
FLAGS = {"shown": 1, "clicked": 2, "bought": 4, "unreported": 8}

Numbers = NDArray[np.integer]
Bools = NDArray[np.bool_]
Words = list[str | None]


@dataclass(frozen=True, slots=True)
class Column:
    """
    One campaign's values; where *words* is given, each is an index into it.

    They stand as they are kept, less *low*: all columns of millions of messages are there at
    once, in few bytes each.
    """

    raw: Numbers
    words: Words | None = None
    low: int = 0

    @property
    def values(self) -> Numbers:
        if not self.low:
            return self.raw
        is_small = self.raw.itemsize < 4 and abs(self.low) < 2**30
        found: Numbers = self.raw.astype(np.int32 if is_small else np.int64)
        found += self.low
        return found

    def __len__(self) -> int:
        return len(self.raw)

    def count_values(self) -> Counter[str | int | None]:
        """Return how often each value, or word, is there."""
        values, counts = np.unique(self.values, return_counts=True)
        found: Counter[str | int | None] = Counter()
        for value, size in zip(values.tolist(), counts.tolist(), strict=True):
            found[value if self.words is None else self.words[value]] += size
        return found


@dataclass(frozen=True, slots=True)
class _Counted:
    status: Numbers
    shown: Bools
    clicked: Bools
    unreported: Bools
    bought: Bools
    clicks: Numbers


# One campaign's columns by their names.
Part = dict[str, Column]


def load(
    store: Store,
    campaigns: Sequence[int],
    names: Sequence[str],
) -> Iterator[tuple[int, Part]]:
    """
    Yield each of *campaigns* with its columns *names*, in their order.

    What is not kept is built, and kept where the database can be written to at once. Each
    campaign is as it was at one moment.
    """
    kept: dict[int, dict[str, Column]] = {}
    for one in store.kept_columns.read(campaigns, names):
        kept.setdefault(one.campaign, {})[one.name] = _decode(one)
    missing = [one for one in campaigns if len(kept.get(one, {})) < len(names)]
    builder = _Builder(store, missing)
    for campaign in campaigns:
        part = kept.pop(campaign, {})
        if len(part) < len(names):
            part = builder.build(campaign, names, part)
        yield campaign, part
    builder.flush()


def choose(part: Part, first: int, last: int) -> Part:
    """Return the messages *first* to before *last* of a campaign, with their clicks."""
    found = {
        name: Column(column.raw[first:last], column.words, column.low)
        for name, column in part.items()
        if name in _ROWS
    }
    if "click_row" in part:
        rows = part["click_row"].values
        inside = (rows >= first) & (rows < last)
        found["click_row"] = Column(rows[inside].astype(np.int64) - first)
        if "click_button" in part:
            buttons = part["click_button"]
            found["click_button"] = replace(buttons, raw=buttons.raw[inside])
    return found


def read(store: Store, campaign: int) -> tuple[dict[str, Column], Counts | None]:
    """Return what is kept of *campaign* now: its columns, and its counts."""
    columns, counts = {}, None
    for one in store.kept_columns.read([campaign], [*COLUMNS, COUNTS]):
        if one.name == COUNTS:
            counts = orjson.loads(one.about)
        else:
            columns[one.name] = _decode(one)
    return columns, counts


def build_counts(store: Store, campaigns: Sequence[int]) -> Iterator[tuple[int, Counts]]:
    """Yield each of *campaigns* with its counts, and keep them with its columns."""
    builder = _Builder(store, campaigns)
    for campaign in campaigns:
        yield campaign, _count(builder.build(campaign, COLUMNS, {}))
    builder.flush()


class _Builder:
    """Builds the columns of *missing* campaigns, and keeps them in batches."""

    def __init__(self, store: Store, missing: Sequence[int]) -> None:
        self._store, self._mark = store, 0
        self._waiting: list[KeptColumn] = []
        if missing:
            # Somebody writes, or nobody can: the figures are counted all the same.
            with suppress(DatabaseBusyError, ConfigError):
                self._mark = store.kept_columns.mark(missing)

    def build(
        self, campaign: int, names: Sequence[str], kept: Mapping[str, Column]
    ) -> dict[str, Column]:
        lacking = [name for name in names if name not in kept]
        made: dict[str, Column] = {}
        if lacking == ["subscription"] and kept:
            column = _build_subscription(self._store, campaign)
            # Unless the campaign has changed since the others were read.
            rows = {len(one) for name, one in kept.items() if name in _ROWS}
            if rows == {len(column)}:
                made = {"subscription": column}
        made = made or _build(self._store, campaign)
        if self._mark:
            self._waiting += [_encode(campaign, name, one) for name, one in made.items()]
            if "status" in made:
                about = orjson.dumps(_count(made)).decode()
                self._waiting.append(KeptColumn(campaign, COUNTS, about, b""))
            if sum(len(one.data) for one in self._waiting) > _BATCH_BYTES:
                self.flush()
        return {**kept, **made}

    def flush(self) -> None:
        if self._waiting:
            try:
                self._store.kept_columns.keep(self._mark, self._waiting)
            except (DatabaseBusyError, ConfigError):
                self._mark = 0
            self._waiting = []


def _build_subscription(store: Store, campaign: int) -> Column:
    """Return whose each message is; alone, because an erasure makes nothing else unknown."""
    ids, people = array("q"), array("q")
    for row, person in store.message_rows.read_receivers(campaign):
        ids.append(row)
        people.append(person)
    order = np.argsort(np.array(ids, np.int64))
    return Column(np.array(people, np.int64)[order])


def _build(store: Store, campaign: int) -> dict[str, Column]:
    """Return all columns of *campaign* from its rows, in the order of their numbers."""
    with store.snapshot():
        found = _build_rows(store, campaign)
        clicked = found["delivery"].values[(found["flags"].values & 2) > 0]
        buttons: dict[str | None, int] = {}
        at, codes = array("q"), array("q")
        for start in range(0, len(clicked), _PAGE):
            page = clicked[start : start + _PAGE].tolist()
            for row, button in store.message_rows.read_clicks(page):
                at.append(row)
                codes.append(buttons.setdefault(button, len(buttons)))
    place = np.searchsorted(found["delivery"].values, np.array(at, np.int64))
    found["click_row"] = Column(place)
    found["click_button"] = Column(np.array(codes, np.int64), list(buttons))
    return found


def _build_rows(store: Store, campaign: int) -> dict[str, Column]:
    # Few rows differ in more than number, person and time: those alike share a kind.
    # Small numbers, for ten million messages of one campaign.
    ids, people, sent, kinds = array("q"), array("q"), array("i"), array("i")
    known: dict[tuple[Json, ...], int] = {}
    for row, person, quarter, *rest in store.message_rows.read(campaign):
        ids.append(row)
        people.append(person)
        sent.append(quarter)
        kinds.append(known.setdefault(tuple(rest), len(known)))
    order = np.argsort(np.frombuffer(ids, np.int64)) if ids else np.empty(0, np.int64)
    delivery, receiver = _take(ids, order), _take(people, order)
    del ids, people
    kind_of, quarters = _take(kinds, order).values, _take(sent, order)
    del order, kinds, sent
    flags, statuses, *texts, chances = zip(*known, strict=True) if known else ((),) * 6
    texts = [*texts, [None if one is None else repr(one) for one in chances]]
    found = {
        "delivery": delivery,
        "subscription": receiver,
        "sent": quarters,
        "flags": Column(np.array(flags, np.uint8)[kind_of]),
        "status": Column(
            np.array([STATUSES.index(one) for one in statuses], np.uint8)[kind_of]
        ),
    }
    for name, values in zip(_WORDED, texts, strict=True):
        codes: dict[str | None, int] = {}
        numbers = [codes.setdefault(value, len(codes)) for value in values]
        small = np.array(numbers, np.min_scalar_type(max(len(codes), 1)))
        found[name] = Column(small[kind_of], list(codes))
    return found


def _take(values: "array[int]", order: Numbers) -> Column:
    """Return *values* in *order*, in as few bytes as they are kept in."""
    if not values:
        return Column(np.empty(0, np.int64))
    whole = np.frombuffer(values, f"i{values.itemsize}")
    low, high = int(whole.min()), int(whole.max())
    size = next(one for one in (1, 2, 4, 8) if high - low < 1 << 8 * one)
    small = np.empty(len(whole), f"<u{size}")
    for start in range(0, len(whole), _BLOCK):
        some = slice(start, start + _BLOCK)
        small[some] = whole[order[some]] - low
    return Column(small, None, low)


def count_flags(part: Part) -> Counts:
    """Return shown, clicked, bought, unreported and clicks by the columns."""
    flags = part["flags"].values
    counts = {name: int(np.count_nonzero(flags & bit)) for name, bit in FLAGS.items()}
    return {**counts, "clicks": len(part["click_row"].values)}


def sum_receivers(part: Part) -> tuple[int, int]:
    """Return how many messages are somebody's, and a sum that tells who got which."""
    # In small numbers, such as those of no message, 1009 has no room.
    people, rows = (part[name].values.astype(np.int64) for name in ("subscription", "delivery"))
    return int(np.count_nonzero(people)), int((people * (1 + rows % 1009)).sum())


def _count(part: Part) -> Counts:
    """Return a campaign's counts, as ``status_counts.count`` does of many."""
    status, flags = part["status"].values, part["flags"].values
    marks = {name: (flags & bit) > 0 for name, bit in FLAGS.items()}
    clicks = np.bincount(part["click_row"].values, minlength=len(status))
    groups = np.zeros(len(status), np.int64)
    counted = _Counted(status=status, clicks=clicks, **marks)
    return {name: one for name, (one,) in count(counted, groups, 1).items()}


def _encode(campaign: int, name: str, column: Column) -> KeptColumn:
    values = column.values
    about: dict[str, Json] = {"count": len(values), "low": 0, "words": column.words}
    data = b""
    if len(values):
        low, high = int(values.min()), int(values.max())
        about["low"] = low
        if high > low:
            size = next(one for one in (1, 2, 4, 8) if high - low < 1 << 8 * one)
            about["type"] = f"<u{size}"
            data = (values - low).astype(about["type"]).tobytes()
    return KeptColumn(campaign, name, orjson.dumps(about).decode(), data)


def _decode(one: KeptColumn) -> Column:
    about = orjson.loads(one.about)
    if "type" not in about:
        return Column(
            np.broadcast_to(np.uint8(0), about["count"]), about["words"], about["low"]
        )
    return Column(np.frombuffer(one.data, about["type"]), about["words"], about["low"])
