"""`pushctl docs` and the manual pages: the documentation, without internet."""

import json
import shutil
import subprocess
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from pushctl import cli
from tests.support import ROOT
from tests.support.program import PROGRAM, on_terminal, pushctl


@pytest.fixture(scope="module")
def man() -> dict[str, Any]:
    return run_path(str(ROOT / "docs/man.py"))


def test_every_page_is_listed_and_can_be_read() -> None:
    listed = [row["page"] for row in json.loads(pushctl("docs", "--json").out)]
    there = {file.stem for file in (ROOT / "docs").glob("*.md")} - {"index"}
    assert set(listed) == there | {"changelog"}
    assert pushctl("docs", "triggers").out == (ROOT / "docs/triggers.md").read_text("utf-8")
    assert pushctl("docs", "changelog").out.startswith("# Changelog\n")
    assert "found" not in pushctl("docs", "Receiver.md").err
    unknown = pushctl("docs", "trigers")
    assert unknown.code == 4 and "Did you mean triggers?" in unknown.err
    assert pushctl("docs", "../pyproject").code == 4


def test_words_are_found_with_their_chapter() -> None:
    rows = json.loads(pushctl("docs", "--search", "HOURS quiet", "--json").out)
    assert {"sending", "triggers"} <= {row["page"] for row in rows}
    for row in rows:
        assert "quiet" in row["line"].casefold() and "hours" in row["line"].casefold()
    found = json.loads(pushctl("docs", "-s", "restarts cart_updated", "--json").out)
    assert ("triggers", "Triggers") in [(row["page"], row["chapter"]) for row in found]
    assert "No page has" in pushctl("docs", "--search", "xyzzy").err


def test_a_terminal_gets_a_drawn_page_in_a_pager(tmp_path: Path) -> None:
    drawn = on_terminal([*PROGRAM, "docs", "upgrading"], PAGER="sed s/^/|/", NO_COLOR="1")
    lines = drawn.out.splitlines()
    assert all(line.startswith("|") for line in lines), drawn.out
    assert any("Upgrading" in line for line in lines)
    assert "```" not in drawn.out and "](" not in drawn.out
    assert "uv, pipx, pip: see installing.md" in drawn.out
    alone = on_terminal([*PROGRAM, "docs", "upgrading"], PAGER="/no/such/pager", NO_COLOR="1")
    assert "Upgrading" in alone.out and alone.code == 0


def test_every_command_has_a_manual_page(man: dict[str, Any]) -> None:
    pages = man["render"]((ROOT / "docs/commands.md").read_text("utf-8"), "1.2.3")
    assert set(pages) == {"pushctl.1", *(f"pushctl-{name}.1" for name in cli.COMMANDS)}
    page = pages["pushctl-service.1"]
    assert page.startswith('.TH PUSHCTL\\-SERVICE 1 "" "pushctl 1.2.3"\n.SH NAME\n')
    assert "\n.SH PUSHCTL SERVICE INSTALL\n" in page
    assert "\n.TP\n\\fB\\-\\-even\\-changed\\fP\n" in page
    assert "\n.TP\n75\nanother process is running" in pages["pushctl.1"]
    for text in pages.values():
        assert "```" not in text and ".SH NAME" in text


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff here")
def test_groff_takes_the_pages_without_a_warning(man: dict[str, Any], tmp_path: Path) -> None:
    man["write"](tmp_path, "1.2.3")
    command = ["groff", "-k", "-man", "-Tutf8", "-ww", *sorted(tmp_path.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "pushctl-send - Send a message to an audience" in done.stdout
