"""
Shares the test files out to processes: each takes the next share once it has ended one.

    python -m tests.support.sharing SHARES QUEUE ENDS

is such a process: SHARES is a file of lists of pytest's words, QUEUE the descriptor of a pipe
with the numbers of those that nobody has taken, and into ENDS it writes those that it has
ended. It runs pytest once a share, so that what pytest, the tests and pushctl import is loaded
once, and what they share is built once.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.support import ROOT

# Processor seconds of the files that take more than one, as ``tests.everything --weigh`` wrote
# them: by these the shares are made.
WEIGHTS = ROOT / "tests/seconds.json"
_LIGHT = 0.5  # of a file that isn't there
# A share costs a third of a second. So the first ones are large, each of them a sixth of what
# is left; and the last ones are small: no process has much to do when the others have ended.
_PART = 6
_SMALLEST = 80  # of all
# A browser starts once: what it is asked for is one share.
_BROWSERS = "tests/e2e/"
_BROWSER_SHARES = tuple((_BROWSERS, "-k", name) for name in ("firefox", "chromium"))

Share = Sequence[str]


def plan(files: Iterable[str], seconds: Mapping[str, float]) -> list[Share]:
    """
    Return shares of *files*, the longest first; *seconds* says how long a file takes.

    A file is never parted: what it makes for all its tests is made once.
    """
    weights = {file: seconds.get(file, _LIGHT) for file in files}
    left = sum(weights.values())
    least = left / _SMALLEST
    shares: list[Share] = []
    share: list[str] = []
    weight = 0.0
    for file in sorted(weights, key=lambda file: (-weights[file], file)):
        share.append(file)
        weight += weights[file]
        if weight >= max(left / _PART, least):
            shares.append(share)
            left -= weight
            share, weight = [], 0.0
    return [*shares, share] if share else shares


def find_shares() -> list[Share]:
    """Return the shares of all test files."""
    found = sorted((ROOT / "tests").rglob("test_*.py"))
    names = [file.relative_to(ROOT).as_posix() for file in found]
    others = [name for name in names if not name.startswith(_BROWSERS)]
    return [*_BROWSER_SHARES, *plan(others, json.loads(WEIGHTS.read_text()))]


def run(shares: Sequence[Share], processes: int, variables: Mapping[str, str]) -> bool:
    """Run all *shares* in *processes* side by side; return whether all tests passed."""
    queue, numbers = os.pipe()
    ended, ends = os.pipe()
    with tempfile.NamedTemporaryFile("w") as file:
        json.dump(shares, file)
        file.flush()
        command = [sys.executable, "-m", "tests.support.sharing", file.name]
        started = [
            subprocess.Popen(
                [*command, str(queue), str(ends)],
                cwd=ROOT,
                env=variables,
                pass_fds=[queue, ends],
            )
            for _ in range(processes)
        ]
        os.write(numbers, bytes(range(len(shares))))  # a byte is read by one process alone
        for end in (queue, numbers, ends):
            os.close(end)
        codes = [it.wait() for it in started]
    with os.fdopen(ended, "rb") as told:
        missing = set(range(len(shares))) - set(told.read())
    for number in sorted(missing):
        print(f"Share {number + 1} did not end: its process did. {' '.join(shares[number])}")
    return not any(codes) and not missing


def _work(shares: Sequence[Share], queue: int, ends: int) -> int:
    """Run shares until none is left; return 1 where a test failed, else 0."""
    failed = False
    while number := os.read(queue, 1):
        code, said = _run_share(shares[number[0]])
        text = f"Share {number[0] + 1} of {len(shares)}:\n".encode() + said
        while text:
            text = text[os.write(1, text) :]
        failed |= code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        if code == pytest.ExitCode.INTERRUPTED:
            break
        os.write(ends, number)
    return int(failed)


def _run_share(share: Share) -> tuple[int, bytes]:
    """Return pytest's exit code and what it said: other processes speak meanwhile."""
    streams = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as said:
        for stream in (1, 2):
            os.dup2(said.fileno(), stream)
        try:
            code = pytest.main(["-q", "-m", "not alone", *share])
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            for stream, kept in enumerate(streams, 1):
                os.dup2(kept, stream)
                os.close(kept)
        said.seek(0)
        return code, said.read()


if __name__ == "__main__":
    file, *pipes = sys.argv[1:]
    for pipe in map(int, pipes):
        os.set_inheritable(pipe, False)
    sys.exit(_work(json.loads(Path(file).read_text()), *map(int, pipes)))
