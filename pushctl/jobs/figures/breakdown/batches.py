"""
Groups of all messages, a few campaigns at a time: millions need little memory.

Counts, orders and money add up. Of a person who has messages of several campaigns sums are
kept until all have been read.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pushctl.config import Config
from pushctl.jobs.figures.breakdown import group_counts, group_revenue, person_rates
from pushctl.jobs.figures.breakdown.dimensions import OF_CALENDAR, OF_CAMPAIGN, OF_PERSON
from pushctl.jobs.figures.breakdown.group_codes import Codes
from pushctl.jobs.figures.breakdown.group_counts import Counted, Loaded, Loader
from pushctl.jobs.figures.breakdown.group_revenue import Credits, Worth
from pushctl.jobs.figures.breakdown.person_rates import BySubscription, Ints, Sums
from pushctl.jobs.figures.breakdown.result import Added
from pushctl.jobs.figures.columns import campaign_counts
from pushctl.jobs.figures.columns.campaign_counts import Progress, no_progress
from pushctl.jobs.figures.columns.messages import People, cut
from pushctl.jobs.figures.filters import Filter
from pushctl.rules.figures.figure import Row
from pushctl.store import Store
from pushctl.store.campaigns import Described
from pushctl.store.orders import Credited

Marks = NDArray[np.uint8]


def add_up(
    store: Store, config: Config, asked: Filter, by: str, campaigns: Sequence[Described],
    brought: Sequence[Credited], progress: Progress = no_progress,
) -> Added:  # fmt: skip
    """As ``kept_breakdowns.load``; *brought*: what *campaigns* have brought about."""
    counts = campaign_counts.load_counts(store, [one.id for one in campaigns], progress)
    sizes = {number: one["planned"] for number, one in counts.items()}
    loader = Loader(store, config, asked, [by], campaigns)
    # Of a campaign as a whole the order's own message need not be found.
    whole = by in OF_CAMPAIGN and (asked.site, asked.since, asked.until) == (None,) * 3
    credits = group_revenue.make_credits(brought)
    groups = _Groups(by, loader.people, sizes)
    for numbers in cut(sizes):
        # Both stand by campaign.
        first, last = np.searchsorted(credits.campaign, [numbers[0], numbers[-1] + 1])
        given = credits.choose(slice(first, last))
        slices = loader.load_slices(numbers, with_numbers=len(given) > 0 and not whole)
        for place, loaded in enumerate(slices):
            grouping = loader.grouper.group(by, loaded.messages)
            if not whole:
                placed = group_revenue.place(given, loaded)
            else:  # with the first slice
                own = given if not place else given.choose(slice(0))
                firsts = np.searchsorted(loaded.messages.campaign, own.campaign)
                placed = group_revenue.Placed(own, firsts)
            groups.add(loaded, grouping.codes, grouping.words, placed, goes_on=place > 0)
        groups.end_campaigns()
    return groups.describe()


class _Persons(Protocol):
    """Sums of persons by group, as messages come."""

    def add(self, codes: Codes, person: Ints, marks: Marks) -> None: ...
    def end_campaigns(self) -> None: ...
    def sum_up(self, size: int) -> Sums: ...


class _Packed:
    """A number a message: a person's messages of all campaigns are summed at once."""

    def __init__(self, width: int, messages: int) -> None:
        self._width, self._packed, self._count = width, np.empty(messages, np.int64), 0

    def add(self, codes: Codes, person: Ints, marks: Marks) -> None:
        packed = person_rates.pack(codes, person, marks, self._width)
        end = self._count + len(packed)
        if end > len(self._packed):  # more have come since the campaigns were counted
            self._packed = np.concatenate([self._packed[: self._count], packed])
        self._packed[self._count : end] = packed
        self._count = end

    def end_campaigns(self) -> None:
        pass

    def sum_up(self, size: int) -> Sums:
        return person_rates.sum_packed(self._packed[: self._count], self._width, size)


class _InCampaign(_Packed):
    """Each group's messages come before ``end_campaigns``: none is kept any longer."""

    def __init__(self, width: int, messages: int) -> None:
        super().__init__(width, messages)
        self._found, self._size = person_rates.make_sums(0), 0

    def add(self, codes: Codes, person: Ints, marks: Marks) -> None:
        super().add(codes, person, marks)
        self._size = max(self._size, int(codes.max(initial=-1)) + 1)

    def end_campaigns(self) -> None:
        self._found = _widen(self._found, self._size)
        self._found += super().sum_up(self._found.shape[1])
        self._count = 0

    def sum_up(self, size: int) -> Sums:
        return _widen(self._found, size)


def _join_slices(
    one: tuple[Codes, Counted], other: tuple[Codes, Counted], size: int
) -> tuple[Codes, Counted]:
    """Return the counts of two slices of a campaign, which is one to each group of both."""
    added = group_counts.add_counted([one, other], size)
    campaigns = np.zeros(size, np.int64)
    for places, counted in (one, other):
        campaigns[places] = np.maximum(campaigns[places], counted.campaigns)
    return np.arange(size), added._replace(campaigns=campaigns)


def _widen(sums: Sums, size: int) -> Sums:
    lacking = size - sums.shape[1]
    return np.pad(sums, ((0, 0), (0, lacking), (0, 0))) if lacking > 0 else sums


class _Groups:
    """What has been added so far: by each word, and of all messages."""

    def __init__(self, by: str, people: People, sizes: Mapping[int, int]) -> None:
        self._by, self._people = by, people
        self._words: dict[str | None, int] = {}
        self._parts: list[tuple[Codes, Counted]] = []
        self._groups: list[Codes] = []  # of each credit
        self._credits: list[Credits] = []
        self._each = BySubscription(len(people.person))
        self._persons: _Persons | None = None
        if by == "campaign":
            at_once = max(
                map(sum, (map(sizes.__getitem__, some) for some in cut(sizes))), default=0
            )
            self._persons = _InCampaign(len(people.person), at_once)
        elif by not in OF_PERSON:
            self._persons = _Packed(len(people.person), sum(sizes.values()))
        self._campaigns: set[int] = set()
        self._untimed = 0

    def add(
        self,
        loaded: Loaded,
        codes: Codes,
        words: Sequence[str | None],
        placed: group_revenue.Placed,
        *,
        goes_on: bool,
    ) -> None:
        """Add a slice of messages; *goes_on*: it is of the campaign of the one before."""
        self._untimed += loaded.untimed
        renamed = np.array(
            [self._words.setdefault(word, len(self._words)) for word in words], np.int64
        )
        if len(placed.credits):
            self._groups.append(renamed[codes[placed.places]])
            self._credits.append(placed.credits)
        kept = slice(None) if loaded.kept.all() else loaded.kept
        codes, marks = codes[kept], group_counts.mark(loaded.messages)[kept]
        whose = loaded.messages.subscription[kept]
        part = renamed, group_counts.tally(loaded, codes, marks, len(words))
        if goes_on:
            part = _join_slices(self._parts.pop(), part, len(self._words))
        self._parts.append(part)
        campaign = loaded.messages.campaign[kept]  # each one's messages stand together
        firsts = np.flatnonzero(np.diff(campaign, prepend=-1))
        self._campaigns.update(campaign[firsts].tolist())
        self._each.add(whose, marks)
        if self._persons is not None:
            self._persons.add(renamed[codes], self._people.person[whose], marks)

    def end_campaigns(self) -> None:
        """Note that no more messages of the campaigns so far will come."""
        if self._persons is not None:
            self._persons.end_campaigns()

    def describe(self) -> Added:
        order = self._order_words()
        size = len(self._words)
        if not size:
            return Added([], None, self._untimed)
        found = group_counts.add_counted(self._parts, size)
        if self._persons is None:
            column, names = getattr(self._people, self._by), self._people.words[self._by]
            small = np.min_scalar_type(size)
            codes = np.array([self._words[name] for name in names], small)[column]
            sums = self._each.sum_up(codes, self._people.person, size)
        else:
            sums = self._persons.sum_up(size)
        rows = group_counts.describe(
            [word for word, _ in order],
            Counted(*(column[[code for _, code in order]] for column in found)),
            sums[:, [code for _, code in order]],
        )
        together = np.broadcast_to(np.uint8(0), len(self._people.person))
        everything = self._each.sum_up(together, self._people.person, 1)
        counts = Counted(
            found.marks.sum(axis=0, keepdims=True),
            found.clicks.sum(keepdims=True),
            np.array([len(self._campaigns)]),  # groups share them
        )
        total = group_counts.describe(["Total"], counts, everything)
        each, all_worth = self._sum_worth(size)
        return Added(
            [
                group_revenue.describe_worth(row, each[self._words[_read_word(row)]])
                for row in rows
            ],
            group_revenue.describe_worth(total[0], all_worth) if total else None,
            self._untimed,
        )

    def _sum_worth(self, size: int) -> tuple[list[Worth], Worth]:
        """Return what each word's messages have brought, and all of them."""
        if not self._credits:
            return [Worth()] * size, Worth()
        credits, groups = group_revenue.join(self._credits), np.concatenate(self._groups)
        (together,) = group_revenue.sum_groups(credits, np.zeros_like(groups), 1)
        return group_revenue.sum_groups(credits, groups, size), together

    def _order_words(self) -> list[tuple[str | None, int]]:
        """Return words and codes in their order: that of days is that of time."""
        if self._by in OF_CALENDAR:
            return sorted(self._words.items(), key=lambda one: (one[0] is None, one[0] or ""))
        return list(self._words.items())


def _read_word(row: Row) -> str | None:
    word = row["value"]
    return None if word is None else str(word)
