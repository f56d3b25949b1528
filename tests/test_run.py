"""./run: one script for everything from a checkout, on a machine that lacks things."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

# The real programs that the script may use; all else is there only as a test says.
TOOLS = ("sh", "dirname", "cksum", "cat", "rm", "sed", "id", "env", "grep")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A checkout with nothing but the script, and a folder that is the whole PATH."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "locks").mkdir()
    for name in ("run", "pyproject.toml", "locks/dev.txt", "locks/base.txt"):
        shutil.copy(ROOT / name, checkout / name)
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (programs / tool).symlink_to(found)
    return checkout


def program(machine: Path, name: str, text: str) -> None:
    file = machine.parent / "bin" / name
    file.unlink(missing_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def run(machine: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    known = {"PATH": str(machine.parent / "bin"), "LOG": str(machine.parent / "log")}
    return subprocess.run(
        [str(machine / "run"), *words],
        env=known | variables,
        capture_output=True,
        text=True,
        cwd="/",
    )


def log(machine: Path) -> str:
    file = machine.parent / "log"
    return file.read_text() if file.exists() else ""


def test_without_a_word_it_says_what_it_can_do(machine: Path) -> None:
    shown = run(machine)
    assert shown.returncode == 2
    for word in ("./run demo", "./run test", "./run pushctl", "./run python"):
        assert word in shown.stderr
    assert "set -eu" not in shown.stderr


def test_both_scripts_may_be_run() -> None:
    for name in ("run", ".ci/run"):
        assert (ROOT / name).stat().st_mode & stat.S_IXUSR


def test_without_python_a_plain_user_is_told_what_to_install(machine: Path) -> None:
    program(machine, "id", "echo 1000")
    shown = run(machine, "pushctl")
    assert shown.returncode == 1
    assert "Python 3.11" in shown.stderr and "python3-venv" in shown.stderr


def test_an_old_python_is_none(machine: Path) -> None:
    program(machine, "id", "echo 1000")
    program(machine, "python3", "exit 1")
    assert "Python 3.11" in run(machine, "pushctl").stderr


def test_a_python_without_venv_is_told_to_a_plain_user(machine: Path) -> None:
    program(machine, "id", "echo 1000")
    program(machine, "python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    shown = run(machine, "pushctl")
    assert shown.returncode == 1
    assert "python3-venv" in shown.stderr


def test_root_gets_venv_installed(machine: Path) -> None:
    program(machine, "id", "echo 0")
    # Has the module only after apt-get was there; then makes nothing, which ends it.
    program(
        machine,
        "python3",
        'case "$2" in *ensurepip*) [ -e "$LOG" ] || exit 1;; venv) exit 9;; esac',
    )
    program(machine, "apt-get", 'echo "$@" >>"$LOG"')
    run(machine, "pushctl")
    assert "install" in log(machine) and "python3-venv" in log(machine)


@pytest.mark.parametrize("optimised", ["here", "there", "nowhere"])
def test_an_optimised_python_goes_first(machine: Path, optimised: str) -> None:
    there = machine.parent / "there"
    there.mkdir()
    for name, file in {"here": "bin/python3", "there": "there/python3"}.items():
        answer = "" if name == optimised else 'case "$2" in *optimizations*) exit 1;; esac; '
        made = f'case "$2" in venv) echo {name} >>"$LOG"; exit 9;; esac'
        (machine.parent / file).write_text(f"#!/bin/sh\n{answer}{made}\n")
        (machine.parent / file).chmod(0o755)
    subprocess.run(
        [str(machine / "run"), "pushctl"],
        env={"PATH": f"{machine.parent / 'bin'}:{there}", "LOG": str(machine.parent / "log")},
        capture_output=True,
    )
    assert log(machine).split() == ["here" if optimised == "nowhere" else optimised]


def environment_of(machine: Path, pip: str) -> None:
    """Let python3 make a .venv whose python does what *pip* says for ``-m pip``."""
    inner = f'case "$1 $2" in "-m pip") shift 2; {pip};; *) exec {sys.executable} "$@";; esac'
    program(
        machine,
        "python3",
        f"""
        case "$1 $2" in
            "-m venv") /bin/mkdir -p "$4/bin"; /bin/cat >"$4/bin/python" <<'END'
#!/bin/sh
{inner}
END
                /bin/chmod +x "$4/bin/python"
                printf '#!/bin/sh\\necho pushctl "$@" in "$PWD"\\n' >"$4/bin/pushctl"
                /bin/chmod +x "$4/bin/pushctl";;
            *) exec {sys.executable} "$@";;
        esac""",
    )


def find_installation(machine: Path, lock: str) -> str:
    """Return the one line of the log by which the packages of *lock* were installed."""
    end = f" --requirement {machine}/locks/{lock}.txt"
    (installed,) = [line for line in log(machine).splitlines() if line.endswith(end)]
    return installed


# A pip that brings a uv, which does as is said.
BRINGS_UV = """
    echo "pip $*" >>"$LOG"
    case "$*" in *uv.txt)
        echo "#!/bin/sh" >"${0%/*}/uv"
        echo 'echo "uv $*" >>"$LOG"; exit "${UV_ENDS:-0}"' >>"${0%/*}/uv"
        /bin/chmod +x "${0%/*}/uv";;
    esac"""


def test_uv_installs_what_testing_needs_by_the_same_hashes(machine: Path) -> None:
    environment_of(machine, BRINGS_UV)
    assert run(machine, "python", "-c", "").returncode == 0
    installed = find_installation(machine, "dev")
    assert installed.startswith("uv pip install ") and " --require-hashes " in installed
    assert f"--python {machine}/.venv/bin/python " in installed
    itself = (machine / ".venv/uv.txt").read_text()
    assert itself.startswith("uv==") and itself.count("==") == 1 and "--hash" in itself
    (line,) = [line for line in log(machine).splitlines() if line.endswith("uv.txt")]
    assert " --require-hashes " in line and " --only-binary " in line


def test_where_uv_fails_pip_does_it(machine: Path) -> None:
    environment_of(machine, BRINGS_UV)
    assert run(machine, "python", "-c", "", UV_ENDS="2").returncode == 0
    assert [line.split()[0] for line in log(machine).splitlines() if "dev.txt" in line] == [
        "uv",
        "pip",
    ]


@pytest.mark.parametrize(
    ("setting", "by"),
    [
        ("global.index-url='there'", "pip"),
        (":env:.no-index='1'", "pip"),
        ("global.extra-index-url='there'", "uv"),
    ],
)
def test_pip_that_knows_another_index_is_not_passed_over(
    machine: Path, setting: str, by: str
) -> None:
    told = f'case "$*" in *config*) echo "{setting}";; esac'
    environment_of(machine, f"{BRINGS_UV}\n{told}")
    assert run(machine, "python", "-c", "").returncode == 0
    assert find_installation(machine, "dev").startswith(f"{by} ")


def test_the_second_run_installs_nothing_until_pyproject_changes(machine: Path) -> None:
    environment_of(machine, 'echo "pip $*" >>"$LOG"')
    first = run(machine, "pushctl", "send", "a b")
    assert first.stdout == "pushctl send a b in /\n", "in the folder that the person is in"
    installed = log(machine).count("--editable")
    assert installed == 1
    assert run(machine, "pushctl").returncode == 0
    assert log(machine).count("--editable") == installed
    with (machine / "pyproject.toml").open("a") as file:
        file.write("\n# changed\n")
    assert run(machine, "pushctl").returncode == 0
    assert log(machine).count("--editable") == installed + 1


def test_what_serves_testing_serves_using(machine: Path) -> None:
    environment_of(machine, 'echo "pip $*" >>"$LOG"')
    assert run(machine, "python", "-c", "").returncode == 0
    assert "--require-hashes --requirement" in log(machine)
    assert "/locks/dev.txt" in log(machine)
    count = log(machine).count("--editable")
    assert run(machine, "pushctl").returncode == 0
    assert log(machine).count("--editable") == count


@pytest.mark.parametrize(
    ("command", "lock"), [("demo", "base"), ("pushctl", "base"), ("python", "dev")]
)
def test_the_demos_real_browsers_are_looked_after(
    machine: Path, command: str, lock: str
) -> None:
    environment_of(machine, 'echo "pip $*" >>"$LOG"')
    run(machine, command, "-c", "")
    installed = find_installation(machine, lock)
    assert " --require-hashes " in installed
    text = (machine / f"locks/{lock}.txt").read_text()
    assert "\njeepney==" in text and "\nwebsockets==" in text


@pytest.mark.parametrize(
    ("command", "variables", "compiled"),
    [
        ("pushctl", {}, True),
        ("python", {}, False),
        # Where Python may write nothing, each start would compile it anew.
        ("python", {"PYTHONDONTWRITEBYTECODE": "1"}, True),
    ],
)
def test_what_tests_need_is_compiled_once_it_is_loaded(
    machine: Path, command: str, variables: dict[str, str], compiled: bool
) -> None:
    environment_of(machine, 'echo "pip $*" >>"$LOG"')
    run(machine, command, "-c", "", **variables)
    installed = find_installation(machine, "base" if command == "pushctl" else "dev")
    assert ("--no-compile" not in installed) is compiled


def test_a_failed_installation_is_tried_again(machine: Path) -> None:
    environment_of(machine, 'echo "pip $*" >>"$LOG"; case "$*" in *--editable*) exit 1;; esac')
    for attempt in (1, 2):
        assert run(machine, "pushctl").returncode != 0
        assert log(machine).count("--editable") == attempt


def test_no_host_of_a_registry_is_named() -> None:
    for name in ("run", ".ci/run", "pyproject.toml", "locks/base.txt", "locks/dev.txt"):
        text = (ROOT / name).read_text()
        assert "--index-url" not in text and "://" not in text.replace("https://toml.io", "")


def test_the_checks_of_the_whole_use_the_same_command() -> None:
    assert "./run test" in (ROOT / ".ci/run").read_text()
    assert os.access(ROOT / ".ci/run", os.X_OK)
