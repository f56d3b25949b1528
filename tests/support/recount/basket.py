"""Baskets, followed moment by moment over raw rows."""

import json
from collections import defaultdict
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables import basket as product
from pushctl.model import Millis
from pushctl.store import Store
from tests.support.recount.holdout import name_persons, read

if TYPE_CHECKING:
    from tests.support.histories import History

MINUTE, DAY = 60_000, 86_400_000
TOUCH = ("cart_updated", "checkout_started", "payment_failed")
NO_VISIT = (
    "payment_failed", "subscribed", "price_dropped", "back_in_stock", "order_pending",
    "order_cancelled", "refund", "promo_expiring", "channel_revoked",
)  # fmt: skip


def check(history: "History") -> int:
    """Compare every cell of ``stats basket`` that is counted; return how many."""
    store, now, cells = history.store, history.now, 0
    sites = {one["id"]: one["name"] for one in read(store, "sites")}
    for site, name in ((None, None), *sites.items()):
        for since in (now - 100 * DAY, now - 30 * DAY):
            ends: list[tuple[Any, Millis]] = []
            found = count(store, ("basket",), since, now, site, ends)
            asked = Filter(site=name, site_id=site, since=since, now=now)
            rows = product.load(store, history.config, asked).rows
            whole = found["abandoned"] + found["bought"]
            assert bool(rows) == bool(whole)
            for row, (part, of) in zip(rows, STAGES, strict=False):
                base = whole if of == "finished" else found[of]
                assert (row["baskets"], row["whole"]) == (found[part], base), (part, of)
                assert row["share"] == (found[part] / base if base else None), (part, of)
                cells += 3
            if rows:
                cells += _compare_worth(rows[-1], find_worth(store, ends))
    return cells


STAGES = (
    ("abandoned", "finished"), ("reminded", "abandoned"), ("returned", "abandoned"),
    ("recovered", "returned"), ("recovered", "abandoned"),
)  # fmt: skip


def _compare_worth(row: Any, orders: list[dict[str, Any]]) -> int:
    """Compare what the orders of baskets that came back are worth, and on average."""
    sums: dict[str | None, list[Decimal]] = {}
    digits: dict[str | None, int] = {}
    for one in orders:
        currency, exponent = one["currency"], one["exponent"]
        left = Decimal(one["minor"] - (one["refunded_minor"] or 0)).scaleb(-exponent)
        sums.setdefault(currency, []).append(left)
        digits[currency] = max(exponent, digits.get(currency, 0))
    assert {it.currency: it.exact for it in row["revenue"] or ()} == {
        currency: sum(each) for currency, each in sums.items()
    }
    assert {it.currency: it.exact for it in row["average"] or ()} == {
        currency: (sum(each) / Decimal(len(each))).quantize(
            Decimal(1).scaleb(-digits[currency]), ROUND_HALF_EVEN
        )
        for currency, each in sums.items()
    }
    return 2


def find_worth(store: Store, ends: list[tuple[Any, Millis]]) -> list[dict[str, Any]]:
    """Return the order that ended each basket: its person's nearest one within an hour."""
    persons, found = name_persons(store), []
    paid = [
        one
        for one in sorted(read(store, "orders"), key=lambda one: one["at"])
        if one["state"] in ("paid", "refunded") and not one["test"]
        and one["subscription_id"] is not None
    ]  # fmt: skip
    for person, at in ends:
        near = [
            one for one in paid
            if persons[one["subscription_id"]] == person and abs(one["at"] - at) <= 60 * MINUTE
        ]  # fmt: skip
        if near:
            one = min(near, key=lambda one: abs(one["at"] - at))
            if one["minor"] is not None:
                found.append(one)
    return found


def is_emptied(event: dict[str, Any]) -> bool:
    known = json.loads(event["properties"])
    emptied = known.get("items") == [] or ("items" not in known and known.get("total") == 0)
    return event["name"] == "cart_emptied" or (event["name"] == "cart_updated" and emptied)


def count(
    store: Store,
    triggers: tuple[str, ...],
    since: Millis,
    now: Millis,
    site: int | None = None,
    ends: list[tuple[Any, Millis]] | None = None,
) -> dict[str, int]:
    """
    Return how many baskets that began since then were abandoned, reminded of, ...

    *ends* gets person and time of those that were bought after they had been abandoned.
    """
    persons = name_persons(store)
    # A step on another channel is no message that anybody could click.
    steps = {
        one["id"]
        for one in read(store, "campaigns")
        if one["trigger"] in triggers and "channel" not in json.loads(one["options"])
    }
    # (time, rank of what happened, what)
    told: dict[Any, list[tuple[Millis, int, str]]] = defaultdict(list)
    for one in read(store, "events"):
        person = persons[one["subscription_id"]]
        if one["name"] == "purchase":
            is_test = json.loads(one["properties"]).get("test") is True
            told[person].append((one["at"], *((2, "visit") if is_test else (4, "bought"))))
        elif is_emptied(one):
            told[person].append((one["at"], 3, "emptied"))
        elif one["name"] in TOUCH:
            told[person].append((one["at"], 0, "touched"))
        if one["name"] not in NO_VISIT:
            told[person].append((one["at"], 2, "visit"))
    for one in read(store, "orders"):
        is_bought = one["state"] in ("paid", "refunded") and not one["test"]
        if one["subscription_id"] is not None and is_bought:
            told[persons[one["subscription_id"]]].append((one["at"], 4, "bought"))
    for one in read(store, "deliveries"):
        if one["campaign_id"] in steps and one["status"] == "accepted" and one["sent_at"]:
            person = persons.get(one["subscription_id"])
            if person is not None:
                told[person].append((one["sent_at"], 1, "reminded"))
                if one["clicked_at"] is not None:
                    told[person].append((one["clicked_at"], 2, "visit"))
    found = dict.fromkeys(("abandoned", "bought", "reminded", "returned", "recovered"), 0)
    for person, moments in told.items():
        if site is None or person[0] == site:
            early = [each for each in moments if since - DAY <= each[0] <= now]
            for at in follow(sorted(early), since, now, found):
                if ends is not None:
                    ends.append((person, at))
    return found


def follow(
    moments: list[tuple[Millis, int, str]], since: Millis, now: Millis, found: dict[str, int]
) -> list[Millis]:
    """Count one person's baskets into *found*; return when abandoned ones were bought."""
    place, ends = 0, list[Millis]()
    while place < len(moments):
        at, _, what = moments[place]
        place += 1
        if what != "touched":
            continue
        began, touched, abandoned, seen = at, at, None, set[str]()
        while place < len(moments):
            at, _, what = moments[place]
            if abandoned is None and at > touched + 30 * MINUTE:
                abandoned = touched + 30 * MINUTE
            if abandoned is not None and at > abandoned + DAY:
                break
            place += 1
            if what == "touched":
                touched = at
            if what == "reminded":
                seen.add("reminded")
                abandoned = at if abandoned is None else abandoned
            elif abandoned is not None and (at > abandoned or what == "bought"):
                seen.add("returned")
            if what in ("emptied", "bought"):
                seen.add(what)
                break
        if abandoned is None and not seen & {"emptied", "bought"}:
            abandoned = touched + 30 * MINUTE if now > touched + 30 * MINUTE else None
        if began < since:
            continue
        if abandoned is not None:
            found["abandoned"] += 1
            found["reminded"] += "reminded" in seen
            found["returned"] += "returned" in seen
            found["recovered"] += "bought" in seen
            ends += [at] if "bought" in seen else []
        elif "bought" in seen:
            found["bought"] += 1
    return ends
