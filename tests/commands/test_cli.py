"""pushctl.cli: commands by name, errors as exit codes, nothing loaded in vain."""

import os
import shlex
import subprocess
import sys
import tempfile
import time
import types
from importlib import import_module
from pathlib import Path

import pytest
import typer

from pushctl import cli, errors, output
from pushctl.commands import context, unchecked_config
from pushctl.commands.options import FormatOption
from tests.support import project
from tests.support.program import PROGRAM, environment, on_terminal, pushctl

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A command "odd" whose function is set by the test."""
    module = types.ModuleType("tests.odd")
    monkeypatch.setitem(sys.modules, "tests.odd", module)
    monkeypatch.setitem(cli.COMMANDS, "odd", cli.Command("tests.odd", "Odd."))
    return module


def raising(error: BaseException):  # type: ignore[no-untyped-def]
    def command() -> None:
        raise error

    return command


def test_help_names_every_command() -> None:
    shown = pushctl("--help")
    assert (shown.code, shown.err) == (0, "")
    for name, entry in cli.COMMANDS.items():
        assert f"  {name} " in shown.out
        assert entry.help in shown.out
    assert "\x1b" not in shown.out


def test_help_is_painted_on_a_terminal_alone() -> None:
    shown = on_terminal([*PROGRAM, "--help"]).out
    assert "\x1b[1mUsage:\x1b[0m" in shown and "\x1b[36msend\x1b[0m" in shown


def test_help_loads_no_command_and_nothing_heavy() -> None:
    code = (
        "import sys; from pushctl import cli; cli.run(['--help'])\n"
        "print(*sorted(sys.modules), sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = set(done.stderr.splitlines())
    assert "pushctl.cli" in loaded
    ours = {each for each in loaded if each.startswith("pushctl.commands.")}
    shared = {"context", "names", "loading", "help_texts", "values"}
    assert ours <= {f"pushctl.commands.{each}" for each in shared}
    heavy = {"rich", "sqlite_utils", "pywebpush", "jinja2", "lark", "cryptography", "pycurl"}
    assert not loaded & (heavy | {"requests", "aiohttp", "pydantic", "pushctl.config"})
    # Nearly all that help costs is loading: a count is the same on every machine.
    assert len(loaded) < 220


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_in_the_table_is_there_and_says_what_the_table_says(name: str) -> None:
    module = import_module(cli.COMMANDS[name].module)
    app = getattr(module, "app", None)
    if app is None:
        text = module.command.__doc__
    elif isinstance(app.info.help, str):
        text = app.info.help
    else:  # a noun that answers by itself says it there
        text = app.registered_callback.callback.__doc__
    assert text.strip().splitlines()[0] == cli.COMMANDS[name].help


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_commands_help_has_an_example(name: str, capsys: Capture) -> None:
    verbs = getattr(cli.load(name), "commands", {})
    for words in [[name, verb] for verb in verbs] or [[name]]:
        assert cli.run([*words, "--help"]) == 0
        _, _, text = capsys.readouterr().out.partition("Usage:")
        assert f"  pushctl {' '.join(words)}" in text.partition("\n")[2], words


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_no_verbs_line_is_cut_at_80_columns(
    name: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if getattr(cli.load(name), "commands", None):
        monkeypatch.setenv("COLUMNS", "80")
        assert cli.run([name, "--help"]) == 0
        _, _, verbs = capsys.readouterr().out.rpartition("Commands:")
        assert [line for line in verbs.splitlines() if line.endswith("...")] == []


def test_the_version_is_an_answer() -> None:
    shown = pushctl("--version")
    assert (shown.code, shown.out, shown.err) == (0, "pushctl 0.1.0\n", "")


def test_a_slip_of_the_pen_is_answered_with_what_was_meant() -> None:
    shown = pushctl("sned")
    assert (shown.code, shown.out) == (2, "")
    assert "Did you mean 'send'" in shown.err


def test_a_strange_command_name_reaches_the_terminal_as_text() -> None:
    assert "\x1b" not in pushctl("\x1b[31mx").err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("no"), 2),
        (errors.InputError("no"), 2),
        (errors.ConfigError("no"), 3),
        (errors.TemplateError("no"), 3),
        (errors.NotFoundError("no"), 4),
        (errors.DeliveryError("no"), 5),
        (errors.BusyError("no"), 75),
        (errors.RefusedError("no"), 77),
        (typer.Exit(9), 9),
    ],
)
def test_the_class_of_an_error_is_its_exit_code(
    command: types.ModuleType, capsys: Capture, error: Exception, code: int
) -> None:
    command.command = raising(error)  # type: ignore[attr-defined]
    assert cli.run(["odd"]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == ("" if isinstance(error, typer.Exit) else "Error: no\n")


def test_an_errors_message_is_cleaned(command: types.ModuleType, capsys: Capture) -> None:
    command.command = raising(errors.UsageError("bad\x1b[31m\nremedy"))  # type: ignore[attr-defined]
    cli.run(["odd"])
    assert capsys.readouterr().err == "Error: bad\ufffd[31m\nremedy\n"


def test_ctrl_c_ends_calmly_with_130(command: types.ModuleType, capsys: Capture) -> None:
    command.command = raising(KeyboardInterrupt())  # type: ignore[attr-defined]
    assert cli.run(["odd"]) == 130
    assert "Stopped." in capsys.readouterr().err


def test_a_bug_is_one_line_and_a_log_of_our_own(
    command: types.ModuleType, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    command.command = raising(ZeroDivisionError("oh\x1b"))  # type: ignore[attr-defined]
    assert cli.run(["odd"]) == 1
    (log,) = tmp_path.iterdir()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1 and str(log) in shown.err
    assert "ZeroDivisionError" in log.read_text() and "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_debug_shows_the_traceback(command: types.ModuleType, capsys: Capture) -> None:
    command.command = raising(ZeroDivisionError("oh"))  # type: ignore[attr-defined]
    assert cli.run(["--debug", "odd"]) == 1
    shown = capsys.readouterr()
    assert shown.out == "" and "Traceback" in shown.err


def test_a_reader_that_leaves_is_no_bug() -> None:
    program = subprocess.Popen(
        [*PROGRAM, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    assert program.stdout is not None
    program.stdout.close()
    _, shown = program.communicate(timeout=60)
    assert (program.returncode, shown) == (141, b"")


def test_csv_and_json_stand_for_format(command: types.ModuleType, capsys: Capture) -> None:
    def rows(format: FormatOption = output.Format.TABLE) -> None:
        output.rows([{"a": 1}], [output.Column("a", "A", kind=output.Kind.NUMBER)], format)

    command.command = rows  # type: ignore[attr-defined]
    for flag in ("--csv", "--format=csv", "-fcsv"):
        assert cli.run(["odd", flag]) == 0
        assert capsys.readouterr().out == '"a"\n1\n'
    assert cli.run(["odd", "--json"]) == 0
    assert capsys.readouterr().out == '[\n{"a": 1}\n]\n'
    assert cli.run(["odd", "--", "--csv"]) == 2


def test_a_noun_with_one_verb_is_a_noun(command: types.ModuleType, capsys: Capture) -> None:
    command.app = typer.Typer()  # type: ignore[attr-defined]
    command.app.command("list")(lambda: output.answer("one"))  # type: ignore[attr-defined]
    assert cli.run(["odd", "list"]) == 0
    assert capsys.readouterr().out == "one\n"


def test_now_is_read_once_and_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    one = context.Context(Path())
    assert one.now == one.now
    assert abs(one.now / 1000 - time.time()) < 60
    monkeypatch.setenv("PUSHCTL_NOW", "2026-04-28T10:00:00+02:00")
    assert context.Context(Path()).now == 1_777_363_200_000


@pytest.mark.parametrize("given", ["soon", "2026-04-28T10:00:00"])
def test_a_time_without_its_offset_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("PUSHCTL_NOW", given)
    with pytest.raises(errors.UsageError, match="PUSHCTL_NOW"):
        _ = context.Context(Path()).now


def test_the_project_is_found_from_a_folder_below_or_by_name(tmp_path: Path) -> None:
    made = pushctl(
        "init", str(tmp_path), "--origin=https://a.example", "--contact=me@a.example"
    )
    assert made.code == 0, made.err
    below = tmp_path / "inbox"
    assert pushctl("keys", "show", cwd=below).code == 0
    assert pushctl("--project", str(tmp_path), "keys", "show", cwd=Path("/")).code == 0
    assert pushctl("keys", "show", cwd=Path("/"), PUSHCTL_PROJECT=str(below)).code == 0


def test_without_a_project_the_remedy_is_init(tmp_path: Path) -> None:
    shown = pushctl("keys", "show", cwd=tmp_path)
    assert (shown.code, shown.out) == (3, "")
    assert "pushctl init" in shown.err


def test_the_console_script_is_this_program() -> None:
    script = Path(sys.executable).with_name("pushctl")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, env=os.environ)
    assert done.stdout == "pushctl 0.1.0\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("send --limit x", "Invalid value for '--limit': it must be a number."),
        ("sweep --max-seconds x", "Invalid value for '--max-seconds': it must be a number."),
        (
            "stats subscribers --every year",
            "'year' is not one of 'hour', 'day', 'week', 'month'.",
        ),
        ("demo --visitors 3", "it must be greater than or equal to 12."),
    ],
)
def test_a_wrong_value_is_answered_in_plain_words(words: str, said: str) -> None:
    shown = pushctl(*words.split())
    assert shown.code == 2
    assert said in shown.err and "Input" not in shown.err and "Value error" not in shown.err


def test_an_old_locale_costs_no_letter_in_a_pipe_and_no_answer_on_a_terminal(
    tmp_path: Path,
) -> None:
    folder = project.make(tmp_path)
    words = ("templates", "preview", "welcome", "--language", "en")
    text = 'title = "مرحبا"\nbody = "✓"\n[actions]\nlook = "→"\n'
    (folder / "templates/welcome/en.toml").write_text(text)
    piped = pushctl(*words, cwd=folder, PYTHONIOENCODING="latin-1")
    assert (piped.code, "مرحبا" in piped.out) == (0, True)
    shown = on_terminal([*PROGRAM, *words], cwd=folder, PYTHONIOENCODING="latin-1")
    assert (shown.code, "?????" in shown.out) == (0, True), shown.out


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (PermissionError(13, "Permission denied", "/srv/shop"), "permissions"),
        (OSError(28, "No space left on device"), "Free some space there"),
        (NotADirectoryError(20, "Not a directory", "/etc/hosts/x"), "give another path"),
    ],
)
def test_what_the_machine_refuses_is_no_bug(
    command: types.ModuleType, error: OSError, remedy: str, capsys: Capture
) -> None:
    command.command = raising(error)  # type: ignore[attr-defined]
    assert cli.run(["odd"]) == 3
    told = capsys.readouterr().err
    assert "bug" not in told and remedy in told
    assert str(error.filename or error.strerror) in told


def test_the_short_way_of_a_sweep_passes_over_what_somebody_else_left_above(
    tmp_path: Path,
) -> None:
    if os.getuid():
        pytest.skip("only root may give a file away")
    below = tmp_path / "below"
    below.mkdir()
    file = tmp_path / "pushctl.toml"
    file.write_text("")
    assert unchecked_config.find(below) == file
    os.chown(file, 12345, -1)
    assert unchecked_config.find(below) is None
    assert unchecked_config.find(tmp_path) == file, "whoever names the folder means it"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("check --json", 0),
        ("campaigns show nothing", 4),
        ("send --nonsense", 2),
        ("alias sign customer-7", 0),
    ],
)
def test_a_message_that_cannot_be_written_changes_no_exit_code(
    tmp_path: Path, words: str, code: int
) -> None:
    """It was 1: the error's own text failed, and 120 where the interpreter flushed it last."""
    here = project.make(tmp_path)
    command = shlex.join([*PROGRAM, *shlex.split(words)])
    for redirected, expected in (("2> /dev/full", code), ("> /dev/full 2>&1", code or 3)):
        done = subprocess.run(
            ["sh", "-c", f"{command} {redirected}"],
            capture_output=True, cwd=here, env=environment(), stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == expected, redirected


@pytest.mark.parametrize("words", ["stats --plain", "sweep -v", "tags list --project /tmp"])
def test_an_option_of_the_whole_program_behind_a_command_is_told_its_place(words: str) -> None:
    told = pushctl(*words.split())

    name = next(word for word in words.split() if word.startswith("-"))
    assert told.code == 2
    assert f"{name} goes before the command: pushctl {name} ..." in told.err


def test_an_option_that_nobody_knows_is_told_its_neighbours() -> None:
    told = pushctl("stats", "--plian")

    assert "No such option: --plian" in told.err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("stats", "spring 2026"), "To see one: pushctl stats campaign 'spring 2026'"),
        (("ab", "spring"), "To see one: pushctl ab show spring"),
        (("ab", "lst"), "Did you mean 'list'?"),
        (("keys", "abc"), "No such command 'abc'.\n"),  # its show takes no name
        (("nothing",), "No such command 'nothing'.\n"),
    ],
)
def test_a_name_where_a_verb_belongs_is_answered_with_that_verb(
    typed: tuple[str, ...], said: str
) -> None:
    run = pushctl(*typed)
    assert run.code == 2
    assert said in run.err
