"""
Intervals of 95 % for rates, their differences and their ratios.

The unit of all of them is the person: one message each. Messages of several campaigns to
the same people go through ``measure_by_person``, because a person who clicks often would
otherwise count as many.

The rate of nobody is unknown (None), and its interval is all that could be.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

Z = 1.959964  # of a normal distribution: 95 % lie within it, on both sides


@dataclass(frozen=True, slots=True)
class Interval:
    """
    *value* with its lower and upper bound; shares are fractions (0.07 is 7 %).

    *value* is None where it is unknown.
    """

    value: float | None
    low: float
    high: float


def measure_share(events: float, people: float, z: float = Z) -> Interval:
    """Return *events* / *people* with Wilson's interval (1927)."""
    if people <= 0:
        return Interval(None, 0.0, 1.0)

    share, part = events / people, z * z / people
    centre = (share + part / 2) / (1 + part)
    half = z * math.sqrt(share * (1 - share) / people + part / (4 * people)) / (1 + part)
    # The bounds of 0 % and 100 % are exact; the formula misses them by a rounding error.
    low = 0.0 if events == 0 else centre - half
    high = 1.0 if events == people else centre + half
    return Interval(share, low, high)


def compare_shares(events: int, people: int, others: int, other_people: int) -> Interval:
    """
    Return how much higher the second share is: *others* / *other_people* less the first.

    Newcombe's tenth method (1998), from the two intervals of Wilson.
    """
    if people <= 0 or other_people <= 0:
        return Interval(None, -1.0, 1.0)

    one, two = measure_share(events, people), measure_share(others, other_people)
    share, other_share = events / people, others / other_people
    value = other_share - share
    low = math.hypot(other_share - two.low, one.high - share)
    high = math.hypot(two.high - other_share, share - one.low)
    return Interval(value, value - low, value + high)


def divide_shares(events: int, people: int, others: int, other_people: int) -> Interval:
    """
    Return the second share over the first, with half an event added to all (Walter, 1975).

    The value has the halves, too; so 0 of 100 can be compared.
    """
    if people <= 0 or other_people <= 0:
        return Interval(None, 0.0, math.inf)

    counts = (events + 0.5, people + 0.5, others + 0.5, other_people + 0.5)
    log = math.log(counts[2] / counts[3]) - math.log(counts[0] / counts[1])
    error = math.sqrt(1 / counts[0] - 1 / counts[1] + 1 / counts[2] - 1 / counts[3])
    return Interval(math.exp(log), math.exp(log - Z * error), math.exp(log + Z * error))


def measure_by_person(people: Iterable[tuple[int, int]]) -> Interval:
    """
    Return all events over all messages, with an interval whose unit is the person.

    *people* are (messages, events) of each (Deng, Knoblich, Lu 2018: the delta method; the
    same as ordinary least squares with errors clustered by person). The bounds of fewer
    than two people are 0 and 1. Where nothing has happened, or always, that interval would
    have no width: then it is Wilson's of the people.
    """
    rows = [each for each in people if each[0] > 0]
    messages = sum(each[0] for each in rows)
    if not messages:
        return Interval(None, 0.0, 1.0)

    rate, count = sum(each[1] for each in rows) / messages, len(rows)
    if count < 2:
        return Interval(rate, 0.0, 1.0)
    if rate in (0.0, 1.0):
        return measure_share(count if rate else 0, count)

    squares = math.fsum((events - rate * sent) ** 2 for sent, events in rows)
    return bound_by_error(rate, math.sqrt(count / (count - 1) * squares) / messages)


def bound_by_people(events: float, messages: float, people: float, squares: float) -> Interval:
    """
    Return *events* / *messages* with an interval whose unit is the person, from sums.

    Wilson's where each of *people* has one message; else that of ``measure_by_person``, which
    is another rule on purpose: it is given whose messages are many, and keeps the delta method
    where each has one by accident. *squares* is the sum of (events - rate * messages)² over
    people.
    """
    if messages <= 0:
        return Interval(None, 0.0, 1.0)
    if messages == people:
        return measure_share(events, messages)
    rate = events / messages
    if people < 2:
        return Interval(rate, 0.0, 1.0)
    if events in (0, messages):
        return measure_share(people if events else 0, people)
    return bound_by_error(rate, math.sqrt(people / (people - 1) * squares) / messages)


def bound_by_error(rate: float, error: float) -> Interval:
    """Return *rate* with the bounds that its standard error gives, within 0 and 1."""
    return Interval(rate, max(0.0, rate - Z * error), min(1.0, rate + Z * error))
