"""docs/export.md: its programs run, on files that pushctl wrote, and print what it shows."""

import re
import subprocess
import sys
from pathlib import Path

from pushctl.store import Store
from tests.support import NOON, ROOT, SECOND, project
from tests.support.people import Human, settle
from tests.support.program import pushctl

PAGE = ROOT / "docs/export.md"
PROGRAMS = re.findall(
    r"^```python\n(.*?)^```\n```text\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S
)


def make_shop(folder: Path) -> Path:
    """A project with 90 people in three countries, and what they did."""
    shop = project.make(folder)
    people = [
        Human(
            {"country": ("TR", "TR", "DE", "SA", "TR", "DE")[number % 6]},
            outcomes=(("sale", "accepted" if number % 9 else "gone", 201, NOON),),
            reactions=(("clicked", "sale", NOON),) if number % 9 and number % 5 == 0 else (),
            events=(("cart", NOON + number * SECOND), ("purchase", NOON)) if number % 4 else (),
        )
        for number in range(90)
    ]
    with Store(shop / "pushctl.db") as store:
        settle(store, people)
        with store.write() as connection:
            connection.execute(
                "UPDATE deliveries SET shown_at = i.at, clicked_at = i.at "
                "FROM interactions AS i WHERE i.delivery_id = deliveries.id"
            )
            connection.executemany(
                "INSERT INTO orders (site_id, source, number, state, minor, exponent, "
                "currency, at, received_at) VALUES (1, 'page', ?, 'paid', ?, 2, ?, ?, ?)",
                [(str(n), 4999 + n, ("EUR", "TRY")[n % 3 == 0], NOON, NOON) for n in range(40)],
            )
    return shop


def test_the_programs_of_the_page_print_what_it_shows(tmp_path: Path) -> None:
    shop = make_shop(tmp_path)
    for words in (
        ("deliveries", "--parquet", "deliveries.parquet"),
        ("orders", "--csv", "orders.csv"),
        ("events", "--jsonl", "events.jsonl"),
    ):
        assert pushctl("export", *words, cwd=shop).code == 0
    assert len(PROGRAMS) == 3
    code = "\nprint('----')\n".join(program for program, _ in PROGRAMS)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=shop, capture_output=True, text=True,
        env={"TZ": "UTC", "PATH": "", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "----\n".join(text for _, text in PROGRAMS)
