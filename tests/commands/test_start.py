"""What a command loads, and help that is answered without loading the program."""

import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from fcntl import ioctl
from pathlib import Path
from types import ModuleType

import pytest

from pushctl import cli, standard_streams
from pushctl.commands import help_texts, loading, unchecked_config
from tests.support import ROOT, project
from tests.support.program import environment, pushctl

SHORT = [sys.executable, "-m", "pushctl"]
WHOLE = [sys.executable, "-c", "from pushctl.cli import main; main()"]


@pytest.mark.parametrize("columns", help_texts.WIDTHS)
def test_stored_helps_are_what_the_program_prints(generate: ModuleType, columns: int) -> None:
    written = (ROOT / f"pushctl/commands/helps/{columns}.txt").read_text("utf-8")
    assert written == generate.tell_helps(columns), "run: ./run python docs/generate.py"


def show(command: Sequence[str], columns: int, **more: str) -> tuple[int, bytes]:
    """Run *command* on a terminal of *columns*; return its exit code and all that it shows."""
    env = environment(more)
    del env["COLUMNS"]
    terminal, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    program = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # its other end is closed
            piece = b""
        if not piece:
            break
        shown += piece
    os.close(terminal)
    return program.wait(60), shown


@pytest.mark.parametrize(
    ("columns", "more"),
    [
        (80, {}),
        (80, {"NO_COLOR": "1", "LC_ALL": "tr_TR.UTF-8"}),
        (80, {"LC_ALL": "C"}),
        (100, {"TERM": "dumb"}),
        (250, {"LC_ALL": "ar_EG.UTF-8"}),
        (0, {}),
        (91, {}),
        (40, {}),
    ],
)
def test_a_terminal_shows_the_help_of_the_whole_program(
    columns: int, more: dict[str, str]
) -> None:
    for words in (["stats", "-h"], []):
        short, whole = (show([*it, *words], columns, **more) for it in (SHORT, WHOLE))
        assert short == whole
        assert short[0] == (0 if words else 2) and b"Usage:" in short[1]


def run(command: Sequence[str], **more: str) -> tuple[int, bytes, bytes]:
    env = environment(more)
    done = subprocess.run(command, capture_output=True, env=env, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        [],
        ["--version"],
        ["stats", "campaign", "--help"],
        ["stats", "nothing", "--help"],
        ["keys", "--help", "--help"],
        ["--verbose", "keys", "-h"],
        ["keys"],
        ["\x0ckeys", "--help"],
    ],
)
def test_pipes_get_the_answer_of_the_whole_program(words: list[str]) -> None:
    assert run([*SHORT, *words]) == run([*WHOLE, *words])


def test_a_variable_that_is_wrong_is_told_to_whoever_asks_for_help() -> None:
    words = ["keys", "--help"]
    wrong = run([*SHORT, *words], PUSHCTL_PLAIN="perhaps")
    assert wrong == run([*WHOLE, *words], PUSHCTL_PLAIN="perhaps")
    assert wrong[0] == 2 and b"PUSHCTL_PLAIN" in wrong[2]


@pytest.mark.parametrize("words", [["--version"], ["--help"], []])
def test_what_nobody_can_read_ends_as_in_the_whole_program(words: list[str]) -> None:
    def end(command: Sequence[str], target: int) -> tuple[int, bytes]:
        done = subprocess.run(
            [*command, *words], stdout=target, stderr=subprocess.PIPE, env=environment()
        )
        return done.returncode, done.stderr

    with open("/dev/full", "wb") as full:
        ends = [end(it, full.fileno()) for it in (SHORT, WHOLE)]
    assert ends[0] == ends[1]
    ends = []
    for command in (SHORT, WHOLE):
        reader, writer = os.pipe()
        os.close(reader)
        ends.append(end(command, writer))
        os.close(writer)
    assert ends[0] == ends[1]


@pytest.mark.parametrize("given", [None, "", "0", "-3", "x", "72", "100"])
def test_the_width_is_that_of_the_standard_library(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if given is not None:
        monkeypatch.setenv("COLUMNS", given)
    assert standard_streams.count_columns() == shutil.get_terminal_size().columns


def list_modules(folder: Path, *words: str) -> set[str]:
    """Run a command that ends well; return all modules that it has loaded then."""
    code = (
        "import atexit, sys\n"
        "file = open(sys.argv.pop(1), 'w')\n"
        "atexit.register(lambda: print(*sys.modules, sep='\\n', file=file))\n"
        "from pushctl.quick import main; main()"
    )
    command = [sys.executable, "-c", code, str(folder / "modules"), *words]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set((folder / "modules").read_text().splitlines())


# Each takes as long to load as a short command needs altogether, or longer.
HEAVY = {
    "aiohttp", "babel", "cryptography", "httptools", "jinja2", "lark", "numpy",
    "prometheus_client", "pycurl", "pydantic", "pywebpush", "regex", "requests", "rich",
    "sqlite_utils", "tomlkit",
}  # fmt: skip


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["stats", "ab", "--help"]])
def test_help_and_version_load_nothing_of_the_program(tmp_path: Path, words: list[str]) -> None:
    loaded = list_modules(tmp_path, *words)
    ours = {each for each in loaded if each.startswith("pushctl.")}
    shared = {
        "commands",
        "commands.help_texts",
        "commands.unchecked_config",
        "errors",
        "quick",
        "standard_streams",
    }
    assert ours <= {f"pushctl.{each}" for each in shared}
    assert not loaded & (HEAVY | {"typer", "dataclasses", "inspect", "sqlite3"})


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a trigger, whose settings a sweep has found sound."""
    folder = project.make(tmp_path_factory.mktemp("swept") / "shop")
    with (folder / "pushctl.toml").open("a") as text:
        text.write('[triggers.welcome]\non = "subscribe"\n')
        text.write('[[triggers.welcome.steps]]\nafter = "1h"\ntemplate = "welcome"\n')
    swept = pushctl("sweep", cwd=folder)
    assert swept.code == 0, swept.err
    return folder


def test_what_needs_the_database_alone_loads_no_settings(swept: Path, tmp_path: Path) -> None:
    loaded = list_modules(tmp_path, "--project", str(swept), "stats")
    heavy = {"tomllib", "decimal", "zoneinfo", "csv", "secrets", "email"}
    assert loaded & (HEAVY | heavy) == set()
    ours = {each for each in loaded if each.startswith("pushctl.")}
    assert not ours & {"pushctl.config", "pushctl.model", "pushctl.store.upgrade"}
    assert len(ours) < 60 and len(loaded) < 250
    # The settings of a site's clock have to be read.
    loaded = list_modules(tmp_path, "--project", str(swept), "stats", "campaigns")
    assert "pushctl.config" in loaded and not loaded & (HEAVY - {"numpy"})


@pytest.mark.parametrize(
    "change",
    [
        ("\n[sites.", "\nodd = 1\n[sites."),
        ("\n[sites.", '\ndatabase = "other.db"\n[sites.'),
        ("\n[log]", '\n[log]\nfile = "/nowhere/log"'),
        ('after = "1h"', 'after = "soon"'),
    ],
    ids=lambda change: change[1].strip().splitlines()[-1],
)
def test_a_change_of_the_settings_is_read_by_the_next_command(
    swept: Path, tmp_path: Path, change: tuple[str, str]
) -> None:
    folder = Path(shutil.copytree(swept, tmp_path / "shop"))
    file = folder / "pushctl.toml"
    text = file.read_text("utf-8")
    assert change[0] in text
    file.write_text(text.replace(*change, 1), "utf-8")
    shown = pushctl("stats", cwd=folder)
    if "log" in change[0]:
        assert "Warning" in shown.err and "/nowhere/log" in shown.err
    else:
        assert shown.code == 3, shown
    file.write_text(text, "utf-8")
    assert pushctl("stats", cwd=folder).code == 0


def test_a_variable_is_heeded_though_a_sweep_has_checked_the_file(swept: Path) -> None:
    shown = pushctl("stats", cwd=swept, PUSHCTL_DATABASE="other.db")
    assert shown.code == 3 and "other.db does not exist" in shown.err


@pytest.mark.parametrize(
    ("line", "parsed"),
    [
        ('# database = "x"', False),
        ('database="x"', True),
        (' "database" = "x"', True),
        ('"data\\u0062ase" = "x"', True),
        ("[log]", False),
        ('log.file = "x"', True),
        ('log = { file = "x" }', True),
        ('"log" . file = "x"', True),
        ('file = "x"', True),
        ('\ufeffdatabase = "x"', True),
    ],
)
def test_a_line_that_may_name_database_or_log_is_found(line: str, parsed: bool) -> None:
    content = f'name = 1\n{line}\nother = "file"\n' if line[0] != "\ufeff" else line
    assert bool(unchecked_config._SETTING.search(content.encode())) is parsed


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_a_verb_loads_no_module_of_another(name: str) -> None:
    """Only what a noun's own module imports is loaded with it."""
    verbs = getattr(loading.load(name), "commands", None)
    if verbs is None:
        return
    code = (
        f"import sys; from pushctl.commands import loading; command = loading.load({name!r})\n"
        "assert list(command.commands)\n"
        "print(*(it for it in sys.modules if it.startswith('pushctl.commands.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not set(verbs.modules) & set(done.stdout.split())
    assert list(verbs) == [verbs[verb].name for verb in verbs]
