"""Growth, losses, reach and cohorts, counted person by person over raw rows."""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pushctl.jobs.figures import filters
from pushctl.jobs.figures.tables import reach
from pushctl.jobs.figures.tables import subscribers as product
from pushctl.model import Millis
from pushctl.store import Store
from tests.support.histories import History

DAY = 86_400_000
HORIZONS = (1, 7, 30, 90, 180, 365)
LOSSES = ("unsubscribed", "gone", "quarantined")
ZONE = ZoneInfo("Asia/Kolkata")  # half an hour off
Life = tuple[int, Millis, Millis | None, str | None, bool]


def read(store: Store, table: str) -> list[dict[str, Any]]:
    cursor = store.connection.execute(f"SELECT * FROM {table} ORDER BY 1")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def list_lives(store: Store) -> list[Life]:
    """Return (subscription, start, end, what ended it, whether it is the first)."""
    steps = defaultdict(list)
    for one in read(store, "subscription_changes"):
        if one["kind"] in ("revived", *LOSSES):
            steps[one["subscription_id"]].append((one["at"], one["id"], one["kind"]))
    lives: list[Life] = []
    for person in read(store, "subscriptions"):
        row, own = person["id"], sorted(steps[person["id"]])
        start: Millis | None = person["subscribed_at"]
        if (own and own[0][2] == "revived") or (not own and person["state"] != "active"):
            start = None
        first = True
        for at, _, kind in own:
            if kind == "revived" and start is None:
                start, first = at, False
            elif kind != "revived" and start is not None:
                lives.append((row, start, at, kind, first))
                start, first = None, False
        if start is not None:
            lives.append((row, start, None, None, first))
    return lives


def count(
    lives: Iterable[Life], since: Millis, until: Millis | None, verified: set[int]
) -> dict[str, int]:
    def inside(at: Millis | None) -> bool:
        return at is not None and at >= since and (until is None or at < until)

    found = dict.fromkeys(("active", "new", "shown", "back", *LOSSES, "lost", "churned"), 0)
    for row, start, end, kind, first in lives:
        there = start < since and (end is None or end >= since)
        found["active"] += there
        found["churned"] += there and inside(end)
        if inside(start):
            found["new" if first else "back"] += 1
            found["shown"] += first and row in verified
        if inside(end):
            found[kind or ""] += 1
            found["lost"] += 1
    found["net"] = found["new"] + found["back"] - found["lost"]
    return found


def follow(own: list[tuple[int, int, bool]], at: int) -> float | None:
    """Return Kaplan and Meier's share at *at* of (entry, exit, lost), or None."""
    own = [one for one in own if one[1] > one[0]]

    def watched(age: int) -> int:
        return sum(entry <= age < left for entry, left, _ in own)

    start = next((age for age in sorted({one[0] for one in own}) if watched(age) >= 10), None)
    if start is None or at < start or at > max(one[1] for one in own):
        return None
    share = 1.0
    for age in sorted({left for _, left, lost in own if lost and start < left <= at}):
        at_risk = sum(entry < age <= left for entry, left, _ in own)
        lost = sum(left == age and gone for _, left, gone in own)
        share *= (at_risk - lost) / at_risk
    return share


def check(history: History) -> int:
    """Compare all cells of `stats subscribers`; return how many."""
    store, now = history.store, history.now
    people = {one["id"]: one for one in read(store, "subscriptions")}
    sites = {one["id"]: one["name"] for one in read(store, "sites")}
    lives = list_lives(store)
    verified = {row for row, one in people.items() if one["verified_at"] is not None}
    cells = _check_growth(store, now, lives, people, verified)
    asked = filters.Filter(since=now - 40 * DAY, until=now - DAY, zone=ZONE, now=now)
    for by, name in _groups(people, sites).items():
        groups = defaultdict(list)
        for life in lives:
            groups[name(life[0])].append(life)
        rows = product.load_split(store, asked, by)
        assert sorted(str(row["value"]) for row in rows) == sorted(map(str, groups)), by
        for row in rows:
            own = groups[row["value"]]
            expected = count(own, now - 40 * DAY, now - DAY, verified)
            expected["reached"] = sum(start <= now and end is None for _, start, end, *_ in own)
            cells += _compare(expected, row, f"by {by} {row['value']}")
        cells += _check_cohorts(store, asked, by, groups)
        cells += _check_cohorts(store, filters.Filter(zone=ZONE, now=now), by, groups)
    return cells + _check_reach(store, people, now)


def _groups(
    people: Mapping[int, Any], sites: Mapping[int, str]
) -> dict[str, Callable[[int], str | None]]:
    attributes = {row: json.loads(one["attributes"]) for row, one in people.items()}

    def month(row: int) -> str:
        at = datetime.fromtimestamp(people[row]["subscribed_at"] / 1000, UTC).astimezone(ZONE)
        return at.strftime("%Y-%m")

    return {
        "country": lambda row: people[row]["country"],
        "browser": lambda row: people[row]["browser"],
        "site": lambda row: sites[people[row]["site_id"]],
        "device": lambda row: attributes[row].get("device"),
        "landing": lambda row: attributes[row].get("landing_page"),
        "month": month,
    }


def _check_growth(
    store: Store, now: Millis, lives: list[Life], people: Mapping[int, Any], verified: set[int]
) -> int:
    cells = 0
    for every, periods in (("hour", 5), ("day", 60), ("week", 10), ("month", 6)):
        until = None
        for row in product.load_growth(store, now, ZONE, every=every, last=periods):
            text = str(row["start"])
            since = int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)
            if until is not None:
                length = {"hour": timedelta(hours=1), "day": timedelta(days=1),
                          "week": timedelta(days=7)}.get(every)  # fmt: skip
                assert length is None or until - since == length.total_seconds() * 1000
            cells += _compare(count(lives, since, until, verified), row, f"{every} {text}")
            until = since
    return cells


def _check_cohorts(
    store: Store, asked: filters.Filter, by: str, groups: Mapping[str | None, list[Life]]
) -> int:
    cells = 0
    since, until = asked.since or 0, asked.until or asked.now
    for row in product.load_cohorts(store, asked, by):
        own = [
            (max(0, since - start), min(end or until, until) - start, (end or until) < until)
            for _, start, end, _, first in groups[row["cohort"]]
            if first and start < until and (end is None or end >= since)
        ]
        assert row["joined"] == len(own)
        for days in HORIZONS:
            share, found = follow(own, days * DAY), row[f"day_{days}"]
            assert (share is None) == (found is None), f"{by} {row['cohort']} {days}"
            if share is not None:
                assert math.isclose(share, float(str(found)), rel_tol=1e-12, abs_tol=1e-15)
            cells += 1
    return cells


def _check_reach(store: Store, people: Mapping[int, Any], now: Millis) -> int:
    campaigns = {
        one["id"] for one in read(store, "campaigns")
        if not one["is_test"] and "channel" not in one["options"]
    }  # fmt: skip
    foreign = {one["delivery_id"] for one in read(store, "foreign_deliveries")}
    reports = defaultdict(set)
    for one in read(store, "interactions"):
        reports[one["delivery_id"]].add(one["kind"])
    edges = ((1, "below 1 d"), (7, "1-7 d"), (30, "7-30 d"), (90, "30-90 d"),
             (180, "90-180 d"), (365, "180-365 d"))  # fmt: skip
    expected: dict[str | None, dict[str, int]] = {}
    for one in read(store, "deliveries"):
        if one["campaign_id"] not in campaigns or one["sent_at"] is None:
            continue
        if one["status"] not in ("accepted", "gone", "rejected", "in_doubt"):
            continue
        person, kinds = one["subscription_id"], reports[one["id"]]
        age = None
        if person is not None:
            length = one["sent_at"] // 900_000 * 900_000 - people[person]["subscribed_at"]
            age = next((name for days, name in edges if length < days * DAY), "above 365 d")
        row = expected.setdefault(age, dict.fromkeys(
            ("sent", "accepted", "gone", "reported", "shown", "clicked"), 0))  # fmt: skip
        accepted = one["status"] == "accepted"
        reported = accepted and (one["id"] not in foreign or bool(kinds))
        row["sent"] += 1
        row["accepted"] += accepted
        row["gone"] += one["status"] == "gone"
        row["reported"] += reported
        row["shown"] += reported and bool(kinds)
        row["clicked"] += accepted and "clicked" in kinds
    rows = reach.load_reach(store, filters.Filter(now=now))
    assert reach.load_reach(store, filters.Filter(now=now)) == rows  # as it was kept
    assert sorted(str(row["age"]) for row in rows) == sorted(map(str, expected))
    return sum(_compare(expected[_word(row["age"])], row, f"age {row['age']}") for row in rows)


def _word(value: Any) -> str | None:
    return None if value is None else str(value)


def _compare(expected: Mapping[str, int], row: Mapping[str, Any], where: str) -> int:
    found = {name: row[name] for name in expected}
    assert found == dict(expected), f"{where}: {found} instead of {dict(expected)}"
    return len(expected)
