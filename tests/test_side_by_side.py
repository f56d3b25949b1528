"""Processes that share the tests: nothing is lost, whatever becomes of one of them."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT
from tests.support.side_by_side import find_groups

SHARED = """
import os
import pytest

@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    yield folder
    with open({told!r}, "a") as file:
        file.write(f"closed {{os.getpid()}}\\n")
"""
FINE = """
import os, warnings
import pytest

@pytest.mark.parametrize("number", range(4))
def test_fine(number, whole, capfd):
    with open({told!r}, "a") as file:
        file.write(f"ran {{os.getpid()}} {{whole}}\\n")
    print("said", number)
    assert capfd.readouterr().out == f"said {{number}}\\n"

def test_warns():
    class GapWarning(Warning):
        pass
    warnings.warn("mind the gap", GapWarning)
"""
FAILS = """
def test_fails():
    print("before it fails")
    given = dict(a=1)
    assert given == dict(a=2)
"""
DIES = """
import os

def test_before():
    pass

def test_dies():
    os.kill(os.getpid(), 9)

def test_after():
    pass
"""
LINGERS = """
import os, time

def test_leaves_a_process_behind():
    if (pid := os.fork()) == 0:
        time.sleep(600)
        os._exit(0)
    with open({told!r}, "w") as file:
        file.write(str(pid))
"""


def run(folder: Path, *options: str, **files: str) -> tuple[int, str]:
    (folder / "conftest.py").write_text(SHARED.format(told=str(folder / "told")))
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text.format(told=str(folder / "told")))
    plugins = ["-p", "tests.support.side_by_side", "-p", "no:cacheprovider", "-p", "no:anyio"]
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", f"--rootdir={folder}"),
        *(*plugins, "-p", "no:schemathesis", "--import-mode=importlib"),
        *("--processes=2", f"--basetemp={folder / 'base'}", *options, str(folder)),
    ]
    # A file and no pipe: what a test leaves behind would hold a pipe open.
    with (folder / "said").open("w") as file:
        done = subprocess.run(command, cwd=ROOT, stdout=file, stderr=file, timeout=300)
    return done.returncode, (folder / "said").read_text()


def test_each_test_runs_once_and_each_process_closes_its_fixtures(tmp_path: Path) -> None:
    code, said = run(tmp_path, one=FINE, two=FINE, three=FINE)
    assert code == 0, said
    assert "15 passed, 3 warnings" in said
    assert "GapWarning: mind the gap" in said
    lines = [line.split() for line in (tmp_path / "told").read_text().splitlines()]
    ran = [line for line in lines if line[0] == "ran"]
    assert len(ran) == 12
    # A process has one such folder, and no two have the same.
    assert len({line[2] for line in ran}) == len({line[1] for line in ran})
    assert sorted(line[1] for line in lines if line[0] == "closed") == sorted(
        {line[1] for line in ran}
    )


def test_a_failure_is_told_as_in_one_process(tmp_path: Path) -> None:
    code, said = run(tmp_path, one=FINE, two=FAILS)
    assert code == 1
    assert "1 failed, 5 passed" in said
    assert "before it fails" in said
    assert re.search(r"^E .*\{'a': 1\} == \{'a': 2\}", said, re.MULTILINE)


def test_a_process_that_dies_is_a_failure_of_what_it_had_taken(tmp_path: Path) -> None:
    code, said = run(tmp_path, dying=DIES, one=FINE)
    assert code == 1
    assert "2 failed" in said  # the one that died, and the one that never ran
    for test in ("test_dies", "test_after"):
        assert re.search(rf"_ {test} _+\nits process ended with -9: ", said), said
    code, said = run(tmp_path, "-k", "test_dies", dying=DIES)
    assert code == 1
    assert "1 failed" in said


def test_what_a_test_leaves_behind_holds_nobody_up(tmp_path: Path) -> None:
    try:
        code, said = run(tmp_path, one=LINGERS)
        assert code == 0, said
        assert "1 passed" in said
    finally:
        os.kill(int((tmp_path / "told").read_text()), signal.SIGKILL)


def test_after_the_first_failure_no_group_is_begun(tmp_path: Path) -> None:
    files = {f"n{number}": "def test_it():\n    assert False\n" for number in range(9)}
    code, said = run(tmp_path, "-x", **files)
    assert code == 1
    assert int(re.search(r"(\d+) failed", said)[1]) < 9  # type: ignore[index]


def test_a_file_or_a_browser_is_a_group() -> None:
    tests = [
        "tests/e2e/test_page.py::test_a[firefox]",
        "tests/e2e/test_page.py::test_a[chromium]",
        "tests/test_lock.py::test_b",
        "tests/e2e/test_loop.py::test_c[firefox-1]",
        "tests/test_lock.py::test_d[chromium]",
        "tests/e2e/test_readme.py::test_e",
    ]
    assert find_groups(tests) == [[0, 3], [1], [2, 4], [5]]
