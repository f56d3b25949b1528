"""
`send --at best`: the block of the week or the hour that brought most, on each one's own clock.

A block or an hour, never a cell of both: for those nobody has sent enough. Without evidence it
is before or after work, whichever comes next, which is what others found to be best.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from pushctl.config import Config
from pushctl.errors import UsageError
from pushctl.jobs.campaigns.draft import Draft
from pushctl.model import Millis
from pushctl.rules import moments, timing
from pushctl.rules.figures.send_times.best_hours import BLOCKS, DAYS, Block, Week
from pushctl.rules.messages.arms import Differ, read_names
from pushctl.store import Store

if TYPE_CHECKING:
    from pushctl.jobs.figures.send_times.best_time import BestTime, Part


@dataclass(frozen=True, slots=True)
class Chosen:
    """An hour on each person's own clock, the weekdays that it may be, and why."""

    hour: int
    weekdays: tuple[int, ...]
    why: str


def resolve(
    store: Store, config: Config, draft: Draft, now: Millis
) -> tuple[Draft, str | None]:
    """
    Return *draft* with a time in the place of "best", and why it is that one.

    "best" alone is the next such hour of each person, "tomorrow best" the best of that day.
    A draft that says another time stays as it is.
    """
    day = moments.split_best(draft.at)
    if day is None:
        return draft, None
    _refuse(draft)
    on = _read_day(day, now, config) if day else None
    chosen = choose(store, config, now, on)
    if on is not None:
        return replace(draft, at=f"{on} {chosen.hour:02}:00", local=True), chosen.why
    typed = f"{chosen.hour:02}:00"
    return replace(draft, at=typed, local=True, weekdays=chosen.weekdays), chosen.why


def _refuse(draft: Draft) -> None:
    if draft.every:
        raise UsageError("--at best and --every don't go together: a series has its own hour")
    if draft.variants and read_names(draft.variants)[0] is Differ.TIME:
        raise UsageError("--at best and times as --variants don't go together: choose one")


def _read_day(text: str, now: Millis, config: Config) -> date:
    at, zone = moments.parse(f"{text} 12:00", now, config.zone)
    if zone is not None:
        raise UsageError(
            f"--at '{text} best' is on each person's own clock: leave the zone out"
        )
    return at.date()


def choose(store: Store, config: Config, now: Millis, on: date | None = None) -> Chosen:
    """Return the best hour to send, *on* that day or on any."""
    from pushctl.jobs.figures import filters
    from pushctl.jobs.figures.send_times import best_time

    found = best_time.find_best_time(store, config, filters.Filter())
    week = config.best_time.week
    days = tuple(range(DAYS)) if on is None else (on.weekday(),)
    if found.hours.best is not None:
        hour = found.hours.best
        return Chosen(hour, days, f"{hour:02}:00, {_count(found.hours, found, hour)}")
    blocks = [
        block
        for block in BLOCKS
        if any(weekday in days for weekday, _ in week.list_hours(block))
    ]
    shrunk = found.blocks.shrunk
    if found.blocks.best is not None and shrunk is not None:
        block = max(blocks, key=lambda one: shrunk.rates[BLOCKS.index(one)])
        hour = found.busiest.get(block, find_usual_hour(week, block))
        count = _count(found.blocks, found, BLOCKS.index(block))
        return Chosen(hour, _list_days(week, block, days), f"{block}, at {hour:02}:00, {count}")
    return _choose_untold(found, week, blocks, days, now, config)


def _count(part: "Part", found: "BestTime", place: int) -> str:
    """Say how much better a slot is, and from what that is known."""
    assert part.shrunk is not None
    source = "sends by lots" if found.by_lots else "campaigns (campaigns, not hours)"
    return (
        f"on each one's own clock: {part.shrunk.rates[place]:.1%} click where all times have "
        f"{part.shrunk.mean:.1%}, by {part.have:,} {source}"
    )


def _choose_untold(
    found: "BestTime",
    week: Week,
    blocks: list[Block],
    days: tuple[int, ...],
    now: Millis,
    config: Config,
) -> Chosen:
    """Return the hour before or after work that comes next: the evidence names none."""
    around_work: list[Block] = [Block.BEFORE, Block.AFTER]
    usual = [block for block in around_work if block in blocks]
    usual = usual or [Block.WEEKEND]
    local = timing.local(now, config.zone)
    times = {block: find_usual_hour(week, block) for block in usual}
    later = [block for block in usual if times[block] > local.hour]
    block = (later or usual)[0]
    if found.blocks.enough:
        why = "no difference between the blocks is seen"
    else:
        unit = "sends by lots" if found.by_lots else "campaigns"
        why = f"not known yet, {found.blocks.have:,} of {found.blocks.need:,} {unit}"
    return Chosen(
        times[block],
        _list_days(week, block, days),
        f"{why}; so {block}, at {times[block]:02}:00 on each one's own clock, as others found. "
        "`send --explore 10%` finds out",
    )


def find_usual_hour(week: Week, block: Block) -> int:
    """Return the hour of *block* that is taken where nothing was sent in it."""
    hours = {
        Block.BEFORE: week.begin - 1,
        Block.WORK: week.begin + 1,
        Block.AFTER: min(week.end + 1, 23),
        Block.WEEKEND: 11,
    }
    return hours[block]


def _list_days(week: Week, block: Block, days: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted({day for day, _ in week.list_hours(block)} & set(days)))
