"""jobs.ingest.kept_lines: no copy over a project, and no kill, takes a line away."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl import durable
from pushctl.jobs.ingest import kept_lines
from tests.support import killed

TRACED = killed.files_of(durable, kept_lines)


@pytest.fixture
def folder() -> Iterator[Path]:
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


def read(folder: Path) -> list[bytes]:
    return kept_lines.read(folder / "log").splitlines()


def copy_over(backup: Path, folder: Path) -> None:
    subprocess.run(["cp", "-a", f"{backup}/.", folder], check=True)


def test_a_backup_copied_over_the_files_takes_no_line_away(folder: Path) -> None:
    """Whenever it was made, and with both of an older file's names beside the newer one."""
    project, backups = folder / "project", [folder / f"backup{n}" for n in range(4)]
    project.mkdir()
    lines: list[bytes] = []
    for backup in backups:
        shutil.copytree(project, backup)
        lines.append(b"%d of %s" % (len(lines), backup.name.encode()))
        kept_lines.append(project / "log", lines[-1] + b"\n")
    for number, backup in enumerate(backups):
        before = kept_lines.measure(project / "log")
        copy_over(backup, project)
        assert kept_lines.measure(project / "log") == before
        assert set(read(project)) == set(lines), number
        lines.append(b"after %d" % number)
        kept_lines.append(project / "log", lines[-1] + b"\n")
        assert kept_lines.measure(project / "log") > before
    assert sorted(read(project)) == sorted(lines)
    assert len(list(project.iterdir())) == 2
    kept_lines.unite(project / "log")
    assert sorted((project / "log").read_bytes().splitlines()) == sorted(lines)


def test_who_has_the_file_alone_gets_the_second_one_with_the_next_line(folder: Path) -> None:
    (folder / "log").write_bytes(b"of an earlier version\ntorn")
    (folder / "log-of my own").write_bytes(b"of somebody else")
    assert read(folder) == [b"of an earlier version", b"torn"]
    kept_lines.append(folder / "log", b"new\n")
    (second,) = folder.glob("log-????????")
    expected = b"of an earlier version\ntorn\nnew\n"
    assert (folder / "log").read_bytes() == second.read_bytes() == expected
    assert (second.stat().st_mode & 0o777) == 0o600


def test_a_kill_at_any_line_takes_nothing_away(folder: Path) -> None:
    project, rest = folder / "project", folder / "rest"
    project.mkdir()
    kept_lines.append(project / "log", b"first\n")
    shutil.copytree(project, folder / "backup")
    shutil.copytree(project, folder / "begin")
    points = killed.find_points(
        lambda: kept_lines.append(project / "log", b"second\n"), TRACED, [project]
    )
    for at in points.first:
        for each in (project, rest):
            shutil.rmtree(each, ignore_errors=True)
        shutil.copytree(folder / "begin", project)
        killed.run(lambda: kept_lines.append(project / "log", b"second\n"), at, TRACED)
        left = set(read(project))
        kept_lines.append(project / "log", b"third\n")
        copy_over(folder / "backup", project)
        assert {*left, b"first", b"third"} == set(read(project)), at
    assert len(points.first) > 3
