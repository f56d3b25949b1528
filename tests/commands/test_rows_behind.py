"""``--rows`` and ``--sql`` of the tables of ``pushctl stats``, as a person asks for them."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.histories import make_random_history
from tests.support.program import PROGRAM, on_terminal, pushctl


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = make_random_history(4, tmp_path_factory.mktemp("behind") / "h", people=30)
    yield made.folder
    made.close()


def test_rows_are_those_of_the_figure_and_its_select_agrees(shop: Path) -> None:
    table = json.loads(pushctl("stats", "campaigns", "--by", "country", "--json", cwd=shop).out)
    wanted = {row["value"]: row["clicked"] for row in table if row["value"]}
    country = max(wanted, key=lambda name: wanted[name])
    asked = ("stats", "campaigns", "--by", "country")
    rows = pushctl(*asked, "--rows", "clicked", "--of", country, "--csv", cwd=shop)
    found = list(csv.DictReader(io.StringIO(rows.out)))
    assert len(found) == wanted[country] > 0
    assert {(row["country"], row["clicked"]) for row in found} == {(country, "1")}
    assert "alias" not in found[0] and "city" not in found[0]
    statement = pushctl(*asked, "--sql", "clicked", cwd=shop)
    assert statement.code == 0, statement.err
    told = json.loads(pushctl("sql", statement.out, "--json", cwd=shop).out)
    assert {row["value"]: row["clicked"] for row in told if row["value"]} == {
        name: count for name, count in wanted.items() if count
    }


def test_orders_behind_a_campaign_are_found_by_sql_alone(shop: Path) -> None:
    statement = pushctl("stats", "campaigns", "--sql", "orders", cwd=shop).out
    # The first one who asks: nothing of it is kept yet.
    told = json.loads(pushctl("sql", statement, "--json", cwd=shop).out)
    table = json.loads(pushctl("stats", "campaigns", "--json", cwd=shop).out)
    assert {row["name"]: row["orders"] for row in told} == {
        row["name"]: row["orders"] for row in table if row["orders"]
    }


def test_rows_on_a_terminal_fit(shop: Path) -> None:
    shown = on_terminal(
        [*PROGRAM, "stats", "--last", "2", "--rows", "shown"], cwd=shop, COLUMNS="80"
    )
    assert shown.code == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.out)
    assert "accepted" in plain and max(map(len, plain.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("campaigns", "--rows", "--csv"), "--rows takes a figure, such as --rows clicked"),
        (("campaigns", "--rows", "ctr"), "Ask for --rows clicked or --rows reported"),
        (("campaigns", "--rows", "clicked", "--sql", "clicked"), "keep one"),
        (("--rows", "clicked", "campaigns"), "behind the name of the table"),
        (("campaigns", "--of", "sale"), "add --rows FIGURE or --sql FIGURE"),
        (("ab", "--rows", "clicked", "--of", "sale"), "Write it as TEST=ARM"),
        (("campaigns", "--by", "device", "--rows", "shown"), "such as --by site"),
        (("subscribers", "--by", "city", "--rows", "new"), "pushctl sql --people"),
        (("leaving", "--rows", "unsubscribed"), "Say of which kind the rows are: --by"),
        (("basket", "--rows", "baskets"), "pushctl sql"),
        (("holdout", "--plan", "--rows", "held"), "estimate"),
        (("subscribers", "--last", "30d"), "Write --last 30, with --every day"),
        (("segments", "--last", "0"), "Write --last 30, with --every day"),
    ],
)
def test_what_has_no_rows_says_what_to_ask(
    shop: Path, words: tuple[str, ...], said: str
) -> None:
    refused = pushctl("stats", *words, cwd=shop)
    assert refused.code == 2 and refused.out == ""
    assert said in refused.err and "--help" not in refused.err.replace(said, "")
