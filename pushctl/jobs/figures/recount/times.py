"""The best time: sends of broadcasts by the hour of the week on their receivers' clocks."""

import math
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

from pushctl.jobs.figures.answers import Plain
from pushctl.jobs.figures.recount.shares import sum_persons
from pushctl.jobs.figures.recount.world import CLICKED, TRIED, Batch, Hours, World
from pushctl.rules.figures import best_hours
from pushctl.rules.figures.best_hours import (
    BLOCKS,
    LEAST_OF_CELL,
    Count,
    Week,
    balance,
    choose,
    shrink,
)
from pushctl.rules.figures.explored import Measured, Part
from pushctl.rules.figures.intervals import Interval, Z, measure_share

_WEEK, _DAY = 168, 24
_NONE = Count(0.0, 0.0)
# Sends whose hours were drawn, and else campaigns, that it takes to name one.
_NEED_OF_BLOCKS = best_hours.SENDS_FOR_BLOCKS, best_hours.CAMPAIGNS_FOR_BLOCKS
_NEED_OF_HOURS = best_hours.SENDS_FOR_HOURS, best_hours.CAMPAIGNS_FOR_HOURS


class Drawn(NamedTuple):
    """A message whose hour was drawn: by which probability."""

    hour: int  # of the week
    campaign: int
    person: int
    clicked: bool
    probability: float


class Times:
    """Counts of broadcasts; *explored*: those campaigns of which some drew their hour."""

    def __init__(
        self, world: World, broadcasts: Collection[int], explored: Collection[int], week: Week
    ) -> None:
        self._world, self._week = world, week
        self._broadcasts, self._hours = set(broadcasts), Hours(world.clocks)
        self._drawn = list(self._read_drawn(set(explored) & self._broadcasts))
        if all(one.probability >= 1 for one in self._drawn):
            self._drawn = []
        self._sent, self._clicked = [0] * _WEEK, [0] * _WEEK
        self._unknown = self._erased = 0
        # Sends and clicks by hour of the week and campaign.
        self._each: dict[tuple[int, int], list[int]] = {}
        # By block and hour, and person; only where nothing was drawn.
        size = 0 if self._drawn else (len(BLOCKS) + _DAY) * world.size
        self._tries, self._events = (array("H", bytes(2 * size)) for _ in range(2))
        self._slots = [
            (
                BLOCKS.index(week.find_block(hour // _DAY, hour % _DAY)),
                len(BLOCKS) + hour % _DAY,
            )
            for hour in range(_WEEK)
        ]

    def _read_drawn(self, campaigns: Collection[int]) -> Iterator[Drawn]:
        world = self._world
        for campaign in sorted(campaigns):
            for row, quarter, clicked, chance in world.store.recounts.read_chances(campaign):
                (place,) = world.find_places((row,))
                hour = self._hours[world.zone[place], quarter]
                yield Drawn(hour, campaign, world.person[place], bool(clicked), chance)

    def add(self, batch: Batch) -> None:
        if batch.campaign not in self._broadcasts:
            return
        world, hours = self._world, self._hours
        size, by_person = world.size, not self._drawn
        for place, quarter, mark in zip(batch.places, batch.quarters, batch.marks, strict=True):
            if not TRIED[mark]:
                continue
            if quarter < 0:
                self._unknown += 1
            elif not place:
                self._erased += 1
            else:
                hour, clicked = hours[world.zone[place], quarter], mark & CLICKED > 0
                self._sent[hour] += 1
                self._clicked[hour] += clicked
                if by_person:
                    both = self._each.setdefault((hour, batch.campaign), [0, 0])
                    both[0] += 1
                    both[1] += clicked
                    for slot in self._slots[hour]:
                        self._tries[slot * size + world.person[place]] += 1
                        self._events[slot * size + world.person[place]] += clicked

    def describe(self) -> dict[str, Plain]:
        """Return what is compared of ``best_time.BestTime``."""
        first = len(BLOCKS)
        rates: list[Plain] = [
            clicks / sent if sent >= LEAST_OF_CELL else None
            for sent, clicks in zip(self._sent, self._clicked, strict=True)
        ]
        cells: list[Plain] = [rates[at : at + _DAY] for at in range(0, _WEEK, _DAY)]
        slots = self._slots
        parts = (
            ("blocks", range(first), lambda hour: slots[hour][0], _NEED_OF_BLOCKS),
            ("hours", range(first, first + _DAY), lambda hour: slots[hour][1], _NEED_OF_HOURS),
        )
        return {
            "by_lots": bool(self._drawn),
            **{name: self._compare(which, of, need) for name, which, of, need in parts},
            "cells": cells,
            "unknown": self._unknown,
            "erased": self._erased,
            "busiest": self._find_busiest(),
        }

    def _find_busiest(self) -> dict[str, Plain]:
        sent = self._sent
        if self._drawn:
            counts = Counter(one.hour for one in self._drawn)
            sent = [counts[hour] for hour in range(_WEEK)]
        found: dict[str, Plain] = {}
        for block in BLOCKS:
            totals: Counter[int] = Counter()
            for day, hour in self._week.list_hours(block):
                totals[hour] += sent[day * _DAY + hour]
            found[str(block)] = max(totals, key=lambda hour: (totals[hour], -hour))
        return found

    def _compare(
        self, slots: Sequence[int], find_slot: Callable[[int], int], need: tuple[int, int]
    ) -> Plain:
        """Return one comparison, as ``explored.Part`` has it: by the same rules."""
        if self._drawn:
            measured = self._measure_drawn(slots, find_slot)
            known = [one.count for one in measured]
            counts = [one if one.sends >= LEAST_OF_CELL else _NONE for one in known]
            have = balance([one.sends for one in counts if one.sends])
        else:
            measured = [self._measure_seen(slot, find_slot) for slot in slots]
            counts = [self._measure_campaigns(slot, find_slot) for slot in slots]
            pairs = zip(measured, counts, strict=True)
            have = balance([one.campaigns for one, it in pairs if it.sends])
        shrunk = shrink(counts)
        tried = sum(one.sends > 0 for one in counts) > 1
        enough = need[0 if self._drawn else 1]
        best = choose(shrunk, counts) if have >= enough and tried else None
        return asdict(Part(measured, shrunk, best, int(have) if tried else 0, enough))

    def _measure_seen(self, slot: int, find_slot: Callable[[int], int]) -> Measured:
        part = slice(slot * self._world.size, (slot + 1) * self._world.size)
        sums = sum_persons(zip(self._tries[part], self._events[part], strict=True))
        reached = {it for hour, it in self._each if find_slot(hour) == slot}
        found = measure_share(sums.events, sums.tries)
        if sums.tries > sums.people > 1:
            rate, people = sums.events / sums.tries, sums.people
            off = sums.events_events - 2 * rate * sums.tries_events
            off = max(off + rate * rate * sums.tries_tries, 0.0)
            error = math.sqrt(people / (people - 1) * off) / sums.tries
            found = _bound(rate, error)
        count = Count(sums.events, sums.tries)
        return Measured(sums.tries, sums.people, len(reached), found, count)

    def _measure_campaigns(self, slot: int, find_slot: Callable[[int], int]) -> Count:
        """Return the simple sends that say as much as the campaigns of a slot do."""
        sums: dict[int, list[int]] = {}
        for (hour, campaign), both in self._each.items():
            if find_slot(hour) == slot:
                own = sums.setdefault(campaign, [0, 0])
                own[0] += both[0]
                own[1] += both[1]
        whole = sum(sent for sent, _ in sums.values())
        rate = sum(clicks for _, clicks in sums.values()) / whole if whole else 0.0
        squares = math.fsum((clicks - rate * sent) ** 2 for sent, clicks in sums.values())
        if len(sums) < 2 or not 0 < rate < 1 or squares <= 0:
            return _NONE
        error = math.sqrt(len(sums) / (len(sums) - 1) * squares) / whole
        count = min(float(whole), rate * (1 - rate) / error**2)
        return Count(rate * count, count)

    def _measure_drawn(
        self, slots: Sequence[int], find_slot: Callable[[int], int]
    ) -> list[Measured]:
        """Weigh each send by the inverse of its chance, against its own campaign's mean."""
        weights: dict[int, list[float]] = {}
        gains: dict[int, list[float]] = {}
        for one in self._drawn:
            weights.setdefault(one.campaign, []).append(1 / one.probability)
            gains.setdefault(one.campaign, []).append(one.clicked / one.probability)
        usual = {it: math.fsum(gains[it]) / math.fsum(weights[it]) for it in weights}
        mean = math.fsum(map(math.fsum, gains.values())) / math.fsum(
            map(math.fsum, weights.values())
        )
        by_slot: dict[int, list[Drawn]] = {}
        for one in self._drawn:
            by_slot.setdefault(find_slot(one.hour), []).append(one)
        return [_describe_drawn(by_slot.get(slot, []), usual, mean) for slot in slots]


def _describe_drawn(own: Sequence[Drawn], usual: Mapping[int, float], mean: float) -> Measured:
    people: dict[int, list[float]] = {}
    for one in own:
        weight = 1 / one.probability
        sums = people.setdefault(one.person, [0.0, 0.0, 0.0])
        sums[0] += weight
        sums[1] += weight * one.clicked
        sums[2] += weight * usual[one.campaign]
    weights, gains, due = zip(*people.values(), strict=True) if people else ((), (), ())
    whole, campaigns = math.fsum(due), len({one.campaign for one in own})
    if len(people) < 2 or whole <= 0:
        return Measured(len(own), len(people), campaigns, Interval(None, 0.0, 1.0), _NONE)
    ratio = math.fsum(gains) / whole
    squares = math.fsum((gain - ratio * it) ** 2 for gain, it in zip(gains, due, strict=True))
    error = mean * math.sqrt(len(people) / (len(people) - 1) * squares) / whole
    rate = min(mean * ratio, 1.0)
    count = math.fsum(weights) ** 2 / math.fsum(it * it for it in weights)
    if error > 0:
        count = min(count, rate * (1 - rate) / error**2)
    found = _bound(rate, error)
    return Measured(len(own), len(people), campaigns, found, Count(rate * count, count))


def _bound(rate: float, error: float) -> Interval:
    return Interval(rate, max(0.0, rate - Z * error), min(1.0, rate + Z * error))
