"""
Measure what a shop's deliveries cost the receiver, and how long each is answered after.

./run python benchmarks/deliveries.py --deliveries 3000 --at-once 16

One process here sends signed orders of WooCommerce over kept connections; the receiver is a
process of its own with a real disk. Every answered order must be in the inbox.
"""

import argparse
import http.client
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support import hooks
from tests.support import receiving as r

SOURCES = {"woo": {"kind": "woocommerce", "site": "shop"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=3_000)
    parser.add_argument("--at-once", type=int, default=16)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(measure(Path(name), given.deliveries, given.at_once)))


def measure(folder: Path, count: int, at_once: int) -> dict[str, float]:
    hooks.give_secret(folder, "woo")
    (folder / "keys/email_secret").write_text("the project's secret")
    numbers = range(1, count + 1)
    raws = [hooks.dump({**hooks.WOO_ORDER, "id": n, "number": str(n)}) for n in numbers]
    sent = [(raw, hooks.woo_heads(raw)) for raw in raws]
    waits: list[float] = []
    port = r.free_port()
    process = r.start(folder, port, sources=SOURCES, rate_per_source=0)
    threads = [
        threading.Thread(target=send, args=(port, sent[start::at_once], waits))
        for start in range(at_once)
    ]
    begun = time.monotonic()
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    seconds = time.monotonic() - begun
    cpu = read_cpu(process.pid)
    r.stop(process)
    numbers_kept = {one.orders[0].number for one in hooks.read_told(folder)}
    cuts = statistics.quantiles(waits, n=100)
    return {
        "bytes": len(raws[0]),
        "a_second": round(count / seconds),
        "p50_ms": round(cuts[49] * 1_000, 1),
        "p99_ms": round(cuts[98] * 1_000, 1),
        "longest_ms": round(max(waits) * 1_000),
        "receiver_cpu_us_each": round(cpu / count * 1e6),
        "missing": count - len(numbers_kept),
    }


def send(port: int, sent: list[tuple[bytes, dict[str, str]]], waits: list[float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for raw, heads in sent:
        begun = time.monotonic()
        connection.request("POST", "/hooks/woo", raw, heads)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        waits.append(time.monotonic() - begun)


def read_cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
