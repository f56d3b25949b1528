"""
Who brought about what, said a second time: every order against every report, in plain Python.

It reads raw rows, and none of what the product keeps.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pushctl.model import Millis
from pushctl.store import Store

Rows = list[dict[str, Any]]
HOURS_24 = 24 * 3600 * 1000


def recount(
    store: Store, window: Millis = HOURS_24, event: str = "purchase"
) -> set[tuple[Any, ...]]:
    """Return (order, kind, delivery, campaign, basis, at) of all orders, or events *event*."""
    subscriptions = {one["id"]: one for one in _read(store, "subscriptions")}
    tests = {one["id"] for one in _read(store, "campaigns") if one["is_test"]}
    deliveries = {
        one["id"]: one
        for one in _read(store, "deliveries")
        if one["campaign_id"] not in tests and one["subscription_id"] is not None
    }
    reports = [one for one in _read(store, "interactions") if one["delivery_id"] in deliveries]
    persons = {row: _name_person(one, subscriptions) for row, one in subscriptions.items()}
    whose = {row: persons[one["subscription_id"]] for row, one in deliveries.items()}
    if event == "purchase":
        sources = _list_orders(store)
        codes = _list_codes(store, deliveries)
    else:
        sources = [
            {**one, "codes": ()} for one in _read(store, "events") if one["name"] == event
        ]
        codes = {}
    found = set()
    for one in sources:
        mine = [code for code in codes.get(one["id"], ()) if code[0] <= one["at"]]
        if one["subscription_id"] is not None:
            person = persons[one["subscription_id"]]
        elif mine:
            person = whose[max(mine)[1]]
        else:
            continue
        mine = [code for code in mine if whose[code[1]] == person]
        near = [
            report
            for report in reports
            if whose[report["delivery_id"]] == person
            and one["at"] - window <= report["at"] <= one["at"]
        ]
        clicks = [(it["at"], it["delivery_id"]) for it in near if it["kind"] == "clicked"]
        shown = [(it["at"], it["delivery_id"]) for it in near if it["kind"] != "clicked"]
        ranked = (
            ("direct", "click", clicks),
            ("direct", "code", mine),
            ("influenced", "shown", shown),
        )
        for kind, basis, touches in ranked:
            if touches:
                _, delivery = max(touches)
                campaign = deliveries[delivery]["campaign_id"]
                found.add((one["id"], kind, delivery, campaign, basis, one["at"]))
                break
    return found


def _read(store: Store, table: str) -> Rows:
    rows = store.connection.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in rows.description]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _name_person(one: Mapping[str, Any], everybody: Mapping[int, Mapping[str, Any]]) -> Any:
    """A signed alias; else the alias of those with this hash, else the hash, else the row."""
    here = one["site_id"]
    if one["alias"] is not None and one["alias_trusted"]:
        return (here, "alias", one["alias"])
    if one["email_hash"] is None:
        return (here, "row", one["id"])
    aliases = [
        it["alias"]
        for it in everybody.values()
        if it["site_id"] == here and it["email_hash"] == one["email_hash"]
        and it["alias_trusted"] and it["alias"] is not None
    ]  # fmt: skip
    return (here, "alias", min(aliases)) if aliases else (here, "hash", one["email_hash"])


def _list_orders(store: Store) -> Rows:
    return [
        one
        for one in _read(store, "orders")
        if one["state"] in ("paid", "refunded") and not one["test"]
        and one["unmatched"] not in ("erased", "asked not to be tracked")
    ]  # fmt: skip


def _list_codes(store: Store, deliveries: Iterable[int]) -> dict[int, list[tuple[Millis, int]]]:
    single = {one["id"] for one in _read(store, "promo_codes") if one["state"] != "shared"}
    bindings = [
        one
        for one in _read(store, "promo_bindings")
        if one["code_id"] in single and one["subscription_id"] is not None
        and one["delivery_id"] in deliveries
    ]  # fmt: skip
    found: dict[int, list[tuple[Millis, int]]] = {}
    for one in _read(store, "promo_redemptions"):
        found.setdefault(one["order_id"], []).extend(
            (it["at"], it["delivery_id"]) for it in bindings if it["code_id"] == one["code_id"]
        )
    return found
