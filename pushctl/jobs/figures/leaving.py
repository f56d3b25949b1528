"""Which messages people leave after: losses and person-days of each kind of message."""

import tomllib
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pushctl.config import Config
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.grouping import Codes, Grouper, Grouping
from pushctl.jobs.figures.messages import (
    STATUSES,
    Messages,
    People,
    load_messages,
    load_people,
)
from pushctl.jobs.figures.timelines import DAY_QUARTERS, Blamed, Life, blame, load_life
from pushctl.model import DeliveryStatus
from pushctl.rules.figures import leaving as rules
from pushctl.rules.figures.figure import Row, read_count
from pushctl.rules.messages.lint import asks
from pushctl.rules.wording import counted
from pushctl.store import Store

_ACCEPTED = STATUSES.index(DeliveryStatus.ACCEPTED)
_COLUMNS = ("subscription", "status", "sent", "language", "variant")
_PEOPLE = ("person", "site", "subscribed_at", "active")
_OF_PEOPLE = ("country", "browser", "os", "device")
_ENOUGH_ROWS = 20


class Answer(NamedTuple):
    """Rows of ``LEAVING``, and remarks for people."""

    rows: list[Row]
    remarks: list[str]


class _World(NamedTuple):
    store: Store
    config: Config
    asked: Filter
    messages: Messages
    people: People
    grouper: Grouper
    life: Life
    blamed: Blamed


def load(store: Store, config: Config, asked: Filter, kinds: Collection[str]) -> Answer:
    """
    Return a row for each group of *kinds* (of ``rules.KINDS``), in that order.

    *asked*: its site and its time count. Messages from before that time answer, too, for what
    happened in it.
    """
    campaigns = store.campaigns.list_described()
    columns = [*_PEOPLE, *(kind for kind in kinds if kind in _OF_PEOPLE)]
    people = load_people(store, columns)
    messages = load_messages(store, None, _COLUMNS, people.folding)
    site = None
    if asked.site is not None:
        words = people.words["site"]
        site = words.index(asked.site) if asked.site in words else -1
    until = min(asked.until or asked.now, asked.now)
    life = load_life(store, people, asked.since, until, site)
    accepted = messages.status == _ACCEPTED
    grouper = Grouper(store, config, asked, people, campaigns)
    blamed = blame(messages, accepted, people, life)
    world = _World(store, config, asked, messages, people, grouper, life, blamed)
    rows: list[Row] = []
    for kind in kinds:
        rows += _fill_segments(world) if kind == "segment" else _fill(world, kind)
    untimed = int(np.count_nonzero(accepted & (messages.sent < 0)))
    return Answer(rows, _list_remarks(world, rows, untimed))


def _fill(world: _World, kind: str) -> list[Row]:
    grouping = _group(world, kind)
    codes = grouping.codes[world.blamed.chosen]
    rows = _count(world, kind, codes, grouping.words)
    if kind in ("frequency", "length", "hour"):
        return rows
    return sorted(rows, key=_read_days, reverse=True)


def _read_days(row: Row) -> int:
    return read_count(row, "days")


def _fill_segments(world: _World) -> list[Row]:
    """Return a row a segment: somebody may be in many, so each is counted for itself."""
    from pushctl.rules.audience import expression, parse

    chosen = world.messages.subscription[world.blamed.chosen]
    rows: list[Row] = []
    for name in world.config.segments:
        condition = parse.expand(expression.Segment(name), world.config.segments)
        ids = world.store.audience.list_ids(condition, world.asked.now, any_state=True)
        member = np.zeros(len(world.people.person), np.int64)
        member[world.people.folding.fold(np.array(ids, np.int64))] = 1
        rows += _count(world, "segment", member[chosen], [None, name])[-1:]
    return [row for row in rows if row["value"] is not None]


def _count(world: _World, kind: str, codes: Codes, words: Sequence[str | None]) -> list[Row]:
    """Return the rows of groups that have days or losses, against all other person-days."""
    blamed, life, size = world.blamed, world.life, len(words)
    used = (blamed.quarters > 0) | (blamed.left > 0) | (blamed.gone > 0)
    groups = codes[used]

    def add(values: Codes) -> Codes:
        found: Codes = np.bincount(groups, values[used], size).astype(np.int64)
        return found

    quarters, left, gone = add(blamed.quarters), add(blamed.left), add(blamed.gone)
    people = _count_people(groups, blamed.person[used], size)
    all_quarters, all_left = int(life.before[-1]), len(life.left)
    rows: list[Row] = []
    for place, word in enumerate(words):
        own, lost = int(quarters[place]), int(left[place])
        if own or lost or gone[place]:
            counts: Row = {
                "by": kind,
                "value": word,
                "gone": int(gone[place]),
                "ratio_n": int(people[place]),
                "excess_n": int(people[place]),
            }
            others = (all_left - lost, (all_quarters - own) / DAY_QUARTERS)
            rows.append(rules.describe(counts, lost, own / DAY_QUARTERS, *others))
    return rows


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
        return _group_titles(world, _TITLES[kind])
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


def _group_titles(world: _World, name: Callable[[str, str], str | None]) -> Grouping:
    """Group by the title of the text that was sent: of its language and variant."""
    messages = world.messages
    words: list[str | None] = [None, *(word for _, word in rules.LENGTHS)]
    if name is _name_form:
        words = [None, "question", "statement"]
    width, depth = len(messages.languages) or 1, len(messages.variants) or 1
    campaigns, place = np.unique(messages.campaign, return_inverse=True)
    table = np.zeros((len(campaigns), width, depth), np.int64)
    for row, campaign in enumerate(campaigns.tolist()):
        titles = read_titles(world.store.campaigns.get_by_id(campaign).sources)
        for column, language in enumerate(messages.languages):
            for layer, variant in enumerate(messages.variants):
                title = titles.get(f"{language}.{variant}") or titles.get(f"{language}")
                if title is not None:
                    table[row, column, layer] = words.index(name(title, str(language)))
    return Grouping(table[place, messages.language, messages.variant], words)


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


def _list_remarks(world: _World, rows: Sequence[Row], untimed: int) -> list[str]:
    life = world.life
    days = int(life.before[-1]) / DAY_QUARTERS
    said = [
        f"In all {counted(len(life.left), 'unsubscription')} in {days:,.0f} person-days of "
        f"{counted(life.people, 'person', 'people')}. Times: how many times as often as on "
        "all other days, with the bounds of 95 %."
    ]
    if len(rows) >= _ENOUGH_ROWS:
        said.append(
            f"Of {len(rows)} rows one or two look different by chance alone (p below 0.05)."
        )
    if untimed:
        which = counted(untimed, "accepted message is", "accepted messages are")
        said.append(f"{which} left out: nobody knows any more when they were sent.")
    return said
