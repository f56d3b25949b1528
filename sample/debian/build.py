"""
Build a Debian package from a checkout, for the release and the processor of this machine.

    ./run python sample/debian/build.py [FOLDER]      (default: dist/)

It holds an environment of its own in /opt/pushctl, because Debian's own packages are older
than what pushctl needs. It runs on the system's Python. There are no scripts of the
maintainer: installing makes no account, starts nothing and touches no project.
"""

import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"
PLACE = Path("opt/pushctl")

CONTROL = """\
Package: pushctl
Version: {version}
Architecture: {architecture}
Maintainer: The pushctl project <packages@pushctl.example>
Installed-Size: {kilobytes}
Depends: python3 (>= {python}), python3 (<< {next_python}), ca-certificates, libc6 (>= 2.28)
Recommends: bash-completion, man-db
Suggests: caddy | nginx
Section: web
Priority: optional
Description: self-hosted web-push campaigns from the command line
 Subscribers, segments, templates, triggers and figures in one SQLite file; a small receiver
 for the web pages, and a sweep that sends what is due.
 .
 pushctl docs server leads from here to a running receiver, timer and first campaign.
"""


def main(target: Path) -> Path:
    """Build the package into *target*; return its file."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder) / "root"
        stage.mkdir(mode=0o755)
        wheel = build_wheel(Path(folder))
        version = wheel.name.split("-")[1]
        install(wheel, stage)
        place_extras(stage)
        write_control(stage, version)
        target.mkdir(parents=True, exist_ok=True)
        architecture = ask("dpkg", "--print-architecture")
        package = target / f"pushctl_{version}_{architecture}.deb"
        # No file is newer than the commit: the same checkout gives the same package.
        variables = {**os.environ, "SOURCE_DATE_EPOCH": find_epoch()}
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Zzstd", "--build", stage, package],
            check=True,
            env=variables,
            stdout=sys.stderr,
        )
    return package


def ask(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def find_epoch() -> str:
    done = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip() or "0"


def build_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    subprocess.run([*command, "--outdir", folder, ROOT], check=True, stdout=sys.stderr)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, stage: Path) -> None:
    """Make the environment below *stage*, as if it stood in /."""
    place = stage / PLACE
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", place], check=True)
    command = [sys.executable, "-m", "pip", "--python", place / "bin/python", "install"]
    subprocess.run([*command, "-q", "--no-compile", wheel], check=True, stdout=sys.stderr)
    for program in (place / "bin").iterdir():
        # Programs of other packages would only be in the way.
        if program.name not in ("pushctl", "python", "python3"):
            program.unlink()
    program = place / "bin/pushctl"
    _, _, body = program.read_text().partition("\n")
    program.write_text(f"#!/{PLACE}/bin/python\n{body}")
    (place / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {read_python()}\n"
    )
    # Compiled here: root's first start must not write beside the package's files. dpkg-deb
    # sets the times of all files, so what is compiled can't go by them.
    compiling = [PYTHON, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*compiling, "-s", stage, "-p", "/", place / "lib"], check=True)


def read_python() -> str:
    code = "import sys; print('{}.{}'.format(*sys.version_info))"
    return ask(PYTHON, "-c", code)


def place_extras(stage: Path) -> None:
    """Put the command, manual pages, completion and samples where the system looks."""
    share = stage / "usr/share"
    (stage / "usr/bin").mkdir(parents=True)
    (stage / "usr/bin/pushctl").symlink_to(f"/{PLACE}/bin/pushctl")
    pages = share / "man/man1"
    pages.mkdir(parents=True)
    for page in (stage / PLACE / "share/man/man1").iterdir():
        compress(page.read_bytes(), pages / f"{page.name}.gz")
    shutil.rmtree(stage / PLACE / "share")
    (package,) = (stage / PLACE).glob("lib/python*/site-packages/pushctl")
    for shell, place in (
        ("bash", "bash-completion/completions/pushctl"),
        ("zsh", "zsh/vendor-completions/_pushctl"),
        ("fish", "fish/vendor_completions.d/pushctl.fish"),
    ):
        (share / place).parent.mkdir(parents=True)
        shutil.copyfile(package / "commands/completions" / shell, share / place)
    about = share / "doc/pushctl"
    about.mkdir(parents=True)
    compress((ROOT / "CHANGELOG.md").read_bytes(), about / "changelog.gz")
    shutil.copyfile(ROOT / "LICENSE", about / "copyright")
    shutil.copytree(ROOT / "sample", about / "examples", ignore=lambda *_: ["debian"])


def compress(data: bytes, file: Path) -> None:
    file.write_bytes(gzip.compress(data, mtime=0))


def write_control(stage: Path, version: str) -> None:
    size = sum(file.lstat().st_size for file in stage.rglob("*"))
    python = read_python()
    major, _, minor = python.partition(".")
    text = CONTROL.format(
        version=re.sub(r"(a|b|rc|\.dev)(\d)", r"~\1\2", version),
        architecture=ask("dpkg", "--print-architecture"),
        kilobytes=size // 1024,
        python=python,
        next_python=f"{major}.{int(minor) + 1}",
    )
    (stage / "DEBIAN").mkdir(mode=0o755)
    (stage / "DEBIAN/control").write_text(text)


if __name__ == "__main__":
    os.umask(0o022)
    package = main(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "dist")
    sys.stdout.write(f"{package}\n")
