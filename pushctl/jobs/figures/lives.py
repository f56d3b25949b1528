"""
Lives of subscriptions: from when to when each was active, and what ended it (numpy).

Only a loss of an active subscription counts. Who came here inactive (imported after leaving
elsewhere) is not new, but may be back.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pushctl.jobs.figures import pages
from pushctl.jobs.figures.messages import People, load_people
from pushctl.model import Millis
from pushctl.store import Store

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

KINDS = ("unsubscribed", "gone", "quarantined")  # what ends a life
_FOREVER = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Lives:
    """Columns, an entry for each time that a subscription was active."""

    subscription: NDArray[np.integer]  # its place in People
    start: Ints  # Millis
    end: Ints  # _FOREVER while it goes on
    kind: NDArray[np.int8]  # an index into KINDS; -1 while it goes on
    is_first: Bools  # it begins with the registration, not with a return

    def choose(self, which: Bools) -> "Lives":
        return Lives(
            self.subscription[which], self.start[which], self.end[which], self.kind[which],
            self.is_first[which],
        )  # fmt: skip

    def add(self, others: "Lives") -> "Lives":
        """Return these and *others*, in no order."""
        return Lives(
            np.concatenate([self.subscription.astype(np.int32), others.subscription]),
            np.concatenate([self.start, others.start]),
            np.concatenate([self.end, others.end]),
            np.concatenate([self.kind, others.kind]),
            np.concatenate([self.is_first, others.is_first]),
        )

    def count_active(self, at: Millis) -> Bools:
        """Return which of them go on at *at*; what happens then comes after it."""
        found: Bools = (self.start < at) & (self.end >= at)
        return found


def load(store: Store, people: People) -> Lives:
    """Return all lives; *people* has subscribed_at and state."""
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
    stayed = _stay(np.flatnonzero(joined & stepless), people.subscribed_at)
    changed = np.flatnonzero(joined & ~stepless)
    return _pair(changed, people.subscribed_at, who[turns], at[turns], kind[turns]).add(stayed)


def _stay(joined: Ints, since: Ints) -> Lives:
    """Return lives without an end."""
    count = len(joined)
    end, kind = np.full(count, _FOREVER), np.full(count, -1, np.int8)
    return Lives(joined.astype(np.int32), since[joined], end, kind, np.ones(count, np.bool_))


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


def load_all(store: Store, columns: tuple[str, ...]) -> tuple[People, Lives]:
    """Return people with *columns* and what lives need, and the lives."""
    people = load_people(
        store, ("subscribed_at", "active", "verified", "site", "person", *columns)
    )
    return people, load(store, people)
