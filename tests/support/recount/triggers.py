"""What triggers brought, counted person by person over raw rows."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables import triggers as product
from pushctl.model import Millis
from pushctl.store import Store
from tests.support.recount import attribution
from tests.support.recount.holdout import (
    FOREVER,
    gather,
    is_drawn,
    list_purchases,
    name_persons,
    read,
)

if TYPE_CHECKING:
    from tests.support.histories import History

HOUR, MINUTE = 3_600_000, 60_000
LEFT = ("accepted", "gone", "rejected", "in_doubt")


def check(history: "History") -> int:
    """Compare every cell of ``stats triggers`` that is counted; return how many."""
    store, asked = history.store, Filter(now=history.now)
    messages, worth = count_messages(store), list_worth(store)
    rows = {row["trigger"]: row for row in product.load(store, history.config, asked).rows}
    names = {one["trigger"] for one in read(store, "enrolments")}
    assert set(rows) == names | {name for name, _ in messages}
    cells = 0
    group = history.config.contact_policy.holdout
    assert group is not None
    for name, row in rows.items():
        # Its last step is due 90 minutes after the entry, and the goal has a day after it.
        found = count_groups(
            store, str(name), 24 * HOUR + 90 * MINUTE, is_tested=name == "basket",
            everything=(group.name, group.share), now=history.now,
        )  # fmt: skip
        known = {"entered": found["entered"]}
        if name == "basket":
            found.pop("compared_goal")
            held = any(
                one["trigger"] == name and one["state"] == "holdout"
                for one in read(store, "enrolments")
            )
            known = found if held else {key: found[key] for key in ("entered", "goal")}
        own = [counts for (trigger, _), counts in messages.items() if trigger == name]
        for each in ("sent", "accepted", "shown", "clicked", "unreported"):
            known[each] = sum(counts[each] for counts in own)
        cells += _compare(row, known, [it for (of, _), it in worth.items() if of == name])
    for row in product.load_steps(store, history.config, asked).rows:
        key = str(row["trigger"]), str(row["step"])
        cells += _compare(row, messages.pop(key), [worth.get(key, [])])
    assert not messages
    return cells


def _compare(row: Any, known: dict[str, int], orders: Sequence[Sequence[Any]]) -> int:
    where = row["trigger"], row.get("step")
    assert {name: row[name] for name in known} == known, where
    sums: dict[str | None, Decimal] = {}
    for one in (one for own in orders for one in own if one["minor"] is not None):
        left = Decimal(one["minor"] - one["refunded_minor"]).scaleb(-one["exponent"])
        sums[one["currency"]] = sums.get(one["currency"], Decimal(0)) + left
    assert row["orders"] == sum(map(len, orders)), where
    assert {it.currency: it.exact for it in row["revenue"] or ()} == sums, where
    return len(known) + 2


def list_worth(store: Store) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the orders that messages of each step brought about, by trigger and step."""
    campaigns = {one["id"]: one for one in read(store, "campaigns")}
    orders = {one["id"]: one for one in read(store, "orders")}
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for order, kind, _, number, *_ in attribution.recount(store):
        campaign = campaigns[number]
        if kind == "direct" and campaign["trigger"] is not None:
            step = campaign["name"].removeprefix(f"{campaign['trigger']}/")
            if "channel" not in campaign["options"]:
                found[campaign["trigger"], step].append(orders[order])
    return found


def count_messages(store: Store) -> dict[tuple[str, str], dict[str, int]]:
    """Return the counts of each step's messages, by trigger and step."""
    foreign = {one["delivery_id"] for one in read(store, "foreign_deliveries")}
    reports = defaultdict(set)
    for one in read(store, "interactions"):
        reports[one["delivery_id"]].add(one["kind"])
    found: dict[tuple[str, str], dict[str, int]] = {}
    for campaign in read(store, "campaigns"):
        if campaign["trigger"] is None or "channel" in campaign["options"]:
            continue
        step = campaign["name"].removeprefix(f"{campaign['trigger']}/")
        row = found[campaign["trigger"], step] = dict.fromkeys(
            ("sent", "accepted", "shown", "clicked", "unreported"), 0
        )
        for one in read(store, "deliveries"):
            if one["campaign_id"] == campaign["id"]:
                kinds = reports[one["id"]]
                row["sent"] += one["status"] in LEFT
                row["accepted"] += one["status"] == "accepted"
                row["shown"] += bool(kinds)
                row["clicked"] += "clicked" in kinds
                mute = one["id"] in foreign and one["status"] == "accepted" and not kinds
                row["unreported"] += mute
    return found


def count_groups(
    store: Store,
    trigger: str,
    window: Millis,
    *,
    is_tested: bool,
    everything: tuple[str, float] | None,
    now: Millis = FOREVER,
) -> dict[str, int]:
    """
    Return who entered and who reached a purchase in time, and the same of both groups.

    *everything*: name and share of the control group over all marketing, in neither group.
    Nothing counts after *now*: a shop's clock may be ahead.
    """
    persons = name_persons(store)
    entries = defaultdict(list)
    for one in read(store, "enrolments"):
        if one["trigger"] == trigger and one["subscription_id"] in persons:
            held = one["state"] == "holdout"
            entries[persons[one["subscription_id"]]].append((one["entered_at"], held))
    times = {who: [at for at, _ in own] for who, own in list_purchases(store).items()}

    def reached(who: Any, at: Millis) -> bool:
        return any(at <= bought <= min(at + window, now) for bought in times.get(who, ()))

    found = dict.fromkeys(
        ("entered", "goal", "control", "control_goal", "compared", "compared_goal"), 0
    )
    for who, own in entries.items():
        at, held = min(own)
        found["entered"] += not held
        found["goal"] += not held and reached(who, at)
    begin = min((at for own in entries.values() for at, held in own if held), default=None)
    if not is_tested or begin is None:
        return found
    devices = gather(store)
    for who, own in entries.items():
        late = [each for each in own if each[0] >= begin]
        if not late or (everything and is_drawn(*everything, devices[who])):
            continue
        at, held = min(late)
        group = "control" if held else "compared"
        found[group] += 1
        found[f"{group}_goal"] += reached(who, at)
    return found
