"""Figures for people: the store's counts, with the rates that rules/figures declares."""

from collections.abc import Sequence

from pushctl.jobs.figures.columns import campaign_counts
from pushctl.jobs.figures.columns.campaign_counts import Progress, no_progress
from pushctl.jobs.figures.filters import find_site, read_last
from pushctl.rules import units
from pushctl.rules.figures.figure import Row, Table
from pushctl.rules.figures.tables import campaigns
from pushctl.states import Millis
from pushctl.store import Store


def load_funnel(
    store: Store,
    name: str | None = None,
    table: Table = campaigns.STATS,
    progress: Progress = no_progress,
) -> list[Row]:
    """
    Return the campaigns' rows of *table*, newest first; or the campaign *name*'s.

    *progress*: see ``campaign_counts.load_counts``.
    """
    found = None if name is None else [store.campaigns.get(name).id]
    return _load(store, found, table, progress)


def load_latest(
    store: Store,
    last: str,
    now: Millis,
    table: Table = campaigns.STATS,
    progress: Progress = no_progress,
) -> list[Row]:
    """
    Return the rows of the latest campaigns: *last* "10" is how many, "7d" how long ago.

    Raises InputError for what is neither.
    """
    count, since = read_last(last, now)
    found = store.campaigns.list_latest(count, since or 0)
    return _load(store, found, table, progress)


def _load(
    store: Store,
    asked: Sequence[int] | None,
    table: Table,
    progress: Progress,
) -> list[Row]:
    counts = campaign_counts.load_counts(store, asked, progress)
    rows: list[Row] = [
        {
            "name": name,
            "status": status,
            "at": at,
            **{each: counts[number][each] for each in table.sources},
        }
        for number, name, status, at in store.reports.list_campaigns(list(counts))
    ]
    return _fill(table, rows)


def _fill(table: Table, rows: Sequence[Row]) -> list[Row]:
    return [table.fill(campaigns.hide_unknown(row)) for row in rows]


def sum_rows(rows: Sequence[Row]) -> Row:
    return {"name": "Total", **campaigns.STATS.total(rows)}


def load_prompts(
    store: Store, now: Millis, by: str, *, last: int | None = None, site: str | None = None
) -> list[Row]:
    """
    Return the invitation's figures by "variant", "language" or "browser", most seen first.

    *last* is days of UTC, with today. Raises NotFoundError for an unknown site.
    """
    from pushctl.rules.figures.tables import prompts as invitations

    find_site(store, site)
    since = None if last is None else (now // units.DAY - last + 1) * units.DAY
    table = invitations.PROMPTS[by]
    return [table.fill(row) for row in store.prompts.load_funnel(by, since, site)]
