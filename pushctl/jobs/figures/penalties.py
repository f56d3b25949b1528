"""
Browsers that take the permission away from sites that annoy: how many are near to that.

Chrome revokes it where notifications are many and nobody reacts (its bounds are not public);
Safari ends a subscription after three pushes for which nothing was shown.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.messages import (
    QUARTER,
    STATUSES,
    Messages,
    load_messages,
    load_people,
)
from pushctl.model import DeliveryStatus, Millis
from pushctl.rules import units
from pushctl.rules.figures.figure import Row, read_count
from pushctl.rules.figures.leaving import PENALTIES
from pushctl.rules.wording import counted
from pushctl.store import Store

Bools = NDArray[np.bool_]

_ACCEPTED = STATUSES.index(DeliveryStatus.ACCEPTED)
_MONTH = 30 * units.DAY // QUARTER
_DAY = units.DAY // QUARTER
MANY = 4  # messages in 30 days: one a week
UNSHOWN = 3
_WARN = {"Chrome": 0.5, "Safari": 0.05}
# A campaign that began earlier has hardly a message of the last 30 days.
_LONGEST: Millis = 60 * units.DAY
_COLUMNS = ("delivery", "subscription", "status", "sent", "shown", "clicked", "unreported")


def load(store: Store, asked: Filter) -> list[Row]:
    """Return the rows of ``PENALTIES``: of Chrome and Safari, those that have browsers."""
    recent = [
        one.id
        for one in store.campaigns.list_described()
        if one.trigger is not None or one.at > asked.now - _LONGEST
    ]
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


def warn(rows: Sequence[Row]) -> list[str]:
    """Return what to say where many are near to losing the permission."""
    said = []
    for row in rows:
        browser, share = str(row["browser"]), row["ignored_share"]
        if not isinstance(share, float) or share < _WARN[browser]:
            continue
        which = counted(read_count(row, "ignored"), "browser")
        of = f"{which} of {read_count(row, 'browsers'):,} ({share * 100:.0f} %)"
        said.append(_WORDS[browser].format(of=of))
    return said


_WORDS = {
    "Chrome": "Chrome: {of} got 4 messages or more in 30 days and reacted to none. Chrome "
    "takes the permission from sites whose many notifications are ignored. Write to them "
    "less: [frequency], [sunset].",
    "Safari": "Safari: {of} have shown none of their last 3 messages. Safari ends a "
    "subscription after 3 pushes without a notification. See that sw/ is up to date: "
    "pushctl check.",
}
