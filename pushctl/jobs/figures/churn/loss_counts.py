"""
Losses and person-days of each kind of message, counted: what ``leaving.py`` keeps.

Of old messages only those are looked at that answer for something in the time asked for.
"""

import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pushctl.config import Config
from pushctl.jobs.figures.breakdown.group_codes import Codes, Grouper, Grouping
from pushctl.jobs.figures.churn.last_messages import (
    DAY_QUARTERS,
    Blamed,
    Life,
    blame,
    load_life,
)
from pushctl.jobs.figures.columns import campaign_counts
from pushctl.jobs.figures.columns.messages import (
    STATUSES,
    Messages,
    People,
    cut,
    join,
    load_messages,
    load_people,
)
from pushctl.jobs.figures.filters import Filter
from pushctl.model import DeliveryStatus
from pushctl.rules.figures.figure import Row, read_count
from pushctl.rules.figures.tables import leaving as rules
from pushctl.rules.messages.lint import asks
from pushctl.store import Store

_ACCEPTED = STATUSES.index(DeliveryStatus.ACCEPTED)
_COLUMNS = ("subscription", "status", "sent", "language", "variant")
_PEOPLE = ("person", "site", "subscribed_at", "active")
_OF_PEOPLE = ("country", "browser", "os", "device")
_WEEK = 7  # days, as "frequency" counts
_BATCH = 150_000  # messages at a time, or all of a person


class _World(NamedTuple):
    store: Store
    config: Config
    asked: Filter
    messages: Messages  # of some people
    people: People
    grouper: Grouper
    life: Life
    blamed: Blamed
    titles: dict[int, Mapping[str, str]]  # of campaigns that were looked at before
    # The places of their words by what names them, campaign, language and variant.
    named: dict[tuple[str, int, str | None, str | None], int]


class _Tally:
    """What the messages of each of *words* answer for; people by people."""

    def __init__(self, words: Sequence[str | None]) -> None:
        self.words = words
        size = len(words)
        self.quarters, self.left, self.gone, self.people = (
            np.zeros(size, np.int64) for _ in range(4)
        )

    def add(self, codes: Codes, blamed: Blamed) -> None:
        """Add messages by their *codes*: all of some people, of whom none came before."""
        size = len(self.words)
        self.quarters += np.bincount(codes, blamed.quarters, size).astype(np.int64)
        self.left += np.bincount(codes, blamed.left, size).astype(np.int64)
        self.gone += np.bincount(codes, blamed.gone, size).astype(np.int64)
        used = (blamed.quarters > 0) | (blamed.left > 0) | (blamed.gone > 0)
        self.people += _count_people(codes[used], blamed.person[used], size)

    def list_rows(self, kind: str, life: Life) -> list[Row]:
        """Return groups that have days or losses, against all other person-days."""
        all_quarters, all_left = int(life.before[-1]), len(life.left)
        rows: list[Row] = []
        for place, word in enumerate(self.words):
            own, lost = int(self.quarters[place]), int(self.left[place])
            if own or lost or self.gone[place]:
                counts: Row = {
                    "by": kind,
                    "value": word,
                    "gone": int(self.gone[place]),
                    "ratio_n": int(self.people[place]),
                    "excess_n": int(self.people[place]),
                }
                others = (all_left - lost, (all_quarters - own) / DAY_QUARTERS)
                rows.append(rules.describe(counts, lost, own / DAY_QUARTERS, *others))
        return rows


def count(
    store: Store, config: Config, asked: Filter, span: tuple[int, int], kinds: Collection[str]
) -> tuple[list[Row], dict[str, int]]:
    """
    Return the rows of ``leaving.load``, of the quarters from *span* to before its end.

    And what all days come to: ``left``, ``quarters``, ``people``; ``untimed`` messages.
    """
    campaigns = store.campaigns.list_described()
    columns = [*_PEOPLE, *(kind for kind in kinds if kind in _OF_PEOPLE)]
    people = load_people(store, columns)
    site = None
    if asked.site is not None:
        words = people.words["site"]
        site = words.index(asked.site) if asked.site in words else -1
    life = load_life(store, people, span, site)
    parts, untimed = _load_parts(store, people, _find_oldest(span[0], people, life))
    grouper = Grouper(store, config, asked, people, campaigns)
    tallies: dict[tuple[str, str | None], _Tally] = {}
    titles: dict[int, Mapping[str, str]] = {}
    named: dict[tuple[str, int, str | None, str | None], int] = {}
    for part in _cut_people(parts, people):
        blamed = blame(part, np.ones(len(part), np.bool_), people, life)
        world = _World(store, config, asked, part, people, grouper, life, blamed, titles, named)
        for kind in kinds:
            for name, grouping in _list_groupings(world, kind):
                tally = tallies.setdefault((kind, name), _Tally(grouping.words))
                tally.add(grouping.codes[blamed.chosen], blamed)
    found = _list_rows(tallies, kinds, life)
    everything = {
        "left": len(life.left),
        "quarters": int(life.before[-1]),
        "people": life.people,
        "untimed": untimed,
    }
    return found, everything


def _find_oldest(first: int, people: People, life: Life) -> NDArray[np.int32]:
    """
    Return since when each subscription's messages matter, where *first* begins the time.

    A message answers for some days, and counts for the week that follows it. Of who was found
    gone the last message may lie long before.
    """
    found = np.full(
        len(people.person), first - (rules.WINDOW_DAYS + _WEEK) * DAY_QUARTERS, np.int32
    )
    gone = np.zeros(len(people.person), np.bool_)
    gone[people.person[life.find_gone()]] = True
    found[gone[people.person]] = 0
    return found


def _load_parts(
    store: Store, people: People, oldest: NDArray[np.int32]
) -> tuple[list[Messages], int]:
    """
    Return the messages that answer for something, and how many have no known time.

    *oldest*: from when on they count, by the place of their subscription.
    """
    counts = campaign_counts.load_counts(store)
    parts, untimed = [], 0
    for numbers in cut({number: one["planned"] for number, one in counts.items()}):
        found = load_messages(store, numbers, _COLUMNS, people.folding)
        accepted = found.status == _ACCEPTED
        untimed += int(np.count_nonzero(accepted & (found.sent < 0)))
        # Who was erased has no life any more.
        kept = accepted & (found.sent >= 0) & (found.subscription > 0)
        kept &= found.sent >= oldest[found.subscription]
        parts.append(found.choose(np.flatnonzero(kept)))
    return parts, untimed


def _cut_people(parts: Sequence[Messages], people: People) -> Iterator[Messages]:
    """Yield all that some people got: what everybody got takes much memory."""
    counts = np.zeros(len(people.person), np.int64)
    for part in parts:
        person = people.person[part.subscription]
        counts += np.bincount(person, minlength=len(counts))
    numbers = np.unique(np.cumsum(counts) // _BATCH, return_inverse=True)[1].astype(np.uint16)
    shares = [numbers[people.person[part.subscription]] for part in parts]
    for number in range(int(numbers.max(initial=0)) + 1):
        own = [
            part.choose(np.flatnonzero(share == number))
            for part, share in zip(parts, shares, strict=True)
        ]
        if any(map(len, own)):
            yield join(own)


def _list_groupings(world: _World, kind: str) -> Iterator[tuple[str | None, Grouping]]:
    """Yield the groups of *kind*; somebody may be in many segments: each is one of its own."""
    if kind != "segment":
        yield None, _group(world, kind)
        return
    for name, member in _find_members(world.store, world.config, world.asked, world.people):
        yield name, Grouping(member[world.messages.subscription], [None, name])


def _list_rows(
    tallies: Mapping[tuple[str, str | None], _Tally], kinds: Collection[str], life: Life
) -> list[Row]:
    found: list[Row] = []
    for kind in kinds:
        rows = [
            row
            for key, it in tallies.items()
            if key[0] == kind
            for row in it.list_rows(kind, life)
        ]
        if kind == "segment":
            rows = [row for row in rows if row["value"] is not None]
        elif kind not in ("frequency", "length", "hour"):
            rows.sort(key=_read_days, reverse=True)
        found += rows
    return found


def _read_days(row: Row) -> int:
    return read_count(row, "days")


def _find_members(
    store: Store, config: Config, asked: Filter, people: People
) -> Iterator[tuple[str, Codes]]:
    """Yield each segment, and whether each subscription is in it."""
    from pushctl.rules.audience import expression, parse

    for name in config.segments:
        condition = parse.expand(expression.Segment(name), config.segments)
        ids = store.audience.list_ids(condition, asked.now, any_state=True)
        member = np.zeros(len(people.person), np.int64)
        member[people.folding.fold(np.array(ids, np.int64))] = 1
        yield name, member


def _count_people(codes: Codes, person: Codes, size: int) -> Codes:
    """Return how many different people each code has; those of one stand together."""
    order = np.argsort(codes.astype(np.uint16) if size < 65_536 else codes, kind="stable")
    group, who = codes[order], person[order]
    first = np.ones(len(group), np.bool_)
    first[1:] = (group[1:] != group[:-1]) | (who[1:] != who[:-1])
    found: Codes = np.bincount(group[first], minlength=size)
    return found


def _group(world: _World, kind: str) -> Grouping:
    messages = world.messages
    if kind == "message":
        return Grouping(np.zeros(len(messages), np.int64), ["any message"])
    if kind == "frequency":
        codes = np.zeros(len(messages), np.int64)
        edges = [most for most, _ in rules.FREQUENCIES]
        codes[world.blamed.chosen] = np.searchsorted(edges, world.blamed.recent)
        return Grouping(codes, [word for _, word in rules.FREQUENCIES])
    if kind == "hour":
        return _group_hours(world)
    if kind in ("form", "length"):
        return _group_titles(world, kind)
    return world.grouper.group(kind, messages)


def _group_hours(world: _World) -> Grouping:
    found = world.grouper.group("hour", world.messages)
    edges = [*rules.HOURS, 24]
    words = [f"{one:02}-{other:02}" for one, other in pairwise(edges)]
    places = [
        len(words) if word is None else int(np.searchsorted(edges, int(word), "right")) - 1
        for word in found.words
    ]
    return Grouping(np.array(places, np.int64)[found.codes], [*words, None])


def _name_form(title: str, language: str) -> str:
    return "question" if asks(title, language) else "statement"


def _name_length(title: str, language: str) -> str | None:
    if "{{" in title or "{%" in title:
        return None  # it differs from person to person
    return next(word for most, word in rules.LENGTHS if len(title) <= most)


_TITLES: dict[str, Callable[[str, str], str | None]] = {
    "form": _name_form,
    "length": _name_length,
}


def _group_titles(world: _World, kind: str) -> Grouping:
    """Group by the title of the text that was sent: of its language and variant."""
    messages = world.messages
    words: list[str | None] = [None, *(word for _, word in rules.LENGTHS)]
    if kind == "form":
        words = [None, "question", "statement"]
    width, depth = len(messages.languages) or 1, len(messages.variants) or 1
    campaigns, place = np.unique(messages.campaign, return_inverse=True)
    table = np.zeros((len(campaigns), width, depth), np.int64)
    for row, campaign in enumerate(campaigns.tolist()):
        for column, language in enumerate(messages.languages):
            for layer, variant in enumerate(messages.variants):
                key = kind, campaign, language, variant
                if key not in world.named:
                    world.named[key] = words.index(_name_title(world, *key))
                table[row, column, layer] = world.named[key]
    return Grouping(table[place, messages.language, messages.variant], words)


def _name_title(
    world: _World, kind: str, campaign: int, language: str | None, variant: str | None
) -> str | None:
    """Return the word of the title of *campaign* in *language*, None where there is none."""
    if campaign not in world.titles:
        sources = world.store.campaigns.get_by_id(campaign).sources
        world.titles[campaign] = read_titles(sources)
    titles = world.titles[campaign]
    title = titles.get(f"{language}.{variant}") or titles.get(f"{language}")
    return None if title is None else _TITLES[kind](title, str(language))


def read_titles(sources: object) -> dict[str, str]:
    """Return the titles of a campaign's texts by "language" or "language.variant"."""
    found = {}
    for file, text in sources.items() if isinstance(sources, dict) else ():
        try:
            title = tomllib.loads(text).get("title")
        except (tomllib.TOMLDecodeError, TypeError):
            continue
        if isinstance(title, str):
            found[file.removesuffix(".toml")] = " ".join(title.split())
    return found
