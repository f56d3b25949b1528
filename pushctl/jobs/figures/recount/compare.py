"""Holds kept answers to a recount: cell by cell, with one read of all rows for all of them."""

import math
from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from datetime import tzinfo
from typing import Any, NamedTuple, Protocol

from pushctl.config import Config
from pushctl.jobs.figures import filters, kept_answers
from pushctl.jobs.figures.attribution.credits import load_brought
from pushctl.jobs.figures.breakdown import kept_breakdowns
from pushctl.jobs.figures.columns.campaign_counts import Progress
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.kept_answers import Plain, Sources
from pushctl.jobs.figures.recount import arms
from pushctl.jobs.figures.recount.ages import Ages
from pushctl.jobs.figures.recount.groups import TOTAL, Groups
from pushctl.jobs.figures.recount.ignored import Ignored
from pushctl.jobs.figures.recount.leaving import Leaving
from pushctl.jobs.figures.recount.times import Times
from pushctl.jobs.figures.recount.titles import Kinds
from pushctl.jobs.figures.recount.world import Batch, World
from pushctl.jobs.figures.send_times import best_time
from pushctl.jobs.figures.tables import ab, breakdowns, leaving, penalties, reach
from pushctl.jobs.subscribers.known_people import without_gc
from pushctl.rules.figures.figure import Row
from pushctl.store import Store
from pushctl.store.campaigns import Described
from pushctl.store.orders import Credited

_TOLERANCE = 1e-9  # sums of floats depend on their order


class Differing(NamedTuple):
    """A cell of the answer *name* that is not what was counted; None: it is not there."""

    name: str
    cell: str
    kept: Plain
    counted: Plain


class _Counting(Protocol):
    """What counts messages, campaign by campaign."""

    def add(self, batch: Batch) -> None: ...


class _Facts(NamedTuple):
    """What is asked before all rows are read; *kept* has the answers by their names."""

    store: Store
    config: Config
    kept: dict[str, Any]
    campaigns: Sequence[Described]
    brought: Sequence[Credited]
    tests: ab.Told
    zone: tzinfo


def check(store: Store, config: Config, progress: Progress) -> list[Differing]:
    """
    Count each kept answer that holds now once more; return every cell that differs.

    What has another stamp is not used any more, so nothing is said of it.
    """
    stamps = kept_answers.list_kept(store)
    if not stamps:
        return []
    facts = _load(store, config, {name: value for name, (_, value) in stamps.items()})
    sources = _list_sources(facts)
    with store.snapshot(), without_gc():
        for name, (stamp, _) in stamps.items():
            if name not in sources or kept_answers.find_stamp(store, sources[name]()) != stamp:
                del facts.kept[name]
        return list(_compare_all(facts, progress)) if facts.kept else []


def _load(store: Store, config: Config, kept: dict[str, Any]) -> _Facts:
    campaigns = store.campaigns.list_described()
    numbers = set(kept[ab.ANSWER]["tests"]) if ab.ANSWER in kept else set()
    tests = [one for one in store.experiments.list_all() if one.id in numbers]
    return _Facts(
        store,
        config,
        kept,
        campaigns,
        load_brought(store, config, [one.id for one in campaigns]),
        ab.tell(store, config, tests),
        filters.find_zone(config, None),
    )


def _list_sources(facts: _Facts) -> dict[str, Callable[[], Sources]]:
    """Return what each answer of *facts* is counted from, where it is asked for."""
    store, config, kept = facts.store, facts.config, facts.kept
    asked = Filter(zone=facts.zone)

    def find_totals(by: str) -> Callable[[], Sources]:
        return lambda: kept_breakdowns.find_sources(
            config, asked, by, facts.campaigns, facts.brought
        )

    return {
        **{kept_breakdowns.name_answer(by): find_totals(by) for by in kept_breakdowns.KEPT},
        breakdowns.ACTIVE: lambda: breakdowns.OF_ACTIVE,
        best_time.ANSWER: lambda: best_time.find_sources(
            store, config, store.draws.list_broadcasts()
        ),
        reach.ANSWER: lambda: reach.find_sources(store.message_rows.list_campaigns()),
        leaving.ANSWER: lambda: leaving.find_sources(
            store, config, facts.zone, kept[leaving.ANSWER]["span"]
        ),
        penalties.ANSWER: lambda: penalties.find_sources(kept[penalties.ANSWER]),
        ab.ANSWER: lambda: ab.find_sources(facts.tests),
    }


def _compare_all(facts: _Facts, progress: Progress) -> Iterator[Differing]:
    store, kept = facts.store, facts.kept
    zones = {name: site.timezone for name, site in facts.config.sites.items()}
    world = World(store, zones)
    counting = _list_counting(facts, world)
    _read(world, [one.id for one in facts.campaigns], counting.values(), progress)
    if _GROUPS in counting:
        yield from _compare_groups(facts, counting.pop(_GROUPS))
    for name, keys in _KEYS.items():
        if name in counting:
            rows = kept[name] if name == reach.ANSWER else kept[name]["rows"]
            yield from _compare_rows(name, _key(keys, rows), counting[name].describe())
    if leaving.ANSWER in counting:
        told = counting[leaving.ANSWER].sum_up()
        yield from _compare_cells(leaving.ANSWER, kept[leaving.ANSWER]["all"], told, "all ")
    if best_time.ANSWER in counting:
        told = counting[best_time.ANSWER].describe()
        yield from _compare_cells(best_time.ANSWER, kept[best_time.ANSWER], told)
    if breakdowns.ACTIVE in kept:
        told = store.recounts.count_active()
        yield from _compare_cells(breakdowns.ACTIVE, kept[breakdowns.ACTIVE], told)
    if ab.ANSWER in kept:
        yield from _compare_tests(facts, world)


_GROUPS = "messages"
_WORDS = ("value", "age", "by", "browser")
# By what the rows of answers are found.
_KEYS = {
    reach.ANSWER: ["age"],
    leaving.ANSWER: ["by", "value"],
    penalties.ANSWER: ["browser"],
}


def _list_counting(facts: _Facts, world: World) -> dict[str, Any]:
    """Return what counts each answer over all messages."""
    store, kept, found = facts.store, facts.kept, dict[str, _Counting]()
    if any(kept_breakdowns.name_answer(by) in kept for by in kept_breakdowns.KEPT):
        names = {one.id: one.name for one in facts.campaigns}
        found[_GROUPS] = Groups(world, names, store.recounts.count_more_clicks())
    if reach.ANSWER in kept:
        found[reach.ANSWER] = Ages(world)
    if best_time.ANSWER in kept:
        found[best_time.ANSWER] = Times(
            world, store.draws.list_broadcasts(), store.draws.list_explored(),
            facts.config.best_time.week,
        )  # fmt: skip
    if leaving.ANSWER in kept:
        texts = {one.id: store.campaigns.get_by_id(one.id).sources for one in facts.campaigns}
        first, last = kept[leaving.ANSWER]["span"]
        found[leaving.ANSWER] = Leaving(world, Kinds(world, texts), (first, last))
    if penalties.ANSWER in kept:
        about = kept[penalties.ANSWER]
        found[penalties.ANSWER] = Ignored(
            world, about["campaigns"], about["now"], about["site"]
        )
    return found


def _read(
    world: World, campaigns: Iterable[int], counting: Collection[_Counting], progress: Progress
) -> None:
    if not counting:
        return
    numbers = sorted(campaigns)
    with progress(len(numbers)) as advance:
        for campaign in numbers:
            for batch in world.read_messages(campaign):
                for one in counting:
                    one.add(batch)
            advance(1)


def _compare_groups(facts: _Facts, groups: Groups) -> Iterator[Differing]:
    deliveries = {delivery for _, delivery, *_ in facts.brought}
    groups.add_orders(facts.brought, facts.store.recounts.find_messages(deliveries))
    for by in kept_breakdowns.KEPT:
        name = kept_breakdowns.name_answer(by)
        if name in facts.kept:
            found = facts.kept[name]
            total = [{**row, "value": TOTAL} for row in found["total"]]
            rows = _key(["value"], [*found["rows"], *total])
            yield from _compare_rows(name, rows, groups.describe(by))
            # Only with a time some are left out.
            yield from _compare_cells(name, found["untimed"], 0, "untimed")


def _compare_tests(facts: _Facts, world: World) -> Iterator[Differing]:
    kept, told = facts.kept[ab.ANSWER]["rows"], facts.tests
    found: dict[tuple[int, str], Row] = {}
    for test, campaigns in zip(told.tests, told.campaigns, strict=True):
        found |= arms.describe_test(world, test, campaigns, told.brought)
    if len(kept) != len(found):
        yield Differing(ab.ANSWER, "arms", len(kept), len(found))
    rows: dict[Hashable, Any] = dict(zip(found, kept, strict=False))
    yield from _compare_rows(ab.ANSWER, rows, found)


def _key(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dict[Hashable, Any]:
    """Return *rows* by their values of *names*."""
    found: dict[Hashable, Any] = {}
    for row in rows:
        words = tuple(row[name] for name in names)
        found[words if len(names) > 1 else words[0]] = row
    return found


def _compare_rows(
    name: str, kept: Mapping[Hashable, Any], counted: Mapping[Any, Row]
) -> Iterator[Differing]:
    for key in dict.fromkeys([*kept, *counted]):
        parts = key if isinstance(key, tuple) else (key,)
        said = " ".join("-" if part is None else str(part) for part in parts)
        if key not in kept or key not in counted:
            yield Differing(name, said, int(key in kept), int(key in counted))
            continue
        row: Any = kept_breakdowns.encode_rows([counted[key]])[0]
        # Whoever counts has some of the words by which the row was found, or none.
        words = {word: kept[key][word] for word in _WORDS if word in kept[key]}
        yield from _compare_cells(name, kept[key], {**row, **words}, f"{said}: ")


def _compare_cells(name: str, kept: Any, counted: Any, path: str = "") -> Iterator[Differing]:
    """Compare values, and whatever is in them; what is not there is as good as None."""
    if isinstance(kept, dict) and isinstance(counted, dict):
        for word in dict.fromkeys([*kept, *counted]):
            one, other = kept.get(word), counted.get(word)
            yield from _compare_cells(name, one, other, f"{path}{word} ")
    elif isinstance(kept, list | tuple) and isinstance(counted, list | tuple):
        if len(kept) != len(counted):
            yield Differing(name, f"{path}size", len(kept), len(counted))
        for place, (one, other) in enumerate(zip(kept, counted, strict=False)):
            yield from _compare_cells(name, one, other, f"{path}{place} ")
    elif not _are_same(kept, counted):
        yield Differing(name, path.strip(), kept, counted)


def _are_same(kept: Any, counted: Any) -> bool:
    numbers = isinstance(kept, int | float) and isinstance(counted, int | float)
    if numbers and (isinstance(kept, float) or isinstance(counted, float)):
        return math.isclose(kept, counted, rel_tol=_TOLERANCE, abs_tol=1e-12)
    return bool(kept == counted)
