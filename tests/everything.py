"""
Every check, for two cores: what ``./run test`` does.

First the tests marked ``alone``, one after another, beside mypy, the other checks and the
collection of all tests: no other test runs then, and those wait most of their time. Then
what may run side by side, in processes of pytest-xdist. At the end stand the seconds of each
group of tests, also those of processors, and a warning when all took too long.

With PUSHCTL_PACKAGE=require, as CI has it, the Debian package is proved beside these.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support import ROOT

MOST_SECONDS = 360
PROCESSES = 4  # on two cores: for half of their time tests wait

_BIN = Path(sys.executable).parent
_CHECKS = (
    (_BIN / "ruff", "check", "."),
    (_BIN / "ruff", "format", "--check", "."),
    (_BIN / "lint-imports", "--no-logo"),
)
_PACKAGE = (sys.executable, "-m", "tests.proofs.package")
# What measures memory goes before it.
_GIVING_WAY = ("nice", "-n", "10")


def main() -> int:
    """Run everything; return 0 when all of it passed."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seconds, types, alone, package = (
            Path(folder) / it for it in ("seconds", "mypy", "alone", "package")
        )
        variables = {**os.environ, "PUSHCTL_TEST_SECONDS": str(seconds)}
        # The collection compiles the tests for all processes to come: 12 seconds for each.
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        by_itself = _begin([*_PYTEST, "-m", "alone", *_find_alone()], alone, variables)
        collection = _begin([*_PYTEST, "--collect-only", "-qq"], Path(os.devnull), variables)
        mypy = _begin([*_GIVING_WAY, _BIN / "mypy"], types, variables)
        codes = [subprocess.call(check, cwd=ROOT) for check in _CHECKS]
        codes += [it.wait() for it in (mypy, by_itself)]
        print(types.read_text(), alone.read_text(), sep="", end="", flush=True)
        collection.wait()  # what it has to say the next one says
        beside = [_begin([*_GIVING_WAY, *_PACKAGE], package, variables)] if _proves() else []
        codes.append(_run_together(variables))
        codes += [it.wait() for it in beside]
        print(package.read_text() if beside else "", end="")
        _report(seconds, time.monotonic() - began)
    return int(any(codes))


def _proves() -> bool:
    return os.environ.get("PUSHCTL_PACKAGE") == "require"


def _find_alone() -> list[Path]:
    """Return the files that have tests marked so: nothing else need be collected for them."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [file for file in files if "pytest.mark.alone" in file.read_text("utf-8")]


def _begin(
    command: Sequence[str | Path], output: Path, variables: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start *command* beside others; what it says goes to the file *output*."""
    with output.open("wb") as file:
        return subprocess.Popen(command, cwd=ROOT, env=variables, stdout=file, stderr=file)


_PYTEST = (sys.executable, "-m", "pytest")


def _run_together(variables: Mapping[str, str]) -> int:
    options = ["-n", str(PROCESSES), "--no-loadscope-reorder", "-m", "not alone"]
    command = [*_PYTEST, "--durations=10", "--durations-min=3", *options]
    return subprocess.call(command, cwd=ROOT, env=variables)


def _report(file: Path, seconds: float) -> None:
    groups: Counter[str] = Counter()
    processors: Counter[str] = Counter()
    for line in file.read_text().splitlines() if file.exists() else ():
        for test, (length, spent) in json.loads(line).items():
            groups[_group(test)] += length
            processors[_group(test)] += spent
    print("\nSeconds by group (processes side by side share most of them), and of processors:")
    for group, spent in processors.most_common():
        print(f"  {groups[group]:6.1f}  {spent:6.1f}  {group}")
    print(f"  {seconds:6.1f}  {sum(os.times()[:4]):6.1f}  all of it, checks too")
    if seconds > MOST_SECONDS:
        print(f"Warning: more than {MOST_SECONDS} seconds. CONTRIBUTING.md says what helps.")


def _group(test: str) -> str:
    """Return the folder of a test file: "tests/jobs/delivery", or "tests" for the top's."""
    return str(Path(test).parent)


if __name__ == "__main__":
    sys.exit(main())
