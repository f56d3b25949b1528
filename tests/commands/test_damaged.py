"""A damaged database: every command that reads it says so and ends with 3, never as a bug."""

import contextlib
import io
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pushctl import cli
from pushctl.store import Store
from pushctl.store.events import Event
from pushctl.store.ledger_rows import FinishedRow
from tests.support import NOON, keep_folder, project, sending
from tests.support.program import Run
from tests.support.shop import BASKET

PAGE = 4096

# Most of what reads the database, each in its own way.
READING = (
    ("check",),
    ("subscribers", "export"),
    ("send", "--everyone", "--template", "sale", "--at", "tomorrow 09:00", "--yes"),
    ("sweep",),
    ("sweep", "--dry-run"),
    ("stats",),
    ("stats", "subscribers"),
    ("campaigns", "show", "c1"),
    ("subscribers", "list"),
    ("tags", "list"),
    ("explain", "1"),
    ("in-doubt", "list"),
    ("leads", "basket"),
    ("replay", "--since", "30d"),
    ("release", "--yes"),
    ("subscribers", "tag", "New", "--where", "tag('Sale')"),
)


@pytest.fixture(scope="module")
def whole() -> Path:
    """A project whose database has rows in most tables."""
    folder = keep_folder("pushctl-damaged-")
    field = sending.field(folder)
    for name in ("one", "two"):
        sending.template(folder, name, title=name, body="-")
    project.add(folder, BASKET)
    for shipped in folder.glob("templates/*"):  # most of a check's time
        if shipped.name not in ("one", "two", "sale"):
            shutil.rmtree(shipped)
    people, store = field.people(300), field.store
    cart = {"items": [{"id": "lamp", "price": 5}]}
    store.events.add(
        Event(one, "cart_updated", NOON + i, NOON + i, cart, f"{one}-{i}")
        for one in people
        for i in range(5)
    )
    for number in range(3):
        campaign = field.freeze(NOON, name=f"c{number}")
        rows, _ = store.deliveries.claim_fresh(campaign.id, 0, 300, NOON)
        ends = ["accepted"] * 200 + ["in_doubt"] * 100
        ended = (FinishedRow(row.id, end) for row, end in zip(rows, ends, strict=True))
        store.deliveries.finish(ended, NOON)
    store.checkpoint()
    store.close()
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "project"))


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the variables of the run of tests: `check` names what it doesn't know."""
    for name in [each for each in os.environ if each.startswith("PUSHCTL_")]:
        monkeypatch.delenv(name)


def run_in(folder: Path, *words: str) -> Run:
    """Run pushctl in this process: a hundred starts take their time."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run(["--project", str(folder), *words])
    return Run(code, out.getvalue(), err.getvalue())


def break_pages(folder: Path, damage: Callable[[bytearray, int], None], *pages: int) -> None:
    file = folder / "pushctl.db"
    content = bytearray(file.read_bytes())
    for page in pages:
        damage(content, (page - 1) * PAGE)
    file.write_bytes(content)


def fill(content: bytearray, at: int) -> None:
    content[at : at + PAGE] = b"\xff" * PAGE


def scramble(content: bytearray, at: int) -> None:
    content[at + PAGE // 2 : at + PAGE] = random.Random(at).randbytes(PAGE // 2)


def cut(content: bytearray, at: int) -> None:
    del content[at:]


def is_well_said(run: Run) -> bool:
    """Whether damage that was met is named with its remedy; it need not be met."""
    said = run.out + run.err
    if run.code == 3:
        return "is damaged: " in said and "backup" in said
    return run.code in (0, 5) and "a bug in pushctl" not in said


@pytest.mark.parametrize("damage", [fill, scramble])
def test_no_page_of_sixteen_makes_a_bug(folder: Path, damage: Callable[..., None]) -> None:
    file = folder / "pushctl.db"
    good = file.read_bytes()
    found = 0
    for page in sorted(random.Random(7).sample(range(2, len(good) // PAGE), 16)):
        for each in folder.glob("pushctl.db-*"):
            each.unlink()
        file.write_bytes(good)
        break_pages(folder, damage, page)
        for words in (READING[0], READING[1], READING[2]):
            run = run_in(folder, *words)
            assert is_well_said(run), (page, words, run)
            found += words == ("check",) and run.code == 3
    assert found >= 14, "a page may be free"


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_each_command_names_the_damage(folder: Path, words: tuple[str, ...]) -> None:
    pages = (folder / "pushctl.db").stat().st_size // PAGE
    break_pages(folder, fill, *range(4, pages))
    run = run_in(folder, *words)
    assert run.code == 3, run
    assert is_well_said(run), run


def cut_in_the_middle(folder: Path) -> None:
    break_pages(folder, cut, 40)


def empty(folder: Path) -> None:
    (folder / "pushctl.db").write_bytes(b"")


def another_header(folder: Path) -> None:
    file = folder / "pushctl.db"
    file.write_bytes(b"SQLite format 2\0" + file.read_bytes()[16:])


def no_schema(folder: Path) -> None:
    break_pages(folder, lambda content, at: fill(content, at + 100), 1)


@pytest.mark.parametrize("harm", [cut_in_the_middle, empty, another_header, no_schema])
def test_a_file_that_is_no_whole_database(folder: Path, harm: Callable[[Path], None]) -> None:
    harm(folder)
    before = (folder / "pushctl.db").read_bytes()
    for words in READING[:5]:
        run = run_in(folder, *words)
        assert run.code == 3, run
        assert is_well_said(run), run
    assert (folder / "pushctl.db").read_bytes() == before, "nothing is written to it"


def test_a_log_full_of_rubbish_counts_as_none(folder: Path) -> None:
    """SQLite ends a log at its first frame without a right checksum."""
    (folder / "pushctl.db-wal").write_bytes(random.Random(3).randbytes(50 * PAGE))
    (folder / "pushctl.db-shm").write_bytes(random.Random(4).randbytes(8 * PAGE))
    for words in READING[:2]:
        run = run_in(folder, *words)
        assert (run.code, "bug" in run.err) == (0, False), run


def test_a_value_that_no_program_wrote_leads_to_the_damage(folder: Path) -> None:
    """Its page can be read, so SQLite hands it out; another page betrays the damage."""
    with Store(folder / "pushctl.db") as store, store.write() as connection:
        connection.execute("UPDATE campaigns SET options = 'no json' WHERE name = 'c1'")
    assert run_in(folder, "campaigns", "show", "c1").code == 1  # nothing is damaged
    pages = (folder / "pushctl.db").stat().st_size // PAGE
    with Store(folder / "pushctl.db") as store:
        store.checkpoint()
    break_pages(folder, fill, pages - 5)
    run = run_in(folder, "campaigns", "show", "c1")
    assert run.code == 3
    assert is_well_said(run), run


def test_nothing_is_written_once_damage_was_met(folder: Path) -> None:
    pages = (folder / "pushctl.db").stat().st_size // PAGE
    break_pages(folder, fill, *range(4, pages))
    before = (folder / "pushctl.db").read_bytes()
    assert run_in(folder, "sweep").code == 3
    assert (folder / "pushctl.db").read_bytes() == before
