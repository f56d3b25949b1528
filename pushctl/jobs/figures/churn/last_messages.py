"""
When people were subscribers, and which message was the last one before each moment.

Times are quarters of an hour since 1970 (QUARTER), as ``Messages.sent``. A person is at risk
of leaving while one of their subscriptions is active.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pushctl.jobs.figures.columns import pages
from pushctl.jobs.figures.columns.messages import QUARTER, Messages, People
from pushctl.jobs.figures.columns.page_cache import Words
from pushctl.rules import units
from pushctl.store import Store

Whole = NDArray[np.int64]

DAY_QUARTERS = units.DAY // QUARTER
# More than the quarters until 2100: a person's times stand behind those of the one before.
_SPAN = 1 << 23


@dataclass(frozen=True, slots=True)
class Life:
    """
    Stretches in which people were subscribers, and how it ended.

    ``stretch_keys`` and ``ends`` are person x _SPAN + time, apart and in order; the quarter in
    which somebody leaves belongs to the stretch.
    """

    stretch_keys: Whole
    ends: Whole
    before: Whole  # the quarters of all stretches before each, and of all together
    left: Whole  # keys of unsubscriptions
    gone: Whole  # keys of what a push service said is gone: subscription x _SPAN + time
    people: int

    def measure(self, starts: Whole, ends: Whole) -> Whole:
        """Return for how many quarters from key to key that person was a subscriber."""
        return self._count_until(ends) - self._count_until(starts)

    def find_gone(self) -> Whole:
        """Return the places of the subscriptions of ``gone``."""
        return np.unique(self.gone // _SPAN)

    def _count_until(self, keys: Whole) -> Whole:
        if not len(self.stretch_keys):
            return np.zeros(len(keys), np.int64)
        place = np.searchsorted(self.stretch_keys, keys, side="right") - 1
        known = np.maximum(place, 0)
        inside = np.minimum(keys, self.ends[known]) - self.stretch_keys[known]
        found: Whole = np.where(place < 0, 0, self.before[known] + inside)
        return found


def load_life(store: Store, people: People, span: tuple[int, int], site: int | None) -> Life:
    """
    Return the lives of those at *site* (its place in words) in *span*: from quarter to quarter.

    *people* need person, subscribed_at, active and site.
    """
    first, last = span
    subscribed = people.subscribed_at // QUARTER
    always = (people.site > 0 if site is None else people.site == site) & people.active
    changed = _find_changed(store, people, site, subscribed, last)
    always[changed.who] = False
    rows = np.flatnonzero(always)
    who = np.concatenate([rows, changed.who])
    starts = np.maximum(np.concatenate([subscribed[rows], changed.begins]), first)
    ends = np.minimum(np.concatenate([np.full(len(rows), last), changed.ends]), last)
    kept = starts < ends
    persons = people.person[who[kept]].astype(np.int64) * _SPAN
    joined = _join(persons + starts[kept], persons + ends[kept])
    return Life(
        *joined,
        np.concatenate([np.zeros(1, np.int64), np.cumsum(joined[1] - joined[0])]),
        _make_keys(people.person, changed.find_losses("unsubscribed", span)),
        _make_keys(np.arange(len(people.person)), changed.find_losses("gone", span)),
        len(np.unique(joined[0] // _SPAN)),
    )


@dataclass(frozen=True, slots=True)
class _Changed:
    """Stretches of those who left or came back, in order: what *kinds* has ended each."""

    who: Whole
    begins: Whole
    ends: Whole  # the quarter behind the last one
    kinds: Whole  # indexes into words; -1: nothing has
    words: Words

    def find_losses(self, kind: str, span: tuple[int, int]) -> tuple[Whole, Whole]:
        """Return whose stretches *kind* has ended in *span*, and when."""
        code = self.words.index(kind) if kind in self.words else -2
        times = self.ends - 1
        mine = (self.kinds == code) & (times >= span[0]) & (times < span[1])
        return self.who[mine], times[mine]


def _find_changed(
    store: Store, people: People, site: int | None, subscribed: Whole, last: int
) -> _Changed:
    found, words = pages.load_changes(store)
    rows = people.folding.fold(found["subscription"])
    of_site = people.site[rows] > 0 if site is None else people.site[rows] == site
    own = np.flatnonzero(of_site & (rows > 0))  # 0: came since
    rows, kinds, times = rows[own], found["kind"][own], found["at"][own] // QUARTER
    back = kinds == (words.index("revived") if "revived" in words else -1)
    is_first = np.ones(len(rows), np.bool_)
    is_first[1:] = rows[1:] != rows[:-1]
    is_last = np.append(is_first[1:], True)[: len(rows)]
    was_back = np.zeros(len(rows), np.bool_)
    was_back[1:] = back[:-1] & ~is_first[1:]
    # Who came here inactive was nobody's subscriber before: they begin with the first change.
    begun = np.where(back & ~was_back, np.arange(len(rows)), 0)
    begun = np.maximum.accumulate(begun) if len(rows) else begun
    ended, going = ~back & (is_first | was_back), back & is_last
    begins = np.where(is_first & ~back, subscribed[rows], times[begun])
    chosen = ended | going
    return _Changed(
        rows[chosen],
        begins[chosen],
        np.where(going, last, times + 1)[chosen],
        np.where(going, -1, kinds)[chosen],
        words,
    )


def _make_keys(person: NDArray[np.integer], losses: tuple[Whole, Whole]) -> Whole:
    who, times = losses
    return person[who].astype(np.int64) * _SPAN + times


def _join(starts: Whole, ends: Whole) -> tuple[Whole, Whole]:
    """Return the union of stretches: those that overlap or touch become one."""
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], ends[order]
    if not len(starts):
        return starts, ends
    furthest = np.maximum.accumulate(ends)
    begins = np.concatenate([[True], starts[1:] > furthest[:-1]])
    last = np.append(np.flatnonzero(begins)[1:] - 1, len(starts) - 1)
    return starts[begins], furthest[last]


@dataclass(frozen=True, slots=True)
class Blamed:
    """
    What each message answers for, an entry a message; *chosen* are their places.

    Those of a person stand together, in order of time.
    """

    chosen: Whole
    person: Whole
    recent: Whole  # messages of the person in the 7 days up to it, it among them
    quarters: Whole
    left: Whole
    gone: Whole


def blame(messages: Messages, kept: NDArray[np.bool_], people: People, life: Life) -> Blamed:
    """
    Return what the messages answer for: of *kept*, until the next one, at most two days.

    Who was erased has no life any more: their messages answer for nothing.
    """
    from pushctl.rules.figures.tables.leaving import WINDOW_DAYS

    places = np.flatnonzero(kept & (messages.sent >= 0) & (messages.subscription > 0))
    person = people.person[messages.subscription[places]].astype(np.int64)
    keys = person * _SPAN + messages.sent[places]
    order = np.argsort(keys, kind="stable")
    keys, places, person = keys[order], places[order], person[order]
    window = WINDOW_DAYS * DAY_QUARTERS
    following = np.append(keys[1:], np.iinfo(np.int64).max)
    ends = np.minimum(keys + window, following)
    week_before = np.searchsorted(keys, keys - 7 * DAY_QUARTERS, side="right")
    first_own = np.searchsorted(keys, person * _SPAN)
    return Blamed(
        places,
        person,
        np.arange(len(keys)) + 1 - np.maximum(week_before, first_own),
        life.measure(keys, ends),
        _count_last(keys, life.left, window),
        _count_gone(messages, places, life.gone),
    )


def _count_last(keys: Whole, events: Whole, window: int) -> Whole:
    """Return how many *events* follow each of *keys* within *window*, none in between."""
    found = np.zeros(len(keys), np.int64)
    if len(keys) and len(events):
        place = np.searchsorted(keys, events, side="right") - 1
        sure = (place >= 0) & (events - keys[place] < window)
        np.add.at(found, place[sure], 1)
    return found


def _count_gone(messages: Messages, places: Whole, gone: Whole) -> Whole:
    """
    Return what is booked to each message: the browser's last one before it was found gone.

    However long before: it was left some time in between, and nobody knows when.
    """
    found = np.zeros(len(places), np.int64)
    rows = np.flatnonzero(np.isin(messages.subscription[places], np.unique(gone // _SPAN)))
    own = messages.subscription[places[rows]].astype(np.int64)
    keys = own * _SPAN + messages.sent[places[rows]]
    order = np.argsort(keys, kind="stable")
    # Half a span: no browser's message is so old, and the browser before lies further back.
    found[rows[order]] = _count_last(keys[order], gone, _SPAN // 2)
    return found
