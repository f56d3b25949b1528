"""
The receiver under load for minutes: its memory, its answers, and what is on disk.

    python -m tests.faults.soak_receiver [--seconds 600] [--connections 64]
                                         [--added-fsync-ms 2]

wrk sends events without a pause; meanwhile finished segments are counted and removed, as
the import would. Prints one JSON line: how many events, how long they took, the receiver's
memory by the minute, its open files, and what stands in the inbox beside what was
acknowledged. Ends with 1 when anything but 204 was answered, something acknowledged is
missing, or the memory of the second half grew by more than a megabyte a minute. Needs wrk
on the PATH.
"""

import argparse
import fcntl
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.receiver import script
from tests.faults.overload_receiver import COUNTING
from tests.support import receiving as r

GROWTH_MB = 1.0  # a minute


def collect(inbox: Path, everything: bool = False) -> int:
    """Remove the segments that nobody writes any more; return how many lines they had."""
    lines = 0
    for path in inbox.glob("*.seg"):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if not everything:
                    continue
            while part := file.read(1 << 20):
                lines += part.count(b"\n")
        path.unlink()
    return lines


def memory(pid: int) -> float:
    """Return the megabytes of memory that the process *pid* has now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def soak(folder: Path, seconds: int, connections: int, added: float) -> dict[str, Any]:
    port = r.free_port()
    receiver = r.start(folder, port, added_fsync_ms=added, unproved=r.UNBOUNDED)
    lua = script(folder)
    lua.write_text(lua.read_text() + COUNTING)
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--latency",
        "--timeout",
        "10s",
    ]
    wrk = subprocess.Popen(
        [*command, "-s", str(lua), f"http://127.0.0.1:{port}/v1/events"],
        stdout=subprocess.PIPE,
        text=True,
    )
    lines, sizes, files, begin = 0, [memory(receiver.pid)], 0, time.monotonic()
    while wrk.poll() is None:
        time.sleep(1)
        lines += collect(folder / "inbox")
        if time.monotonic() - begin > 60 * len(sizes):
            sizes.append(memory(receiver.pid))
            files = max(files, len(os.listdir(f"/proc/{receiver.pid}/fd")))
    assert wrk.stdout is not None
    text = wrk.stdout.read()
    log = r.stop(receiver)
    lines += collect(folder / "inbox", everything=True)
    counts = {name: int(n) for name, n in re.findall(r"count (\w+) (\d+)", text)}
    half = sizes[len(sizes) // 2 :]
    return {
        "seconds": seconds,
        "connections": connections,
        "added_fsync_ms": added,
        "answers": counts,
        "a_second": round(counts["n204"] / seconds),
        **{f"p{share}": _latency(text, share) for share in (50, 90, 99)},
        "not_answered": re.findall(r"Socket errors: (.*)", text),
        "acknowledged_missing": max(0, counts["n204"] - lines),
        "memory_mb": [round(size, 1) for size in sizes],
        "growth_mb_a_minute": round((half[-1] - half[0]) / max(1, len(half) - 1), 2),
        "files": files,
        "traceback": "Traceback" in log,
    }


def _latency(text: str, share: int) -> str:
    return re.search(rf"\n\s+{share}%\s+(\S+)", text)[1]  # type: ignore[index]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--added-fsync-ms", type=float, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        figures = soak(Path(name), given.seconds, given.connections, given.added_fsync_ms)
    print(json.dumps(figures))
    answers = figures["answers"]
    good = answers["n204"] == sum(answers.values()) and not figures["acknowledged_missing"]
    calm = figures["growth_mb_a_minute"] <= GROWTH_MB and not figures["traceback"]
    sys.exit(0 if good and calm else 1)


if __name__ == "__main__":
    main()
