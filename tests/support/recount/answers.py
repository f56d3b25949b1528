"""Answers that are kept, held by the product's own recount to raw rows: what --check says."""

from typing import TYPE_CHECKING

from pushctl.jobs.figures import kept_answers
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.recount import check_kept
from pushctl.jobs.figures.send_times import best_time
from pushctl.jobs.figures.tables import ab, breakdowns, leaving, penalties, reach
from pushctl.rules import timing
from pushctl.rules.figures.tables.leaving import USUAL

if TYPE_CHECKING:
    from tests.support.histories import History

DAY = 86_400_000


def check(history: "History") -> int:
    """Have every answer kept, and counted once more; return how many answers."""
    store, config, now = history.store, history.config, history.now
    zone = timing.zone(config.first_site.timezone)
    asked = Filter(zone=zone, now=now)
    for by in ("campaign", "hour"):
        breakdowns.compare(store, config, asked, by)
    breakdowns.compare_sites(store, config, asked)
    best_time.find_best_time(store, config, asked)
    reach.load_reach(store, asked)
    leaving.load(store, config, Filter(zone=zone, now=now, since=now - 90 * DAY), USUAL)
    penalties.load(store, asked)
    ab.list_arms(store, config, asked)
    kept = kept_answers.list_kept(store)
    assert len(kept) == 9, set(kept)
    found = check_kept.check(store, config)[1]
    assert found == [], list(map(str, found))
    return len(kept)
