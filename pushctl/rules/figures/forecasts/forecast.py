"""
What a campaign will bring, from what earlier ones brought: P10, P50 and P90.

The rates of campaigns differ by far more than chance: so the unit is the campaign, and
the next log rate follows Student's t around the level of its topic. The plug-in
Beta-Binomial covers 57 to 76 % where 80 are promised. A topic's level is drawn towards
that of all topics, the more so the fewer campaigns it has (DerSimonian and Laird 1986);
older campaigns weigh less where that would have forecast the past better. One topic alone,
without ages, is the plain formula: mean + t(C - 1) s sqrt(1 + 1/C).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pushctl.model import Millis
from pushctl.rules import units
from pushctl.rules.figures.statistics.quantiles import (
    find_beta_binomial_quantiles,
    find_student_quantile,
)

Cell = tuple[str | None, int]  # a browser, and how old subscriptions are, in steps

LEVELS = (0.1, 0.5, 0.9)
FEWEST_CAMPAIGNS = 3
CASES_CV = 0.35  # how much rates vary between campaigns, where nothing else is known
# Half of a campaign's weight is gone after so many days; infinite: all weigh the same.
_HALF_LIVES = (math.inf, 365.0, 120.0, 45.0)
_TRIED = 15  # forecasts of the past, below which none of them is preferred
_BETTER = 0.98  # of the error with equal weights: below it they are given up
_BORROWED = 12  # degrees of freedom that other topics' scatter counts for, at most
_LEAST_TOPICS = 0.1  # topics differ at least by so much, as a log
_LEAST_SCATTER = 0.01  # and campaigns by so much, though a few were alike by accident
_LEAST_FREEDOM = 1.0  # old campaigns may weigh next to nothing
_MANY_PEOPLE = 200_000  # above them the Beta-Binomial is the Beta


@dataclass(frozen=True, slots=True)
class Past:
    """
    One earlier campaign: *events* of *people*, who got it at *at*.

    *topic* is what it is about. *events* may be a sum (of money, in units of the average
    order); *noise* is then how many times the chance of its sum exceeds that of a count.
    """

    topic: str
    at: Millis
    events: float
    people: int
    noise: float = 1.0

    @property
    def log(self) -> float:
        return math.log((self.events + 0.5) / (self.people + 1))


@dataclass(frozen=True, slots=True)
class Range:
    """P10, P50 and P90 of something, in its own unit."""

    p10: float
    p50: float
    p90: float

    @property
    def levels(self) -> tuple[float, float, float]:
        return self.p10, self.p50, self.p90

    def scale(self, factor: float) -> "Range":
        return Range(self.p10 * factor, self.p50 * factor, self.p90 * factor)


@dataclass(frozen=True, slots=True)
class Level:
    """
    The log rate that the next campaign of a topic is expected to have.

    *scatter* is the variance between campaigns, *doubt* that of *log* itself, as a part of
    the scatter: 1/C where C campaigns weigh the same. *freedom* belongs to both.
    *own* and *others* are the campaigns of the topic and of other topics that it is from;
    *half_life* is in days.
    """

    log: float
    scatter: float
    doubt: float
    freedom: float
    chance: float  # mean 1/k: what of the scatter is the campaigns' own chance
    noise: float
    own: int
    others: int
    half_life: float

    def predict(self, people: float) -> Range:
        """Return what *people* will do, none of it more often than there are people."""
        rate = math.exp(self.log)
        # A small campaign scatters more than those it is forecast from.
        more = max(0.0, self.noise / max(people * rate, 0.5) - self.chance)
        error = math.sqrt((self.scatter + more) * (1 + self.doubt))
        found = (
            people * math.exp(self.log + find_student_quantile(level, self.freedom) * error)
            for level in LEVELS
        )
        return Range(*found)


@dataclass(frozen=True, slots=True)
class _Group:
    """Campaigns of one topic: weighted *mean* of their logs, squares around it."""

    count: int
    size: float  # how many of equal weight would know as much
    mean: float
    squares: float
    freedom: float


_NOBODY = _Group(0, 0.0, 0.0, 0.0, 0.0)


def find_level(pasts: Sequence[Past], topic: str, now: Millis) -> Level | None:
    """
    Return the level of *topic* as *pasts*, all of one kind, tell it.

    Where the topic has fewer than three campaigns and too few other topics tell how much
    topics differ, all campaigns stand for it. None where there are fewer than three.
    """
    if len(pasts) < FEWEST_CAMPAIGNS:
        return None
    half_life = choose_half_life(pasts)
    by_topic: defaultdict[str, list[Past]] = defaultdict(list)
    for past in pasts:
        by_topic[past.topic].append(past)
    groups = {name: _sum_up(found, now, half_life) for name, found in by_topic.items()}
    own, others = groups.pop(topic, _NOBODY), [*groups.values()]
    scatter, freedom = _pool(own, others)
    prior = _find_prior(others, scatter, 2 if own.count else 3)
    alike: Sequence[Past] = by_topic[topic]
    if prior is None and own.count < FEWEST_CAMPAIGNS:
        alike, own = pasts, _sum_up(pasts, now, half_life)
        scatter, freedom = _pool(own, ())
    log, doubt = own.mean, 1 / own.size if own.count else 0.0
    if prior is not None:
        mean, between = prior
        precision = own.size / scatter + 1 / between
        log = (own.size / scatter * own.mean + mean / between) / precision
        doubt = 1 / (precision * scatter)
    chance, noise = _measure_chance(alike or pasts)
    known = len(by_topic[topic])
    return Level(
        log, scatter, doubt, freedom, chance, noise, known, len(pasts) - known, half_life
    )


def _measure_chance(pasts: Sequence[Past]) -> tuple[float, float]:
    """Return the mean variance that chance alone gives to a log rate, and the mean noise."""
    chance = math.fsum(past.noise / (past.events + 0.5) for past in pasts)
    return chance / len(pasts), math.fsum(past.noise for past in pasts) / len(pasts)


def _sum_up(pasts: Sequence[Past], now: Millis, half_life: float) -> _Group:
    weights = [
        2 ** -(max(now - past.at, 0) / units.DAY / half_life) if half_life < math.inf else 1.0
        for past in pasts
    ]
    logs = [past.log for past in pasts]
    whole, mean = math.fsum(weights), _average(logs, weights)
    size = whole**2 / math.fsum(each**2 for each in weights)
    around = math.fsum(w * (log - mean) ** 2 for w, log in zip(weights, logs, strict=True))
    return _Group(len(pasts), size, mean, around * size / whole, size - 1)


def _pool(own: _Group, others: Iterable[_Group]) -> tuple[float, float]:
    """Return the variance between campaigns of one topic and its degrees of freedom."""
    groups = [*others]
    squares = math.fsum(each.squares for each in groups)
    freedom = math.fsum(each.freedom for each in groups)
    if freedom > _BORROWED:
        squares, freedom = squares * _BORROWED / freedom, _BORROWED
    squares, freedom = squares + own.squares, freedom + own.freedom
    freedom = max(freedom, _LEAST_FREEDOM)
    return max(squares / freedom, _LEAST_SCATTER**2), freedom


def _find_prior(
    groups: Sequence[_Group], scatter: float, least: int
) -> tuple[float, float] | None:
    """
    Return mean and variance of topics' levels as other topics tell them.

    None where there are fewer than *least*.
    """
    if len(groups) < least:
        return None
    weights = [each.size / scatter for each in groups]
    means = [each.mean for each in groups]
    mean = _average(means, weights)
    spread = math.fsum(w * (one - mean) ** 2 for w, one in zip(weights, means, strict=True))
    whole = math.fsum(weights)
    scale = whole - math.fsum(w * w for w in weights) / whole
    between = max((spread - (len(groups) - 1)) / scale, _LEAST_TOPICS**2)
    precisions = [1 / (between + 1 / w) for w in weights]
    return _average(means, precisions), between + 1 / math.fsum(precisions)


def _average(values: Sequence[float], weights: Sequence[float]) -> float:
    whole = math.fsum(w * one for w, one in zip(weights, values, strict=True))
    return whole / math.fsum(weights)


def choose_half_life(pasts: Sequence[Past]) -> float:
    """
    Return the half-life in days with which *pasts* would have been forecast best.

    Infinite unless another one is better by 2 % in 15 forecasts or more.
    """
    ordered = sorted(pasts, key=lambda past: past.at)
    plain, count = _sum_errors(ordered, math.inf)
    if count < _TRIED:
        return math.inf
    tried = {each: _sum_errors(ordered, each)[0] for each in _HALF_LIVES[1:]}
    best = min(tried, key=tried.__getitem__)
    return best if tried[best] < _BETTER * plain else math.inf


def _sum_errors(ordered: Iterable[Past], half_life: float) -> tuple[float, int]:
    """Return the errors of log rates forecast by the earlier ones of a topic, summed."""
    known: dict[str, tuple[Millis, float, float, int]] = {}
    errors, count = 0.0, 0
    for past in ordered:
        at, weight, total, seen = known.get(past.topic, (past.at, 0.0, 0.0, 0))
        if half_life < math.inf:
            fade = 2 ** -((past.at - at) / units.DAY / half_life)
            weight, total = weight * fade, total * fade
        log = past.log
        if seen >= FEWEST_CAMPAIGNS:
            errors += abs(log - total / weight)
            count += 1
        known[past.topic] = (past.at, weight + 1, total + log, seen + 1)
    return errors, count


def predict_by_cases(rate: float, people: int, cv: float = CASES_CV) -> Range:
    """
    Return what *people* will do by a published *rate*: Beta-Binomial with that *cv*.

    ValueError where no Beta has that mean and *cv*.
    """
    whole = (1 - rate) / (rate * cv * cv) - 1
    if not 0 < rate < 1 or whole <= 0:
        raise ValueError("no Beta distribution has such a rate")
    tried = min(people, _MANY_PEOPLE)
    found = find_beta_binomial_quantiles(LEVELS, tried, rate * whole, (1 - rate) * whole)
    return Range(*found).scale(people / tried if people > tried else 1.0)


def predict_share(pasts: Sequence[Past], people: float, shift: float = 0.0) -> Range | None:
    """
    Return how many of *people* it will be where *pasts* are large shares: who is shown it.

    As ``Level.predict``, on log odds: nobody is reached twice. *shift* is added to the log
    odds: how much likelier these people are than those of the past. None below three.
    """
    if len(pasts) < FEWEST_CAMPAIGNS or people <= 0:
        return None
    odds = [math.log((p.events + 0.5) / (p.people - p.events + 0.5)) for p in pasts]
    mean = math.fsum(odds) / len(odds)
    scatter = math.fsum((one - mean) ** 2 for one in odds) / (len(odds) - 1)
    known = math.fsum(
        1 / (past.events + 0.5) + 1 / (past.people - past.events + 0.5) for past in pasts
    )
    centre = mean + shift
    share = 1 / (1 + math.exp(-centre))
    more = max(0.0, 1 / (people * share * (1 - share)) - known / len(pasts))
    error = math.sqrt((scatter + more) * (1 + 1 / len(odds)))
    found = (
        people / (1 + math.exp(-centre - find_student_quantile(level, len(odds) - 1) * error))
        for level in LEVELS
    )
    return Range(*found)


def compare_cells(
    cells: Mapping[Cell, tuple[int, int]], people: Mapping[Cell, int], sure: float
) -> float:
    """
    Return by how much *people* are likelier, in log odds, than those of *cells* were.

    *cells*: tries and events of each browser and age; *people*: how many there are of each.
    A cell's share is drawn to that of its browser by *sure* tries, and that to the share of
    all; 0 where nothing is known.
    """
    tries = sum(tried for tried, _ in cells.values())
    events = sum(happened for _, happened in cells.values())
    whole = sum(people.values())
    if not 0 < events < tries or not whole:
        return 0.0
    browsers: defaultdict[str | None, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (browser, _), (tried, happened) in cells.items():
        before = browsers[browser]
        browsers[browser] = before[0] + tried, before[1] + happened

    def draw(counts: tuple[int, int], share: float) -> float:
        return (counts[1] + sure * share) / (counts[0] + sure)

    def expect(cell: Cell) -> float:
        return draw(cells.get(cell, (0, 0)), draw(browsers[cell[0]], events / tries))

    then = sum(tried * expect(cell) for cell, (tried, _) in cells.items()) / tries
    here = sum(count * expect(cell) for cell, count in people.items()) / whole
    return math.log(here / (1 - here)) - math.log(then / (1 - then))


def average_last(pasts: Sequence[Past], topic: str, people: float) -> float | None:
    """Return what *people* did on average of the last three campaigns of *topic*, or None."""
    alike = sorted((past for past in pasts if past.topic == topic), key=lambda past: past.at)
    last = [past for past in alike if past.people][-FEWEST_CAMPAIGNS:]
    if len(last) < FEWEST_CAMPAIGNS:
        return None
    return people * sum(past.events / past.people for past in last) / len(last)


def round_sensibly(value: float) -> float:
    """Return *value* with three digits: more would be made up."""
    return float(f"{value:.3g}")
