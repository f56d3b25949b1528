"""``pushctl sql`` as a person runs it."""

import csv
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pushctl.rules.figures.views.catalogue import VIEWS
from pushctl.store import Store
from tests.support import NOON, project
from tests.support.people import Human, settle
from tests.support.program import PROGRAM, on_terminal, pushctl


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = project.make(tmp_path_factory.mktemp("sql") / "shop")
    people = [
        Human({"alias": "ann", "country": "TR"}, outcomes=(("sale", "accepted", 201, NOON),)),
        Human({"alias": "=cmd()", "country": "\x1b[31mDE"}),
    ]
    with Store(folder / "pushctl.db") as store:
        settle(store, people)
    return folder


def test_an_answer_comes_as_csv_json_and_table(shop: Path) -> None:
    statement = "SELECT campaign, status, changed_at, id AS id FROM deliveries"
    found = pushctl("sql", statement, "--csv", cwd=shop)
    assert found.code == 0, found.err
    rows = list(csv.DictReader(io.StringIO(found.out)))
    assert rows == [
        {"campaign": "sale", "status": "accepted", "changed_at": "2026-04-28T08:00:00Z",
         "id": "1"}
    ]  # fmt: skip
    as_json = pushctl("sql", statement, "--json", cwd=shop)
    assert json.loads(as_json.out)[0]["changed_at"] == "2026-04-28T08:00:00Z"
    shown = on_terminal([*PROGRAM, "sql", statement], cwd=shop).out
    assert "sale" in shown and "2026-04-28 10:00" in shown  # local


def test_text_of_strangers_commands_no_terminal_and_no_spreadsheet(shop: Path) -> None:
    asked = "SELECT alias, country, char(27) || '[2J' AS \"a\x1b[31mb\" FROM people ORDER BY 1"
    for words in (("--csv",), ("--json",), ()):
        found = pushctl("sql", "--people", *words, asked, cwd=shop)
        assert found.code == 0, found.err
        assert "\x1b" not in found.out
    assert "\x1b[31m" not in on_terminal([*PROGRAM, "sql", "--people", asked], cwd=shop).out
    assert "'=cmd()" in pushctl("sql", "--people", "--csv", asked, cwd=shop).out


def test_who_reads_names_of_people_is_logged(shop: Path) -> None:
    statement = "SELECT by, command, rows FROM looks ORDER BY id"
    before = json.loads(pushctl("sql", statement, "--json", cwd=shop).out)
    found = pushctl("sql", "SELECT alias FROM people", "--people", cwd=shop, SUDO_USER="ann")
    assert found.code == 0
    refused = pushctl(
        "sql", "SELECT nothing FROM people", "--people", cwd=shop, SUDO_USER="bob"
    )
    assert refused.code == 2
    after = json.loads(pushctl("sql", statement, "--json", cwd=shop).out)
    assert after[len(before) :] == [
        {"by": "ann", "command": "sql", "rows": 2},
        {"by": "bob", "command": "sql", "rows": None},
    ]
    assert pushctl("runs", "list", "--csv", cwd=shop).out.count("\n") == 1  # they are no sweeps


def test_odd_values_and_equal_names_are_shown(shop: Path) -> None:
    asked = "SELECT 1 AS id, 2 AS id, 9e999 AS big, x'4142' AS raw, NULL AS at, -5 AS x_at"
    (row,) = json.loads(pushctl("sql", asked, "--json", cwd=shop).out)
    assert row == {"id": 1, "id_2": 2, "big": "inf", "raw": "4142", "at": None, "x_at": -5}


def test_a_statement_comes_from_a_file_too(shop: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "--project", shop, "sql", "-", "--csv"],
        input="SELECT count(*) AS n FROM people", capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == '"n"\n2\n'


def test_without_a_statement_every_view_is_listed(shop: Path) -> None:
    found = pushctl("sql", "--json", cwd=shop)
    listed = {(row["view"], row["column"]) for row in json.loads(found.out)}
    declared = {(view.name, field.name) for view in VIEWS.values() for field in view.fields}
    assert listed == declared


def test_a_refusal_is_one_line_that_names_the_way(shop: Path) -> None:
    found = pushctl("sql", "SELECT endpoint FROM subscriptions", cwd=shop)
    assert found.code == 2 and found.out == ""
    assert "Only these can be asked: deliveries" in found.err
    assert found.err.count("\n") == 1


def test_the_kernel_ends_a_process_that_no_longer_looks_at_the_time() -> None:
    code = """
import resource, time
from pushctl.store import free_sql
before = resource.getrlimit(resource.RLIMIT_FSIZE)
with free_sql.bound_process():
    assert resource.getrlimit(resource.RLIMIT_FSIZE) != before
assert resource.getrlimit(resource.RLIMIT_FSIZE) == before
free_sql.MAX_SQL_SECONDS = -2.9
with free_sql.bound_process():
    time.sleep(20)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGALRM, done.stderr
