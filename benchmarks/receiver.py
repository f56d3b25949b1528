"""
Durable events a second: wrk against a receiver of its own on loopback.

    python benchmarks/receiver.py [--seconds 4] [--connections 1 64 256]
                                  [--added-fsync-ms 0 2 10]

Every answered event is on disk (one fdatasync for all that queued meanwhile). Prints
one JSON line per number of connections; needs wrk on the PATH.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support import receiving as r

ITEMS = [{"id": "lamp", "name": "Brass lamp", "price": 49.5, "quantity": 1}]


def script(folder: Path) -> Path:
    """Write what wrk sends: a basket's event, with a signature of the right form."""
    body = json.dumps(r.events(1, items=ITEMS, total=49.5, currency="EUR"))
    # It holds or not at ingest only, but must not be older than 300 s.
    signature = f"%d.{'A' * 43}"
    file = folder / "event.lua"
    file.write_text(
        'wrk.method = "POST"\n'
        f"wrk.body = [[{body}]]\n"
        'wrk.headers["Content-Type"] = "application/json"\n'
        f'wrk.headers["Origin"] = "{r.ORIGIN}"\n'
        "local number, made = 0, nil\n"
        "request = function()\n"
        "  if number % 1000 == 0 then\n"
        f'    wrk.headers["X-Pushctl-Signature"] = string.format("{signature}", os.time())\n'
        "    made = wrk.format()\n"
        "  end\n"
        "  number = number + 1\n"
        "  return made\n"
        "end\n"
    )
    return file


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(port: int, pid: int, lua: Path, connections: int, seconds: int) -> dict[str, Any]:
    before = processor_seconds(pid)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(lua)]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/v1/events"],
        capture_output=True,
        text=True,
        check=True,
    )
    spent = processor_seconds(pid) - before
    taken = int(re.search(r"(\d+) requests in", done.stdout)[1])  # type: ignore[index]
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    return {
        "connections": connections,
        "events_per_second": round(taken / seconds),
        "p50": re.search(r"\n\s+50%\s+(\S+)", done.stdout)[1],  # type: ignore[index]
        "p99": re.search(r"\n\s+99%\s+(\S+)", done.stdout)[1],  # type: ignore[index]
        "cpu_microseconds": round(spent / taken * 1e6),
        "refused": int(refused[1]) if refused else 0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--added-fsync-ms", type=float, nargs="+", default=[0, 2, 10])
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 64, 256])
    given = parser.parse_args()
    for milliseconds in given.added_fsync_ms:
        run(milliseconds, given.connections, given.seconds)


def run(milliseconds: float, connections: list[int], seconds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), r.free_port()
        receiver = r.start(folder, port, added_fsync_ms=milliseconds, unproved=r.UNBOUNDED)
        try:
            lua = script(folder)
            for count in connections:
                figures = measure(port, receiver.pid, lua, count, seconds)
                figures = {"added_fsync_ms": milliseconds} | figures
                print(json.dumps(figures), flush=True)
        finally:
            r.stop(receiver)


if __name__ == "__main__":
    main()
