"""Messages by the hour of the week on their receivers' clocks: loaded, measured, compared."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pushctl.config import Config
from pushctl.jobs.figures.columns import local_times
from pushctl.jobs.figures.filters import Filter
from pushctl.model import DeliveryStatus
from pushctl.rules.figures.send_times import best_hours, random_hours
from pushctl.rules.figures.send_times.best_hours import BLOCKS, HOURS, Block, Count, Week
from pushctl.rules.figures.send_times.random_hours import BestTime, Part
from pushctl.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pushctl.jobs.figures.columns.messages import Messages

    Whole = NDArray[np.integer]

_CELLS = best_hours.DAYS * HOURS


@dataclass(slots=True)
class _Sends:
    """Arrays with an entry a message: its hour of the week, and what is known of it."""

    hour: "Whole"
    campaign: "Whole"
    person: "Whole"
    clicked: "NDArray[np.bool_]"
    probability: "NDArray[np.float64] | None" = None


def compare(store: Store, config: Config, filter: Filter, chosen: Collection[int]) -> BestTime:
    """Return how blocks of the week and hours compare, by the messages of *chosen*."""
    clocks = _Clocks(store, config, filter)
    sends, unknown, erased = _load_sends(store, clocks, filter, chosen)
    drawn = _load_drawn(store, clocks, filter, chosen)
    week = config.best_time.week
    block_of = _number_blocks(week)
    cells = np.bincount(sends.hour, minlength=_CELLS)
    used = sends if drawn is None else drawn
    blocks = _compare(used, block_of[used.hour], len(BLOCKS))
    hours = _compare(used, used.hour % HOURS, HOURS, single=True)
    busy = cells if drawn is None else np.bincount(drawn.hour, minlength=_CELLS)
    return BestTime(
        drawn is not None,
        blocks,
        hours,
        _rate_cells(sends),
        unknown,
        erased,
        {block: _find_busiest(busy, week, block) for block in BLOCKS},
    )


def _load_sends(
    store: Store, clocks: "_Clocks", filter: Filter, campaigns: Collection[int]
) -> tuple[_Sends, int, int]:
    """Return the broadcasts' messages, how many have no time, and how many no clock."""
    from pushctl.jobs.figures.columns import campaign_counts
    from pushctl.jobs.figures.columns.messages import STATUSES, cut, load_messages

    columns = ("subscription", "status", "sent", "clicked", "unreported")
    counts = campaign_counts.load_counts(store, sorted(campaigns))
    parts, unknown, erased = [], 0, 0
    for numbers in cut({number: one["planned"] for number, one in counts.items()}):
        found = load_messages(store, numbers, columns, clocks.folding)
        taken = (found.status == STATUSES.index(DeliveryStatus.ACCEPTED)) & ~found.unreported
        timed = taken & (found.sent >= 0)
        timed &= local_times.is_within(found.sent, filter.since, filter.until)
        kept = timed & (found.subscription > 0)
        unknown += int(np.count_nonzero(taken & (found.sent < 0)))
        erased += int(np.count_nonzero(timed & ~kept))
        parts.append(clocks.place(found, kept))
    return _join(parts), unknown, erased


def _load_drawn(
    store: Store, clocks: "_Clocks", filter: Filter, campaigns: Collection[int]
) -> _Sends | None:
    """Return the messages whose hour was drawn; None: there are none."""
    from pushctl.jobs.figures.columns.messages import STATUSES, load_messages

    explored = sorted(set(store.draws.list_explored()) & set(campaigns))
    if not explored:
        return None
    columns = ("subscription", "status", "sent", "clicked", "chance")
    found = load_messages(store, explored, columns, clocks.folding)
    chances = np.array([float(word or 0) for word in found.chances])[found.chance]
    kept = (found.status == STATUSES.index(DeliveryStatus.ACCEPTED)) & (chances > 0)
    # Of who was erased the clock is unknown.
    kept &= (found.sent >= 0) & (found.subscription > 0)
    kept &= local_times.is_within(found.sent, filter.since, filter.until)
    made = clocks.place(found, kept, chances)
    # Where nobody could get another hour, nothing can be compared.
    if made.probability is None or not (made.probability < 1).any():
        return None
    return _join([made])


def _join(parts: "Sequence[_Sends]") -> _Sends:
    """Return all sends of *parts*, their campaigns numbered from 0."""
    from pushctl.jobs.figures.columns.row_places import make_folding

    if not parts:
        none = np.empty(0, np.int64)
        return _Sends(none, none, none, none > 0)
    hour, campaign, person = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("hour", "campaign", "person")
    )
    # Those of a campaign stand together.
    known = np.unique(campaign[np.flatnonzero(np.diff(campaign, prepend=-1))])
    folding = make_folding(known.tolist())
    numbers = np.zeros(folding.size, np.int32)
    numbers[folding.fold(known)] = np.arange(len(known))
    clicked = np.concatenate([part.clicked for part in parts])
    return _Sends(hour, numbers[folding.fold(campaign)], person, clicked, parts[0].probability)


class _Clocks:
    """Puts messages on their receivers' clocks."""

    def __init__(self, store: Store, config: Config, filter: Filter) -> None:
        from pushctl.jobs.figures.columns.messages import load_people

        sites = {name: site.timezone for name, site in config.sites.items()}
        people = load_people(store, ("person", "timezone", "site"))
        self.folding, self._person = people.folding, people.person
        self._zone_of, self._zones = local_times.number_zones(people, sites, site=filter.site)

    def place(
        self,
        found: "Messages",
        kept: "NDArray[np.bool_]",
        chances: "NDArray[np.float64] | None" = None,
    ) -> _Sends:
        """Return those of *kept* whose clock is known, in small numbers: they are millions."""
        rows = np.flatnonzero(kept)
        zone = self._zone_of[found.subscription[rows]]
        rows = rows[zone >= 0]  # of another site, or erased meanwhile
        hour = local_times.find_week_hours(found.sent[rows], zone[zone >= 0], self._zones)
        return _Sends(
            hour.astype(np.int16),
            found.campaign[rows],
            self._person[found.subscription[rows]],
            found.clicked[rows],
            None if chances is None else chances[rows],
        )


def _number_blocks(week: Week) -> "Whole":
    return np.array(
        [
            BLOCKS.index(week.find_block(weekday, hour))
            for weekday in range(best_hours.DAYS)
            for hour in range(HOURS)
        ]
    )


def _compare(sends: _Sends, slot: "Whole", slots: int, *, single: bool = False) -> Part:
    if sends.probability is not None:
        measured = random_hours.measure_slots(
            slots, slot, sends.campaign, sends.person, sends.clicked, sends.probability
        )
        counts = [one.count for one in measured]
        need = best_hours.SENDS_FOR_HOURS if single else best_hours.SENDS_FOR_BLOCKS
        counts = [one if one.sends >= best_hours.LEAST_OF_CELL else _NONE for one in counts]
        have = best_hours.balance([one.sends for one in counts if one.sends])
    else:
        measured = random_hours.measure_seen(
            slots, slot, sends.campaign, sends.person, sends.clicked
        )
        counts = random_hours.measure_by_campaign(slots, slot, sends.campaign, sends.clicked)
        need = best_hours.CAMPAIGNS_FOR_HOURS if single else best_hours.CAMPAIGNS_FOR_BLOCKS
        known = [one.campaigns for one, two in zip(measured, counts, strict=True) if two.sends]
        have = best_hours.balance(known)
    shrunk = best_hours.shrink(counts)
    tried = sum(one.sends > 0 for one in counts)
    is_enough = have >= need and tried > 1
    best = best_hours.choose(shrunk, counts) if is_enough else None
    return Part(measured, shrunk, best, int(have) if tried > 1 else 0, need)


_NONE = Count(0.0, 0.0)


def _rate_cells(sends: _Sends) -> list[list[float | None]]:
    sent = np.bincount(sends.hour, minlength=_CELLS)
    clicks = np.bincount(sends.hour[sends.clicked], minlength=_CELLS)
    return [
        [
            float(clicks[cell] / sent[cell]) if sent[cell] >= best_hours.LEAST_OF_CELL else None
            for cell in range(weekday * HOURS, (weekday + 1) * HOURS)
        ]
        for weekday in range(best_hours.DAYS)
    ]


def _find_busiest(sent: "Whole", week: Week, block: Block) -> int:
    """Return the hour of *block* at which most was sent: what is known is about that one."""
    totals = {hour: 0 for _, hour in week.list_hours(block)}
    for weekday, hour in week.list_hours(block):
        totals[hour] += int(sent[weekday * HOURS + hour])
    return max(totals, key=lambda hour: (totals[hour], -hour))
