"""How the tests are shared out to processes."""

import os
from itertools import chain
from pathlib import Path

import pytest

from tests.support import ROOT, sharing

PASSES = "def test_this():\n    pass\n"
FAILS = "def test_this():\n    assert not 'so'\n"
DIES = "import os\ndef test_this():\n    os._exit(0)\n"


def write(folder: Path, *texts: str) -> list[list[str]]:
    """Return shares of one test file each."""
    for number, text in enumerate(texts):
        (folder / f"test_{number}.py").write_text(text)
    return [[str(folder / f"test_{number}.py")] for number in range(len(texts))]


def test_each_file_is_in_one_share_and_those_that_take_long_come_first() -> None:
    files = [f"test_{number}.py" for number in range(60)]
    shares = sharing.plan(files, {"test_7.py": 90, "test_9.py": 30})
    assert sorted(chain.from_iterable(shares)) == sorted(files)
    assert shares[:2] == [["test_7.py"], ["test_9.py"]]
    assert len(shares[-1]) <= 4, "nobody has much to do at the end"


def test_all_tests_are_shared_out() -> None:
    shares = sharing.find_shares()
    named = [name for share in shares for name in share if name.endswith(".py")]
    assert len(named) == len(set(named))
    there = {file.relative_to(ROOT).as_posix() for file in (ROOT / "tests").rglob("test_*.py")}
    assert {name for name in there if not name.startswith("tests/e2e/")} == set(named)
    browsers = [share for share in shares if share[0] == "tests/e2e/"]
    assert [words[-1] for words in browsers] == ["firefox", "chromium"]


def test_a_failure_is_one_of_the_run_and_the_others_are_run_too(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not sharing.run(write(tmp_path, PASSES, FAILS, PASSES), 1, os.environ)
    said = capfd.readouterr().out
    assert said.count("Share ") == 3
    assert "assert not 'so'" in said


def test_a_process_that_dies_fails_the_run_and_another_goes_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not sharing.run(write(tmp_path, DIES, PASSES, PASSES), 2, os.environ)
    said = capfd.readouterr().out
    assert "Share 1 did not end" in said
    assert "Share 3 of 3" in said
