"""``pushctl export`` as a person runs it."""

import csv
import io
import json
import subprocess
from pathlib import Path

import pytest

from pushctl.store import Store
from tests.support import NOON, project
from tests.support.people import Human, settle
from tests.support.program import PROGRAM, on_terminal, pushctl


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = project.make(tmp_path_factory.mktemp("export") / "shop")
    with Store(folder / "pushctl.db") as store:
        settle(store, [Human({"country": "TR"}, outcomes=(("sale", "accepted", 201, NOON),))])
    return folder


def test_a_dash_is_standard_output_and_no_file(shop: Path) -> None:
    told = pushctl("export", "deliveries", "--jsonl", "-", cwd=shop)
    assert told.code == 0 and told.err.endswith("1 row\n")
    assert json.loads(told.out)["country"] == "TR"
    table = pushctl("export", "people", "--csv", "-", cwd=shop)
    (row,) = csv.DictReader(io.StringIO(table.out))
    assert row["country"] == "TR"
    assert not (shop / "-").exists()


def test_parquet_goes_into_a_pipe_but_onto_no_terminal(shop: Path) -> None:
    pytest.importorskip("pyarrow")
    command = [*PROGRAM, "export", "people", "--parquet", "-"]
    piped = subprocess.run(command, cwd=shop, capture_output=True)
    assert piped.stdout[:4] == piped.stdout[-4:] == b"PAR1"
    refused = on_terminal(command, cwd=shop)
    assert refused.code == 2 and "name a file, or a pipe behind it" in refused.out
