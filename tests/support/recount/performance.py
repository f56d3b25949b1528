"""
Figures of messages in groups, said a second time: row by row, in plain Python.

``recount`` reads raw rows, and uses none of the product's code.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from pushctl.jobs.figures.breakdown import dimensions
from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables import breakdowns
from pushctl.rules import timing
from pushctl.store import Store
from tests.support.recount import attribution

if TYPE_CHECKING:
    from tests.support.histories import History

Rows = dict[int, dict[str, Any]]
Answer = dict[str | None, dict[str, Any]]

QUARTER = 15 * 60 * 1000
DAY = 24 * 60 * 60 * 1000
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
Z = 1.959964


def check(history: "History") -> int:
    """Compare every cell of ``stats campaigns``, by whatever it groups; return how many."""
    store, config = history.store, history.config
    zones = {name: site.timezone for name, site in config.sites.items()}
    asked = Filter(zone=timing.zone(config.first_site.timezone))
    cells, world = 0, World(store, zones, next(iter(zones)))
    for by in (*dimensions.COMPARED, "cell"):
        found = breakdowns.compare(store, config, asked, by)
        cells += compare(found.rows, recount(store, zones, by, world=world))
        assert breakdowns.compare(store, config, asked, by) == found  # as it was kept
    return cells


def compare(rows: list[Any], expected: Answer) -> int:
    """Compare *rows* of the product with *expected*; return how many cells are the same."""
    assert {row["value"] for row in rows} == set(expected)
    cells = 0
    for row in rows:
        wanted = expected[row["value"]]
        if row["shown"] is None:  # nothing of it could be reported
            assert wanted["unreported"] and not wanted["shown"]
        for name in (*COUNTS, "campaigns"):
            assert row[name] in (None, wanted[name]), (row["value"], name)
        assert row["ctr"] in (None, wanted["ctr"]), row["value"]
        for rate in ("ctr", "ctr_shown"):
            for name in _name(rate) if row[rate] is not None else ():
                assert math.isclose(row[name], wanted[name], rel_tol=1e-9), (row["value"], name)
        for name, column in (("orders", "revenue"), ("influenced", "influenced_revenue")):
            worth = {it.currency: it.exact for it in row[column]}
            assert worth == wanted[f"{name} worth"], (row["value"], name)
        cells += len(COUNTS) + 1 + 7 + 2
    return cells


def recount(
    store: Store,
    zones: Mapping[str, str],
    by: str,
    *,
    site: str | None = None,
    since: int | None = None,
    until: int | None = None,
    topic: str | None = None,
    last: int | None = None,
    world: "World | None" = None,
) -> Answer:
    """
    Return the figures of each group by its word; *zones* are those of the sites.

    *world* has all rows, where they have been read.
    """
    world = world or World(store, zones, site or next(iter(zones)))
    chosen = [
        one
        for one in sorted(world.campaigns.values(), key=lambda one: -one["id"])
        if not one["is_test"]
        and json.loads(one["options"]).get("channel") is None
        and topic in (None, one["topic"])
    ][:last]
    numbers = {one["id"] for one in chosen}
    groups: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for message in world.messages.values():
        if message["campaign_id"] not in numbers:
            continue
        if site is not None and world.find_site(message) != site:
            continue
        if since is not None or until is not None:
            sent = message["sent_at"]
            if sent is None or (since is not None and sent // QUARTER < since // QUARTER):
                continue
            if until is not None and sent // QUARTER >= math.ceil(until / QUARTER):
                continue
        groups[world.find_word(message, by)].append(message)
    credits = world.credits
    return {word: _count(world, group, credits) for word, group in groups.items()}


class World:
    def __init__(self, store: Store, zones: Mapping[str, str], home: str) -> None:
        self.store, self.zones, self.home = store, zones, home
        self.sites = read(store, "sites")
        self.subscriptions = read(store, "subscriptions")
        self.campaigns = read(store, "campaigns")
        self.messages = read(store, "deliveries")
        self.orders = read(store, "orders")
        self.reports = defaultdict(list)
        for one in read(store, "interactions").values():
            self.reports[one["delivery_id"]].append(one["kind"])
        self.foreign = _list_deliveries(store, "foreign_deliveries")
        self.thanked = _list_deliveries(store, "thanked")

    def find_site(self, message: dict[str, Any]) -> str | None:
        one = self.subscriptions.get(message["subscription_id"])
        return None if one is None else self.sites[one["site_id"]]["name"]

    def find_person(self, message: dict[str, Any]) -> object:
        """Return the same thing for all devices of a person; who was erased is alone."""
        row = message["subscription_id"]
        if row not in self.subscriptions:
            return "erased", message["id"]
        return find_person(self.subscriptions, row)

    def find_word(self, message: dict[str, Any], by: str) -> str | None:
        one = self.subscriptions.get(message["subscription_id"])
        campaign = self.campaigns[message["campaign_id"]]
        if by in ("campaign", "topic"):
            return campaign["name" if by == "campaign" else "topic"]
        if by in ("language", "variant"):
            return message[by]
        if by == "site":
            return self.find_site(message)
        if by == "device":
            return json.loads(one["attributes"]).get("device") if one else None
        if by in ("country", "browser", "os"):
            return one[by] if one else None
        return self._find_time(message, one, by)

    def _find_time(
        self, message: dict[str, Any], one: dict[str, Any] | None, by: str
    ) -> str | None:
        sent = message["sent_at"]
        if sent is None:
            return None
        sent = sent // QUARTER * QUARTER
        here = self.zones[self.find_site(message) or self.home]
        if by == "age":
            if one is None or not one["subscribed_at"]:
                return None
            days = max(sent - one["subscribed_at"], 0) / DAY
            names = ("1st day", "2-7 days", "8-30 days", "31-90 days", "91-365 days")
            for name, end in zip(names, (1, 7, 30, 90, 365), strict=True):
                if days < end:
                    return name
            return "over a year"
        if by in ("hour", "weekday", "cell"):
            if one is None:
                return None
            here = one["timezone"] or here
        at = datetime.fromtimestamp(sent / 1000, UTC).astimezone(ZoneInfo(here))
        day = at.date()
        return {
            "hour": f"{at.hour:02}",
            "weekday": WEEKDAYS[at.weekday()],
            "cell": f"{WEEKDAYS[at.weekday()]} {at.hour:02}",
            "day": day.isoformat(),
            "week": (day - timedelta(days=day.weekday())).isoformat(),
            "month": day.replace(day=1).isoformat(),
        }[by]

    @cached_property
    def credits(self) -> dict[int, list[tuple[str, dict[str, Any]]]]:
        """Return (kind, order) by message."""
        found = defaultdict(list)
        for order, kind, delivery, *_ in attribution.recount(self.store):
            found[delivery].append((kind, self.orders[order]))
        return found


def _count(
    world: World, group: list[dict[str, Any]], credits: dict[int, list[tuple[str, Any]]]
) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    rates: dict[str, dict[object, list[int]]] = {"ctr": {}, "ctr_shown": {}}
    amounts: dict[str, dict[str | None, Decimal]] = {"orders": {}, "influenced": {}}
    for one in group:
        kinds = world.reports[one["id"]]
        accepted, clicked = one["status"] == "accepted", "clicked" in kinds
        unreported = accepted and one["id"] in world.foreign and not kinds
        counts["planned"] += 1
        counts["accepted"] += accepted
        counts["gone"] += one["status"] == "gone"
        counts["unreported"] += unreported
        counts["bought"] += one["id"] in world.thanked
        counts["shown"] += bool(kinds)
        counts["clicked"] += clicked
        counts["clicks"] += kinds.count("clicked")
        for name, tried in (("ctr", accepted and not unreported), ("ctr_shown", bool(kinds))):
            if tried:
                own = rates[name].setdefault(world.find_person(one), [0, 0])
                own[0] += 1
                own[1] += clicked
        for kind, order in credits.get(one["id"], ()):
            name = "orders" if kind == "direct" else "influenced"
            counts[name] += 1
            if order["minor"] is not None:
                left = Decimal(order["minor"] - order["refunded_minor"])
                sums, currency = amounts[name], order["currency"]
                sums[currency] = sums.get(currency, 0) + left.scaleb(-order["exponent"])
    found: dict[str, Any] = {name: counts[name] for name in COUNTS}
    found["campaigns"] = len({one["campaign_id"] for one in group})
    for name, people in rates.items():
        found |= dict(zip(_name(name), measure(list(people.values())), strict=True))
    whole = counts["accepted"] - counts["unreported"]
    found["ctr"] = counts["clicked"] / whole if whole else None
    for name in ("orders", "influenced"):
        found[f"{name} worth"] = amounts[name]
    return found


def find_person(subscriptions: Rows, row: int) -> tuple[object, ...]:
    """Return the same thing for all devices of a person: alias, else address, else row."""
    one = subscriptions[row]
    site = one["site_id"]
    if one["alias_trusted"] and one["alias"] is not None:
        return "alias", site, one["alias"]
    if one["email_hash"] is None:
        return "subscription", row
    same = [
        other["alias"]
        for other in subscriptions.values()
        if other["email_hash"] == one["email_hash"] and other["site_id"] == site
        and other["alias_trusted"] and other["alias"] is not None
    ]  # fmt: skip
    return ("alias", site, min(same)) if same else ("hash", site, one["email_hash"])


COUNTS = (
    "planned", "accepted", "gone", "unreported", "bought", "shown", "clicked", "clicks",
    "orders", "influenced",
)  # fmt: skip


def _name(rate: str) -> tuple[str, str, str]:
    return f"{rate}_low", f"{rate}_high", f"{rate}_n"


def measure(people: list[list[int]]) -> tuple[float | None, float | None, int | None]:
    """Return the bounds by person, and how many people."""
    sent, clicked, count = sum(x for x, _ in people), sum(y for _, y in people), len(people)
    if not sent:
        return None, None, None
    if sent == count or (count > 1 and clicked in (0, sent)):
        share = clicked / sent
        bottom = 1 + Z * Z / count
        middle = (share + Z * Z / (2 * count)) / bottom
        width = (
            Z * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count)) / bottom
        )
        return (0.0 if clicked == 0 else middle - width,
                1.0 if clicked == sent else middle + width, count)  # fmt: skip
    if count < 2:
        return 0.0, 1.0, count
    rate = clicked / sent
    squares = sum((y - rate * x) ** 2 for x, y in people)
    error = math.sqrt(count / (count - 1) * squares) / sent
    return max(0.0, rate - Z * error), min(1.0, rate + Z * error), count


def _list_deliveries(store: Store, table: str) -> set[int]:
    return {row for (row,) in store.connection.execute(f"SELECT delivery_id FROM {table}")}


def read(store: Store, table: str) -> Rows:
    cursor = store.connection.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return {row["id"]: row for row in rows}
