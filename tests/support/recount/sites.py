"""Sites compared, counted over raw rows: their messages, and who is active now."""

from typing import TYPE_CHECKING

from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables import breakdowns
from tests.support.recount import performance
from tests.support.recount.performance import COUNTS, read

if TYPE_CHECKING:
    from tests.support.histories import History

DAY = 86_400_000


def check(history: "History") -> int:
    """Compare every cell of ``stats sites`` that is counted; return how many."""
    store, config, cells = history.store, history.config, 0
    zones = {name: site.timezone for name, site in config.sites.items()}
    names = {one["id"]: one["name"] for one in read(store, "sites").values()}
    people = read(store, "subscriptions").values()
    world = performance.World(store, zones, next(iter(zones)))
    # The second time as it was kept.
    for since in (None, None, history.now - 50 * DAY):
        found = breakdowns.compare_sites(store, config, Filter(since=since, now=history.now))
        expected = performance.recount(store, zones, "site", since=since, world=world)
        assert {row["site"] for row in found.rows} == {*names.values(), *expected}
        for row in found.rows:
            active = sum(
                one["state"] == "active" and names[one["site_id"]] == row["site"]
                for one in people
            )
            assert row["subscribers"] == (None if row["site"] is None else active)
            if row["site"] not in expected:
                assert all(row[name] in (0, None) for name in COUNTS), row["site"]
                cells += len(COUNTS)
        some = [{**row, "value": row["site"]} for row in found.rows if row["site"] in expected]
        cells += len(found.rows) + performance.compare(some, expected)
    return cells
