"""The wheel: built from the sdist, installed into an empty environment, used."""

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.program import environment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by way of the sdist: so the sdist holds all it needs."""
    target = tmp_path_factory.mktemp("dist")
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        str(target),
        str(ROOT),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = target.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=False)
    programs = folder / "bin"
    command = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install"]
    done = subprocess.run(
        [*command, "-qq", "--no-deps", "--no-index", str(wheel)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    # The dependencies come from where the tests run. A path in a .pth file brings no
    # .pth files of its own, so the checkout's editable install stays out.
    (ours,) = folder.glob("lib/python*/site-packages")
    (ours / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return programs


def run(program: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )


def test_what_ships_is_in_the_wheel(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("templates", "sw"):
        here = {
            f"pushctl/_shipped/{file.relative_to(ROOT)}"
            for file in (ROOT / folder).rglob("*")
            if file.is_file() and not file.name.startswith(".")
        }
        assert here and here <= names
    assert "pushctl/_shipped/pushctl.toml.example" in names
    pages = {file.name for file in (ROOT / "docs").glob("*.md")} | {"changelog.md"}
    assert {f"pushctl/_shipped/docs/{page}" for page in pages} <= names
    assert any(name.endswith(".data/data/share/man/man1/pushctl-send.1") for name in names)
    scripts = {"bash", "zsh", "fish", "tree.json"}
    assert {f"pushctl/commands/completions/{script}" for script in scripts} <= names
    assert {f"pushctl/commands/helps/{width}.txt" for width in (80, 100)} <= names
    assert "pushctl/py.typed" in names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "docs"))]


def test_the_sdist_has_every_file_of_the_repository(wheel: Path) -> None:
    (archive,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    there = {line for line in listed.stdout.splitlines() if (ROOT / line).exists()}
    assert there <= names, sorted(there - names)


def test_the_wheel_names_its_licence_and_its_one_program(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    (entries,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
    text = archive.read(metadata).decode()
    assert "License-Expression: Apache-2.0" in text
    assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())
    (bill,) = (name for name in archive.namelist() if ".dist-info/sboms/" in name)
    assert archive.read(bill) == (ROOT / "locks/sbom.cdx.json").read_bytes()
    assert "pushctl = pushctl." in archive.read(entries).decode()


def test_the_installed_program_makes_and_checks_a_project(
    installed: Path, tmp_path: Path
) -> None:
    place = run(
        installed / "python", "-c", "import pushctl; print(pushctl.__file__)", cwd=tmp_path
    )
    assert place.stdout.startswith(str(installed.parent))
    program = installed / "pushctl"
    assert run(program, "--version", cwd=tmp_path).stdout == "pushctl 0.1.0\n"
    answers = ("--origin=https://shop.example", "--contact=push@shop.example.org")
    made = run(program, "init", "shop", *answers, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "shop"
    assert (folder / "sw/pushctl-sw.js").exists()
    assert any((folder / "templates").glob("*/message.toml"))
    assert run(program, "docs", "sending", cwd=folder).stdout.startswith("# Sending\n")
    assert (installed.parent / "share/man/man1/pushctl.1").exists()
    checked = run(program, "check", cwd=folder)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_command_of_the_installed_program_has_its_files(
    installed: Path, tmp_path: Path
) -> None:
    code = (
        "from pushctl import cli\n"
        "for name in cli.COMMANDS: cli.load(name)\n"
        "from pushctl.rules.audience.parse import parse; parse('everyone')\n"
    )
    done = run(installed / "python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
