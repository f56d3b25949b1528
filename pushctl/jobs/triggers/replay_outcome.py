"""
What other rules would have brought: clicks, orders and revenue from stored probabilities.

Whoever was drawn as the other rules would have drawn them stands for the others: see
``rules/figures/experiments/counterfactual.py``. It sends nothing, and says no number where
the log can't answer.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from pushctl.config import Config
from pushctl.errors import InputError
from pushctl.jobs.figures.attribution import credits
from pushctl.jobs.figures.columns import local_times
from pushctl.jobs.triggers.replay import Rules
from pushctl.jobs.triggers.replay_columns import Drawn, Log, Tallies
from pushctl.model import Millis
from pushctl.rules.figures.experiments import counterfactual
from pushctl.rules.figures.experiments.counterfactual import Draw, Policy
from pushctl.rules.figures.figure import Row
from pushctl.rules.figures.revenue import per_person
from pushctl.rules.figures.revenue.attribution import Kind as CreditKind
from pushctl.rules.figures.send_times import best_hours
from pushctl.rules.money import Money
from pushctl.rules.triggers.arms import list_arms
from pushctl.rules.triggers.trigger import Step, StepTest, Trigger
from pushctl.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pushctl.jobs.figures.columns.people import People

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

CLICKED, ORDERS = "clicked", "orders"

# What one message brought: in each currency, and of that an order each.
Bought = Mapping[int, Sequence[tuple[str | None, Money | None]]]
Place = tuple[str, int]  # a trigger, and a step from 1
Came = defaultdict[str, float]  # by CLICKED, ORDERS, "money EUR"


class _UnanswerableError(Exception):
    """The log can't answer; the message says why."""


def load_bought(store: Store, config: Config) -> Bought:
    """Return the orders of each message that brought any, by its delivery."""
    found: dict[int, list[tuple[str | None, Money | None]]] = {}
    for one in credits.load_credits(store, config):
        if one.kind is not CreditKind.DIRECT:
            continue
        worth = None
        if one.minor is not None and one.exponent is not None:
            worth = Money(one.minor - one.refunded_minor, one.exponent, one.currency)
        found.setdefault(one.delivery, []).append((one.currency, worth))
    return found


def estimate_triggers(
    store: Store,
    config: Config,
    rules: Rules,
    since: Millis,
    until: Millis,
    arms: Mapping[Place, str],
) -> Iterator[Row]:
    """
    Yield a row for each trigger of *rules* that has sent: what came, and what would have come.

    *arms* are steps that always get one arm, whatever *rules* say. Raises InputError for a step
    that is none.
    """
    import numpy as np

    from pushctl.jobs.figures.columns.people import load_people

    for name, number in arms:
        if name not in rules.triggers or not 0 < number <= len(rules.triggers[name].steps):
            raise InputError(f"--arm {name}/{number}: these triggers have no such step")
    bought, everybody = load_bought(store, config), load_people(store, ("person",))
    for name, new in rules.triggers.items():
        log = _load_log(store, everybody, name, since, until)
        if not len(log.delivery):
            continue
        people = len(np.unique(log.person))
        try:
            old = config.triggers.get(name)
            log = log if old is None else _compare(old, new, log)
            bandits = {n for n, step in enumerate(new.steps, 1) if step.test.bandit}
            policy = _build_policy(old, new, log.kinds, arms)
            tallies = _fold(log, policy, bandits, bought)
            yield _finish(name, len(tallies), tallies, len(tallies))
        except _UnanswerableError as error:
            yield {"trigger": name, "people": people, "why": str(error)}


def _load_log(
    store: Store, everybody: "People", trigger: str, since: Millis, until: Millis
) -> Log:
    import numpy as np

    kinds: dict[Drawn, int] = {}
    parts = [np.empty((4, 0), np.int64)]
    for arm in store.draws.list_arms(trigger, since, until):
        rows = [np.fromstring(text, np.int64, sep=",") for text in arm[4:]]
        kind = kinds.setdefault(arm[:4], len(kinds))
        parts.append(np.stack([*rows, np.full(len(rows[0]), kind)]))
    found = np.concatenate(parts, axis=1)
    delivery, subscription, enrolment, drawn = found[:, np.argsort(found[0], kind="stable")]
    # As they came.
    _, first = np.unique(drawn, return_index=True)
    order = np.argsort(first)
    names = list(kinds)
    # Whoever came since is of nobody else.
    person_of = everybody.person[everybody.folding.fold(subscription)].astype(np.int64)
    return Log(
        delivery, np.where(person_of > 0, person_of, -delivery), enrolment >> 1,
        enrolment & 1 > 0, np.argsort(order)[drawn], [names[place] for place in order.tolist()],
    )  # fmt: skip


def _compare(old: Trigger, new: Trigger, log: Log) -> Log:
    """
    Return the messages of the steps that *new* has, too.

    Raises _UnanswerableError where it differs in what no lot has ever decided.
    """
    changed = [
        each.name
        for each in fields(Trigger)
        if each.name != "steps" and getattr(old, each.name) != getattr(new, each.name)
    ]
    if changed:
        raise _UnanswerableError(f"no lot ever decided {', '.join(changed)}")
    if len(new.steps) > len(old.steps):
        raise _UnanswerableError(f"nobody ever got step {len(old.steps) + 1}")
    for number, (one, two) in enumerate(zip(old.steps, new.steps, strict=False), 1):
        if _strip(one) != _strip(two):
            raise _UnanswerableError(f"no lot ever decided what step {number} changes")
    return log.keep(len(new.steps))


def _strip(step: Step) -> Step:
    """Return a step without what lots decide."""
    return replace(step, templates=(), test=StepTest())


def _build_policy(
    old: Trigger | None, new: Trigger, kinds: Sequence[Drawn], arms: Mapping[Place, str]
) -> Policy:
    """Return the new probabilities by step and arm; of a bandit that goes on: none."""
    policy: dict[str, dict[str, float]] = {}
    for number, step in enumerate(new.steps, 1):
        choice = str(number)
        mine = {template for step_of, template, *_ in kinds if step_of == number}
        if (only := arms.get((new.name, number))) is not None:
            policy[choice] = {only: 1.0}
        elif step.test.bandit:
            if old is None or not old.steps[number - 1].test.bandit:
                raise _UnanswerableError(f"a bandit finds the shares of step {number} itself")
        elif listed := list_arms(step):
            policy[choice] = {arm.template or arm.variant: arm.weight for arm in listed}
        elif mine:
            plain = "a" if mine == {step.templates[0]} else step.templates[0]
            policy[choice] = {plain: 1.0}
    draws = _find_draws(kinds)
    if (fault := counterfactual.find_unsupported(filter(None, draws), policy)) is not None:
        choice, arm = fault
        raise _UnanswerableError(
            f"step {choice} would send {arm!r} to people who never could get it: look at a "
            "time in which both arms were drawn (--since, --until)"
        )
    return policy


def _find_draws(kinds: Sequence[Drawn]) -> list[Draw | None]:
    """Return the draw of each of *kinds*; None: there was no choice, and there will be none."""
    templates: dict[int, set[str]] = {}
    for step, template, *_ in kinds:
        templates.setdefault(step, set()).add(template)
    # The steps whose arms are whole templates.
    whole = {step for step, names in templates.items() if len(names) > 1}
    return [_read_draw(kind, whole) for kind in kinds]


def _read_draw(kind: Drawn, whole: Collection[int]) -> Draw | None:
    step, template, variant, probability = kind
    if step in whole:
        return Draw(str(step), template, probability or 1.0)
    if variant is None:
        return Draw(str(step), "a", 1.0)
    if probability is None:  # a language without the arms' files
        return None
    return Draw(str(step), variant, probability)


def _fold(log: Log, policy: Policy, bandits: Collection[int], bought: Bought) -> Tallies:
    """
    Return each person's tally: the weight is the product over their draws.

    A person keeps the arm of a step: that is one draw. A bandit draws anew each time.
    """
    import numpy as np

    factors = np.array(
        [
            1.0 if draw is None else counterfactual.weigh([draw], policy)
            for draw in _find_draws(log.kinds)
        ]
    )
    heads, person = np.unique(log.person, return_inverse=True)
    anew = np.array([kind[0] in bandits for kind in log.kinds], np.bool_)
    enrolment = np.where(anew[log.drawn], log.enrolment, 0)
    order = np.lexsort((enrolment, log.drawn, person))
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = False
    for column in (person, log.drawn, enrolment):
        is_new[1:] |= column[order[1:]] != column[order[:-1]]
    once = order[is_new]
    weight = np.ones(len(heads))
    np.multiply.at(weight, person[once], factors[log.drawn[once]])
    tallies = Tallies(weight, len(heads))
    # However often somebody has clicked.
    clickers = np.unique(person[log.clicked])
    tallies.add(CLICKED, clickers, np.ones(len(clickers)), weight[clickers])
    _add_all_bought(tallies, log.delivery, person, bought, weight[person])
    return tallies


def _add_all_bought(
    tallies: Tallies, delivery: "Places", person: "Places", bought: Bought, weights: "Floats"
) -> None:
    """Add what each of these messages brought, by its person and with its weight."""
    import numpy as np

    found: dict[str, tuple[list[int], list[float]]] = {ORDERS: ([], [])}
    known = np.fromiter(bought, np.int64, len(bought))
    for place in np.flatnonzero(np.isin(delivery, known)).tolist():
        came: Came = defaultdict(float)
        _add_bought(came, bought[int(delivery[place])])
        for name, value in came.items():
            places, values = found.setdefault(name, ([], []))
            places.append(place)
            values.append(value)
    for name, (places, values) in found.items():
        at = np.array(places, np.int64)
        tallies.add(name, person[at], np.array(values), weights[at])


def _add_bought(sums: Came, orders: Sequence[tuple[str | None, Money | None]]) -> None:
    for currency, worth in orders:
        sums[ORDERS] += 1
        if worth is not None:
            sums[f"money {currency or ''}"] += float(worth.exact)


def estimate_hour(store: Store, config: Config, hour: int, since: Millis, until: Millis) -> Row:
    """
    Return what broadcasts would have brought at *hour* of each receiver's clock alone.

    Only those whose hours were drawn (`send --explore`), and in which that hour was drawn.
    """
    import numpy as np

    from pushctl.jobs.figures.columns.messages import load_people

    name = f"broadcasts at {hour:02}:00"
    people = load_people(store, ("person", "timezone", "site"))
    persons = people.person
    sites = {key: site.timezone for key, site in config.sites.items()}
    zone_of, zones = local_times.number_zones(people, sites)
    explored = store.draws.list_hours(store.draws.list_explored())
    found = [row for row in explored if since <= row.sent_at < until]
    whose = people.folding.fold(np.array([row.subscription for row in found], np.int64))
    # The clock of who came since is not known.
    found = [row for row, place in zip(found, whose.tolist(), strict=True) if place]
    subscription = whose[whose > 0]
    quarters = np.array([row.sent_at for row in found], np.int64) // local_times.QUARTER
    hours = local_times.find_week_hours(quarters, zone_of[subscription], zones)
    is_there = hours % best_hours.HOURS == hour
    campaign = np.array([row.campaign for row in found], np.int64)
    rows = np.flatnonzero(np.isin(campaign, np.unique(campaign[is_there])))
    heads, person = np.unique(persons[subscription[rows]], return_inverse=True)
    probability = np.array([row.probability for row in found])[rows]
    weights = np.where(is_there[rows], 1 / probability, 0.0)
    tallies = Tallies(np.bincount(person, weights, len(heads)).astype(np.float64), len(heads))
    clicked = np.array([row.clicked for row in found], np.float64)[rows]
    tallies.add(CLICKED, person, clicked, weights)
    delivery = np.array([row.delivery for row in found], np.int64)[rows]
    _add_all_bought(tallies, delivery, person, load_bought(store, config), weights)
    try:
        return _finish(name, len(heads), tallies, len(rows), weights.tolist())
    except _UnanswerableError as error:
        return {"trigger": name, "people": len(heads), "why": str(error)}


def _finish(
    name: str,
    people: int,
    tallies: Tallies,
    units: int,
    weights: Sequence[float] | None = None,
) -> Row:
    """Return the row of *tallies*; *units* are persons, or messages of *weights*."""
    sums: list[float] = tallies.weight.tolist()
    fault = counterfactual.find_fault(sums if weights is None else weights)
    if fault is None and weights is not None:
        fault = counterfactual.find_few(sums)
    if fault is not None:
        raise _UnanswerableError(fault)
    row: dict[str, object] = {
        "trigger": name,
        "people": people,
        "effective": int(counterfactual.count_effective(sums)),
    }
    for key in (CLICKED, ORDERS):
        did = tallies.did[key]
        share = weights is not None or did.max(initial=0) <= 1
        gains = tallies.gains[key].tolist()
        found = counterfactual.estimate_sums(sums, gains, share=share).interval
        row |= {f"{key}_did": int(did.sum()), key: round((found.value or 0) * units)}
        if math.isfinite(found.high):
            row |= {
                f"{key}_low": round(found.low * units),
                f"{key}_high": round(found.high * units),
                f"{key}_n": people,
            }
    return row | _measure_money(tallies, sums, units, people)  # type: ignore[return-value]


def _measure_money(
    tallies: Tallies, sums: Sequence[float], units: int, people: int
) -> dict[str, object]:
    """Return the revenue by currency; the interval is that of the first, which brought most."""
    names = [key for key in tallies.did if key.startswith("money ")]
    did = {key: float(tallies.did[key].sum()) for key in names}
    ordered = sorted(did, key=lambda key: (-did[key], key))
    whole = sum(sums)
    would = {key: float(tallies.gains[key].sum()) / whole * units for key in ordered}
    row: dict[str, object] = {
        "revenue_did": tuple(_make_money(did[key], key) for key in ordered),
        "revenue": tuple(_make_money(would[key], key) for key in ordered),
    }
    if not ordered:
        return row
    first = ordered[0]
    gains = [gain for gain in tallies.gains[first].tolist() if gain > 0]
    if len(gains) >= per_person.MIN_BUYERS:
        found = per_person.compute_fay_feuer(gains, 1)
        row |= {
            "revenue_low": _make_money(found.low / whole * units, first).minor,
            "revenue_high": _make_money(found.high / whole * units, first).minor,
            "revenue_n": people,
        }
    return row


def _make_money(amount: float, key: str) -> Money:
    from pushctl.rules import amounts

    currency = key.removeprefix("money ") or None
    exponent = amounts.count_decimals(currency) if currency else 2
    return Money(round(amount * 10**exponent), exponent, currency)
