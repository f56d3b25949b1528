"""Tests and their arms, counted person by person over raw rows."""

import json
import math
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables import ab as product
from pushctl.store import Store
from tests.support.recount import attribution
from tests.support.recount.performance import find_person, measure, read

if TYPE_CHECKING:
    from tests.support.histories import History


def check(history: "History") -> int:
    """Compare every cell of ``stats ab`` that is counted; return how many."""
    rows = product.list_arms(history.store, history.config, Filter(now=history.now))
    expected, cells = recount(history.store), 0
    assert [(row["test"], str(row["arm"])[0]) for row in rows] == list(expected)
    for row in rows:
        wanted = expected[row["test"], str(row["arm"])[0]]  # type: ignore[index]
        counts = {name: wanted[name] for name in COUNTS}
        assert {name: row[name] for name in counts} == counts, (row["test"], row["arm"])
        bounds = zip(("ctr_low", "ctr_high", "ctr_n"), wanted["bounds"], strict=True)
        for name, value in bounds if wanted["accepted"] else ():
            assert math.isclose(float(str(row[name])), value, rel_tol=1e-9), name
        worth = {it.currency: it.exact for it in row["revenue"]}  # type: ignore[union-attr]
        assert worth == wanted["worth"], (row["test"], row["arm"])
        cells += len(counts) + 4
    return cells


COUNTS = ("assigned", "accepted", "shown", "clicked", "orders")


def recount(store: Store) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the figures by test and arm, the newest test first."""
    people, messages = read(store, "subscriptions"), read(store, "deliveries")
    orders = read(store, "orders")
    reports = defaultdict(set)
    for one in read(store, "interactions").values():
        reports[one["delivery_id"]].add(one["kind"])
    bridged = {
        row for (row,) in store.connection.execute("SELECT delivery_id FROM foreign_deliveries")
    }
    brought = defaultdict(list)
    for order, kind, delivery, *_ in attribution.recount(store):
        if kind == "direct":
            brought[delivery].append(orders[order])
    found = {}
    tests = sorted(read(store, "experiments").values(), key=lambda one: -one["id"])
    for test in tests:
        for arm in json.loads(test["arms"]):
            own = [
                one
                for one in messages.values()
                if one["campaign_id"] == test["campaign_id"]
                and one["variant"] == arm["variant"]
                and (one["variant_probability"] or 1) < 1
            ]
            marks: dict[object, list[bool]] = {}
            for one in own:
                row = one["subscription_id"]
                who = find_person(people, row) if row in people else ("erased", one["id"])
                accepted = one["status"] == "accepted" and one["id"] not in bridged
                kinds = reports[one["id"]]
                sums = marks.setdefault(who, [False, False, False])
                sums[0] |= accepted
                sums[1] |= accepted and bool(kinds)
                sums[2] |= accepted and "clicked" in kinds
            worth: dict[str | None, Decimal] = {}
            bought = [order for one in own for order in brought[one["id"]]]
            for order in bought:
                if order["minor"] is not None:
                    left = Decimal(order["minor"] - order["refunded_minor"])
                    currency, exponent = order["currency"], order["exponent"]
                    worth[currency] = worth.get(currency, 0) + left.scaleb(-exponent)
            accepted, shown, clicked = (sum(each[at] for each in marks.values())
                                        for at in range(3))  # fmt: skip
            found[test["name"], arm["variant"]] = {
                "assigned": len(marks), "accepted": accepted, "shown": shown,
                "clicked": clicked, "orders": len(bought), "worth": worth,
                "bounds": measure([[1, int(each[2])] for each in marks.values() if each[0]]),
            }  # fmt: skip
    return found
