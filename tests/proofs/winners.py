"""
Do A/B tests keep their promise? Thousands of them, through the real ledger.

    ./run python -m tests.proofs.winners --tests 2000 --people 600 --base 0.1 --seed 7

Each test is a broadcast: planned, drawn and frozen by the program's own code, claimed and
booked as the engine does it, its clicks written as reports are, decided by the sweep's own
function. Only the push service is left out, and the people are made up: every fifth has two
devices under a signed alias, every twentieth reads a language without the variants' files, and
each has a rate of their own, some click five times as often as others.

*equal* (and *equal3*): arms whose rates are the same; a winner is a false one. At most 5 %
(1.4 % with three arms) are promised, and a bit less than that comes with few clicks, because
counts are whole numbers. *better*: b has the rate of which the forecast says that it is seen
in 80 % of tests.

It also counts what must never be: people with two arms (*torn*), people without a choice who
are compared (*strays*), winners that a late report changed (*changed*), and alarms of the
sample ratio, of which one in a thousand is promised.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pushctl.jobs.campaigns import experiments
from pushctl.model import Campaign, InteractionKind
from pushctl.rules.figures.experiments.decision import Cause
from pushctl.rules.figures.experiments.power import forecast_test
from pushctl.store.experiments import Experiment
from pushctl.store.interactions import Interaction
from pushctl.store.ledger_rows import ClaimedRow, FinishedRow
from tests.support import HOUR, NOON, sending
from tests.support.sending import Field

TWO_DEVICES, FOREIGN = 5, 20  # every fifth, every twentieth person
KINDS = {"equal": "ab", "equal3": "abc", "better": "ab"}  # and their arms
BATCH = 50  # tests in a transaction
LATE_EVERY = 20  # tests: a look at the details, and reports that come late


@dataclass
class Found:
    """What came of all tests of one kind."""

    tests: int = 0
    winners: Counter[str] = field(default_factory=Counter)
    fewest_clickers: int = 10**9  # of an arm, in all tests
    assigned: Counter[str] = field(default_factory=Counter)
    alarms: int = 0
    torn: int = 0
    strays: int = 0
    changed: int = 0

    @property
    def share(self) -> float:
        return self.winners.total() / self.tests


@dataclass
class World:
    """A project, its people's devices, and how often each person clicks."""

    field: Field
    person: dict[int, int]  # of a subscription
    rates: list[float]
    outside: set[int]  # people who read a language without variants
    random: random.Random

    @property
    def compared(self) -> int:
        return len(self.rates) - len(self.outside)


def build(
    folder: Path, people: int, base: float, chance: random.Random, variants: str
) -> World:
    """Return a world of *people* who can be compared, and others, in a fresh project."""
    made = sending.field(folder)
    for file in ("de", *(f"en.{variant}" for variant in variants[1:])):
        text = f'title = "{file}"\nbody = "Everything must go"\n'
        (made.config.templates / "sale" / f"{file}.toml").write_text(text, "utf-8")
    person: dict[int, int] = {}
    outside: set[int] = set()
    number = 0
    while number - len(outside) < people:
        is_foreign = number % FOREIGN == FOREIGN - 1
        devices = 2 if number % TWO_DEVICES == 0 else 1
        rows = made.people(
            devices, first=2 * number, language="de" if is_foreign else "en", tag=None
        )
        name_devices(made, rows, number)
        person |= dict.fromkeys(rows, number)
        if is_foreign:
            outside.add(number)
        number += 1
    # From a third to five thirds of the base; the mean is the base.
    rates = [base * chance.choice((1 / 3, 2 / 3, 1, 4 / 3, 5 / 3)) for _ in range(number)]
    return World(made, person, rates, outside, chance)


def name_devices(made: Field, rows: list[int], person: int) -> None:
    """Give the devices names that are the same in every run: lots are drawn by them."""
    alias = f"person {person}" if len(rows) > 1 else None
    sql = "UPDATE subscriptions SET public_id = ?, alias = ?, alias_trusted = ? WHERE id = ?"
    with made.store.write() as connection:
        for row in rows:
            connection.execute(sql, (f"device {row}", alias, alias is not None, row))


def prove(world: World, kind: str, tests: int, lift: float) -> Found:
    """Run *tests* tests of a *kind*; arm b's rate is *lift* times the others'."""
    found = Found()
    for first in range(0, tests, BATCH):
        with world.field.store.write():  # each of its transactions would wait for the disk
            for number in range(first, min(first + BATCH, tests)):
                run(world, kind, number, lift, found)
    return found


def run(world: World, kind: str, number: int, lift: float, found: Found) -> None:
    campaign = world.field.freeze(
        name=f"{kind} {number}",
        variants=",".join(KINDS[kind]),
        on_tie="first",
        decide_after="4h",
    )
    one = world.field.store.experiments.find(campaign.id)
    assert one is not None
    judge(world, one, react(world, campaign, lift, found), found)


def react(world: World, campaign: Campaign, lift: float, found: Found) -> dict[int, str]:
    """Have all messages accepted and some clicked; return the arm of each person compared."""
    store, chance = world.field.store, world.random
    rows, _ = store.deliveries.claim_fresh(campaign.id, 0, 100_000, NOON)
    booked = (FinishedRow(row.id, "accepted", language=row.language) for row in rows)
    store.deliveries.finish(booked, NOON)
    devices: dict[int, list[ClaimedRow]] = {}
    for row in rows:
        devices.setdefault(world.person[row.subscription], []).append(row)
    fell: dict[int, str] = {}
    clickers: Counter[str] = Counter()
    for person, own in devices.items():
        variant = own[0].variant or ""
        found.torn += len({row.variant for row in own}) > 1
        if person not in world.outside:
            fell[person] = variant
        if chance.random() < world.rates[person] * (lift if variant == "b" else 1):
            click(world, chance.choice(own).id)
            clickers[variant] += person in fell
    found.fewest_clickers = min(found.fewest_clickers, *clickers.values())
    return fell


def click(world: World, delivery: int, how: str = "click") -> None:
    kind = InteractionKind.CLICKED
    world.field.store.interactions.add(
        Interaction(delivery, kind, None, NOON + HOUR, f"{how} {delivery}")
    )


def judge(world: World, one: Experiment, fell: dict[int, str], found: Found) -> None:
    """Let the sweep's function decide, and count what it did."""
    decision = experiments.decide(world.field.store, one, one.decide_at or 0)
    assert decision is not None
    found.tests += 1
    found.assigned.update(fell.values())
    found.alarms += decision.cause is Cause.SAMPLE_RATIO
    if decision.cause is Cause.WON:
        found.winners[decision.winner or ""] += 1
    if found.tests % LATE_EVERY == 0:
        look_closer(world, one, fell, found)


def look_closer(world: World, one: Experiment, fell: dict[int, str], found: Found) -> None:
    """Count who is compared, and let everybody of arm a click late."""
    store, at = world.field.store, one.decide_at or 0
    before = store.experiments.get(one.name)
    counts = store.experiments.count_arms(one.id)
    found.strays += abs(sum(each.assigned for each in counts.values()) - len(fell))
    sql = "SELECT id FROM deliveries WHERE campaign_id = ? AND variant = 'a'"
    for (row,) in store.connection.execute(sql, (one.campaign,)).fetchall():
        click(world, row, "late")
    found.changed += experiments.decide(store, one, at + HOUR) is not None
    found.changed += store.experiments.get(one.name) != before


def find_lift(world: World, base: float) -> float:
    """Return how many times the base rate is that which the forecast promises to see."""
    detectable = forecast_test(world.compared, 1.0, base, [1, 1]).detectable
    assert detectable is not None
    return detectable / base


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tests", type=int, default=2000)
    parser.add_argument("--people", type=int, default=600)
    parser.add_argument("--base", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    for kind in options.kinds:
        with tempfile.TemporaryDirectory(prefix="pushctl-winners-") as folder:
            chance = random.Random(f"{options.seed} {kind}")
            world = build(Path(folder), options.people, options.base, chance, KINDS[kind])
            lift = find_lift(world, options.base) if kind == "better" else 1.0
            found = prove(world, kind, options.tests, lift)
            world.field.store.close()
        said = {"kind": kind, "lift": round(lift, 3), "share": found.share, **vars(found)}
        print(json.dumps(said))
        if found.torn or found.strays or found.changed:
            sys.exit("a person changed arms, a stray was compared, or a winner was changed")


if __name__ == "__main__":
    main()
