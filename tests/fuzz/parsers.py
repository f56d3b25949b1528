"""
Every parser that strangers can reach, under atheris (libFuzzer, guided by coverage).

    pip install atheris
    python -m tests.fuzz.parsers [--seconds 600] [--only endpoint http]

The seconds are shared among the targets of targets.py. Prints a JSON line for each: how
many inputs it was given, how many of them opened new ground, the memory, the longest
one's processor time, and what failed. An input that fails is kept in --keep.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MEMORY_MB = 200
SLOW = 1.0  # seconds of the processor's time: others' work on the machine is no hang
MISSING = (
    "atheris is not installed: pip install atheris. Without it, tests/fuzz/test_parsers.py "
    "tries the same parsers with fewer, blinder inputs."
)


def fuzz_one(name: str, corpus: str, seconds: int, keep: str) -> None:
    """Fuzz one target in this process, which libFuzzer ends."""
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

    with atheris.instrument_imports(include=["pushctl"]):
        from tests.fuzz.targets import TARGETS
    target, longest = TARGETS[name], 0.0

    def once(data: bytes) -> None:
        nonlocal longest
        begin = time.process_time()
        target(data)
        took = time.process_time() - begin
        if took > longest:
            longest = took
            os.write(2, b"longest: %d us\n" % int(took * 1e6))
        assert took < SLOW, f"{took:.1f} s"

    options = [
        f"-max_total_time={seconds}", "-print_final_stats=1", "-timeout=20", "-max_len=4096",
        f"-rss_limit_mb={MEMORY_MB}", f"-artifact_prefix={keep}/{name}-",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, corpus], once)
    atheris.Fuzz()


def run(name: str, seconds: int, keep: Path) -> dict[str, Any]:
    """Return the figures of one target, fuzzed in a process of its own."""
    from tests.fuzz.targets import SEEDS

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS[name]):
            (Path(corpus) / str(number)).write_bytes(seed)
        command = [sys.executable, "-m", "tests.fuzz.parsers", "--target", name, corpus]
        done = subprocess.run(
            [*command, "--seconds", str(seconds), "--keep", str(keep)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    log = done.stderr.decode("utf-8", "replace")
    figures = {
        "target": name,
        "inputs": _figure(log, "number_of_executed_units"),
        "new_ground": _figure(log, "new_units_added"),
        "memory_mb": _figure(log, "peak_rss_mb"),
        "longest_ms": max(map(int, re.findall(r"longest: (\d+) us", log)), default=0) / 1000,
    }
    if done.returncode:
        figures["fault"] = log[-3000:]
    return figures


def _figure(log: str, name: str) -> int | None:
    found = re.search(rf"stat::{name}:\s+(\d+)", log)
    return int(found[1]) if found else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--target", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if find_spec("atheris") is None:
        sys.exit(MISSING)
    if given.target:
        name, corpus = given.target
        fuzz_one(name, corpus, given.seconds, str(given.keep))
        return
    from tests.fuzz.targets import TARGETS

    names = given.only or list(TARGETS)
    faults = 0
    for name in names:
        figures = run(name, max(1, given.seconds // len(names)), given.keep)
        faults += "fault" in figures
        print(json.dumps(figures), flush=True)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
