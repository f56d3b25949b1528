"""Browsers whose messages of the last month are ignored: what ``penalties.py`` keeps."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pushctl.jobs.figures.columns.messages import (
    QUARTER,
    STATUSES,
    Messages,
    load_messages,
    load_people,
)
from pushctl.jobs.figures.filters import Filter
from pushctl.model import DeliveryStatus
from pushctl.rules import units
from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.tables.leaving import MANY, PENALTIES, UNSHOWN
from pushctl.store import Store

Bools = NDArray[np.bool_]

_ACCEPTED = STATUSES.index(DeliveryStatus.ACCEPTED)
_MONTH = 30 * units.DAY // QUARTER
_DAY = units.DAY // QUARTER
_COLUMNS = ("delivery", "subscription", "status", "sent", "shown", "clicked", "unreported")


def count(store: Store, asked: Filter, recent: Sequence[int]) -> list[Row]:
    """Return what ``penalties.load`` does, by the messages of the campaigns *recent*."""
    people = load_people(store, ["browser", "active", "site"])
    messages = load_messages(store, recent, _COLUMNS, people.folding)
    now = asked.now // QUARTER
    kept = (messages.status == _ACCEPTED) & (messages.sent >= now - _MONTH)
    kept &= people.active[messages.subscription] & ~messages.unreported
    if asked.site is not None:
        words = people.words["site"]
        place = words.index(asked.site) if asked.site in words else -1
        kept &= people.site[messages.subscription] == place
    size = len(people.active)
    counts = np.bincount(messages.subscription[kept], minlength=size)
    marks = {
        "Chrome": (counts >= MANY) & ~_find_reacting(store, messages, kept, size),
        "Safari": _find_unshown(messages, kept & (messages.sent <= now - _DAY), size),
    }
    rows: list[Row] = []
    for browser, mark in marks.items():
        words = people.words["browser"]
        mine = people.browser == (words.index(browser) if browser in words else len(words))
        mine = mine & (counts > 0)
        if mine.any():
            row: Row = {
                "browser": browser,
                "browsers": int(np.count_nonzero(mine)),
                "messages": int(counts[mine].sum()),
                "ignored": int(np.count_nonzero(mine & mark)),
            }
            rows.append(PENALTIES.fill(row))
    return rows


def _find_reacting(store: Store, messages: Messages, kept: Bools, size: int) -> Bools:
    """Return which subscriptions clicked on one of *kept*, or closed it by hand."""
    if not kept.any():
        return np.zeros(size, np.bool_)
    closed = np.fromiter(store.losses.list_closed(int(messages.delivery[kept].min())), np.int64)
    reacted = messages.clicked[kept] | np.isin(messages.delivery[kept], closed)
    found: Bools = np.bincount(messages.subscription[kept], reacted, size) > 0
    return found


def _find_unshown(messages: Messages, kept: Bools, size: int) -> Bools:
    """Return which subscriptions showed none of the last three of *kept*."""
    places = np.flatnonzero(kept)
    whose = messages.subscription[places]
    order = np.lexsort((messages.delivery[places], messages.sent[places], whose))
    whose, shown = whose[order], messages.shown[places[order]]
    ends = np.searchsorted(whose, np.arange(size), side="right")
    many = np.flatnonzero(np.bincount(whose, minlength=size) >= UNSHOWN)
    found = np.zeros(size, np.bool_)
    found[many] = True
    for back in range(1, UNSHOWN + 1):
        found[many] &= ~shown[ends[many] - back]
    return found
