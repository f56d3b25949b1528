"""`pushctl stats campaigns` and the tables beside it, on the command line."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.jobs.figures.breakdown.test_group_counts import make
from tests.support import sending
from tests.support.program import PROGRAM, on_terminal, pushctl

WHEN = {"PUSHCTL_NOW": "2026-04-28T10:00:00+02:00", "NO_COLOR": "1", "COLUMNS": "80"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tables")
    store, _ = make(made, 1)
    store.close()
    return made


def read(folder: Path, *words: str) -> list[dict[str, str]]:
    run = pushctl("stats", *words, "--csv", cwd=folder, **WHEN)
    assert (run.code, run.err) == (0, "")
    return list(csv.DictReader(io.StringIO(run.out)))


def test_a_rate_has_its_bounds_and_n_and_money_its_minor_units(folder: Path) -> None:
    rows = read(folder, "campaigns")
    for row in rows:
        assert row["orders"].isdecimal()
        if row["ctr"]:
            low, high = float(row["ctr_low"]), float(row["ctr_high"])
            assert low <= float(row["ctr"]) <= high and int(row["ctr_n"]) > 0
    worth = [row for row in rows if row["revenue_minor"]]
    assert worth and {row["revenue_currency"] for row in worth} <= {"EUR", "USD", ""}
    (first, *_) = json.loads(pushctl("stats", "campaigns", "--json", cwd=folder).out)
    assert first.keys() == rows[0].keys()


def test_best_goes_by_the_lower_bound(folder: Path) -> None:
    rows = read(folder, "campaigns", "--best")
    bounds = [float(row["ctr_low"]) for row in rows if row["ctr_low"]]
    assert bounds == sorted(bounds, reverse=True)
    wrong = pushctl("stats", "campaigns", "--best", "--sort", "revenue", cwd=folder)
    assert wrong.code == 2 and "Add --sort and one of: ctr" in wrong.err


def test_a_wrong_word_lists_those_that_there_are(folder: Path) -> None:
    wrong = pushctl("stats", "campaigns", "--by", "moon", cwd=folder)
    assert wrong.code == 2 and "campaign, topic, site" in wrong.err.replace("\n", " ")
    assert pushctl("stats", "campaigns", "--since", "soon", cwd=folder).code == 2
    assert pushctl("stats", "campaigns", "--topic", "x", cwd=folder).code == 4


def test_the_sums_of_groups_are_those_of_campaigns(folder: Path) -> None:
    whole = sum(int(row["accepted"]) for row in read(folder, "campaigns"))
    for words in (("campaigns", "--by", "country"), ("times",), ("sites",)):
        assert sum(int(row["accepted"]) for row in read(folder, *words)) == whole


def test_pools_and_tests_have_tables(folder: Path) -> None:
    (pool,) = read(folder, "promo")
    assert int(pool["redeemed"]) <= int(pool["given"]) <= int(pool["bound"])
    run = pushctl("stats", "ab", cwd=folder)
    assert (run.code, run.out, run.err) == (0, "", "No test in that time.\n")


@pytest.mark.parametrize(
    "words",
    ["campaigns", "campaigns --by country", "campaign c0", "times", "sites", "promo"],
)
def test_a_terminal_of_80_columns_shows_intervals(folder: Path, words: str) -> None:
    shown = on_terminal([*PROGRAM, "stats", *words.split()], cwd=folder, **WHEN)
    assert shown.code == 0
    assert all(len(line) <= 80 for line in shown.out.splitlines())
    assert "(" in shown.out and "\x1b[" not in shown.out


def test_an_empty_project_has_empty_tables(tmp_path: Path) -> None:
    empty = sending.field(tmp_path).config.folder
    for words in ("campaigns", "campaigns --by day", "times", "promo", "ab"):
        run = pushctl("stats", *words.split(), "--since", "3d", cwd=empty)
        assert (run.code, run.out) == (0, ""), run.err
    (site,) = read(empty, "sites")
    assert (site["site"], site["accepted"], site["ctr_low"]) == ("shop", "0", "")
