"""The control group over all marketing: who is in it, and what the others have more."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import orjson

from pushctl.config import Config
from pushctl.jobs.figures.attribution.credits import load_rates
from pushctl.jobs.figures.effects.assigned_people import (
    STILL_HERE,
    Flags,
    Persons,
    find_lots,
    keep_present,
    load_persons,
)
from pushctl.jobs.figures.effects.purchases import Purchases, load_purchases, sort_out
from pushctl.jobs.figures.effects.revenue_lift import compare_revenue
from pushctl.jobs.figures.filters import Filter
from pushctl.model import Json, Millis
from pushctl.rules.contact_policy import Holdout, is_exempt
from pushctl.rules.figures.experiments import holdout as rule
from pushctl.rules.figures.experiments.power import say_share
from pushctl.rules.figures.figure import Row, Value
from pushctl.rules.figures.tables import holdout as table
from pushctl.rules.units import WEEK
from pushctl.rules.wording import counted, moment
from pushctl.store import Store

_WEEKS = 8  # of the own base rate
_PROBES = 50  # broadcasts that are asked at once who was held out first


@dataclass(frozen=True, slots=True)
class Shown:
    """The *rows* of the table, those of the *plan*, and remarks for people on each."""

    rows: list[Row]
    plan: list[Row]
    remarks: list[str]
    plan_remarks: list[str]


@dataclass(frozen=True, slots=True)
class Begin:
    """Since when a group is held out, and how many broadcasts went to it all the same."""

    at: Millis
    leaks: int


@dataclass(frozen=True, slots=True)
class _Compared:
    """Both groups with what their orders are worth, and what the others have more."""

    control: rule.Group
    others: rule.Group
    lift: rule.Lift
    revenue: tuple[Value, Value] = (None, None)
    more: Mapping[str, Value] = field(default_factory=dict)


_NOBODY = _Compared(rule.Group(), rule.Group(), rule.Lift(rule.Cause.NO_GROUP))


def load(store: Store, config: Config, asked: Filter) -> Shown:
    """Compare the control group of pushctl.toml with all others, and say what it proves."""
    holdout, now = config.contact_policy.holdout, asked.now
    begin = find_begin(store, holdout) if holdout is not None else None
    persons = load_persons(store)
    since = max(begin.at, asked.since or 0) if begin is not None else now
    first = min(since, now - _WEEKS * WEEK)
    bought = load_purchases(store, persons, first, now + 1, load_rates(config))
    found, remarks = _NOBODY, list[str]()
    if holdout is not None and begin is not None:
        found = _compare(persons, bought, holdout, begin, asked)
        remarks.append(_say_begin(holdout, begin, since))
        remarks += table.say_left(found.control, found.others)
    elif holdout is not None:
        remarks.append(
            f"[holdout] {holdout.name!r} begins with the next message: nobody was held out yet."
        )
    if begin is not None or holdout is None:
        remarks += table.say_lift(found.lift, found.control, found.others)
    if found.lift.is_shown and not found.more.get("more_revenue"):
        remarks.append(table.say_no_revenue())
    people, base = find_base(persons, bought, asked.site_id, now)
    share = holdout.share if holdout else None
    if found.lift.cause in (rule.Cause.NO_GROUP, rule.Cause.TOO_EARLY):
        remarks += table.say_plan(people, base, share)
    rows = table.fill_groups(found.control, found.others, found.lift, found.revenue, found.more)
    about = [f"{table.say_base(people, base)}. -: not within a year."]
    about += table.advise_share(people, share)
    plan = table.list_plan(people, base, share)
    return Shown(rows if begin is not None else [], plan, remarks, about)


def _compare(
    persons: Persons, bought: Purchases, holdout: Holdout, begin: Begin, asked: Filter
) -> _Compared:
    """Compare both groups by what they have bought in the period since they were drawn."""
    since = max(begin.at, asked.since or 0)
    until = min(asked.until or asked.now + 1, asked.now + 1)
    held = find_lots(persons, holdout.name, holdout.share)
    present = keep_present(persons, begin.at, until, asked.site_id)
    inside = bought.keep(
        (bought.at >= np.maximum(since, persons.joined[bought.person]))
        & (bought.at < until)
        & present[bought.person]
    )
    gone = present & (persons.left < until)
    others, worth = count(inside, present & ~held, gone)
    control, control_worth = count(inside, present & held, gone)
    lift, more = rule.compare(control, others, holdout.share), dict[str, Value]()
    if lift.is_shown:
        everybody = np.flatnonzero(present)
        who = np.searchsorted(everybody, inside.person)
        more = compare_revenue(inside, who, held[everybody])
    return _Compared(control, others, lift, (worth, control_worth), more)


def count(bought: Purchases, members: Flags, gone: Flags) -> tuple[rule.Group, Value]:
    """Return the counts of a group's *members*, and what its orders are worth."""
    own = bought.keep(members[bought.person])
    buyers = int(np.count_nonzero(np.bincount(own.person)))
    left = int((members & gone).sum())
    return rule.Group(int(members.sum()), buyers, own.orders, left), own.revenue


def find_begin(store: Store, holdout: Holdout) -> Begin | None:
    """
    Return since when the group of this name and share is held out; None: not yet.

    The rows of the ledger say it: whoever was held out has one with the group's name, and each
    broadcast has the probability of its draw. With another share it was another group.
    """
    reason, kept = holdout.describe(), (holdout.share, 1 - holdout.share)
    broadcasts = store.holdouts.list_broadcasts()

    def is_same(probability: float) -> bool:
        return any(abs(probability - one) < 1e-9 for one in kept)

    drawn = [(one, one.probability) for one in broadcasts if one.probability]
    other = [one.id for one, probability in drawn if not is_same(probability)]
    changed = max(store.holdouts.find_held(other, reason).values(), default=-1)
    steps = [one.id for one in store.holdouts.list_steps()]
    times = [at for at in store.holdouts.find_held(steps, reason).values() if at > changed]
    own = [one.id for one, known in drawn if is_same(known) and one.created_at > changed]
    for start in range(0, len(own), _PROBES):
        found = store.holdouts.find_held(own[start : start + _PROBES], reason)
        if found:
            times.append(min(found.values()))
            break
    if not times:
        return None
    at = min(times)
    leaks = sum(
        one.created_at >= at
        and one.probability == 0
        and not _is_outside(orjson.loads(one.options))
        for one in broadcasts
    )
    return Begin(at, leaks)


def _is_outside(options: Mapping[str, Json]) -> bool:
    """Return whether no control group is drawn for a campaign with these options."""
    return is_exempt(options) or "grouped" in options


def find_base(
    persons: Persons, bought: Purchases, site: int | None, now: Millis
) -> tuple[int, rule.BaseRate]:
    """Return how many people are here now, and which share of them buys in a week."""
    here = persons.left == STILL_HERE
    if site is not None:
        here &= persons.site == site
    people = int(here.sum())
    oldest = int(persons.joined[here].min()) if people else now
    weeks = min(_WEEKS, (now - oldest) // WEEK)
    begin = now - weeks * WEEK
    long = here & (persons.joined <= begin)
    own = bought.keep(long[bought.person] & (bought.at >= begin) & (bought.at < now))
    # Whoever buys twice in a week is one buyer of that week.
    each = sort_out(own.person * _WEEKS + (own.at - begin) // WEEK) // _WEEKS
    per_person = np.bincount(each) if len(each) else np.zeros(1, np.int64)
    squares = int((per_person**2).sum())
    return people, rule.choose_base(int(long.sum()), int(weeks), len(each), squares)


def _say_begin(holdout: Holdout, begin: Begin, since: Millis) -> str:
    share = say_share(holdout.share)
    said = f"{holdout.name!r} holds out {share} of people since {moment(begin.at)}"
    said += f"; buyers count from {moment(since)} on." if since > begin.at else "."
    if begin.leaks:
        were = "was" if begin.leaks == 1 else "were"
        said += (
            f" {counted(begin.leaks, 'campaign')} since {were} sent to it as well, which makes "
            "the difference smaller."
        )
    return said
