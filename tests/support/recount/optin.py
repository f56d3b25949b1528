"""The invitation's funnel, counted over raw rows."""

from collections import defaultdict
from typing import Any

from pushctl.jobs.figures.filters import Filter
from pushctl.jobs.figures.tables.optin import load_optin
from tests.support.histories import History
from tests.support.recount.subscribers import read

DAY = 86_400_000
STAGES = ("seen", "accepted", "allowed", "denied", "dismissed", "failed")


def check(history: History) -> int:
    rows = read(history.store, "prompt_counts")
    first: dict[int, int] = {}
    for one in rows:
        if one["stage"] == "visit":
            first[one["site_id"]] = min(one["day"], first.get(one["site_id"], one["day"]))
    cells = 0
    for by in ("variant", "language", "browser"):
        expected: dict[Any, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for one in rows:
            known = one["site_id"] in first and one["day"] >= first[one["site_id"]] + DAY
            row = expected[one[by]]
            if one["stage"] in STAGES:
                row[one["stage"]] += one["count"]
            elif known:
                row["visit"] += one["count"]
            if known and one["stage"] == "allowed":
                row["of_visits"] += one["count"]
        found = {row[by]: row for row in load_optin(history.store, Filter(now=history.now), by)}
        assert set(found) == set(expected), by
        for value, row in expected.items():
            own = found[value]
            assert [own[stage] for stage in STAGES] == [row[stage] for stage in STAGES], value
            assert own["visit"] == (row["visit"] or None), value
            some = row["visit"] and row["of_visits"] <= row["visit"]
            rate = row["of_visits"] / row["visit"] if some else None
            assert own["allowed_of_visit"] == rate, value
            cells += len(STAGES) + 2
    return cells
