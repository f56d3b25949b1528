"""pushctl demo, as a person starts it: a process of its own, no internet."""

import subprocess
import sys
from pathlib import Path

import pytest

from pushctl.demo.browsers import find_browsers
from pushctl.store import Store


def demo(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pushctl", "demo", "--folder", str(folder), *words],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


def test_the_story_is_told_to_its_end_and_every_figure_is_what_the_visitors_did(
    tmp_path: Path,
) -> None:
    told = demo(tmp_path / "shop", "--browser", "none", "--visitors", "40")

    assert told.returncode == 0, told.stderr
    assert "The same, to the last one, as what the visitors did." in told.stderr
    assert "reminders, each once, and nobody who had bought." in told.stderr


def test_the_project_stays_behind_with_everybody_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "shop"

    told = demo(folder, "--browser", "none", "--visitors", "12")

    assert told.returncode == 0, told.stderr
    with Store(folder / "pushctl.db") as store:
        assert store.db["subscriptions"].count == 12
        assert store.db["deliveries"].count > 0


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")

    told = demo(tmp_path, "--browser", "none")

    assert told.returncode == 2
    assert "is not empty" in told.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.browser
@pytest.mark.parametrize("kind", ["firefox", "chromium"])
def test_a_real_browser_takes_part(tmp_path: Path, kind: str) -> None:
    if kind not in [found.kind for found in find_browsers()]:
        pytest.skip(f"{kind} is not installed")

    told = demo(tmp_path / "shop", "--browser", kind, "--visitors", "9")

    assert told.returncode == 0, told.stderr
    assert f"{kind.capitalize()} shows: Your basket is saved" in told.stderr
