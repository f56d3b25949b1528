"""pushctl events import: answers, exit codes, what a person reads."""

import json
from pathlib import Path

import pytest

from tests.support import project as projects
from tests.support.files import person
from tests.support.program import pushctl

ORDERS = "alias,order,total,at\nc0,R1,20,2026-01-02\nc1,R2,30,2026-01-02\nx,R3,5,2026-01-02\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project made by init, with two subscribers."""
    here = projects.make(tmp_path_factory.mktemp("shop"))
    lines = [person(n, alias=f"c{n}") for n in range(2)]
    for line in lines:
        del line["site"]
    (here / "people.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert pushctl("subscribers", "import", "people.jsonl", cwd=here).code == 0
    (here / "orders.csv").write_text(ORDERS)
    return here


def test_a_dry_run_counts_and_the_import_does_what_it_said(folder: Path) -> None:
    counts = []
    for dry in (["--dry-run"], []):
        done = pushctl(
            "events", "import", "orders.csv", "--event", "purchase", "--json", *dry, cwd=folder
        )
        assert done.code == 0
        assert "1 line left out: nobody of the site has this alias" in done.err
        assert ("Nothing was written." in done.err) == bool(dry)
        told = json.loads(done.out)
        counts.append([told[name] for name in ("lines", "people", "new", "unknown", "orders")])
    assert counts == [[3, 2, 2, 1, 3]] * 2
    kept = json.loads((folder / "orders.csv.rejects.jsonl").read_text())
    assert kept["original"] == "x,R3,5,2026-01-02"
    again = pushctl("events", "import", "orders.csv", "--event", "purchase", cwd=folder)
    assert "Known already" in again.out


def test_purchases_without_a_number_are_named(folder: Path) -> None:
    (folder / "bare.csv").write_text("alias,name,total,at\nc0,#1001,20,2026-01-02\n")
    done = pushctl(
        "events", "import", "bare.csv", "--event", "purchase", "--dry-run", cwd=folder
    )
    assert "1 purchase without an order number: no orders. Call its column order_id" in done.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alias,event,at\nx,visited,2026-01-02\n", "no line names anybody who is known"),
        ("event,at\nvisited,2026-01-02\n", "no column says whose the events are"),
    ],
)
def test_a_file_without_known_people_ends_with_2(folder: Path, text: str, said: str) -> None:
    (folder / "others.csv").write_text(text)
    done = pushctl("events", "import", "others.csv", cwd=folder)
    assert done.code == 2
    assert said in done.err


def test_a_site_that_is_none_is_named(folder: Path) -> None:
    done = pushctl("events", "import", "orders.csv", "--site", "blog", cwd=folder)
    assert done.code == 2
    assert "no site is called 'blog'" in done.err
