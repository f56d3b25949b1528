"""
Does the control group keep its promise to whoever looks every week? Hundreds of shops.

    ./run python -m tests.proofs.holdout --shops 500 --people 800 --seed 7

Each shop is a control group of its own name, drawn by the program's own lots and looked at
each week by its own rule. The people are made up: every fourth joins while it goes on, and
some buy five times as often as others. The first shops (``--real``) also go through the real
store: every fifth person has two browsers under a signed alias, a row of the ledger begins the
group, orders are rows, and each week `pushctl stats holdout`'s own job must say the same
(*torn*: the looks at which it does not).

*none*: messages bring nothing, so a difference that is seen is a false alarm; at most 5 % of
shops may have one at any of all looks. *more*: they bring 60 % more buyers a week. In both,
the interval that may be looked at any time must cover the true ratio at every look in 95 % of
shops, and Newcombe's at the last look the true difference in 95 %, less what chance takes.
*alarms* of the sample ratio are promised in one shop of a thousand.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pushctl.config import Config, HoldoutConfig
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables import holdout
from pushctl.rules.contact_policy import Holdout
from pushctl.rules.figures.experiments import holdout as rule
from pushctl.rules.figures.experiments.holdout import Cause, Group, Lift
from pushctl.store import Store
from tests.support import NOON, sending

WEEK = 7 * 86_400_000
LIFTS = {"none": 1.0, "more": 1.6}
TWO_DEVICES, LATE = 5, 4  # every fifth person, every fourth
BASE = 0.03  # of people buy in a week

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass
class Found:
    """What came of all shops of one kind; all but *shops* count those."""

    shops: int = 0
    looks: int = 0  # at which a lift was shown
    seen: int = 0  # a difference was proved at some look
    wrong: int = 0  # it was proved that messages do the opposite
    missed_ratio: int = 0  # at some look the interval left the truth out
    missed_difference: int = 0  # the last look's interval of the difference did
    compared: int = 0  # a lift was shown at all
    alarms: int = 0
    torn: int = 0  # looks at which the program's table differed from these counts


@dataclass
class World:
    """A project, its persons' devices, how often each buys and in which week they join."""

    store: Store
    config: Config
    devices: list[list[int]]
    words: list[str]  # of each person's lot
    rates: Floats
    joined: NDArray[np.int64]
    weeks: int
    random: np.random.Generator


def build(folder: Path, people: int, weeks: int, seed: int) -> World:
    """Return a world of *people*; each shop begins at NOON and lasts so many *weeks*."""
    made = sending.field(folder)
    chance = np.random.default_rng(seed)
    joined = np.where(np.arange(people) % LATE == 0, chance.integers(0, weeks, people), 0)
    devices, words, number = [], [], 0
    with made.store.write() as connection:
        for person in range(people):
            count = 2 if person % TWO_DEVICES == 0 else 1
            at = NOON + int(joined[person]) * WEEK if joined[person] else NOON - WEEK
            rows = made.people(count, first=number, tag=None, now=at)
            number += count
            alias = f"person {person}" if count > 1 else None
            for row in rows:
                connection.execute(
                    "UPDATE subscriptions SET public_id = ?, alias = ?, alias_trusted = ?"
                    " WHERE id = ?",
                    (f"device {row}", alias, alias is not None, row),
                )
            devices.append(rows)
            words.append(f"device {rows[0]}")
    rates = BASE * chance.choice((1 / 3, 2 / 3, 1, 4 / 3, 5 / 3), people)
    return World(made.store, made.config, devices, words, rates, joined, weeks, chance)


def prove(world: World, kind: str, shops: int, share: float, real: int = 0) -> Found:
    """Run *shops* shops of a *kind*, and look at each every week; *real* by the real store."""
    found, lift = Found(), LIFTS[kind]
    truths = find_truths(world, lift)
    for number in range(shops):
        group = Holdout(share, f"{kind} {share} {number}")
        held = np.array([group.has(word) for word in world.words])
        buys = draw(world, held, lift)
        looks = [compare(world, held, buys, week, share) for week in list_weeks(world)]
        if number < real:
            with world.store.write():  # each transaction would wait for the disk
                write_shop(world, group, held, buys)
                found.torn += find_torn(world, group, looks)
        judge([lift for _, _, lift in looks], truths, lift, found)
    return found


def list_weeks(world: World) -> range:
    return range(1, world.weeks + 1)


def find_truths(world: World, lift: float) -> list[tuple[float, float]]:
    """Return the true (ratio, difference) of both groups' shares of buyers after each week."""
    found = []
    for week in list_weeks(world):
        is_here = world.joined <= week
        lived = (week - world.joined)[is_here]
        plain, more = (
            (1 - (1 - world.rates[is_here] * times) ** lived).mean() for times in (1.0, lift)
        )
        found.append((float(more / plain), float(more - plain)))
    return found


def draw(world: World, held: Flags, lift: float) -> Flags:
    """Return which person buys in which week."""
    chances = world.rates * np.where(held, 1.0, lift)
    buys = world.random.random((world.weeks, len(held))) < chances
    return buys & (np.arange(world.weeks)[:, None] >= world.joined)


def compare(
    world: World, held: Flags, buys: Flags, week: int, share: float
) -> tuple[Group, Group, Lift]:
    """Return the control group, the others and their lift after *week* weeks."""
    here, bought = world.joined <= week, buys[:week]
    control, others = (
        Group(int((here & part).sum()), int(bought[:, part].any(axis=0).sum()))
        for part in (held, ~held)
    )
    return control, others, rule.compare(control, others, share)


def write_shop(world: World, group: Holdout, held: Flags, buys: Flags) -> None:
    """Write a broadcast from which the group is held out, and what everybody buys."""
    db = world.store.connection
    for table in ("orders", "deliveries", "campaigns"):
        db.execute(f"DELETE FROM {table}")
    campaign = db.execute(
        "INSERT INTO campaigns (name, status, template, audience, sources, created_at)"
        " VALUES (?, 'finished', 'sale', '', '{}', ?) RETURNING id",
        (group.name, NOON),
    ).fetchone()[0]
    db.execute(
        "INSERT INTO deliveries (campaign_id, subscription_id, status, cause, reason,"
        " changed_at, holdout_probability) VALUES (?, ?, 'skipped', 'holdout', ?, ?, ?)",
        (
            campaign,
            world.devices[int(held.argmax())][0],
            group.describe(),
            NOON,
            group.share,
        ),
    )
    orders = []
    for week, person in np.argwhere(buys).tolist():
        rows = world.devices[person]
        at = NOON + week * WEEK + int(world.random.integers(1, WEEK))
        orders.append((f"{week} {person}", at, at, rows[at % len(rows)]))
    db.executemany(
        "INSERT INTO orders (site_id, source, number, state, minor, exponent, currency, at,"
        " received_at, subscription_id) VALUES (1, 'page', ?, 'paid', 1000, 2, 'EUR', ?, ?, ?)",
        orders,
    )


def find_torn(world: World, group: Holdout, looks: Sequence[tuple[Group, Group, Lift]]) -> int:
    """Return at how many looks the program's own table says something else."""
    settings = HoldoutConfig(share=group.share, name=group.name)
    config, torn = replace(world.config, holdout=settings), 0
    for week, (control, others, lift) in enumerate(looks, 1):
        asked = Filter(now=NOON + week * WEEK)
        rows = holdout.load(world.store, config, asked).rows
        told = [(row["people"], row["buyers"]) for row in rows]
        known = [(one.people, one.buyers) for one in (others, control)]
        ratio = None if lift.evidence is None else (lift.evidence.value or 0) - 1
        torn += (told, rows[0]["cause"], rows[0]["lift"]) != (known, lift.cause, ratio)
    return torn


def judge(
    looks: Sequence[Lift], truths: Sequence[tuple[float, float]], lift: float, found: Found
) -> None:
    """Count what one shop was told, and what of it is not so."""
    shown = [(one, truth) for one, truth in zip(looks, truths, strict=True) if one.is_shown]
    found.shops += 1
    found.looks += len(shown)
    found.alarms += any(one.cause is Cause.SAMPLE_RATIO for one in looks)
    seen = [one for one, _ in shown if one.cause is Cause.SEEN]
    found.seen += bool(seen)
    found.wrong += lift > 1 and any(one.evidence and one.evidence.high < 1 for one in seen)
    found.missed_ratio += any(
        one.evidence is not None and not one.evidence.low <= ratio <= one.evidence.high
        for one, (ratio, _) in shown
    )
    if shown:
        last, (_, difference) = shown[-1]
        assert last.increment is not None
        found.compared += 1
        found.missed_difference += not last.increment.low <= difference <= last.increment.high


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--shops", type=int, default=500)
    parser.add_argument("--people", type=int, default=800)
    parser.add_argument("--weeks", type=int, default=26)
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--real", type=int, default=20, help="of them by the real store")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    options = parser.parse_args()
    print(f"seed {options.seed}")
    failed = False
    for kind in LIFTS:
        with tempfile.TemporaryDirectory(prefix="pushctl-holdout-") as folder:
            world = build(Path(folder), options.people, options.weeks, options.seed)
            found = prove(world, kind, options.shops, options.share, options.real)
            world.store.close()
        print(json.dumps({"kind": kind, **vars(found)}))
        # Three standard deviations above the 5 % that are promised.
        most = found.shops * 0.05 + 3 * (found.shops * 0.05 * 0.95) ** 0.5
        failed |= found.missed_ratio > most or found.missed_difference > most
        failed |= (kind == "none" and found.seen > most) or found.wrong + found.torn > 0
    if failed:
        sys.exit("more than 5 % of shops were told what is not so")


if __name__ == "__main__":
    main()
