"""
Lives of subscriptions: from when to when each was active, and what ended it (numpy).

Only a loss of an active subscription counts. Who came here inactive (imported after leaving
elsewhere) is not new, but may be back.

Most have come and stayed. Of those a bit each is kept, and their lives are made a part at a
time: ten million of them would take 220 MB.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pushctl.jobs.figures.columns import pages
from pushctl.jobs.figures.columns.messages import People, load_people
from pushctl.model import Millis
from pushctl.store import Store

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

KINDS = ("unsubscribed", "gone", "quarantined")  # what ends a life
_FOREVER = np.iinfo(np.int64).max
_PART = 1 << 18  # lives, or places of those who stayed: what fits into a processor's cache


@dataclass(frozen=True, eq=False)
class Lives:
    """Columns, an entry for each time that a subscription was active."""

    subscription: NDArray[np.integer]  # its place in People
    start: Ints  # Millis
    end: Ints  # _FOREVER while it goes on
    kind: NDArray[np.int8]  # an index into KINDS; -1 while it goes on
    is_first: Bools  # it begins with the registration, not with a return

    def choose(self, which: Bools | slice) -> "Lives":
        return Lives(
            self.subscription[which], self.start[which], self.end[which], self.kind[which],
            self.is_first[which],
        )  # fmt: skip

    def count_active(self, at: Millis) -> Bools:
        """Return which of them go on at *at*; what happens then comes after it."""
        found: Bools = (self.start < at) & (self.end >= at)
        return found


@dataclass(frozen=True, eq=False)
class AllLives:
    """Lives of many subscriptions; iterate over them for a part at a time, in no order."""

    _people: People
    _stayed: Bools  # by place: who came, and goes on since
    _changed: Lives  # of all others

    def __iter__(self) -> Iterator[Lives]:
        yield from self.list_changed()
        for places, starts in self.list_stayed():
            yield _stay(places, starts)

    def list_changed(self) -> Iterator[Lives]:
        """Yield the lives of who did not only come and stay."""
        for start in range(0, len(self._changed.start), _PART):
            yield self._changed.choose(slice(start, start + _PART))

    def list_stayed(self) -> Iterator[tuple[Ints, Ints]]:
        """Yield the places of the others, and when they came: all that there is to know."""
        for start in range(0, len(self._stayed), _PART):
            stayed = self._stayed[start : start + _PART]
            if stayed.any():
                places = np.flatnonzero(stayed) + start
                yield places, self._people.subscribed_at[start : start + _PART][stayed]

    def choose(self, which: Bools) -> "AllLives":
        """Return the lives of those subscriptions; *which* is by place."""
        changed = self._changed.choose(which[self._changed.subscription])
        return AllLives(self._people, self._stayed & which, changed)

    def choose_first(self) -> "AllLives":
        """Return those that begin with the registration."""
        return replace(self, _changed=self._changed.choose(self._changed.is_first))

    def find_subscriptions(self) -> Bools:
        """Return which places have a life."""
        found = self._stayed.copy()
        found[self._changed.subscription] = True
        return found


def load(store: Store, people: People) -> AllLives:
    """Return all lives; *people* has subscribed_at and active."""
    steps, words = pages.load_changes(store)
    whose: Ints = people.folding.fold(steps["subscription"]).astype(np.int64, copy=False)
    known = whose > 0  # without who came since
    who, at = whose[known], steps["at"][known]
    codes = {name: code for code, name in enumerate(KINDS)}
    codes["key_lost"] = codes["gone"]
    kinds = np.array([codes.get(word or "", -1) for word in words], np.int8)
    kind = kinds[steps["kind"][known]]
    back = kind < 0
    begins = np.ones(len(who), bool)
    begins[1:] = who[1:] != who[:-1]
    turns = begins.copy()
    turns[1:] |= back[1:] != back[:-1]
    joined = people.subscribed_at > 0
    joined[who[begins & back]] = False
    stepless = np.ones(len(joined), bool)
    stepless[who] = False
    joined &= ~(stepless & ~people.active)
    # Most have come and stayed: only the others are sorted, of ten million a few.
    changed = np.flatnonzero(joined & ~stepless)
    others = _pair(changed, people.subscribed_at, who[turns], at[turns], kind[turns])
    return AllLives(people, joined & stepless, others)


def _stay(places: Ints, starts: Ints) -> Lives:
    """Return lives without an end."""
    count = len(places)
    end, kind = np.full(count, _FOREVER), np.full(count, -1, np.int8)
    return Lives(places, starts, end, kind, np.ones(count, np.bool_))


def _pair(joined: Ints, since: Ints, who: Ints, at: Ints, kind: NDArray[np.int8]) -> Lives:
    """Return the lives that begin by joining or coming back, each with the loss after it."""
    back = kind < 0
    starters = np.concatenate([joined, who[back]])
    starts = np.concatenate([since[joined], at[back]])
    first = np.arange(len(starters)) < len(joined)
    order = np.lexsort((~first, starters))  # returns are in order of time already
    starters, starts, first = starters[order], starts[order], first[order]
    losers, ends, ended = who[~back], at[~back], kind[~back]
    wide = max(len(starters), len(losers)) + 1
    own = starters * wide + _rank(starters)
    theirs = losers * wide + _rank(losers)
    place = np.searchsorted(theirs, own)
    known = place < len(theirs)
    known[known] = theirs[place[known]] == own[known]
    end = np.full(len(starters), _FOREVER)
    kinds = np.full(len(starters), -1, np.int8)
    end[known], kinds[known] = ends[place[known]], ended[place[known]]
    return Lives(starters, starts, end, kinds, first)


def _rank(values: Ints) -> Ints:
    """Return the how manieth of its value each entry of sorted *values* is."""
    begins = np.ones(len(values), np.bool_)
    begins[1:] = values[1:] != values[:-1]
    firsts = np.flatnonzero(begins)
    lengths = np.diff(np.append(firsts, len(values)))
    found: Ints = np.arange(len(values)) - np.repeat(firsts, lengths)
    return found


def load_all(store: Store, columns: tuple[str, ...]) -> tuple[People, AllLives]:
    """Return people with *columns* and what lives need, and the lives."""
    people = load_people(
        store, ("subscribed_at", "active", "verified", "site", "person", *columns)
    )
    return people, load(store, people)
