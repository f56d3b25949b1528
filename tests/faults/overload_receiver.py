"""
Five times as much as the receiver takes, and one who only wants to be served meanwhile.

    python -m tests.faults.overload_receiver [--seconds 10]

256 connections are what keeps it busy (benchmarks/receiver.py); here 1,280 send without
a pause, first at a receiver without rates, then at one whose site may have 1,000 events
a second and gets five times that or more. Prints a JSON line for each: the answers by
status, how long acknowledged requests of the other client took, how many acknowledged
ones are not in the inbox, and how long after the end until it is answered as ever. Needs
wrk on the PATH.
"""

import argparse
import json
import multiprocessing
import multiprocessing.synchronize
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.receiver import script
from tests.support import receiving as r

CALM = 0.05  # seconds: answered as ever

# wrk counts what is no 2xx in one sum; each thread's numbers are read at the end.
COUNTING = """
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() n204 = 0; n429 = 0; n503 = 0; other = 0 end
function response(status)
  if status == 204 then n204 = n204 + 1
  elseif status == 429 then n429 = n429 + 1
  elseif status == 503 then n503 = n503 + 1
  else other = other + 1 end
end
function done()
  for _, thread in ipairs(threads) do
    for _, name in ipairs({"n204", "n429", "n503", "other"}) do
      io.write("count ", name, " ", thread:get(name), "\\n")
    end
  end
end
"""


def other_client(port: int, stop: multiprocessing.synchronize.Event, found: Any) -> None:
    """Ask again and again; tell when each answer came, how long it took, and its status."""
    seen: list[tuple[float, float, int]] = []
    while not stop.is_set():
        begin = time.monotonic()
        try:
            status = r.post(port, "/v1/events", r.events(1), number=1).status
        except OSError:
            status = 0
        seen.append((time.monotonic(), time.monotonic() - begin, status))
        time.sleep(0.02)
    found.put(seen)


def overload(folder: Path, seconds: int, connections: int, **settings: Any) -> dict[str, Any]:
    port = r.free_port()
    receiver = r.start(folder, port, connections=5_000, unproved=r.UNBOUNDED, **settings)
    lua = script(folder)
    lua.write_text(lua.read_text() + COUNTING)
    context = multiprocessing.get_context("spawn")
    stop, found = context.Event(), context.Queue()
    client = context.Process(target=other_client, args=(port, stop, found))
    client.start()
    try:
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
        done = subprocess.run(
            [*command, "-s", str(lua), f"http://127.0.0.1:{port}/v1/events"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        end = time.monotonic()
        time.sleep(6)
    finally:
        stop.set()
        seen = found.get(timeout=60)
        client.join()
        memory = Path(f"/proc/{receiver.pid}/status").read_text()
        r.stop(receiver)
    acknowledged = sum(status == 204 for _, _, status in seen)
    counts = {name: int(n) for name, n in re.findall(r"count (\w+) (\d+)", done.stdout)}
    missing = max(0, acknowledged + counts["n204"] - len(r.records(folder)))
    took = sorted(each for at, each, status in seen if at < end and status == 204)
    calm = [at for at, each, status in seen if at > end and status == 204 and each < CALM]
    return {
        "settings": settings,
        "answers": counts,
        "a_second": round(sum(counts.values()) / seconds),
        "others": dict.fromkeys(sorted({status for _, _, status in seen}), 0)
        | {status: sum(s == status for _, _, s in seen) for _, _, status in seen},
        "acknowledged_p50_ms": round(took[len(took) // 2] * 1000) if took else None,
        "acknowledged_p99_ms": round(took[int(len(took) * 0.99)] * 1000) if took else None,
        "acknowledged_missing": missing,
        "recovered_after_s": round(calm[0] - end, 2) if calm else None,
        "memory_mb": int(re.search(r"VmHWM:\s+(\d+)", memory)[1]) // 1024,  # type: ignore[index]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=1_280)
    given = parser.parse_args()
    for settings in ({"added_fsync_ms": 2}, {"added_fsync_ms": 2, "rate_per_site": 1_000}):
        with tempfile.TemporaryDirectory() as name:
            figures = overload(Path(name), given.seconds, given.connections, **settings)
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
