"""The best time: sends of broadcasts by the hour of the week on their receivers' clocks."""

import math
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from functools import cached_property

from pushctl.jobs.figures.kept_answers import Plain
from pushctl.jobs.figures.recount.shares import Sums, bound
from pushctl.jobs.figures.recount.tries import FLAG_BITS, GROUP_BITS, Tries
from pushctl.jobs.figures.recount.world import CLICKED, TRIED, UNKNOWN, Batch, World
from pushctl.rules.figures.send_times import best_hours
from pushctl.rules.figures.send_times.best_hours import (
    BLOCKS,
    LEAST_OF_CELL,
    Count,
    Week,
    balance,
    choose,
    shrink,
)
from pushctl.rules.figures.send_times.random_hours import Measured, Part
from pushctl.rules.figures.statistics.intervals import Interval, Z, measure_share

_WEEK, _DAY = 168, 24
_NONE = Count(0.0, 0.0)
# Sends whose hours were drawn, and else campaigns, that it takes to name one.
_NEED_OF_BLOCKS = best_hours.SENDS_FOR_BLOCKS, best_hours.CAMPAIGNS_FOR_BLOCKS
_NEED_OF_HOURS = best_hours.SENDS_FOR_HOURS, best_hours.CAMPAIGNS_FOR_HOURS


class Drawn:
    """Messages of *campaigns* whose hour was drawn: columns, an entry each."""

    def __init__(self, world: World, campaigns: Collection[int]) -> None:
        self._size = world.size
        self.hour, self._clicked = array("B"), array("B")  # of the week; 0 or 1
        self._campaign, self._person, self._weight = array("q"), array("i"), array("d")
        for campaign in sorted(campaigns):
            for row, quarter, clicked, chance in world.store.recounts.read_chances(campaign):
                (place,) = world.find_places((row,))
                self.hour.append(world.find_hour(place, quarter))
                self._campaign.append(campaign)
                self._person.append(world.person[place])
                self._clicked.append(clicked)
                self._weight.append(1 / chance)
        self._usual, self._mean = self._rate_campaigns()

    @property
    def had_choice(self) -> bool:
        """Whether somebody's hour could have been another one."""
        return max(self._weight, default=0.0) > 1

    def _rate_campaigns(self) -> tuple[dict[int, float], float]:
        """Return what each campaign brings on average, and all of them."""
        weights, gains = dict[int, float](), dict[int, float]()
        for campaign, weight, clicked in zip(
            self._campaign, self._weight, self._clicked, strict=True
        ):
            weights[campaign] = weights.get(campaign, 0.0) + weight
            gains[campaign] = gains.get(campaign, 0.0) + weight * clicked
        usual = {one: gains[one] / weight for one, weight in weights.items()}
        return usual, sum(gains.values()) / (sum(weights.values()) or 1.0)

    def measure(self, slots: Sequence[int], find_slot: Callable[[int], int]) -> list[Measured]:
        """Weigh each send by the inverse of its chance, against its own campaign's mean."""
        slot_of = [find_slot(hour) for hour in range(_WEEK)]
        places: dict[int, array[int]] = {slot: array("i") for slot in slots}
        for place, hour in enumerate(self.hour):
            places[slot_of[hour]].append(place)
        return [self._measure(own) for own in places.values()]

    def _measure(self, own: "array[int]") -> Measured:
        weights, gains, due = (array("d", bytes(8 * self._size)) for _ in range(3))
        for place in own:
            person, weight = self._person[place], self._weight[place]
            weights[person] += weight
            gains[person] += weight * self._clicked[place]
            due[person] += weight * self._usual[self._campaign[place]]
        people = self._size - weights.count(0.0)
        whole, campaigns = math.fsum(due), len({self._campaign[place] for place in own})
        if people < 2 or whole <= 0:
            return Measured(len(own), people, campaigns, Interval(None, 0.0, 1.0), _NONE)
        ratio = math.fsum(gains) / whole
        squares = math.fsum(
            (gain - ratio * it) ** 2 for gain, it in zip(gains, due, strict=True) if it
        )
        error = self._mean * math.sqrt(people / (people - 1) * squares) / whole
        rate = min(self._mean * ratio, 1.0)
        count = math.fsum(weights) ** 2 / math.fsum(it * it for it in weights if it)
        if error > 0:
            count = min(count, rate * (1 - rate) / error**2)
            found = Interval(rate, max(0.0, rate - Z * error), min(1.0, rate + Z * error))
        else:
            found = measure_share(rate * count, count)
        return Measured(len(own), people, campaigns, found, Count(rate * count, count))


class Times:
    """Counts of broadcasts; *explored*: those campaigns of which some drew their hour."""

    def __init__(
        self, world: World, broadcasts: Collection[int], explored: Collection[int], week: Week
    ) -> None:
        self._world, self._week = world, week
        self._broadcasts = set(broadcasts)
        drawn = Drawn(world, set(explored) & self._broadcasts)
        # Where nobody could get another hour, nothing can be compared.
        self._drawn = drawn if drawn.had_choice else None
        self._sent, self._clicked = Counter[int](), Counter[int]()
        self._unknown = self._erased = 0
        # Sends and clicks by hour of the week and campaign.
        self._each: dict[tuple[int, int], list[int]] = {}
        # By block, and by hour behind the blocks; only where nothing was drawn.
        self._tries = Tries([(1, 2)])
        self._slots = [
            (
                BLOCKS.index(week.find_block(hour // _DAY, hour % _DAY)),
                len(BLOCKS) + hour % _DAY,
            )
            for hour in range(_WEEK)
        ]

    def add(self, batch: Batch) -> None:
        if batch.campaign not in self._broadcasts:
            return
        hours, marks = batch.hours, batch.marks
        self._sent.update([hour for hour, it in zip(hours, marks, strict=True) if TRIED[it]])
        self._clicked.update(
            [hour for hour, it in zip(hours, marks, strict=True) if it & CLICKED and TRIED[it]]
        )
        for place, quarter, hour, mark in zip(
            batch.places, batch.quarters, hours, marks, strict=True
        ):
            if hour == UNKNOWN and TRIED[mark]:
                self._unknown += quarter < 0
                self._erased += quarter >= 0 and not place
        if self._drawn is None:
            self._add_persons(batch)

    def _add_persons(self, batch: Batch) -> None:
        world, rows = self._world, list[int]()
        for place, hour, mark in zip(batch.places, batch.hours, batch.marks, strict=True):
            if hour != UNKNOWN and TRIED[mark]:
                clicked = mark & CLICKED > 0
                both = self._each.setdefault((hour, batch.campaign), [0, 0])
                both[0] += 1
                both[1] += clicked
                for slot in self._slots[hour]:
                    key = world.person[place] << GROUP_BITS | slot
                    rows.append(key << FLAG_BITS | 1 | 2 * clicked)
        self._tries.add(rows)

    @cached_property
    def _sums(self) -> dict[int, Sums]:
        return self._tries.sum_up(self._world.site)[0][0]

    def describe(self) -> dict[str, Plain]:
        """Return what is compared of ``best_time.BestTime``."""
        first = len(BLOCKS)
        rates: list[Plain] = [
            self._clicked[hour] / sent if (sent := self._sent[hour]) >= LEAST_OF_CELL else None
            for hour in range(_WEEK)
        ]
        cells: list[Plain] = [rates[at : at + _DAY] for at in range(0, _WEEK, _DAY)]
        slots = self._slots
        parts = (
            ("blocks", range(first), lambda hour: slots[hour][0], _NEED_OF_BLOCKS),
            ("hours", range(first, first + _DAY), lambda hour: slots[hour][1], _NEED_OF_HOURS),
        )
        return {
            "by_lots": self._drawn is not None,
            **{name: self._compare(which, of, need) for name, which, of, need in parts},
            "cells": cells,
            "unknown": self._unknown,
            "erased": self._erased,
            "busiest": self._find_busiest(),
        }

    def _find_busiest(self) -> dict[str, Plain]:
        sent = self._sent
        if self._drawn is not None:
            sent = Counter(self._drawn.hour)
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
        """Return one comparison, as ``random_hours.Part`` has it: by the same rules."""
        if self._drawn is not None:
            measured = self._drawn.measure(slots, find_slot)
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
        enough = need[self._drawn is None]
        best = choose(shrunk, counts) if have >= enough and tried else None
        return asdict(Part(measured, shrunk, best, int(have) if tried else 0, enough))

    def _measure_seen(self, slot: int, find_slot: Callable[[int], int]) -> Measured:
        sums = self._sums.get(slot, Sums())
        reached = {it for hour, it in self._each if find_slot(hour) == slot}
        count = Count(sums.events, sums.tries)
        return Measured(sums.tries, sums.people, len(reached), bound(sums), count)

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
