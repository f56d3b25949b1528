"""The control group over all marketing, counted person by person over raw rows."""

import hashlib
import json
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables import holdout as product
from pushctl.model import Millis
from pushctl.store import Store

if TYPE_CHECKING:
    from tests.support.histories import History

HOUR, DAY = 3_600_000, 86_400_000
FOREVER = 1 << 62


def check(history: "History") -> int:
    """Compare every cell of ``stats holdout`` that is counted; return how many."""
    group, cells = history.config.contact_policy.holdout, 0
    assert group is not None
    sites = {one["id"]: one["name"] for one in read(history.store, "sites")}
    for site, name in ((None, None), *sites.items()):
        for since in (None, history.now - 40 * DAY):
            asked = Filter(site=name, site_id=site, since=since, now=history.now)
            known = count(history.store, group.name, group.share, history.now, since or 0, site)
            rows = product.load(history.store, history.config, asked).rows
            if find_begin(history.store, group.name) is None:
                assert rows == []
                continue
            assert [row["group"] for row in rows] == list(known)
            for row in rows:
                cells += _compare(row, known[str(row["group"])])
    return cells


def _compare(row: Any, known: dict[str, Any]) -> int:
    worth = {it.currency: it.exact for it in row["revenue"] or ()}
    assert worth == known["revenue"], (row["group"], worth, known["revenue"])
    counts = {name: known[name] for name in ("people", "buyers", "left", "orders")}
    assert {name: row[name] for name in counts} == counts, row["group"]
    assert row["rate"] == (known["buyers"] / known["people"] if known["people"] else None)
    return len(counts) + 2


def read(store: Store, table: str) -> list[dict[str, Any]]:
    rows = store.connection.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in rows.description]
    return [dict(zip(names, row, strict=True)) for row in rows]


def name_persons(store: Store) -> dict[int, Any]:
    """Return whose each subscription is: a signed alias, one address's hash, or its own."""
    everybody = read(store, "subscriptions")
    found: dict[int, Any] = {}
    for one in everybody:
        site, hashed = one["site_id"], one["email_hash"]
        if one["alias_trusted"]:
            found[one["id"]] = site, "alias", one["alias"]
            continue
        same = [
            other["alias"]
            for other in everybody
            if other["alias_trusted"] and other["site_id"] == site
            if hashed is not None and other["email_hash"] == hashed
        ]
        if same:
            found[one["id"]] = site, "alias", min(same)
        elif hashed is not None:
            found[one["id"]] = site, "hash", hashed
        else:
            found[one["id"]] = site, "alone", one["id"]
    return found


def gather(store: Store) -> dict[Any, list[dict[str, Any]]]:
    """Return the subscriptions of each person, the oldest row first."""
    persons, found = name_persons(store), defaultdict(list)
    for one in sorted(read(store, "subscriptions"), key=lambda it: it["id"]):
        found[persons[one["id"]]].append(one)
    return dict(found)


def is_drawn(name: str, share: float, devices: list[dict[str, Any]]) -> bool:
    digest = hashlib.sha256(f"holdout\n{name}\n{devices[0]['public_id']}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56 < share


def list_purchases(store: Store) -> dict[Any, list[tuple[Millis, dict[str, Any] | None]]]:
    """Return (time, order) of what each person bought; None: a page's word alone."""
    persons, found = name_persons(store), defaultdict(list)
    orders = [one for one in read(store, "orders") if one["subscription_id"] is not None]
    for one in orders:
        if one["state"] in ("paid", "refunded") and not one["test"]:
            found[persons[one["subscription_id"]]].append((one["at"], one))
    told = {
        (persons[one["subscription_id"]], one["at"])
        for one in read(store, "events")
        if one["name"] == "purchase"
    }
    for person, at in told:
        near = any(
            persons[one["subscription_id"]] == person and abs(one["at"] - at) <= HOUR
            for one in orders
        )
        if not near:
            found[person].append((at, None))
    return found


def find_begin(store: Store, name: str) -> Millis | None:
    """Return when somebody was first held out; tests and other channels say nothing of it."""
    reason = f"in the control group {name!r}"
    own = {
        one["id"]
        for one in read(store, "campaigns")
        if not one["is_test"]
        and (one["trigger"] is None or "channel" not in json.loads(one["options"]))
    }
    held = [
        one["changed_at"]
        for one in read(store, "deliveries")
        if one["cause"] == "holdout" and one["reason"] == reason and one["campaign_id"] in own
    ]
    return min(held, default=None)


def count(
    store: Store,
    name: str,
    share: float,
    now: Millis,
    since: Millis = 0,
    site: int | None = None,
) -> dict[str, dict[str, Any]]:
    """Return people, buyers, left, orders and revenue by currency of both groups."""
    begin = find_begin(store, name)
    empty = {"people": 0, "buyers": 0, "left": 0, "orders": 0}
    found = {group: {**empty, "revenue": {}} for group in ("messages", "control group")}
    if begin is None:
        return found
    bought = list_purchases(store)
    for person, devices in gather(store).items():
        left = max(FOREVER if one["state"] == "active" else one["state_at"] for one in devices)
        joined = min(one["subscribed_at"] for one in devices)
        if left < begin or joined > now or (site is not None and person[0] != site):
            continue
        group = found["control group" if is_drawn(name, share, devices) else "messages"]
        start = max(begin, since, joined)
        own = [one for at, one in bought.get(person, ()) if start <= at <= now]
        group["people"] += 1
        group["buyers"] += bool(own)
        group["left"] += left <= now
        for one in own:
            if one is None:
                continue
            group["orders"] += 1
            if one["minor"] is not None:
                worth = Decimal(one["minor"] - (one["refunded_minor"] or 0))
                worth = Decimal(0) if one["state"] == "refunded" else worth
                sums, currency = group["revenue"], one["currency"]
                sums[currency] = sums.get(currency, 0) + worth.scaleb(-one["exponent"])
    return found
