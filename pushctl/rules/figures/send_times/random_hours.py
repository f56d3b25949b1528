"""
Rates of slots of time from sends whose hour was drawn by lots.

Each send counts 1 / (the probability of its hour), and against the mean of its own campaign:
a good text at a bad hour makes no hour better. For one campaign a slot's rate is the
self-normalised inverse propensity estimate; over several it is the mean of all times the
ratio to what the same campaigns bring on average. The unit of the interval is the person.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushctl.rules.figures.send_times.best_hours import Block, Count, Shrunk
from pushctl.rules.figures.statistics.intervals import (
    Interval,
    bound_by_error,
    bound_by_people,
    measure_share,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Whole = NDArray[np.integer]
    Real = NDArray[np.float64]
    Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Measured:
    """
    A slot's sends and people, its rate, and the *count* of simple sends that say as much.

    *campaigns* that have any of it.
    """

    sends: int
    people: int
    campaigns: int
    rate: Interval
    count: Count


NOTHING = Measured(0, 0, 0, Interval(None, 0.0, 1.0), Count(0.0, 0.0))


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison, of blocks or of single hours; *enough* sends for it or not."""

    measured: Sequence[Measured]
    shrunk: Shrunk | None
    best: int | None  # None: no difference is seen, or too little was sent
    have: int  # sends by lots as if spread evenly, or campaigns
    need: int

    @property
    def enough(self) -> bool:
        return self.have >= self.need


@dataclass(frozen=True, slots=True)
class BestTime:
    """
    What the sends say about times.

    *cells* are rates by weekday and hour, None below 200 sends. *unknown* messages have no
    time of sending, *erased* no clock. *busiest*: the hour of each block at which most went
    out.
    """

    by_lots: bool
    blocks: Part
    hours: Part
    cells: Sequence[Sequence[float | None]]
    unknown: int
    erased: int
    busiest: dict[Block, int]


def measure_slots(
    slots: int,
    slot: "Whole",
    campaign: "Whole",
    person: "Whole",
    clicked: "Flags",
    probability: "Real",
) -> list[Measured]:
    """
    Return what each of *slots* brought; one entry of each array is a send.

    *slot*, *campaign* and *person* are numbers from 0, *probability* is above 0.
    """
    import numpy as np

    if not len(slot):
        return [NOTHING] * slots
    weight = 1 / probability
    gain = weight * clicked
    sums = np.bincount(campaign, weight), np.bincount(campaign, gain)
    usual = np.divide(sums[1], sums[0], out=np.zeros_like(sums[0]), where=sums[0] > 0)
    due = weight * usual[campaign]
    mean = float(gain.sum() / weight.sum())
    found = []
    for number in range(slots):
        mask = slot == number
        parts = [each[mask] for each in (weight, gain, due)]
        reached = len(np.unique(campaign[mask]))
        found.append(_measure(mean, person[mask], reached, *parts))
    return found


def _measure(
    mean: float, person: "Whole", campaigns: int, weight: "Real", gain: "Real", due: "Real"
) -> Measured:
    import numpy as np

    _, place = np.unique(person, return_inverse=True)
    sums = [np.bincount(place, each) for each in (weight, gain, due)]
    people, whole = len(sums[0]), float(sums[2].sum())
    if people < 2 or whole <= 0:
        return Measured(len(person), people, campaigns, NOTHING.rate, NOTHING.count)
    ratio = float(sums[1].sum()) / whole
    squares = float(((sums[1] - ratio * sums[2]) ** 2).sum())
    error = mean * (people / (people - 1) * squares) ** 0.5 / whole
    rate = min(mean * ratio, 1.0)
    count = float(sums[0].sum()) ** 2 / float((sums[0] ** 2).sum())
    if error > 0:
        count = min(count, rate * (1 - rate) / error**2)
        interval = bound_by_error(rate, error)
    else:  # nobody clicked, or everybody: that does not say that the next ones will do so
        interval = measure_share(rate * count, count)
    return Measured(len(person), people, campaigns, interval, Count(rate * count, count))


def measure_by_campaign(
    slots: int, slot: "Whole", campaign: "Whole", clicked: "Flags"
) -> list[Count]:
    """
    Return for each slot the simple sends that say as much as its campaigns do.

    Where nothing was drawn a campaign is one observation of its hour: the unit is the
    campaign. A slot of one campaign says nothing.
    """
    import numpy as np

    if not len(slot):
        return [Count(0.0, 0.0)] * slots
    size = int(campaign.max()) + 1
    found = []
    for number in range(slots):
        mask = slot == number
        sent = np.bincount(campaign[mask], minlength=size)
        clicks = np.bincount(campaign[mask & clicked], minlength=size)
        units, whole = int((sent > 0).sum()), int(sent.sum())
        rate = float(clicks.sum()) / whole if whole else 0.0
        squares = float(((clicks - rate * sent) ** 2).sum())
        if units < 2 or not 0 < rate < 1 or squares <= 0:
            found.append(Count(0.0, 0.0))
            continue
        error = (units / (units - 1) * squares) ** 0.5 / whole
        count = min(float(whole), rate * (1 - rate) / error**2)
        found.append(Count(rate * count, count))
    return found


def measure_seen(
    slots: int, slot: "Whole", campaign: "Whole", person: "Whole", clicked: "Flags"
) -> list[Measured]:
    """Return what each of *slots* brought, where nothing was drawn; the unit is the person."""
    import numpy as np

    found = []
    for number in range(slots):
        mask = slot == number
        sent = np.bincount(person[mask])
        clicks = np.bincount(person[mask], clicked[mask])[sent > 0]
        sent = sent[sent > 0]
        whole, hits = int(sent.sum()), int(clicks.sum())
        squares = float(((clicks - hits / whole * sent) ** 2).sum()) if whole else 0.0
        interval = bound_by_people(hits, whole, len(sent), squares)
        reached = len(np.unique(campaign[mask]))
        found.append(Measured(whole, len(sent), reached, interval, Count(hits, whole)))
    return found
