"""Pools of promo codes, said a second time: code by code and order by order."""

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables import promo
from pushctl.store import Store
from tests.support.recount.performance import find_person, measure, read

if TYPE_CHECKING:
    from tests.support.histories import History


def check(history: "History") -> int:
    """Compare every cell of ``stats promo``; return how many there are."""
    return compare(promo.load_pools(history.store, history.config, Filter()), history.store)


def compare(rows: list[Any], store: Store) -> int:
    """Compare *rows* of the product with the recount of *store*; return how many cells."""
    expected, cells = recount(store), 0
    assert [row["pool"] for row in rows] == sorted(expected)
    for row in rows:
        wanted = expected[row["pool"]]
        for name, value in wanted.items():
            found = row[name]
            if name == "revenue":
                assert {it.currency: it.exact for it in found} == value, row["pool"]
            elif name.startswith("rate") and value is not None:
                assert math.isclose(found, value, rel_tol=1e-9), (row["pool"], name)
            else:
                assert found == value, (row["pool"], name)
        cells += len(wanted)
    return cells


def recount(store: Store) -> dict[str, dict[str, Any]]:
    """Return the figures of each pool by its name."""
    campaigns, messages = read(store, "campaigns"), read(store, "deliveries")
    subscriptions, orders = read(store, "subscriptions"), read(store, "orders")
    codes = read(store, "promo_codes")
    bindings = [
        (code, delivery, person)
        for code, delivery, person in store.connection.execute(
            "SELECT code_id, delivery_id, subscription_id FROM promo_bindings"
        )
        if not campaigns[messages[delivery]["campaign_id"]]["is_test"]
    ]
    redemptions = [
        (code, order)
        for code, order in store.connection.execute(
            "SELECT code_id, order_id FROM promo_redemptions"
        )
        if orders[order]["state"] in ("paid", "refunded") and not orders[order]["test"]
    ]
    return {
        pool["name"]: _count(
            pool["id"], codes, bindings, redemptions, messages, subscriptions, orders
        )
        for pool in read(store, "promo_pools").values()
    }


def _count(
    pool: int, codes: dict[int, Any], bindings: list[Any], redemptions: list[Any],
    messages: dict[int, Any], subscriptions: dict[int, Any], orders: dict[int, Any],
) -> dict[str, Any]:  # fmt: skip
    used = {code for code, _ in redemptions}
    own = {row for row, one in codes.items() if one["pool_id"] == pool and not one["for_all"]}
    bound = {code for code, _, _ in bindings if code in own}
    given = {
        code
        for code, delivery, _ in bindings
        if code in own and messages[delivery]["status"] in ("accepted", "in_doubt")
    }
    people: dict[object, list[int]] = {}
    for code in given:
        whose = {person for one, _, person in bindings if one == code and person is not None}
        key = find_person(subscriptions, max(whose)) if whose else ("erased", code)
        sums = people.setdefault(key, [0, 0])
        sums[0] += 1
        sums[1] += code in used
    low, high, count = measure(list(people.values()))
    mine = {order for code, order in redemptions if codes[code]["pool_id"] == pool}
    by_own = {order for code, order in redemptions if code in own}
    worth: dict[str | None, Decimal] = {}
    for order in mine:
        one = orders[order]
        if one["minor"] is not None:
            left = Decimal(one["minor"] - one["refunded_minor"]).scaleb(-one["exponent"])
            worth[one["currency"]] = worth.get(one["currency"], 0) + left
    return {
        "bound": len(bound), "given": len(given), "redeemed": len(given & used),
        "rate_low": low, "rate_high": high, "rate_n": count, "orders": len(mine),
        "shared": len(mine - by_own), "revenue": worth,
    }  # fmt: skip
