"""
People as columns of numbers (numpy), from pages that are kept: an entry a subscription.

Who is one person with whom is kept, too (``pages.load_persons``).
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from pushctl.jobs.figures.columns import pages
from pushctl.jobs.figures.columns.page_cache import Columns
from pushctl.jobs.figures.columns.row_places import Folding, load_folding
from pushctl.store import Store

STATES = ("active", "unsubscribed", "gone", "quarantined")

Bools = NDArray[np.bool_]
Words = list[str | None]


class People:
    """
    Columns indexed by the place of a subscription (``folding``); 0 is who was erased.

    Where no subscription has the place, words are unknown and ``active`` is false. Those
    that were not asked for are no attributes.
    """

    person: NDArray[np.int32]  # the place of the person's first subscription on a site
    # This and the next: indexes into words[name], in as few bytes as those need.
    site: NDArray[np.unsignedinteger]
    country: NDArray[np.unsignedinteger]
    city: NDArray[np.unsignedinteger]
    browser: NDArray[np.unsignedinteger]
    os: NDArray[np.unsignedinteger]
    device: NDArray[np.unsignedinteger]
    language: NDArray[np.unsignedinteger]  # as their browser has it
    source: NDArray[np.unsignedinteger]
    landing: NDArray[np.unsignedinteger]
    timezone: NDArray[np.unsignedinteger]
    subscribed_at: NDArray[np.int64]  # milliseconds; 0: unknown
    state: NDArray[np.uint8]  # an index into STATES; 255: unknown
    active: Bools
    verified: Bools  # a message was shown there

    def __init__(self, folding: Folding) -> None:
        self.folding = folding
        self.words: dict[str, Words] = {}


def load_people(
    store: Store, columns: Collection[str], folding: Folding | None = None
) -> People:
    """
    Return *columns* of all subscriptions; KeyError for one that People has not.

    *folding*: that of others who were loaded before, to be indexed alike.
    """
    made = People(folding or load_folding(store))
    if "person" in columns:
        made.person = _load_persons(store, made.folding)
    read = ["state" if name == "active" else name for name in columns if name != "person"]
    names = list(dict.fromkeys(read))
    if not names:
        return made
    for name, (values, words) in pages.load_people(store, names, made.folding).items():
        if name == "state":
            order = [255 if word is None else STATES.index(word) for word in words]
            made.state = np.array(order, np.uint8)[values]
            made.active = made.state == STATES.index("active")
        elif name == "verified":
            made.verified = values > 0
        elif name == "subscribed_at":
            made.subscribed_at = values.astype(np.int64, copy=False)
        else:
            setattr(made, name, values)
            made.words[name] = words
    return made


def _load_persons(store: Store, folding: Folding) -> NDArray[np.int32]:
    """
    Return the person of each subscription: a signed alias, else one address's hash.

    As ``store.enrolments.list_devices``: who has a hash alone is the person of the alias with
    that hash, on the same site.
    """
    others = pages.load_persons(store, lambda: _group_persons(store))
    person = np.arange(folding.size, dtype=np.int32)
    # Of who came since both are 0.
    person[folding.fold(others["subscription"])] = folding.fold(others["person"])
    person[0] = 0
    return person


def _group_persons(store: Store) -> Columns:
    """Return the subscriptions that are not their person's first, and the first."""
    rows = list(store.message_rows.read_persons())
    aliases: dict[tuple[int, bytes], str] = {}
    for _, site, alias, hashed in rows:
        if alias is not None and hashed is not None:
            aliases[site, hashed] = min(alias, aliases.get((site, hashed), alias))
    firsts: dict[tuple[int, str | bytes], int] = {}
    others: list[tuple[int, int]] = []
    for row, site, alias, hashed in sorted(rows):
        key = alias if alias is not None else hashed
        if alias is None and hashed is not None:
            key = aliases.get((site, hashed), hashed)
        if key is not None and (first := firsts.setdefault((site, key), row)) != row:
            others.append((row, first))
    found = np.array(others, np.int64).reshape(-1, 2)
    return {"subscription": found[:, 0], "person": found[:, 1]}
