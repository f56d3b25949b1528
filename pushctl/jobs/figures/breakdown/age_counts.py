"""
Messages by the age of the subscription when each left, a few campaigns at a time.

Millions at once would take much memory: of each person are kept the tries at an age, and what
came of them.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pushctl.jobs.figures.columns import campaign_counts, local_times
from pushctl.jobs.figures.columns.messages import (
    QUARTER,
    STATUSES,
    Bools,
    Messages,
    People,
    cut,
    load_people,
    load_slices,
    measure_people,
)
from pushctl.jobs.figures.filters import Filter
from pushctl.model import DeliveryStatus
from pushctl.rules import units
from pushctl.rules.figures.figure import Row, Value
from pushctl.rules.figures.statistics.intervals import Interval, measure_share
from pushctl.rules.figures.tables import subscribers
from pushctl.store import Store

_AGES = (
    (units.DAY, "below 1 d"), (units.WEEK, "1-7 d"), (30 * units.DAY, "7-30 d"),
    (90 * units.DAY, "30-90 d"), (180 * units.DAY, "90-180 d"), (365 * units.DAY, "180-365 d"),
)  # fmt: skip
_NAMES = (*(name for _, name in _AGES), "above 365 d", None)
_ERASED = len(_NAMES) - 1

_LEFT = (
    DeliveryStatus.ACCEPTED, DeliveryStatus.GONE, DeliveryStatus.REJECTED,
    DeliveryStatus.IN_DOUBT,
)  # fmt: skip
_COLUMNS = ("subscription", "sent", "status", "shown", "clicked", "unreported")
# What is counted, and of which two of them each rate is made.
_COUNTS = ("sent", "accepted", "gone", "reported", "shown", "clicked")
_RATES = {"shown_rate": ("shown", "reported"), "click_rate": ("clicked", "accepted")}

Whole: TypeAlias = NDArray[np.int64]
_Marks: TypeAlias = dict[str, Bools]


def count(store: Store, asked: Filter, campaigns: Sequence[int]) -> list[Row]:
    """Return a row of ``REACH`` for each age that has a message of *campaigns*."""
    people = load_people(store, ("subscribed_at", "site", "person"))
    sizes = {
        one: counts["planned"]
        for one, counts in campaign_counts.load_counts(store, campaigns).items()
    }
    sums = _Sums(len(people.person))
    for numbers in cut(sizes):
        for messages in load_slices(store, numbers, _COLUMNS, people.folding):
            rows = np.flatnonzero(_choose(messages, people, asked))
            sums.add(_find_ages(messages, people, rows), messages, people, rows)
    return [sums.describe(place, name) for place, name in enumerate(_NAMES) if sums.sent[place]]


def _choose(messages: Messages, people: People, asked: Filter) -> Bools:
    """Return which messages have left when it is asked for, to whom it is."""
    found = np.isin(messages.status, [STATUSES.index(one) for one in _LEFT])
    found &= messages.sent >= 0
    if asked.site is not None:
        names = people.words["site"]
        code = names.index(asked.site) if asked.site in names else -1
        found &= people.site[messages.subscription] == code
    return found & local_times.is_within(messages.sent, asked.since, asked.until)


def _find_ages(messages: Messages, people: People, rows: Whole) -> Whole:
    """Return the place in _NAMES of each message of *rows*."""
    whose = messages.subscription[rows]
    age = messages.sent[rows].astype(np.int64) * QUARTER - people.subscribed_at[whose]
    found = np.searchsorted([edge for edge, _ in _AGES], age, side="right")
    found[whose == 0] = _ERASED
    return found


class _Sums:
    """Messages by age; tries and what came of them by age and person, too."""

    def __init__(self, people: int) -> None:
        self._people = people
        self._counts = {name: np.zeros(len(_NAMES), np.int64) for name in _COUNTS}
        # Nobody has 65,536 messages.
        size = len(_NAMES) * people
        self._each = {
            name: np.zeros(size, np.uint16) for pair in _RATES.values() for name in pair
        }

    @property
    def sent(self) -> Whole:
        return self._counts["sent"]

    def add(
        self, ages: Whole, messages: Messages, people: People,
        rows: Whole,
    ) -> None:  # fmt: skip
        marks = _mark(messages, rows)
        cells = ages * self._people + people.person[messages.subscription[rows]]
        for name, mark in marks.items():
            self._counts[name] += np.bincount(ages[mark], minlength=len(_NAMES))
            if name in self._each:
                np.add.at(self._each[name], cells[mark], np.uint16(1))

    def describe(self, place: int, name: str | None) -> Row:
        row: dict[str, Value] = {"age": name}
        row |= {key: int(counts[place]) for key, counts in self._counts.items()}
        for key, pair in _RATES.items():
            found, people = self._measure(place, *pair)
            bounds = found.low, found.high, people
            names = (f"{key}_low", f"{key}_high", f"{key}_n")
            row |= zip(names, bounds if found.value is not None else (None,) * 3, strict=True)
        return subscribers.REACH.fill(row)

    def _measure(self, place: int, happened: str, tried: str) -> tuple[Interval, int]:
        """Return a rate and how many people it is of; each of the erased is alone."""
        if place == _ERASED:
            tries = int(self._counts[tried][place])
            return measure_share(int(self._counts[happened][place]), tries), tries
        own = slice(place * self._people, (place + 1) * self._people)
        tries_of = self._each[tried][own]
        people = int(np.count_nonzero(tries_of))
        found = measure_people(tries_of, self._each[happened][own])
        if found.value in (0.0, 1.0):  # nothing varies: the persons' own formula has no width
            found = measure_share(found.value * people, people)
        return found, people


def _mark(messages: Messages, rows: Whole) -> _Marks:
    status = messages.status[rows]
    taken = status == STATUSES.index(DeliveryStatus.ACCEPTED)
    reported = taken & ~messages.unreported[rows]
    return {
        "sent": np.ones(len(rows), np.bool_),
        "accepted": taken,
        "gone": status == STATUSES.index(DeliveryStatus.GONE),
        "reported": reported,
        "shown": messages.shown[rows] & reported,
        "clicked": messages.clicked[rows] & taken,
    }
