"""`pushctl stats holdout`, `triggers` and `basket` on the command line."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.support import effects, sending
from tests.support.program import pushctl

WHEN = {"PUSHCTL_NOW": "2026-04-28T10:00:00+02:00"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = effects.build(tmp_path_factory.mktemp("shop"), 5)
    made.store.close()
    return made.config.folder


def run(folder: Path, *words: str) -> list[dict[str, str]]:
    found = pushctl("stats", *words, "--csv", cwd=folder, **WHEN)
    assert (found.code, found.err) == (0, "")
    return list(csv.DictReader(io.StringIO(found.out)))


def test_both_groups_are_rows_with_stable_columns(folder: Path) -> None:
    first, second = run(folder, "holdout")
    assert (first["group"], second["group"]) == ("messages", "control group")
    names = ("people", "buyers", "rate", "rate_low", "rate_high", "rate_n", "left", "orders")
    assert all(first[name] and second[name] for name in names)
    # Twenty buyers in each group are not there yet: no lift, and it is said.
    assert (first["cause"], first["lift"], first["p"]) == ("too_early", "", "")
    said = pushctl("stats", "holdout", cwd=folder, **WHEN).err
    assert "Too early" in said and "20 in each group" in said and "25 % held out" in said


def test_a_plan_says_how_long_each_share_takes(folder: Path) -> None:
    rows = run(folder, "holdout", "--plan")
    assert [row["share"] for row in rows] == ["0.02", "0.05", "0.1", "0.2", "0.25"]


def test_triggers_have_a_row_each_or_one_a_step(folder: Path) -> None:
    basket, welcome = run(folder, "triggers", "--since", "90d")
    assert (basket["trigger"], welcome["trigger"]) == ("basket", "welcome")
    assert basket["control"] and not welcome["control"]
    steps = run(folder, "triggers", "--by", "step")
    assert [(row["trigger"], row["step"]) for row in steps] == [
        ("basket", "1"), ("basket", "2"), ("welcome", "1"),
    ]  # fmt: skip
    assert sum(float(row["accepted"]) for row in steps[:2]) >= float(basket["accepted"])
    assert pushctl("stats", "triggers", "--by", "moon", cwd=folder).code == 2


def test_baskets_are_rows_by_stage(folder: Path) -> None:
    rows = run(folder, "basket", "--since", "2026-03-01", "--site", "shop")
    stages = ["abandoned", "reminded", "returned", "bought", "bought"]
    assert [row["stage"] for row in rows] == stages
    assert [row["cases"] for row in rows][2:4] == ["21 %", "23 %"]
    json.loads(pushctl("stats", "basket", "--json", cwd=folder, **WHEN).out)


def test_helps_and_an_empty_database(tmp_path: Path) -> None:
    empty = sending.field(tmp_path)
    for name, said in (
        ("holdout", "Nobody is held out yet"),
        ("triggers", "Nobody entered a trigger"),
        ("basket", "No basket was abandoned"),
    ):
        assert f"pushctl stats {name}" in pushctl("stats", name, "--help").out
        found = pushctl("stats", name, cwd=empty.config.folder)
        assert (found.code, found.out, said in found.err) == (0, "", True), found
