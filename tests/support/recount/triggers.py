"""What triggers brought, counted person by person over raw rows."""

from collections import defaultdict
from typing import Any

from pushctl.model import Millis
from pushctl.store import Store
from tests.support.recount.holdout import gather, is_drawn, list_purchases, name_persons, read

LEFT = ("accepted", "gone", "rejected", "in_doubt")


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
) -> dict[str, int]:
    """
    Return who entered and who reached a purchase in time, and the same of both groups.

    *everything*: name and share of the control group over all marketing, in neither group.
    """
    persons = name_persons(store)
    entries = defaultdict(list)
    for one in read(store, "enrolments"):
        if one["trigger"] == trigger and one["subscription_id"] in persons:
            held = one["state"] == "holdout"
            entries[persons[one["subscription_id"]]].append((one["entered_at"], held))
    times = {who: [at for at, _ in own] for who, own in list_purchases(store).items()}

    def reached(who: Any, at: Millis) -> bool:
        return any(at <= bought <= at + window for bought in times.get(who, ()))

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
