"""
Write the lock files anew, from pyproject.toml and the newest versions that it allows.

    ./run python locks/compile.py              # keeps versions that still fit
    ./run python locks/compile.py --upgrade    # takes the newest ones

locks/base.txt is what using pushctl from a checkout takes, locks/dev.txt what testing it takes:
each package with one version and the hashes of all its files, for Python 3.11 and newer.
``./run`` installs from them, pip with --require-hashes. After it, run locks/describe.py.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
# What ./run installs for the demo: the other extras are for who asks for them.
BASE = (
    "--extra=demo", "--extra=fast", "--extra=feeds", "--extra=mapped", "--extra=turbo",
    "--group=build",
)  # fmt: skip
DEV = ("--all-extras", "--group=dev", "--group=build")
OPTIONS = (
    "--universal", "--python-version=3.11", "--generate-hashes", "--no-emit-index-url",
    "--no-header", "--no-annotate", "--quiet",
)  # fmt: skip
HEAD = "# Written by locks/compile.py from pyproject.toml. Requirements: {}\n"


def fingerprint() -> str:
    """Return a hash of all that pyproject.toml requires."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = table["project"]
    required = [
        project["requires-python"], project["dependencies"],
        project["optional-dependencies"], table["dependency-groups"],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(required, sort_keys=True).encode()).hexdigest()[:32]


def resolve(target: Path, options: Sequence[str], earlier: Path | None) -> None:
    """Let uv choose the versions, those of *earlier* where they fit, and write *target*."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *OPTIONS]
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "lock.txt"
        if earlier is not None and earlier.exists():
            found.write_bytes(earlier.read_bytes())
        subprocess.run([*command, *options, f"--output-file={found}"], cwd=ROOT, check=True)
        text = found.read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("--index")]
    target.write_text(HEAD.format(fingerprint()) + "\n".join(lines) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    upgrade = parser.parse_args().upgrade
    dev, base = HERE / "dev.txt", HERE / "base.txt"
    resolve(dev, DEV, None if upgrade else dev)
    # The same versions in both: what was tested is what is used.
    resolve(base, [*BASE, f"--constraint={dev}"], None)


if __name__ == "__main__":
    main()
