"""
Figures for people: rates from the counts that the store gives.

Two click rates stand side by side and are never mixed: ``ctr`` is unique clickers by
accepted messages, ``ctr_shown`` by shown ones. Shown is a lower bound, as a browser's
report may get lost; accepted is all that a push service tells anybody.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta, tzinfo
from datetime import time as Time

from pushctl.config import Config
from pushctl.errors import NotFoundError
from pushctl.model import Json, Millis
from pushctl.rules import timing
from pushctl.store import Store

Row = Mapping[str, Json]

SPLITS = ("language", "browser", "country", "site", "variant")
PERIODS = {"day": 14, "week": 8, "month": 12}  # and how many are shown
LOSSES = ("unsubscribed", "gone", "quarantined")


def funnel(store: Store, name: str | None = None, since: Millis | None = None) -> list[Row]:
    """Return the campaigns' figures, newest first; or one campaign's."""
    campaign = None if name is None else store.campaigns.get(name).id
    return [_rated(row) for row in store.reports.funnel(campaign, since)]


def totals(rows: Sequence[Row]) -> Row:
    """Return the sum of several campaigns, with rates of its own."""
    counted = ("planned", "accepted", "shown", "clicked", "clicks", "gone", "in_doubt")
    return _rated({"name": "Total"} | {key: sum(row[key] for row in rows) for key in counted})


def details(store: Store, name: str) -> list[Row]:
    """Return one campaign's figures split by language, browser, ..., and its reasons."""
    campaign = store.campaigns.get(name).id
    rows: list[Row] = []
    for by in SPLITS:
        found = store.reports.split(campaign, by)
        if len(found) > 1 or by in ("language", "browser"):
            rows += [_rated({"by": by} | dict(row)) for row in found]
    for row in store.reports.actions(campaign):
        rows.append(_blank("button", row["action"] or "the message", **row))
    for status, reason, count in store.deliveries.reasons(campaign):
        what = status if reason is None else f"{status}: {reason}"
        rows.append(_blank("reason", what, planned=count))
    return rows


def _rated(row: Mapping[str, Json]) -> Row:
    return dict(row) | {
        "ctr": share(row["clicked"], row["accepted"]),
        "ctr_shown": share(row["clicked"], row["shown"]),
        "shown_share": share(row["shown"], row["accepted"]),
    }


def _blank(by: str, value: str, **known: Json) -> Row:
    names = (
        "planned", "accepted", "gone", "shown", "clicked", "clicks", "ctr", "ctr_shown",
        "shown_share",
    )  # fmt: skip
    return dict.fromkeys(names) | {"by": by, "value": value} | known


def share(part: int, whole: int) -> float | None:
    """Return *part* of *whole* as a fraction, None of nothing."""
    return part / whole if whole else None


def growth(
    store: Store,
    now: Millis,
    zone: tzinfo,
    *,
    every: str = "day",
    last: int | None = None,
    site: str | None = None,
) -> list[Row]:
    """
    Return who came and went in each of the *last* periods, the newest first.

    *every* is day, week (from Monday) or month, in *zone*. ``active`` is at the period's
    start, ``churn`` what was lost by it, ``shown`` how many of the new ones have shown a
    message since: whoever has not may be made up. Raises NotFoundError for an unknown site.
    """
    number = _site(store, site)
    today = timing.local(now, zone).date()
    starts = _starts(today, every, last or PERIODS[every])
    since = timing.instant(starts[-1], Time(0), zone)
    counts: dict[date, Counter[str]] = {start: Counter() for start in starts}
    for at, kind, count in store.reports.changes(since, number):
        start = _start(timing.local(at, zone).date(), every)
        if start in counts:
            counts[start][kind] += count
    active = store.reports.active(number)
    rows = []
    for start in starts:
        row = _grown(start, counts[start], active)
        active = row["active"]
        rows.append(row)
    return rows


def zone_of(config: Config, site: str | None) -> tzinfo:
    """Return the time zone of *site*, or of the first one."""
    known = config.sites.get(site) if site else next(iter(config.sites.values()))
    return timing.zone(known.timezone if known else None)


def _site(store: Store, name: str | None) -> int | None:
    if name is None:
        return None
    known = store.sites.ids()
    if name not in known:
        raise NotFoundError(f"no site is called {name!r}. There are: {', '.join(known)}.")
    return known[name]


def _grown(start: date, counts: Counter[str], active_after: int) -> Row:
    lost = sum(counts[kind] for kind in LOSSES)
    net = counts["new"] + counts["revived"] - lost
    before = active_after - net
    return {
        "start": start.isoformat(),
        "active": before,
        "new": counts["new"],
        "shown": counts["shown"],
        "back": counts["revived"],
        "lost": lost,
        **{kind: counts[kind] for kind in LOSSES},
        "net": net,
        "churn": share(lost, before),
    }


def _start(day: date, every: str) -> date:
    if every == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if every == "month" else day


def _starts(today: date, every: str, count: int) -> list[date]:
    """Return the first days of the last *count* periods, the newest first."""
    starts = [_start(today, every)]
    while len(starts) < count:
        starts.append(_start(starts[-1] - timedelta(days=1), every))
    return starts


def prompts(
    store: Store, now: Millis, by: str, *, last: int | None = None, site: str | None = None
) -> list[Row]:
    """
    Return the invitation's figures by "variant", "language" or "browser", most seen first.

    *last* counts days of UTC, today among them. Raises NotFoundError for an unknown site.
    """
    _site(store, site)  # one that there is
    day = 86_400_000
    since = None if last is None else now // day * day - (last - 1) * day
    return [
        {**row, "rate": row["allowed"] / row["seen"] if row["seen"] else None}
        for row in store.prompts.funnel(by, since, site)
    ]
