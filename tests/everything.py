"""
Every check, for two cores: what ``./run test`` does.

First the tests marked ``alone``, one after another, beside mypy and the other checks: no
other test runs then, and those wait most of their time. Then what may run side by side, in
processes that take shares of it (support/sharing). At the end stand the tests that took
longest, the seconds of each group, also those of processors, a warning when all took too
long, and how many tests passed.

With PUSHCTL_PACKAGE=require, as CI has it, the Debian package is proved beside these. With
``--weigh`` it also writes how long each file took, by which the next run shares them out.
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
from typing import Any

from tests.support import ROOT, sharing

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
        notes, types, alone, package = (
            Path(folder) / it for it in ("notes", "mypy", "alone", "package")
        )
        variables = {**os.environ, "PUSHCTL_TEST_SECONDS": str(notes)}
        # To compile the tests takes 12 seconds.
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        files = _find_alone()
        by_itself = _begin([*_PYTEST, "-m", "alone", *files], alone, variables)
        mypy = _begin([*_GIVING_WAY, _BIN / "mypy"], types, variables)
        codes = [subprocess.call(check, cwd=ROOT) for check in _CHECKS]
        codes.append(by_itself.wait())
        print(alone.read_text(), end="", flush=True)
        beside = [_begin([*_GIVING_WAY, *_PACKAGE], package, variables)] if _proves() else []
        codes.append(not sharing.run(sharing.find_shares(), PROCESSES, variables))
        codes += [it.wait() for it in (mypy, *beside)]
        print(types.read_text(), package.read_text() if beside else "", sep="", end="")
        sessions = [json.loads(line) for line in notes.read_text().splitlines()]
        _report(sessions, began)
        if sys.argv[1:] == ["--weigh"]:
            _weigh(sessions)
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


_PYTEST = (sys.executable, "-m", "pytest", "-q")


def _report(sessions: Sequence[Mapping[str, Any]], began: float) -> None:
    """Print what took long, the seconds of each group, and how many tests passed."""
    longest: Counter[str] = Counter()
    groups: Counter[str] = Counter()
    processors: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    for session in sessions:
        longest.update(session["longest"])
        outcomes.update(session["outcomes"])
        for file, (length, spent) in session["seconds"].items():
            groups[_group(file)] += length
            processors[_group(file)] += spent
    print("\nSeconds of the tests that took longest:")
    for test, length in longest.most_common(10):
        print(f"  {length:6.1f}  {test}")
    print("\nSeconds by group (processes side by side share most of them), and of processors:")
    for group, spent in processors.most_common():
        print(f"  {groups[group]:6.1f}  {spent:6.1f}  {group}")
    seconds = time.monotonic() - began
    print(f"  {seconds:6.1f}  {sum(os.times()[:4]):6.1f}  all of it, checks too")
    if seconds > MOST_SECONDS:
        print(f"Warning: more than {MOST_SECONDS} seconds. CONTRIBUTING.md says what helps.")
    for test in sorted({test for session in sessions for test in session["failed"]}):
        print(f"FAILED {test}")
    told = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
    print(f"{told} in {seconds:.0f} seconds")


def _weigh(sessions: Sequence[Mapping[str, Any]]) -> None:
    """Write which files take long, for the next who shares them out."""
    found = {
        file: round(spent)
        for session in sessions
        for file, (_, spent) in sorted(session["seconds"].items())
        if spent >= 1
    }
    sharing.WEIGHTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def _group(test: str) -> str:
    """Return the folder of a test file: "tests/jobs/delivery", or "tests" for the top's."""
    return str(Path(test).parent)


if __name__ == "__main__":
    sys.exit(main())
