"""Baskets, followed moment by moment over raw rows."""

import json
from collections import defaultdict
from typing import Any

from pushctl.model import Millis
from pushctl.store import Store
from tests.support.recount.holdout import name_persons, read

MINUTE, DAY = 60_000, 86_400_000
TOUCH = ("cart_updated", "checkout_started", "payment_failed")
NO_VISIT = (
    "payment_failed", "subscribed", "price_dropped", "back_in_stock", "order_pending",
    "order_cancelled", "refund", "promo_expiring", "channel_revoked",
)  # fmt: skip


def is_emptied(event: dict[str, Any]) -> bool:
    known = json.loads(event["properties"])
    emptied = known.get("items") == [] or ("items" not in known and known.get("total") == 0)
    return event["name"] == "cart_emptied" or (event["name"] == "cart_updated" and emptied)


def count(
    store: Store, triggers: tuple[str, ...], since: Millis, now: Millis, site: int | None = None
) -> dict[str, int]:
    """Return how many baskets that began since then were abandoned, reminded of, ..."""
    persons = name_persons(store)
    steps = {one["id"] for one in read(store, "campaigns") if one["trigger"] in triggers}
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
            follow(sorted(early), since, now, found)
    return found


def follow(
    moments: list[tuple[Millis, int, str]], since: Millis, now: Millis, found: dict[str, int]
) -> None:
    place = 0
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
        elif "bought" in seen:
            found["bought"] += 1
