"""pushctl demo, as a person starts it: a process of its own, no internet."""

import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlite_utils import Database

from pushctl.demo import presets, verdict
from pushctl.demo.browsers import find_browsers
from pushctl.demo.crowd import ReceivedMessage
from pushctl.rules.triggers import declaration
from pushctl.store import Store
from tests.support import presets as shipped


def demo(
    folder: Path, *words: str, machine: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    process = subprocess.Popen(
        [
            sys.executable,
            "-X",
            "faulthandler",
            "-m",
            "pushctl",
            "demo",
            f"--folder={folder}",
            *words,
        ],
        env=os.environ | dict(machine or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # Twenty seconds on a quiet machine: this ends what hangs, and measures nothing.
        out, err = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # it prints where it hangs
        out, err = process.communicate(timeout=10)
        pytest.fail(f"the demo does not end:\n{out[-2000:]}\n{err[-8000:]}")
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


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

    told = demo(tmp_path / "shop", "--browser", kind, "--visitors", "12")

    assert told.returncode == 0, told.stderr
    assert f"{kind.capitalize()} shows: Your basket is saved" in told.stderr
    # A dozen visitors are enough, and the project stays behind with them.
    with Store(tmp_path / "shop/pushctl.db") as store:
        database = Database(store.connection)
        assert database["subscriptions"].count == 14  # and one newcomer, and the browser
        assert database["deliveries"].count > 0


# --- a plain install: the extra pushctl[demo] isn't there --------------------------------

EXTRA = f"{sys.executable} -m pip install 'pushctl[demo]'"


def machine_without_extra(folder: Path, *programs: str) -> Mapping[str, str]:
    """Return the environment of a machine without the extra, and with *programs* alone."""
    python = folder / "python"
    python.mkdir()
    # Python runs this file at its start; None makes a module impossible to import.
    (python / "sitecustomize.py").write_text(
        "import sys\nsys.modules.update(jeepney=None, websockets=None)\n"
    )
    path = folder / "bin"
    path.mkdir()
    for program in programs:
        (path / program).write_text("#!/bin/sh\nexit 1\n")
        (path / program).chmod(0o755)
    return {"PYTHONPATH": str(python), "PATH": str(path)}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> "subprocess.CompletedProcess[str]":
    """The words of a demo with forty visitors, where the extra isn't."""
    folder = tmp_path_factory.mktemp("plain")
    machine = machine_without_extra(folder, "firefox-esr", "dbus-daemon")
    return demo(folder / "shop", "--visitors", "40", machine=machine)


def test_the_story_is_told_to_its_end_and_every_figure_is_what_the_visitors_did(
    plain: "subprocess.CompletedProcess[str]",
) -> None:
    assert plain.returncode == 0, plain.stderr
    assert "The same, to the last one, as what the visitors did." in plain.stderr
    table = [line.split("\t") for line in plain.stdout.splitlines()]
    reached = {cells[0]: int(cells[2]) for cells in table if cells[0] in presets.STEPS}
    assert list(reached) == list(presets.STEPS)
    assert all(count > 0 for step, count in reached.items() if step.endswith("/1"))
    # Whatever was bought, after the reminder or in the month, is an order and some message's.
    told = re.search(r"(\d+) of them bought .* for ([\d.,]+) EUR", plain.stderr)
    assert told
    after = sum(int(cells[5]) for cells in table if cells[0] in presets.STEPS)
    bought, paid = int(told[1]), float(told[2].replace(",", ""))
    (folder,) = (word.partition("=")[2] for word in plain.args if "--folder=" in word)
    with Store(Path(folder) / "pushctl.db") as store:
        assert Database(store.connection)["orders"].count == bought + after
    assert (paid > 0) == (bought > 0)


def test_without_the_extra_simulated_visitors_do_it_all_and_one_line_names_it(
    plain: "subprocess.CompletedProcess[str]",
) -> None:
    assert plain.returncode == 0, plain.stderr
    assert plain.stderr.startswith(f"  Firefox could take part, too: {EXTRA}\n")
    assert plain.stderr.count("[demo]") == 1


@pytest.mark.parametrize(
    ("programs", "wish"),
    [
        ((), "auto"),  # no browser
        (("chromium",), "auto"),  # no dbus-daemon
        (("chromium", "dbus-daemon"), "none"),
    ],
)
def test_an_extra_that_would_be_of_no_use_is_not_named(
    tmp_path: Path, programs: tuple[str, ...], wish: str
) -> None:
    machine = machine_without_extra(tmp_path, *programs)
    code = "import sys; from pushctl.demo.found import choose; print(choose(sys.argv[1]))"

    chosen = subprocess.run(
        [sys.executable, "-c", code, wish],
        env=os.environ | dict(machine),
        capture_output=True,
        text=True,
    )

    assert (chosen.returncode, chosen.stdout, chosen.stderr) == (0, "None\n", "")


@pytest.mark.parametrize("kind", ["firefox", "chromium"])
def test_a_named_browser_without_the_extra_is_an_error_with_the_command(
    tmp_path: Path, kind: str
) -> None:
    machine = machine_without_extra(tmp_path, kind, "dbus-daemon")

    told = demo(tmp_path / "shop", "--browser", kind, machine=machine)

    assert told.returncode == 2
    assert EXTRA in told.stderr and "Traceback" not in told.stderr
    assert not (tmp_path / "shop").exists()


def test_a_named_browser_that_is_not_here_is_an_error_without_it(tmp_path: Path) -> None:
    machine = machine_without_extra(tmp_path)

    told = demo(tmp_path / "shop", "--browser", "firefox", machine=machine)

    assert told.returncode == 2
    assert "firefox is not installed here" in told.stderr and "[demo]" not in told.stderr


def test_the_month_knows_every_step_of_every_shipped_trigger() -> None:
    triggers, faults = declaration.parse_all(tomllib.loads(shipped.text())["triggers"])

    assert faults == []
    assert sorted(presets.STEPS) == sorted(
        f"{name}/{number}"
        for name, trigger in triggers.items()
        for number, _ in enumerate(trigger.steps, 1)
        if name not in presets.NOT_PLAYED
    )
    assert {part.trigger for part in presets.SCENARIOS.values()} | {
        "welcome",
        *presets.EVERYBODY,
        *presets.NOT_PLAYED,
    } == set(triggers)


# --- whether the month went well: a fault of each kind is found --------------------------

# Two were meant; both got the first and saw it, one has bought since, the other got more.
WELL: dict[str, list[ReceivedMessage]] = {
    "basket/1": [
        ReceivedMessage(1, 11, False, True, True),
        ReceivedMessage(2, 12, False, True),
    ],
    "basket/2": [ReceivedMessage(2, 13, False, True)],
}
COUNTED = {
    "basket/1": {"accepted": 2, "shown": 2, "clicked": 1},
    "basket/2": {"accepted": 1, "shown": 1, "clicked": 0},
}


def judge(
    letters: dict[str, list[ReceivedMessage]],
    figures: dict[str, dict[str, int]] | None = None,
    meant: tuple[int, ...] = (1, 2),
    bought: tuple[int, ...] = (1,),
    real: int = 0,
) -> list[str]:
    return list(
        verdict.find_faults(
            letters,
            {"basket": meant},
            figures or COUNTED,
            bought=bought,
            baskets=["basket"],
            real=real,
        )
    )


def test_a_month_without_a_fault_passes() -> None:
    assert judge(WELL) == []


def counted(step: str, **figures: int) -> dict[str, dict[str, int]]:
    return COUNTED | {step: COUNTED[step] | figures}


@pytest.mark.parametrize(
    ("letters", "options", "fault"),
    [
        (WELL, {"figures": counted("basket/1", accepted=3)}, "2 visitors, but stats counts 3"),
        (WELL, {"figures": counted("basket/1", shown=1)}, "stats counts 1 shown"),
        (WELL, {"figures": counted("basket/2", clicked=1)}, "stats counts 1 clicked"),
        (WELL, {"meant": (1, 2, 3)}, "basket did not reach 1 of 3"),
        (WELL, {"meant": (1,)}, "reached 1 who were not meant"),
        (WELL, {"bought": ()}, "basket/2 did not reach 1 of 2"),
        (
            WELL | {"basket/2": [*WELL["basket/2"], ReceivedMessage(2, 14, False)]},
            {"figures": counted("basket/2", accepted=2)},
            "basket/2 came twice to somebody",
        ),
        (
            WELL | {"basket/2": [ReceivedMessage(2, 13, True, True)]},
            {},
            "basket/2 reached somebody who had bought",
        ),
        (
            WELL | {"basket/1": [WELL["basket/1"][0], ReceivedMessage(2, 12, False)]},
            {"figures": counted("basket/1", shown=1)},
            "basket/2 reached somebody who had not seen the first",
        ),
        (
            {"basket/1": [], "basket/2": []},
            {
                "figures": {
                    step: dict.fromkeys(figures, 0) for step, figures in COUNTED.items()
                },
                "bought": (1, 2),
            },
            "basket sent nothing",
        ),
    ],
)
def test_a_fault_of_the_month_is_found(
    letters: dict[str, list[ReceivedMessage]], options: dict[str, object], fault: str
) -> None:
    found = judge(letters, **options)  # type: ignore[arg-type]

    assert len(found) == 1
    assert fault in found[0]


def test_a_real_browser_beside_the_visitors_may_be_counted_once() -> None:
    figures = counted("basket/1", accepted=3, shown=3)

    assert judge(WELL, figures, real=1) == []
    assert judge(WELL, counted("basket/1", accepted=4), real=1) != []
