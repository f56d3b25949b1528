"""What triggers bring: messages, who reached the goal, and what a control group proves."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pushctl.config import Config
from pushctl.jobs.figures.attribution.credits import load_credits, load_rates
from pushctl.jobs.figures.breakdown.group_counts import find_timed
from pushctl.jobs.figures.columns.messages import (
    STATUSES,
    load_messages,
    load_people,
    measure_rate,
)
from pushctl.jobs.figures.columns.pages import load_enrolments, load_subscriptions
from pushctl.jobs.figures.columns.row_places import Folding
from pushctl.jobs.figures.effects.assigned_people import (
    Flags,
    Numbers,
    Persons,
    find_lots,
    load_persons,
)
from pushctl.jobs.figures.effects.purchases import (
    PURCHASE,
    Purchases,
    join,
    load_events,
    load_purchases,
)
from pushctl.jobs.figures.effects.revenue_lift import compare_revenue
from pushctl.jobs.figures.filters import Filter
from pushctl.model import DeliveryStatus, Millis
from pushctl.rules.figures.experiments import holdout as rule
from pushctl.rules.figures.figure import Row, Value
from pushctl.rules.figures.revenue.attribution import Kind
from pushctl.rules.figures.revenue.per_person import Order, sum_orders
from pushctl.rules.figures.tables import triggers as table
from pushctl.rules.figures.tables.holdout import write_bounds
from pushctl.rules.triggers.trigger import From, Trigger
from pushctl.store import Store

# Of a message that may have reached a push service.
_LEFT = [
    STATUSES.index(one)
    for one in (
        DeliveryStatus.ACCEPTED,
        DeliveryStatus.GONE,
        DeliveryStatus.REJECTED,
        DeliveryStatus.IN_DOUBT,
    )
]


@dataclass(frozen=True, slots=True)
class Shown:
    """The *rows* of the table, and *remarks* for people."""

    rows: list[Row]
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entries:
    """Who entered a trigger, and when; *held*: in its control group, to watch only."""

    person: Numbers
    at: Numbers
    held: Flags

    def take_first(self, begin: Millis) -> "Entries":
        """Return the first entry of each person from *begin* on, in order of persons."""
        late = self.at >= begin
        return _keep_first(self.person[late], self.at[late], self.held[late])

    def without(self, left_out: Flags) -> "Entries":
        kept = ~left_out[self.person]
        return Entries(self.person[kept], self.at[kept], self.held[kept])


def load(store: Store, config: Config, asked: Filter) -> Shown:
    """Return a row for each trigger that somebody entered, in the file's order."""
    since, until = asked.since or 0, min(asked.until or asked.now + 1, asked.now + 1)
    persons = load_persons(store)
    entries = _load_entries(store, persons, since, until, asked.site_id)
    messages, brought = count_messages(store, asked), _load_brought(store, config, asked)
    withheld = _find_withheld(config, persons, entries)
    goals: dict[str, Purchases] = {}
    rows: list[Row] = []
    for name in _list_names(config, entries, messages):
        trigger = config.triggers.get(name)
        counts = {
            "trigger": name,
            "entered": 0,
            **_add(messages.get(name, {}).values()),
            **_sum_up(one for own in brought.get(name, {}).values() for one in own),
        }
        found = entries.get(name)
        if found is not None:
            counts["entered"] = int((~found.take_first(0).held).sum())
        if found is None or trigger is None or trigger.goal is None:
            rows.append(table.fill_trigger(counts))
            continue
        event = trigger.goal.event
        if event not in goals:
            goals[event] = _load_goals(store, config, persons, event, since, asked.now + 1)
        rows.append(_compare(counts, trigger, found, goals[event], withheld))
    return Shown(rows, table.list_remarks(rows))


def load_steps(store: Store, config: Config, asked: Filter) -> Shown:
    """Return a row for each step's campaign, in the order of triggers and steps."""
    messages, brought = count_messages(store, asked), _load_brought(store, config, asked)
    rows = [
        table.STEPS.fill(
            {"trigger": name, "step": step, **counts, **_sum_up(brought[name][step])}
        )
        for name in _list_names(config, {}, messages)
        for step, counts in messages.get(name, {}).items()
    ]
    return Shown(rows)


def find_window(trigger: Trigger) -> Millis:
    """
    Return how long after an entry its goal counts, for a control group as for all others.

    From the entry to when the last step is due at the latest, and the goal's own time after
    it. Quiet hours and reports that come late move messages, but not this.
    """
    assert trigger.goal is not None
    due = last = trigger.wait
    for number, step in enumerate(trigger.steps, 1):
        after = max(tier.after for tier in step.after)
        from_entry = number == 1 or step.since is From.ENTERED
        due = (trigger.wait if from_entry else due) + after
        last = max(last, due)
    return last + trigger.goal.within


def _compare(
    counts: Mapping[str, Value],
    trigger: Trigger,
    found: Entries,
    goals: Purchases,
    withheld: Flags,
) -> Row:
    """Return a trigger's row: all who entered, and both groups since there are two."""
    window = find_window(trigger)
    once = found.take_first(0)
    entered = ~once.held
    everybody = rule.Group(
        int(entered.sum()), int((_find_reached(once, goals, window) & entered).sum())
    )
    held = found.at[found.held]
    if not trigger.holdout or not len(held):
        return table.fill_trigger(counts, everybody)
    # Before it began everybody was written to: other times, other people.
    both = found.take_first(int(held.min())).without(withheld)
    reached = _find_reached(both, goals, window)
    own = _find_within(both, goals, window)
    control, others = (
        rule.Group(int(part.sum()), int((reached & part).sum()), _count_orders(own, both, part))
        for part in (both.held, ~both.held)
    )
    lift = rule.compare(control, others, trigger.holdout)
    row = table.fill_trigger(counts, everybody, (control, others), lift)
    if not lift.is_shown:
        return row
    who = np.searchsorted(both.person, own.person)
    return {**row, **compare_revenue(own, who, both.held)}


def _find_reached(entries: Entries, goals: Purchases, window: Millis) -> Flags:
    """Return whose goal came within *window* of their entry."""
    keys = join(goals.person, goals.at)
    first = np.searchsorted(keys, join(entries.person, entries.at))
    last = np.searchsorted(keys, join(entries.person, entries.at + window), "right")
    return np.asarray(first < last)


def _find_within(entries: Entries, goals: Purchases, window: Millis) -> Purchases:
    """Return the goals of all entries within *window* of them."""
    place = np.searchsorted(entries.person, goals.person)
    known = place < len(entries.person)
    place = np.where(known, place, 0)
    known &= entries.person[place] == goals.person
    after = goals.at - entries.at[place]
    return goals.keep(known & (after >= 0) & (after <= window))


def _count_orders(own: Purchases, entries: Entries, part: Flags) -> int:
    mine = np.isin(own.person, entries.person[part])
    return int(own.order[mine].sum())


def _keep_first(person: Numbers, at: Numbers, held: Flags) -> Entries:
    """Return the first entry of each person, in order of persons."""
    places = np.lexsort((held, at, person))
    person, at, held = person[places], at[places], held[places]
    is_first = np.ones(len(person), np.bool_)
    is_first[1:] = person[1:] != person[:-1]
    return Entries(person[is_first], at[is_first], held[is_first])


def _load_entries(
    store: Store, persons: Persons, since: Millis, until: Millis, site: int | None
) -> dict[str, Entries]:
    """Return all entries of each trigger in a period."""
    rows, names = load_enrolments(store)
    within = (rows["at"] >= since) & (rows["at"] < until)
    person = persons.find(rows["subscription"])
    kept = within & (person >= 0)
    if site is not None:
        kept &= persons.site[np.where(kept, person, 0)] == site
    found = {}
    for number in np.flatnonzero(np.bincount(rows["trigger"][within])).tolist():
        own = kept & (rows["trigger"] == number)
        entries = Entries(person[own], rows["at"][own], rows["held"][own] > 0)
        found[names[number] or ""] = entries
    return found


def _load_goals(
    store: Store, config: Config, persons: Persons, event: str, since: Millis, until: Millis
) -> Purchases:
    if event == PURCHASE:
        return load_purchases(store, persons, since, until, load_rates(config))
    return load_events(store, persons, event, since, until)


def _find_withheld(config: Config, persons: Persons, entries: Mapping[str, Entries]) -> Flags:
    """Return who gets no marketing at all: no trigger can do anything for them."""
    holdout = config.contact_policy.holdout
    tested = [
        found.person
        for name, found in entries.items()
        if (known := config.triggers.get(name)) is not None and known.holdout
    ]
    if holdout is None or not tested:
        return np.zeros(len(persons), np.bool_)
    return find_lots(persons, holdout.name, holdout.share, np.concatenate(tested))


def count_messages(store: Store, asked: Filter) -> dict[str, dict[str, dict[str, Value]]]:
    """Return the counts of messages by trigger and step, and the CTR of each step."""
    steps = store.holdouts.list_steps()
    columns = ("subscription", "status", "sent", "shown", "clicked", "unreported")
    people = load_people(store, ("person",))
    found = load_messages(store, [one.id for one in steps], columns, people.folding)
    kept = np.ones(len(found), np.bool_)
    if asked.since is not None or asked.until is not None:
        kept = find_timed(found, asked)
    if asked.site_id is not None:
        kept &= _list_sites(store, people.folding)[found.subscription] == asked.site_id
    counted: dict[str, dict[str, dict[str, Value]]] = defaultdict(dict)
    for step in steps:
        mine = kept & (found.campaign == step.id)
        accepted = mine & (found.status == STATUSES.index(DeliveryStatus.ACCEPTED))
        reported = accepted & ~found.unreported
        person = people.person[found.subscription[reported]]
        rate = measure_rate(found.clicked[reported], np.ones(reported.sum()), person)
        counted[step.trigger][step.label] = {
            "sent": int((mine & np.isin(found.status, _LEFT)).sum()),
            "accepted": int(accepted.sum()),
            "shown": int((mine & found.shown).sum()),
            "clicked": int((mine & found.clicked).sum()),
            "unreported": int((accepted & found.unreported).sum()),
            "reported": int(reported.sum()),
            **write_bounds(
                "ctr",
                rate if reported.any() else None,
                int(np.count_nonzero(np.bincount(person))),
            ),
        }
    return counted


def _load_brought(
    store: Store, config: Config, asked: Filter
) -> dict[str, dict[str, list[Order]]]:
    """Return the orders that a click on a step's message, or its code, has brought about."""
    steps = {one.id: one for one in store.holdouts.list_steps()}
    found: dict[str, dict[str, list[Order]]] = defaultdict(lambda: defaultdict(list))
    own = None
    if asked.site_id is not None:
        rows = load_subscriptions(store)
        own = set(rows["id"][rows["site"] == asked.site_id].tolist())
    for one in load_credits(
        store, config, campaigns=steps.keys(), since=asked.since, until=asked.until
    ):
        if one.kind is Kind.DIRECT and (own is None or one.person_key in own):
            step = steps[one.campaign]
            found[step.trigger][step.label].append(one.to_order())
    return found


def _list_sites(store: Store, folding: Folding) -> Numbers:
    """Return the site of each subscription by its place, 0 where there is none."""
    rows = load_subscriptions(store)
    found = np.zeros(folding.size, np.int64)
    found[folding.fold(rows["id"])] = rows["site"]
    found[0] = 0
    return found


def _sum_up(orders: Iterable[Order]) -> dict[str, Value]:
    sums = sum_orders(orders)
    return {"orders": sums.orders, "revenue": sums.revenue or None}


def _add(parts: Iterable[Mapping[str, Value]]) -> dict[str, Value]:
    """Return the sums of the counts of a trigger's steps."""
    total: dict[str, Value] = dict.fromkeys(
        ("sent", "accepted", "shown", "clicked", "unreported"), 0
    )
    for part in parts:
        for name in total:
            total[name] = int(total[name] or 0) + int(part[name] or 0)  # type: ignore[arg-type]
    return total


def _list_names(
    config: Config, entries: Mapping[str, Entries], messages: Mapping[str, object]
) -> list[str]:
    """Return the triggers that did anything: the file's, in its order, then former ones."""
    known = {*entries, *messages}
    former = sorted(known.difference(config.triggers))
    return [*(name for name in config.triggers if name in known), *former]
