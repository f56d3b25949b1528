"""The restore guard, killed at every line: the project goes on, a copy is noticed (G5)."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pushctl import config as configs
from pushctl.config import Config
from pushctl.jobs.delivery.claims import ledger
from pushctl.jobs.delivery.claims.ledger import Ledger
from pushctl.jobs.delivery.gates import restore_guard
from pushctl.store import Store
from tests.support import NOON, killed, sending

TRACED = killed.files_of(restore_guard, ledger)

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def load(folder: Path) -> Config:
    return configs.load(folder / "pushctl.toml", {})


def claim(folder: Path) -> None:
    """Claim a batch of the first campaign, as a run does."""
    config = load(folder)
    with Store(config.database) as store:
        book = Ledger(store, config, store.campaigns.get_by_id(1))
        with book.transaction():
            assert book.claim(1, NOON)


def find_trouble(folder: Path) -> str | None:
    config = load(folder)
    with Store(config.database) as store:
        return restore_guard.find_trouble(store, config)


def copy(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, where there is one: SIGKILL loses nothing that was written."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def project(memory: Path) -> Path:
    """A project with a frozen campaign that has never sent."""
    made = sending.field(memory / "project")
    made.people(5)
    made.freeze()
    made.store.close()
    return made.config.folder


def copy_as_own(project: Path, to: Path) -> Path:
    """Copy the whole tree, and accept it: where *project* has sent, a copy is another one."""
    copy(project, to)
    if restore_guard.make_path(load(to)).exists():
        with Store(load(to).database) as store:
            restore_guard.accept(store, load(to))
    return to


def kill_everywhere(
    project: Path, folder: Path, judge: Callable[[Path], None]
) -> killed.Points:
    """Kill a claim before any line, wherever that leaves other files; return the points."""
    whole = copy_as_own(project, folder / "whole")
    points = killed.find_points(lambda: claim(whole), TRACED, [whole])
    for at in points.first:
        old = copy_as_own(project, folder / f"{at}")
        assert killed.run(lambda old=old: claim(old), at, TRACED)  # type: ignore[misc]
        judge(old)
    return points


def test_a_kill_at_any_line_of_the_first_claim_leaves_a_project_that_goes_on(
    project: Path, memory: Path
) -> None:
    def judge(folder: Path) -> None:
        assert find_trouble(folder) is None
        claim(folder)
        assert find_trouble(folder) is None
        # It has sent now: a copy and the old database are noticed, whenever the kill was.
        taken = copy(folder, folder.with_name(f"{folder.name}-copy"))
        assert "was copied" in (find_trouble(taken) or "")
        restore_guard.make_path(load(taken)).unlink()
        assert "is missing" in (find_trouble(taken) or "")
        shutil.rmtree(taken)
        shutil.copyfile(project / "pushctl.db", folder / "pushctl.db")
        assert "older than what was sent" in (find_trouble(folder) or "")

    points = kill_everywhere(project, memory, judge)
    assert points.lines > 40
    assert len(points.first) > 3, "before the file, with it, before and after the commit"


def test_a_kill_at_any_line_of_a_later_claim_does_as_little(
    project: Path, memory: Path
) -> None:
    claim(project)

    def judge(folder: Path) -> None:
        assert find_trouble(folder) is None
        claim(folder)
        assert find_trouble(folder) is None

    points = kill_everywhere(project, memory, judge)
    assert points.lines > 15
    assert len(points.first) > 1, "before and after the commit"


@pytest.mark.parametrize("command", [["cp", "-a"], ["cp", "-r"]], ids=["cp -a", "cp -r"])
def test_a_backup_that_is_copied_over_a_project_is_noticed(
    project: Path, memory: Path, command: list[str]
) -> None:
    """Every file is written in place, so none is new; nothing is taken away, either."""
    claim(project)
    backup = copy(project, memory / "backup")
    claim(project)
    claim(project)
    subprocess.run([*command, f"{backup}/.", project], check=True)
    assert "older than what was sent from here (2 batches)" in (find_trouble(project) or "")
    with Store(load(project).database) as store:
        assert restore_guard.count_lost(store, load(project)) == 2
        restore_guard.accept(store, load(project))
    assert find_trouble(project) is None
    claim(project)
    assert find_trouble(project) is None
    assert len(list(project.glob("*.generation-*"))) == 1


def test_who_begins_anew_is_not_held_to_what_was_sent_before(project: Path) -> None:
    """As `init` says: without the database the file has to go, too."""
    config = load(project)
    claim(project)
    restore_guard.make_path(config).unlink()
    with Store(config.database) as store:
        store.meta.remove(restore_guard.GENERATION)
    for _ in range(2):
        assert find_trouble(project) is None
        claim(project)
    assert len(list(project.glob("*.generation-*"))) == 1


def test_the_file_stands_before_the_first_count_is_committed(sender: sending.Field) -> None:
    sender.people(1)
    sender.freeze()
    book = Ledger(sender.store, sender.config, sender.store.campaigns.get_by_id(1))
    file = restore_guard.make_path(sender.config)
    assert not file.exists()
    with pytest.raises(ZeroDivisionError), book.transaction():
        assert book.claim(1, NOON)
        assert b'"generation": 0' in file.read_bytes()
        1 / 0  # noqa: B018
    assert restore_guard.find_trouble(sender.store, sender.config) is None


def test_a_copy_of_a_project_that_never_sent_is_a_project_of_its_own(
    project: Path, memory: Path
) -> None:
    """A kill before its first commit has left the file; the copy makes it its own."""
    config = load(project)
    restore_guard.write_generation(config, 0)
    other = copy(project, memory / "other")
    for folder in (project, other):
        assert find_trouble(folder) is None
        claim(folder)
        assert find_trouble(folder) is None
