"""
What of the kept attributions has to be computed, and its computing.

A report changes orders from its time on, as far as the window reaches; a change of persons
all orders of all who were, or are, of these persons.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from pushctl.config import Goal
from pushctl.jobs.figures.attribution.full_build import (
    Advance,
    compute_all,
    do_nothing,
    find_owner,
    name_campaigns,
)
from pushctl.model import Millis
from pushctl.rules import timing
from pushctl.rules.config.goals import PURCHASE
from pushctl.rules.figures.revenue import attribution
from pushctl.rules.figures.revenue.attribution import Touch, Touches
from pushctl.store import Store
from pushctl.store.attributions import Code, Kept, Source, State

# The sources that were looked at (None: all), and those that have a message.
Found = tuple[Collection[int] | None, Collection[Kept]]

_PERSONS = 2_000  # whose reports are loaded at once
_MANY = 5_000  # looked up one by one they take longer than all at once
_NONE = Touches()


def find(
    store: Store, goal: Goal, now: State, seen: State | None, advance: Advance = do_nothing
) -> Found:
    """
    Return what is different since *seen*, or all where the goal's rule is not that of *seen*.

    *advance* is told how many reports more were read. It asks for one moment: call it in
    ``store.attributions.snapshot()``.
    """
    window = timing.duration(goal.window)
    if seen is None or seen.rule != now.rule:
        return None, _compute_all(store, goal, window, advance)
    if seen == now:
        return (), ()
    looked_at = find_ids(store, goal, now, seen, window)
    if len(looked_at) > _MANY:
        return None, _compute_all(store, goal, window, advance)
    return looked_at, _compute(
        store, goal, _list_some(store, goal, looked_at), looked_at, window
    )


def _compute_all(store: Store, goal: Goal, window: Millis, advance: Advance) -> list[Kept]:
    codes = store.attributions.list_codes(None) if goal.name == PURCHASE else ()
    return compute_all(store, _list_all(store, goal), codes, window, advance)


def _list_all(store: Store, goal: Goal) -> list[Source]:
    if goal.name == PURCHASE:
        return store.attributions.list_orders()
    return store.attributions.list_events(goal.counted)


def _list_some(store: Store, goal: Goal, ids: Collection[int]) -> list[Source]:
    if not ids:
        return []
    if goal.name == PURCHASE:
        return store.attributions.list_orders(ids)
    return store.attributions.list_events(goal.counted, ids=ids)


def find_ids(store: Store, goal: Goal, now: State, seen: State, window: Millis) -> set[int]:
    """Return the orders, or events, whose message may be another one than at *seen*."""
    kept = store.attributions
    orders, identities = kept.list_changes(seen.changes)
    reports = (
        kept.list_reports(seen.interactions) if now.interactions > seen.interactions else []
    )
    if goal.name != PURCHASE:
        return _find_events(store, goal, seen, identities, reports, window)

    if identities:
        people = kept.list_people(identities)
        orders |= {one.id for one in kept.list_orders(buyers=people.keys())}
    if reports:
        since = min(first for _, first, _ in reports)
        until = max(last for *_, last in reports) + window
        near = kept.list_orders_between(since, until)
        people = kept.list_people({one.subscription for one in near if one.subscription})
        orders |= _find_touched(near, people, reports, window)
    if identities or reports:
        # Of those the codes alone say whose they are.
        orders |= kept.list_buyerless()
    return orders


def _find_events(
    store: Store, goal: Goal, seen: State, identities: Collection[int],
    reports: Sequence[tuple[int, Millis, Millis]], window: Millis,
) -> set[int]:  # fmt: skip
    kept = store.attributions
    found = {one.id for one in kept.list_events(goal.counted, after=seen.events)}
    if identities:
        people = kept.list_people(identities)
        found |= {one.id for one in kept.list_events(goal.counted, people=people.keys())}
    if reports:
        people = kept.list_people({one for one, *_ in reports})
        near = kept.list_events(goal.counted, people=people.keys())
        found |= _find_touched(near, people, reports, window)
    return found


def _find_touched(
    sources: Iterable[Source], people: Mapping[int, int],
    reports: Iterable[tuple[int, Millis, Millis]], window: Millis,
) -> set[int]:  # fmt: skip
    """Return the sources that one of *reports* of the same person may have brought about."""
    times: dict[int, tuple[Millis, Millis]] = {}
    for subscription, first, last in reports:
        person = people.get(subscription)
        if person is not None:
            earlier, later = times.get(person, (first, last))
            times[person] = min(earlier, first), max(later, last)
    never = (1, 0)
    found = set()
    for one in sources:
        first, last = times.get(people.get(one.subscription or 0, 0), never)
        if first <= one.at <= last + window and first <= last:
            found.add(one.id)
    return found


def _compute(
    store: Store, goal: Goal, sources: Sequence[Source], ids: Collection[int], window: Millis
) -> list[Kept]:
    """Return the messages of *sources*, whose numbers are *ids*."""
    if not sources:
        return []
    codes: dict[int, list[Code]] = defaultdict(list)
    if goal.name == PURCHASE:
        for code in store.attributions.list_codes(ids):
            codes[code.order].append(code)
    owners = {one.subscription for one in sources if one.subscription}
    owners |= {code.subscription for several in codes.values() for code in several}
    people = store.attributions.list_people(owners)
    wanted: dict[int, list[Source]] = defaultdict(list)
    for one in sources:
        owner = one.subscription or find_owner(one, codes.get(one.id, ()))
        if owner is not None:
            wanted[people[owner]].append(one)

    chosen = []
    reports = _Reports(store, people, window)
    for person, touches in reports.load(wanted):
        for one in wanted[person]:
            own = [
                Touch(code.at, code.delivery)
                for code in codes.get(one.id, ())
                if people[code.subscription] == person
            ]
            choice = attribution.choose(one.at, window, touches, own)
            if choice is not None:
                chosen.append((one.id, person, choice))
    return name_campaigns(store, chosen)


class _Reports:
    """The reports on the messages of persons, on all devices."""

    def __init__(self, store: Store, people: Mapping[int, int], window: Millis) -> None:
        self._kept = store.attributions
        self._people = people
        self._window = window
        self._devices: dict[int, list[int]] = defaultdict(list)
        for subscription, person in people.items():
            self._devices[person].append(subscription)

    def load(self, wanted: Mapping[int, Sequence[Source]]) -> Iterator[tuple[int, Touches]]:
        """Yield each person of *wanted* with the reports that may matter: look them up."""
        everybody = sorted(wanted)
        for start in range(0, len(everybody), _PERSONS):
            persons = everybody[start : start + _PERSONS]
            times = [one.at for person in persons for one in wanted[person]]
            devices = [one for person in persons for one in self._devices[person]]
            found = self._group(
                self._kept.list_touches(devices, min(times) - self._window, max(times))
            )
            for person in persons:
                yield person, found.get(person, _NONE)

    def _group(self, reports: Iterable[tuple[int, int, str, Millis]]) -> dict[int, Touches]:
        clicks: dict[int, list[Touch]] = defaultdict(list)
        shown: dict[int, list[Touch]] = defaultdict(list)
        for subscription, delivery, kind, at in reports:
            # Who closes a message has seen it until then.
            kinds = clicks if kind == "clicked" else shown
            person = self._people.get(subscription)
            if person is not None:
                kinds[person].append(Touch(at, delivery))
        return {
            person: Touches(sorted(clicks.get(person, ())), sorted(shown.get(person, ())))
            for person in clicks.keys() | shown.keys()
        }
