"""
When people were subscribers, and which message was the last one before each moment.

Times are quarters of an hour since 1970 (QUARTER), as ``Messages.sent``. A person is at risk
of leaving while one of their subscriptions is active.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from pushctl.jobs.figures.columns import pages
from pushctl.jobs.figures.columns.messages import QUARTER, Messages, People
from pushctl.model import Millis
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
    losses: dict[str, list[tuple[int, int]]] = {"unsubscribed": [], "gone": []}
    parts: list[tuple[int, int, int]] = []
    for row, changes in groupby(_list_changes(store, people), key=itemgetter(0)):
        if not row:  # came since
            continue
        if people.site[row] == 0 if site is None else people.site[row] != site:
            continue
        always[row] = False
        begin: int | None = int(subscribed[row])
        for place, (_, kind, at) in enumerate(changes):
            time = at // QUARTER
            if kind == "revived":
                # Who came here inactive was nobody's subscriber before.
                begin = time if begin is None or place == 0 else begin
            elif begin is not None:
                parts.append((row, begin, time + 1))
                begin = None
                if first <= time < last and kind in losses:
                    losses[kind].append((row, time))
        if begin is not None:
            parts.append((row, begin, last))
    rows = np.flatnonzero(always)
    made = np.array(parts, np.int64).reshape(-1, 3)
    who = np.concatenate([rows, made[:, 0]])
    starts = np.maximum(np.concatenate([subscribed[rows], made[:, 1]]), first)
    ends = np.minimum(np.concatenate([np.full(len(rows), last), made[:, 2]]), last)
    kept = starts < ends
    persons = people.person[who[kept]].astype(np.int64) * _SPAN
    joined = _join(persons + starts[kept], persons + ends[kept])
    return Life(
        *joined,
        np.concatenate([np.zeros(1, np.int64), np.cumsum(joined[1] - joined[0])]),
        _make_keys(people.person, losses["unsubscribed"]),
        _make_keys(np.arange(len(people.person)), losses["gone"]),
        len(np.unique(joined[0] // _SPAN)),
    )


def _list_changes(store: Store, people: People) -> Iterator[tuple[int, str | None, Millis]]:
    """Yield (place of the subscription, revived or what ended it, when) of all, in order."""
    found, words = pages.load_changes(store)
    kinds = (words[code] for code in found["kind"].tolist())
    rows = people.folding.fold(found["subscription"]).tolist()
    yield from zip(rows, kinds, found["at"].tolist(), strict=True)


def _make_keys(person: NDArray[np.integer], losses: list[tuple[int, int]]) -> Whole:
    found = np.array(losses, np.int64).reshape(-1, 2)
    return person[found[:, 0]].astype(np.int64) * _SPAN + found[:, 1]


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
