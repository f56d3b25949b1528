"""
The best time to send: counts messages by the receiver's own clock.

Where hours were drawn by lots (`send --explore`), those messages answer, each weighted by the
inverse of its probability. Else all broadcasts do: then the answer is about campaigns.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from pushctl.config import Config
from pushctl.jobs.figures import kept_answers
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.kept_answers import Plain, Sources
from pushctl.rules.figures.send_times.best_hours import BLOCKS, Block, Count, Shrunk
from pushctl.rules.figures.send_times.random_hours import BestTime as BestTime
from pushctl.rules.figures.send_times.random_hours import Measured
from pushctl.rules.figures.send_times.random_hours import Part as Part
from pushctl.rules.figures.statistics.intervals import Interval
from pushctl.store import Store

ANSWER = "best time"  # as it is kept
UNTIL_THEN = "Until then `pushctl send --at best` takes an hour before or after work."
# Of the receivers' clocks.
_PEOPLE = ("timezone", "site")


def find_best_time(store: Store, config: Config, filter: Filter) -> BestTime:
    """
    Return how blocks of the week and hours compare, by the messages of *filter*.

    Without a filter the answer is kept (``kept_answers.py``).
    """
    chosen = store.draws.list_broadcasts(filter.topic)

    def compare() -> BestTime:
        from pushctl.jobs.figures.send_times import hours_of_week

        return hours_of_week.compare(store, config, filter, chosen)

    if not filter.is_empty:
        return compare()
    sources = find_sources(store, config, chosen)
    found: Any = kept_answers.load(store, ANSWER, sources, lambda: _encode(compare()))
    return _decode(found)


def find_sources(store: Store, config: Config, chosen: Collection[int]) -> Sources:
    """Return what the kept answer is counted from: *chosen* are all broadcasts."""
    zones = {name: site.timezone for name, site in config.sites.items()}
    week = config.best_time.week
    told = [zones, week.begin, week.end, sorted(week.weekend), store.draws.list_explored()]
    return Sources(sorted(chosen), _PEOPLE, told)


def _encode(found: BestTime) -> Plain:
    busiest = {str(block): hour for block, hour in found.busiest.items()}
    return {**asdict(found), "busiest": busiest}


def _decode(kept: Mapping[str, Any]) -> BestTime:
    parts = {name: _decode_part(kept[name]) for name in ("blocks", "hours")}
    busiest = {Block(name): hour for name, hour in kept["busiest"].items()}
    return BestTime(**{**kept, **parts, "busiest": busiest})


def _decode_part(kept: Mapping[str, Any]) -> Part:
    measured = [
        Measured(**{**one, "rate": Interval(**one["rate"]), "count": Count(**one["count"])})
        for one in kept["measured"]
    ]
    shrunk = kept["shrunk"]
    if shrunk is not None:
        shrunk = Shrunk(**{**shrunk, "rates": tuple(shrunk["rates"])})
    return Part(**{**kept, "measured": measured, "shrunk": shrunk})


def describe(found: BestTime) -> list[str]:
    """Return what has to be known to read the table, and what it comes to."""
    said: list[str] = []
    total = sum(one.sends for one in found.blocks.measured)
    if not total:
        return said
    if not found.by_lots:
        said.append(
            "No hour was drawn by lots, so this compares campaigns, not hours: a good text at "
            "a bad hour looks like a good hour. `pushctl send --explore 10%` changes that."
        )
    said.append(_conclude(found))
    if found.unknown:
        said.append(
            f"Left out: {found.unknown:,} messages of before the upgrade, whose time of "
            "sending is not known."
        )
    if found.erased:
        said.append(f"Left out: {found.erased:,} messages to people who were erased since.")
    return said


def _conclude(found: BestTime) -> str:
    for part, kind in ((found.hours, "hour"), (found.blocks, "block")):
        if part.best is not None:
            name = f"{part.best:02}:00" if kind == "hour" else str(BLOCKS[part.best])
            return f"Best {kind}: {name}. `pushctl send --at best` takes it."
    if found.blocks.enough:
        return "No difference between the blocks is seen."
    unit = "sends" if found.by_lots else "campaigns"
    return (
        f"Too little to name a block: as good as {found.blocks.have:,} {unit} spread evenly "
        f"over the blocks, of the {found.blocks.need:,} that it takes. {UNTIL_THEN}"
    )
