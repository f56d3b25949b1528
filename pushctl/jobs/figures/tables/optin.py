"""The way from a new visitor to a subscriber, by the invitation's variant and the like."""

from collections import Counter, defaultdict

from pushctl.jobs.figures.filters import Filter
from pushctl.model import Millis
from pushctl.rules import units
from pushctl.rules.figures.figure import Row, Value
from pushctl.rules.figures.tables.prompts import OPTIN
from pushctl.store import Store
from pushctl.store.prompts import STAGES, VISIT

# A rate of visits has more above than below where people came before visits were counted.
_OF_VISITS = ("seen", "allowed")


def load_optin(store: Store, asked: Filter, by: str) -> list[Row]:
    """
    Return the funnel by "variant", "language" or "browser", most seen first; days are UTC's.

    Visits are unknown, not 0, on days before a site's pages told any, and on the first such
    day, of which they may have told a part.
    """
    rows = list(store.prompts.list_counts(by))
    since: dict[str, Millis] = {}
    for site, day, _, stage, _ in rows:
        if stage == VISIT:
            since[site] = min(day + units.DAY, since.get(site, day + units.DAY))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for site, day, value, stage, count in rows:
        if not _is_asked(asked, site, day):
            continue
        known = site in since and day >= since[site]
        if stage != VISIT:
            counts[value][stage] += count
        elif known:
            counts[value][VISIT] += count
        if known and stage in _OF_VISITS:
            counts[value][f"visit_{stage}"] += count
    found = [_fill(by, value, one) for value, one in counts.items()]
    return sorted(found, key=lambda row: (-int(str(row["seen"])), str(row[by])))


def _is_asked(asked: Filter, site: str, day: Millis) -> bool:
    begun = asked.since is None or day >= asked.since // units.DAY * units.DAY
    over = asked.until is not None and day >= asked.until
    return begun and not over and asked.site in (None, site)


def _fill(by: str, value: str, counts: Counter[str]) -> Row:
    row: dict[str, Value] = {by: value, **{stage: counts[stage] for stage in STAGES}}
    row[VISIT] = visits = counts[VISIT] or None
    for stage in _OF_VISITS:
        count = counts[f"visit_{stage}"]
        row[f"visit_{stage}"] = None if visits is None or count > visits else count
    return OPTIN[by].fill(row)
