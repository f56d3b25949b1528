"""
Forecasts of campaigns against what came: do P10 to P90 cover, and is P50 better?

    ./run python -m tests.proofs.forecasts --histories 500

Each history has topics whose rates differ, campaigns whose rates vary (cv .35) around levels
that drift, audiences of any size, and orders that follow from clicks. Its last campaigns are
forecast one by one from those before. The rival is the mean of the last three campaigns of
the topic. Losses are shares of what people of that history bring on average, so that no
large campaign decides.
"""

import argparse
import json
import math
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pushctl.rules import units
from pushctl.rules.figures.forecasts import accuracy, forecast
from pushctl.rules.figures.forecasts.forecast import Past, Range

CV = 0.35
SCATTER = math.sqrt(math.log(1 + CV**2))
LAST = 4  # campaigns of each history that are forecast
DRIFTS = (0.0, 0.03, 0.08)  # standard deviation of a month's change, as a log
BUYERS, BUYERS_SCATTER = 0.04, 0.25  # of clickers; between campaigns, as a log
VALUES = 0.8  # of orders, lognormal
REACH, REACH_SCATTER = 1.4, 0.15  # log odds of being shown a message
FEWEST_ORDERS = 20


class World(NamedTuple):
    topics: int
    campaigns: int  # of all topics
    drift: float  # a month
    differ: float  # topics' levels, as a log
    base: float


class Sent(NamedTuple):
    """One campaign, as each figure's past."""

    reach: Past
    clicks: Past
    orders: Past
    revenue: Past  # in units of the average order of all histories


@dataclass
class Found:
    """What the forecasts of one figure came to."""

    histories: int = 0  # whose last campaign counts for the coverage
    covered: int = 0
    below: int = 0
    forecasts: int = 0
    loss: float = 0.0  # of P50
    rival: float = 0.0

    @property
    def coverage(self) -> float:
        return self.covered / self.histories

    @property
    def against(self) -> float:
        return self.loss / self.rival


def draw_world(chance: random.Random) -> World:
    topics = chance.choice((1, 2, 3, 5, 8))
    return World(
        topics,
        topics * chance.choice((4, 6, 10, 20, 40)),
        chance.choice(DRIFTS),
        chance.choice((0.1, 0.3, 0.5)),
        chance.choice((0.02, 0.07, 0.13)),
    )


def draw_history(world: World, chance: random.Random) -> list[Sent]:
    """Return campaigns of every four to ten days, oldest first."""
    levels = [math.log(world.base) + chance.gauss(0, world.differ) for _ in range(world.topics)]
    at, odds = 0, REACH
    found = []
    for _ in range(world.campaigns):
        days = chance.uniform(4, 10)
        at += int(days * units.DAY)
        step = world.drift * math.sqrt(days / 30 / 2)
        common = chance.gauss(0, step)  # half of the drift is that of all topics
        levels = [each + common + chance.gauss(0, step) for each in levels]
        odds += chance.gauss(0, step)
        topic = chance.randrange(world.topics)
        found.append(draw_campaign(f"topic {topic}", at, levels[topic], odds, chance))
    return found


def draw_campaign(
    topic: str, at: int, level: float, odds: float, chance: random.Random
) -> Sent:
    people = int(math.exp(chance.uniform(math.log(800), math.log(60_000))))
    rate = min(0.9, math.exp(level + chance.gauss(0, SCATTER) - SCATTER**2 / 2))
    clicks = draw_binomial(people, rate, chance)
    shown = draw_binomial(
        people, 1 / (1 + math.exp(-odds - chance.gauss(0, REACH_SCATTER))), chance
    )
    buying = min(0.9, BUYERS * math.exp(chance.gauss(0, BUYERS_SCATTER)))
    orders = draw_binomial(clicks, buying, chance)
    values = [math.exp(chance.gauss(-(VALUES**2) / 2, VALUES)) for _ in range(orders)]
    return Sent(
        Past(topic, at, shown, people),
        Past(topic, at, clicks, people),
        Past(topic, at, orders, people),
        Past(topic, at, sum(values), people, math.exp(VALUES**2)),
    )


def draw_binomial(tries: int, rate: float, chance: random.Random) -> int:
    mean = tries * rate
    if mean > 30:
        drawn = round(chance.gauss(mean, math.sqrt(mean * (1 - rate))))
        return min(tries, max(0, drawn))
    return sum(chance.random() < rate for _ in range(tries))


def predict(name: str, before: Sequence[Sent], one: Past) -> Range | None:
    """Return the forecast of a figure, as jobs/figures/forecasts/forecast.py makes it."""
    pasts: list[Past] = [getattr(each, name) for each in before]
    if name == "reach":
        return forecast.predict_share(pasts[-12:], one.people)
    if name in ("orders", "revenue") and sum(x.orders.events for x in before) < FEWEST_ORDERS:
        return None
    level = forecast.find_level(pasts, one.topic, one.at)
    return None if level is None else level.predict(one.people)


def list_forecasts(name: str, sent: Sequence[Sent]) -> Iterator[tuple[Range, float, Past]]:
    """Yield (forecast, rival, what came) of the last campaigns that both can forecast."""
    for number in range(max(3, len(sent) - LAST), len(sent)):
        before, one = sent[:number], getattr(sent[number], name)
        rival = forecast.average_last(
            [getattr(each, name) for each in before], one.topic, one.people
        )
        told = predict(name, before, one)
        if told is not None and rival is not None:
            yield told, rival, one


def prove(histories: int, seed: int) -> dict[str, Found]:
    """Return what forecasts of each figure came to; *histories* are those with clicks."""
    found: defaultdict[str, Found] = defaultdict(Found)
    chance = random.Random(seed)
    while found["clicks"].histories < histories:
        sent = draw_history(draw_world(chance), chance)
        for name in Sent._fields:
            made = [*list_forecasts(name, sent)]
            if made:
                add(found[name], made, [getattr(each, name) for each in sent])
    return found


def add(found: Found, made: Sequence[tuple[Range, float, Past]], all_: Sequence[Past]) -> None:
    told, _, one = made[-1]
    found.histories += 1
    found.covered += accuracy.covers(told, one.events)
    found.below += one.events < told.p10
    usual = sum(each.events for each in all_) / sum(each.people for each in all_)
    for told, rival, one in made:
        size = usual * one.people
        found.forecasts += 1
        found.loss += accuracy.measure_pinball(0.5, told.p50, one.events) / size
        found.rival += accuracy.measure_pinball(0.5, rival, one.events) / size


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--histories", type=int, default=500)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    options = parser.parse_args()
    print(f"seed {options.seed}")
    failed = False
    for name, found in prove(options.histories, options.seed).items():
        said = {
            "figure": name,
            "histories": found.histories,
            "coverage": round(found.coverage, 3),
            "below": round(found.below / found.histories, 3),
            "forecasts": found.forecasts,
            "against_last_three": round(found.against, 3),
        }
        print(json.dumps(said))
        failed |= not 0.75 <= found.coverage <= 0.85 or found.against >= 1
    if failed:
        sys.exit("P10 to P90 cover less or more than they promise, or the rival is better")


if __name__ == "__main__":
    main()
