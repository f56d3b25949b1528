"""Figures for people: the store's counts, with the rates that rules/figures declares."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta, tzinfo
from datetime import time as Time

from pushctl.config import Config
from pushctl.errors import InputError, NotFoundError
from pushctl.model import Millis
from pushctl.rules import timing, units
from pushctl.rules.figures import campaigns, subscribers
from pushctl.rules.figures import prompts as invitations
from pushctl.rules.figures.figure import Row, Table
from pushctl.store import Store
from pushctl.store.reports import SPLITS

PERIODS = {"day": 14, "week": 8, "month": 12}  # and how many are shown


def load_funnel(
    store: Store, name: str | None = None, table: Table = campaigns.STATS
) -> list[Row]:
    """Return the campaigns' rows of *table*, newest first; or the campaign *name*'s."""
    campaigns = None if name is None else [store.campaigns.get(name).id]
    return [table.fill(row) for row in store.reports.load_funnel(table.sources, campaigns)]


def load_latest(
    store: Store, last: str, now: Millis, table: Table = campaigns.STATS
) -> list[Row]:
    """
    Return the rows of the latest campaigns: *last* "10" is how many, "7d" how long ago.

    Raises InputError for what is neither.
    """
    if last.isdecimal():
        if int(last) < 1:
            raise InputError("--last is at least 1, or a time such as 7d")
        found = store.campaigns.list_latest(last=int(last))
    else:
        found = store.campaigns.list_latest(since=now - timing.duration(last))
    return [table.fill(row) for row in store.reports.load_funnel(table.sources, found)]


def sum_rows(rows: Sequence[Row]) -> Row:
    return {"name": "Total", **campaigns.STATS.total(rows)}


def load_details(store: Store, name: str) -> list[Row]:
    """Return a campaign's figures by language, browser, ..., button and reason."""
    campaign = store.campaigns.get(name).id
    rows: list[Row] = []
    for by in SPLITS:
        found = store.reports.split(campaigns.DETAILS.sources, campaign, by)
        if len(found) > 1 or by in ("language", "browser"):
            rows += [{"by": by, **row} for row in found]
    for row in store.reports.count_actions(campaign):
        rows.append({"by": "button", **row, "value": row["value"] or "the message"})
    for status, reason, count in store.deliveries.count_reasons(campaign):
        value = status if reason is None else f"{status}: {reason}"
        rows.append({"by": "reason", "value": value, "planned": count})
    return [campaigns.DETAILS.fill(row) for row in rows]


def load_growth(
    store: Store,
    now: Millis,
    zone: tzinfo,
    *,
    every: str = "day",
    last: int | None = None,
    site: str | None = None,
) -> list[Row]:
    """
    Count new and lost subscribers in each of the *last* periods, the newest first.

    *every* is day, week (from Monday) or month, in *zone*. ``active`` is the number at the
    period's start. ``shown`` counts new subscribers that have shown a message since: others
    may be made up. Raises NotFoundError for an unknown site.
    """
    table = subscribers.GROWTH
    number = _find_site(store, site)
    today = timing.local(now, zone).date()
    starts = _list_starts(today, every, last or PERIODS[every])
    since = timing.instant(starts[-1], Time(0), zone)
    counts: dict[date, Counter[str]] = {start: Counter() for start in starts}
    for at, kind, count in store.reports.count_changes(since, number):
        start = _find_start(timing.local(at, zone).date(), every)
        if start in counts:
            counts[start][kind] += count
    active = store.reports.count_active(number)
    rows = []
    for start, row in counts.items():
        row["lost"] = sum(row[loss.name] for loss in subscribers.LOSSES)
        row["net"] = row["new"] + row["back"] - row["lost"]
        active -= row["net"]
        row["active"] = active
        known = {name: row[name] for name in table.sources}
        rows.append(table.fill({"start": start.isoformat(), **known}))
    return rows


def find_zone(config: Config, site: str | None) -> tzinfo:
    """Return the time zone of *site*, or of the first site."""
    known = config.sites.get(site) if site else config.first_site
    return timing.zone(known.timezone if known else None)


def _find_site(store: Store, name: str | None) -> int | None:
    if name is None:
        return None
    known = store.sites.load_ids()
    if name not in known:
        raise NotFoundError(f"no site is called {name!r}. There are: {', '.join(known)}.")
    return known[name]


def _find_start(day: date, every: str) -> date:
    if every == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if every == "month" else day


def _list_starts(today: date, every: str, count: int) -> list[date]:
    starts = [_find_start(today, every)]
    while len(starts) < count:
        starts.append(_find_start(starts[-1] - timedelta(days=1), every))
    return starts


def load_prompts(
    store: Store, now: Millis, by: str, *, last: int | None = None, site: str | None = None
) -> list[Row]:
    """
    Return the invitation's figures by "variant", "language" or "browser", most seen first.

    *last* is days of UTC, with today. Raises NotFoundError for an unknown site.
    """
    _find_site(store, site)
    since = None if last is None else (now // units.DAY - last + 1) * units.DAY
    table = invitations.PROMPTS[by]
    return [table.fill(row) for row in store.prompts.load_funnel(by, since, site)]
