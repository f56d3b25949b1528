"""
Messages and people as columns of numbers (numpy): what figures are counted from.

``load_messages`` gives one entry a delivery, ``load_people`` one a subscription, indexed by
its place: ``people.country[messages.subscription]`` is the country of each message's
receiver. Words are codes: ``people.words["country"][code]``.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pushctl.jobs.figures.columns import message_cache
from pushctl.jobs.figures.columns.message_cache import STATUSES as STATUSES
from pushctl.jobs.figures.columns.people import People as People
from pushctl.jobs.figures.columns.people import load_people as load_people
from pushctl.jobs.figures.columns.row_places import Folding, load_folding
from pushctl.rules.figures.statistics.intervals import Interval, bound_by_people
from pushctl.store import Store

_BATCH = 400_000  # messages that are read at a time, where all would take too much memory
QUARTER = 900_000  # milliseconds: what Messages.sent counts in

COLUMNS = (
    "campaign", "delivery", "subscription", "status", "sent", "shown", "clicked", "unreported",
    "bought", "clicks", "language", "variant", "reason", "chance",
)  # fmt: skip

Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]
Real = NDArray[np.float64]
Words = list[str | None]


class Messages:
    """
    Columns of equal length, one entry a delivery, in the order of their numbers.

    Those that were not asked for are no attributes.
    """

    campaign: NDArray[np.integer]  # campaigns.id
    delivery: NDArray[np.int64]
    subscription: NDArray[np.int32]  # the place in People; 0: erased, or came since
    status: NDArray[np.uint8]  # an index into STATUSES
    sent: NDArray[np.int32]  # sent_at // QUARTER; -1: not known, or never
    shown: Bools
    clicked: Bools
    unreported: Bools  # accepted, in another service's form, and nothing was reported
    bought: Bools  # the browser thanked in its place
    clicks: NDArray[np.uint16]
    language: NDArray[np.uint16]  # an index into languages; of the text that was sent
    variant: NDArray[np.uint16]
    reason: NDArray[np.uint16]
    chance: NDArray[np.uint16]  # of its hour, where that was drawn (and clicks are known)
    languages: Words
    variants: Words
    reasons: Words
    chances: Words  # numbers as text

    def __len__(self) -> int:
        return len(self.campaign)

    def choose(self, rows: Ints) -> "Messages":
        """Return the messages at the places *rows*, in that order."""
        made = Messages()
        for name, column in vars(self).items():
            setattr(made, name, column[rows] if isinstance(column, np.ndarray) else column)
        return made


# What is kept, by the columns that are made of it; a name alone where it is the same.
_SOURCES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(message_cache.FLAGS, ("flags",)),
    "clicks": ("click_row", "status"),
    "campaign": ("status",),
}
_TYPES: dict[str, type[np.generic]] = {
    "delivery": np.int64,
    "status": np.uint8,
    "sent": np.int32,
    "clicks": np.uint16,
}
_WORDED = ("language", "variant", "reason", "chance")


def load_messages(
    store: Store,
    campaigns: Collection[int] | None = None,
    columns: Collection[str] | None = None,
    folding: Folding | None = None,
) -> Messages:
    """
    Return the messages of *campaigns*; else of all of push but tests.

    *columns* are some of COLUMNS, else all; ``campaign`` is always there. *folding*: that of
    the people that ``subscription`` is to index, for some may come while one loads. What is
    not kept takes some seconds a million: a command may first call
    ``campaign_counts.load_counts``, which keeps it, and tells how far it is.
    """
    chosen = None if campaigns is None else sorted(campaigns)
    numbers = store.message_rows.list_campaigns(chosen)
    asked = _list_asked(columns)
    parts = [part for _, part in message_cache.load(store, numbers, _list_sources(asked))]
    return _assemble(store, numbers, parts, asked, folding)


def load_slices(
    store: Store, campaigns: Sequence[int], columns: Collection[str], folding: Folding
) -> Iterator[Messages]:
    """
    Yield the same, in slices: a campaign to millions would take as much memory at once.

    *campaigns* as ``cut`` has them: several are one slice, of one alone there may be many.
    """
    numbers = store.message_rows.list_campaigns(sorted(campaigns))
    asked = _list_asked(columns)
    parts = [part for _, part in message_cache.load(store, numbers, _list_sources(asked))]
    if len(parts) != 1:
        yield _assemble(store, numbers, parts, asked, folding)
        return
    (part,) = parts
    for start in range(0, len(part["status"]) or 1, _BATCH):
        some = message_cache.choose(part, start, start + _BATCH)
        yield _assemble(store, numbers, [some], asked, folding)


def _list_asked(columns: Collection[str] | None) -> list[str]:
    return [name for name in COLUMNS if columns is None or name in columns]


def _list_sources(asked: Sequence[str]) -> list[str]:
    """Return what is kept of which the columns *asked* are made."""
    needed = dict.fromkeys(
        source for name in ("campaign", *asked) for source in _SOURCES.get(name, (name,))
    )
    return list(needed)


def _assemble(
    store: Store, numbers: Sequence[int], parts: Sequence[message_cache.Part],
    asked: Sequence[str], folding: Folding | None,
) -> Messages:  # fmt: skip
    """Return the messages of the campaigns *numbers*, of each of which a part stands there."""
    made = Messages()
    counts = [len(part["status"]) for part in parts]
    small = max(numbers, default=0) < 1 << 31  # as a rule: they are millions
    made.campaign = np.repeat(np.array(numbers, np.int32 if small else np.int64), counts)
    if "subscription" in asked:
        folding = folding or load_folding(store)
        made.subscription = _join_receivers(parts, sum(counts), folding)
    for name in asked:
        if name in _WORDED:
            words, codes = _merge([part.pop(name) for part in parts])
            setattr(made, name, codes)
            setattr(made, f"{name}s", words)
        elif name not in ("campaign", "subscription"):
            setattr(made, name, _join(name, parts, sum(counts)))
    return made


def cut(sizes: Mapping[int, int]) -> Iterator[list[int]]:
    """Yield campaigns, oldest first, of about as many messages as are read at a time."""
    numbers: list[int] = []
    left = _BATCH
    for number, size in sorted(sizes.items()):
        if numbers and size > left:
            yield numbers
            numbers, left = [], _BATCH
        numbers.append(number)
        left -= size
    if numbers:
        yield numbers


def join(parts: Sequence[Messages]) -> Messages:
    """Return the messages of all *parts*, which have the same columns, one behind the other."""
    made = Messages()
    for name, column in vars(parts[0]).items():
        if name in _WORDED:
            coded = [
                message_cache.Column(getattr(it, name), getattr(it, f"{name}s")) for it in parts
            ]
            words, codes = _merge(coded)
            setattr(made, name, codes)
            setattr(made, f"{name}s", words)
        elif isinstance(column, np.ndarray):
            setattr(made, name, np.concatenate([getattr(it, name) for it in parts]))
    return made


def _join(name: str, parts: Sequence[message_cache.Part], size: int) -> Ints | Bools:
    """Return a column of all *parts*; what no other column is made of is taken from them."""
    made: Ints | Bools = np.empty(size, _TYPES.get(name, np.bool_))
    start = 0
    for part in parts:
        count = len(part["status"])
        found = made[start : start + count]
        if name in message_cache.FLAGS:
            np.not_equal(part["flags"].values & message_cache.FLAGS[name], 0, out=found)
        elif name == "clicks":
            found[:] = np.bincount(part["click_row"].values, minlength=count)
        else:
            column = part[name] if name == "status" else part.pop(name)
            found[:] = column.values
        start += count
    return made


def _join_receivers(
    parts: Sequence[message_cache.Part], size: int, folding: Folding
) -> NDArray[np.int32]:
    made, start = np.empty(size, np.int32), 0
    for part in parts:
        whose = part.pop("subscription").values
        made[start : start + len(whose)] = folding.fold(whose)
        start += len(whose)
    return made


def _merge(parts: Sequence[message_cache.Column]) -> tuple[Words, NDArray[np.uint16]]:
    """Return one list of words, and the codes of all parts by it."""
    known: dict[str | None, int] = {}
    merged = [np.empty(0, np.uint16)]
    for part in parts:
        renamed = [known.setdefault(word, len(known)) for word in part.words or ()]
        merged.append(np.array(renamed, np.uint16)[part.values])
    return list(known), np.concatenate(merged)


def measure_rate(events: Ints | Bools, tries: Ints | Bools, person: Ints) -> Interval:
    """
    Return all *events* over all *tries* (an entry a message), by *person* (an entry each).

    Wilson's interval where each person has one try at most; else that of
    ``intervals.measure_by_person``. Person 0 (erased) stands for a different one each. What
    happened without a try is left out.
    """
    asked = np.asarray(tries, np.float64)
    happened = np.asarray(events, np.float64)
    kept = asked > 0
    known = kept & (person > 0)
    unknown = kept & (person <= 0)
    size = int(person[known].max()) + 1 if known.any() else 0
    sums = (np.bincount(person[known], each[known], size) for each in (asked, happened))
    sent, came = (each.astype(np.float64) for each in sums)
    return _bound(sent, came, happened[unknown], asked[unknown])


def measure_people(sent: Ints, happened: Ints) -> Interval:
    """Return the same of known people: how many tries each had, and how often it happened."""
    total, hits, count = int(sent.sum()), int(happened.sum()), np.count_nonzero(sent)
    if total == count or hits in (0, total):  # Wilson's: nobody's own numbers are needed
        return bound_by_people(hits, total, int(count), 0.0)
    # Only of those who had a try: of ten million people each column takes 80 MB.
    known = sent > 0
    tries, none = sent[known].astype(np.float64), np.empty(0)
    return _bound(tries, happened[known].astype(np.float64), none, none)


def _bound(sent: Real, happened: Real, alone: Real, tries: Real) -> Interval:
    """Return the interval of sums by person; the last two are of who was erased."""
    total = float(sent.sum() + tries.sum())
    hits = float(happened.sum() + alone.sum())
    if total <= 0:
        return Interval(None, 0.0, 1.0)
    rate = hits / total
    off = happened - rate * sent
    off = off[sent > 0]  # so that the sum does not depend on who else there is
    others = alone - rate * tries
    squares = float(off @ off + others @ others)
    return bound_by_people(hits, total, len(off) + len(others), squares)
