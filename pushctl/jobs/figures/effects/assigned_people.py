"""
Persons as figures of effects count them, and the lots by which they were drawn.

The lots are those of sending (rules/lots.py by jobs/subscribers/person_lots.py), for everybody,
those among them who never got a message.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pushctl.jobs.figures.columns import pages
from pushctl.jobs.figures.columns.messages import load_people
from pushctl.jobs.figures.columns.page_cache import Columns
from pushctl.jobs.figures.columns.row_places import Folding
from pushctl.model import Millis
from pushctl.store import Store

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]

STILL_HERE = np.iinfo(np.int64).max  # when who is active has left


@dataclass(frozen=True, slots=True)
class Persons:
    """
    All persons, numbered from 0.

    *of* has the person of each subscription by its place (*folding*), -1 where there is none.
    The others are by person: *first* has the place of their first subscription, whose public
    id is the word of their lots, then their *site*, when they *joined*, and when the last of
    their subscriptions *left*. *load_lots* gives the lots of all subscriptions for a group
    (``pages.load_lots``).
    """

    folding: Folding
    of: Numbers
    first: Numbers
    site: Numbers
    joined: Numbers
    left: Numbers
    load_lots: Callable[[str], Columns]

    def __len__(self) -> int:
        return len(self.first)

    def find(self, subscriptions: Numbers) -> Numbers:
        """Return the person of each of *subscriptions*, -1 for who is not known (any more)."""
        found: Numbers = self.of[self.folding.fold(subscriptions)]
        return found


def load_persons(store: Store) -> Persons:
    """
    Load everybody who is known, whatever their state.

    A person is a signed alias, else one address, else a subscription alone, as for triggers
    and broadcasts (``store.enrolments.list_devices``).
    """
    rows = pages.load_subscriptions(store)
    load_lots = partial(pages.load_lots, store)
    people = load_people(store, ("person",))
    folding, size = people.folding, people.folding.size
    ids = folding.fold(rows["id"])
    if not ids.all():  # somebody came since
        rows = {name: column[ids > 0] for name, column in rows.items()}
        ids = ids[ids > 0]
    if not len(ids):
        none = np.empty(0, np.int64)
        return Persons(folding, np.full(size, -1), none, none, none, none, load_lots)
    first = people.person[ids].astype(np.int64)
    # Persons in order of their first subscriptions: a person's number is that one's rank.
    is_first = np.zeros(size, np.bool_)
    is_first[first] = True
    heads = np.flatnonzero(is_first)
    of_row = (np.cumsum(is_first) - 1)[first]
    places = np.searchsorted(ids, heads)
    of = np.full(size, -1, np.int64)
    of[ids] = of_row
    joined = np.full(len(heads), STILL_HERE, np.int64)
    np.minimum.at(joined, of_row, rows["joined"])
    left = np.zeros(len(heads), np.int64)
    gone = np.where(rows["left"] < 0, STILL_HERE, rows["left"])
    np.maximum.at(left, of_row, gone)
    return Persons(folding, of, heads, rows["site"][places], joined, left, load_lots)


def keep_present(persons: Persons, since: Millis, until: Millis, site: int | None) -> Flags:
    """
    Return who was drawn in a period: here when it began, or joined before its end.

    Who had left before is not among them. What becomes of people later plays no part: a dead
    browser is only found by a message, so the group that gets none seems to lose nobody.
    """
    kept = (persons.left >= since) & (persons.joined < until)
    return kept if site is None else kept & (persons.site == site)


def find_lots(persons: Persons, name: str, share: float, among: Numbers | None = None) -> Flags:
    """
    Return who is in the group *name* of all marketing: ``contact_policy.Holdout.has``, faster.

    *among* has the persons that are asked about, else all are; nobody else is in it.
    """
    lots = persons.load_lots(name)
    of = np.zeros(len(persons.of), np.int64)
    of[persons.folding.fold(lots["id"])] = lots["lot"]
    # Where a lot's share is no whole number of 2^56, floats decide as they did in the draw.
    found = of[persons.first] / (1 << 56) < share
    if among is None:
        return np.asarray(found)
    asked = np.zeros(len(persons), np.bool_)
    asked[among] = True
    return asked & found
