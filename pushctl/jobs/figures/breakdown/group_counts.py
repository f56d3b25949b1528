"""Messages in groups, counted, with their rates, orders and revenue."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pushctl.config import Config
from pushctl.jobs.figures.breakdown import person_rates
from pushctl.jobs.figures.breakdown.dimensions import list_message_columns, list_people_columns
from pushctl.jobs.figures.breakdown.group_codes import Codes, Grouper, Grouping
from pushctl.jobs.figures.columns import local_times
from pushctl.jobs.figures.columns.messages import (
    STATUSES,
    Messages,
    People,
    load_messages,
    load_people,
    load_slices,
)
from pushctl.jobs.figures.filters import Filter
from pushctl.model import DeliveryStatus
from pushctl.rules.figures.figure import Row, Value
from pushctl.rules.figures.tables.campaigns import hide_unknown
from pushctl.store import Store
from pushctl.store.campaigns import Described

Bools = NDArray[np.bool_]

_COLUMNS = (
    "subscription", "status", "shown", "clicked", "unreported", "bought", "clicks",
)  # fmt: skip
_ACCEPTED = STATUSES.index(DeliveryStatus.ACCEPTED)
_GONE = STATUSES.index(DeliveryStatus.GONE)


class Counted(NamedTuple):
    """An entry a group: messages by their marks, clicks, campaigns."""

    marks: Codes  # an entry for each set of BITS
    clicks: Codes
    campaigns: Codes


@dataclass(frozen=True, slots=True)
class Loaded:
    """The messages that a filter asks for; *untimed* were left out: their time is unknown."""

    messages: Messages
    kept: Bools  # an entry a message: whether the filter asks for it
    people: People
    grouper: Grouper
    campaigns: Sequence[Described]
    untimed: int


def load(
    store: Store,
    config: Config,
    asked: Filter,
    kinds: Collection[str],
    *,
    only: Described,
) -> Loaded:
    """
    Return the messages of the campaign *only*, ready to be grouped by *kinds*.

    Of *asked* count site and time.
    """
    return Loader(store, config, asked, kinds, [only]).load([only.id])


class Loader:
    """
    Loads messages of some of *campaigns* at a time, ready to be grouped by *kinds*.

    All of them at once would take memory for millions of messages.
    """

    def __init__(
        self,
        store: Store,
        config: Config,
        asked: Filter,
        kinds: Collection[str],
        campaigns: Sequence[Described],
    ) -> None:
        self._store, self._asked = store, asked
        self._is_timed = asked.since is not None or asked.until is not None
        needed = {"person", *(name for by in kinds for name in list_people_columns(by))}
        needed |= {"site"} if asked.site is not None else set()
        self.people = load_people(store, needed)
        self.campaigns = campaigns
        self.grouper = Grouper(store, config, asked, self.people, campaigns)
        columns = {*_COLUMNS, *(name for by in kinds for name in list_message_columns(by))}
        self._columns = columns | ({"sent"} if self._is_timed else set())

    def load(self, numbers: Sequence[int]) -> Loaded:
        """Return the messages of the campaigns *numbers*, with their own numbers."""
        columns = self._columns | {"delivery"}
        return self._choose(load_messages(self._store, numbers, columns, self.people.folding))

    def load_slices(self, numbers: Sequence[int], *, with_numbers: bool) -> Iterator[Loaded]:
        """Yield the same as ``messages.load_slices``; *with_numbers*: and their own."""
        columns = self._columns | ({"delivery"} if with_numbers else set())
        for messages in load_slices(self._store, numbers, columns, self.people.folding):
            yield self._choose(messages)

    def _choose(self, messages: Messages) -> Loaded:
        """Return *messages* with which of them the filter asks for."""
        people = self.people
        kept = np.ones(len(messages), np.bool_)
        if self._asked.site is not None:
            words = people.words["site"]
            place = words.index(self._asked.site) if self._asked.site in words else -1
            kept &= people.site[messages.subscription] == place
        untimed = 0
        if self._is_timed:
            missing = kept & (messages.sent < 0)
            untimed = int(np.count_nonzero(missing & (messages.status == _ACCEPTED)))
            kept &= find_timed(messages, self._asked)
        return Loaded(messages, kept, people, self.grouper, self.campaigns, untimed)


def find_timed(messages: Messages, asked: Filter) -> Bools:
    """Return which messages left in the time, to a quarter of an hour."""
    return local_times.is_within(messages.sent, asked.since, asked.until)


def count(loaded: Loaded, grouping: Grouping) -> list[Row]:
    """
    Return the counts and rates of each group that has a message, in the order of its words.

    ``value`` is its word; the names of the rest are those of rules/figures/tables/groups.py.
    """
    kept = slice(None) if loaded.kept.all() else loaded.kept
    codes, marks = grouping.codes[kept], mark(loaded.messages)[kept]
    person = loaded.people.person[loaded.messages.subscription[kept]]
    found = tally(loaded, codes, marks, len(grouping.words))
    sums = person_rates.sum_messages(codes, person, marks, len(grouping.words))
    return describe(grouping.words, found, sums)


def tally(loaded: Loaded, codes: Codes, marks: NDArray[np.uint8], size: int) -> Counted:
    """Return the counts of *size* groups; *codes*, *marks*: of the messages asked for."""
    messages = loaded.messages
    kept = slice(None) if len(codes) == len(messages) else loaded.kept
    # A pass for all counts.
    cells = np.bincount(codes * _MARKS + marks, minlength=size * _MARKS)
    return Counted(
        cells.reshape(size, _MARKS),
        _add_up(codes, messages.clicks[kept], size),
        count_campaigns(codes, messages.campaign[kept], size),
    )


def add_counted(parts: Sequence[tuple[Codes, Counted]], size: int) -> Counted:
    """Return the sums of counts; with each stand the places of its groups among *size*."""
    found = Counted(*(np.zeros((size, *each.shape[1:]), np.int64) for each in parts[0][1]))
    for places, part in parts:
        for whole, each in zip(found, part, strict=True):
            whole[places] += each
    return found


def describe(words: Sequence[str | None], found: Counted, sums: person_rates.Sums) -> list[Row]:
    """Return a row for each of *words* that has a message."""
    each = np.arange(_MARKS)
    counts: dict[str, Sequence[Value]] = {"planned": _to_list(found.marks.sum(axis=1))}
    for name, bit in BITS.items():
        counts[name] = _to_list(found.marks[:, (each & bit) > 0].sum(axis=1))
    counts["clicks"] = _to_list(found.clicks)
    counts["campaigns"] = _to_list(found.campaigns)
    for name, table in zip(("ctr", "ctr_shown"), sums, strict=True):
        bounds = [person_rates.bound(*row) for row in table.tolist()]
        counts[f"{name}_low"] = [one.low for one in bounds]
        counts[f"{name}_high"] = [one.high for one in bounds]
        counts[f"{name}_n"] = [int(row[-1]) for row in table.tolist()]
    names = list(counts)
    rows = zip(*counts.values(), strict=True)
    return [
        hide_unknown({"value": word, **dict(zip(names, row, strict=True))})
        for word, row in zip(words, rows, strict=True)
        if row[0]
    ]


# What is true of a message, a bit each.
BITS = {"accepted": 8, "gone": 16, "unreported": 32, "bought": 64, **person_rates.BITS}
_MARKS = 128


def mark(messages: Messages) -> NDArray[np.uint8]:
    accepted = messages.status == _ACCEPTED
    found = {
        "accepted": accepted,
        "gone": messages.status == _GONE,
        "unreported": accepted & messages.unreported,
        "bought": messages.bought,
        "reported": accepted & ~messages.unreported,
        "shown": messages.shown,
        "clicked": messages.clicked,
    }
    marks = np.zeros(len(messages), np.uint8)
    for name, bit in BITS.items():
        marks |= found[name].view(np.uint8) * np.uint8(bit)
    return marks


def _to_list(counts: NDArray[np.integer]) -> list[int]:
    found: list[int] = counts.tolist()
    return found


def _add_up(codes: Codes, values: NDArray[np.integer], size: int) -> Codes:
    some = values > 0
    return np.bincount(codes[some], values[some], size).astype(np.int64)


def count_campaigns(codes: Codes, campaign: NDArray[np.integer], size: int) -> Codes:
    """Return of how many campaigns each code has messages; those of one stand together."""
    place = np.cumsum(np.diff(campaign, prepend=campaign[:1]) != 0)
    width = int(place.max(initial=0)) + 1
    pairs = np.flatnonzero(np.bincount(codes * width + place, minlength=1))
    return np.bincount(pairs // width, minlength=size)
