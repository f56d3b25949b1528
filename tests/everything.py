"""
Every check, for two cores: what ``./run test`` does.

First what may run side by side, in processes of pytest-xdist, with mypy beside them.
Then, each by itself, what measures time or fills both cores (marked ``alone``). At the end
stand the seconds of each group of tests, also those of processors, and a warning when all
took too long.
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
PROCESSES = 3  # on two cores: for half of their time tests wait
_NONE_RAN = 5  # pytest's exit code where no test was selected

_BIN = Path(sys.executable).parent
_CHECKS = (
    (_BIN / "ruff", "check", "."),
    (_BIN / "ruff", "format", "--check", "."),
    (_BIN / "lint-imports", "--no-logo"),
)


def main() -> int:
    """Run everything; return 0 when all of it passed."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seconds, types, collected = (Path(folder) / it for it in ("seconds", "mypy", "alone"))
        variables = {**os.environ, "PUSHCTL_TEST_SECONDS": str(seconds)}
        # The collection compiles the tests for all processes to come: 8 seconds for each.
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        mypy = _begin([_BIN / "mypy"], types, variables)
        collection = _begin([*_PYTEST, "--collect-only", "-m", "alone"], collected, variables)
        codes = [subprocess.call(check, cwd=ROOT) for check in _CHECKS]
        codes.append(_judge(collection.wait()))
        together = ["-n", str(PROCESSES), "--no-loadscope-reorder", "-m", "not alone"]
        codes.append(_pytest(together, variables))
        codes.append(mypy.wait())
        print(types.read_text(), end="", flush=True)
        # By their names, so that nothing else is collected again.
        alone = [line for line in collected.read_text().splitlines() if "::" in line]
        if alone:
            codes.append(_pytest(alone, variables))
        _report(seconds, time.monotonic() - began)
    return int(any(codes))


def _begin(
    command: Sequence[str | Path], output: Path, variables: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start *command* beside others; what it says goes to the file *output*."""
    with output.open("wb") as file:
        return subprocess.Popen(command, cwd=ROOT, env=variables, stdout=file, stderr=file)


_PYTEST = (sys.executable, "-m", "pytest")


def _pytest(options: Sequence[str], variables: Mapping[str, str]) -> int:
    command = [*_PYTEST, "--durations=10", "--durations-min=3", *options]
    return _judge(subprocess.call(command, cwd=ROOT, env=variables))


def _judge(code: int) -> int:
    return 0 if code == _NONE_RAN else code


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
