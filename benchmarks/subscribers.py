"""
How fast subscribers come in, beside sqlite-utils doing less on the same file.

    ./run python benchmarks/subscribers.py --subscribers 300000 --json

Writes a file of JSON lines with distinct endpoints, 20,000 real keys in turn and three
tags each, then imports it in fresh processes: ``pushctl subscribers import`` with all
its checks, the same once more (everybody known), and ``sqlite-utils`` with upsert_all:
the bare subscriptions, and with a row for each tag; it checks nothing. Rates in rows a
second, medians; CPU in microseconds a row, for machines that are not quiet; memory is
the process's peak.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PUSHCTL = """
import json, resource, sys, time
from pathlib import Path
from pushctl.config import Config, Site
from pushctl.jobs.subscribers.imports import import_file
from pushctl.store import Store
folder, file = Path(sys.argv[1]), Path(sys.argv[2])
config = Config(
    file=folder / "pushctl.toml", contact="mailto:a@b.example",
    sites={"shop": Site("shop", "https://shop.example")}, database=folder / "pushctl.db",
    inbox=folder / "inbox", templates=folder / "t", keys=folder / "keys",
    journal=folder / "j",
)
start = time.perf_counter()
with Store(config.database, create=True) as store:
    report = import_file(store, config, file, 1777363200000)
seconds = time.perf_counter() - start
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime,
                  "peak_mb": usage.ru_maxrss / 1024, "added": report.added,
                  "updated": report.updated, "rejected": report.rejected.total()}))
"""

SQLITE_UTILS = """
import json, resource, sys, time
import sqlite_utils
start = time.perf_counter()
db = sqlite_utils.Database(sys.argv[1] + "/peer.db")
db.enable_wal()
with_tags = sys.argv[3] == "tags"
def rows():
    for line in open(sys.argv[2], "rb"):
        yield json.loads(line)
db["subscriptions"].upsert_all(
    ({"endpoint": one["endpoint"], "p256dh": one["keys"]["p256dh"],
      "auth": one["keys"]["auth"], "language": one["language"]} for one in rows()),
    pk="endpoint")
if with_tags:
    db["tags"].upsert_all(
        ({"tag": tag, "endpoint": one["endpoint"]} for one in rows() for tag in one["tags"]),
        pk=("tag", "endpoint"))
seconds = time.perf_counter() - start
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime,
                  "peak_mb": usage.ru_maxrss / 1024}))
"""


def write_file(path: Path, count: int) -> None:
    """Write *count* subscribers with 190-byte endpoints and three tags each."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from pushctl.rules.tokens import encode

    form = Encoding.X962, PublicFormat.UncompressedPoint
    keys = [
        encode(ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*form))
        for _ in range(min(count, 20_000))
    ]
    languages = ("ar", "tr", "en")
    with path.open("w") as file:
        for number in range(count):
            row = {
                "endpoint": "https://fcm.googleapis.com/fcm/send/" + f"{number:0150}",
                "expirationTime": None,
                "keys": {"p256dh": keys[number % len(keys)], "auth": encode(os.urandom(16))},
                "language": languages[number % 3],
                "tags": ["Newsletter", f"Country {number % 40}", f"Product {number % 500}"],
            }
            file.write(json.dumps(row) + "\n")


def run(code: str, *arguments: Path | str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(folder: Path, file: Path, count: int) -> dict[str, dict[str, float]]:
    """Return one round: first import, the same again, and the peer's two."""
    from pushctl.push import vapid

    vapid.write(folder / "keys")
    first, again = run(PUSHCTL, folder, file), run(PUSHCTL, folder, file)
    assert (first["added"], first["rejected"], again["updated"]) == (count, 0, count)
    bare = run(SQLITE_UTILS, folder, file, "bare")
    (folder / "peer.db").unlink()
    first["bytes"] = (folder / "pushctl.db").stat().st_size
    return {
        "pushctl": first,
        "pushctl_again": again,
        "sqlite_utils_bare": bare,
        "sqlite_utils_tags": run(SQLITE_UTILS, folder, file, "tags"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--subscribers", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    started = time.time()
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "subscribers.jsonl"
        write_file(file, options.subscribers)
        rounds = []
        for number in range(options.rounds):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            rounds.append(measure(folder, file, options.subscribers))
    count = options.subscribers

    def median(who: str, what: str) -> float:
        return statistics.median(one[who][what] for one in rounds)

    rates = {who: round(count / median(who, "seconds")) for who in rounds[0]}
    cpu = {who: round(median(who, "cpu") / count * 1e6, 1) for who in rounds[0]}
    result = {
        "rates": rates,
        "ratio": round(cpu["sqlite_utils_tags"] / cpu["pushctl"], 2),
        "cpu_us": cpu,
        "seconds": round(median("pushctl", "seconds"), 1),
        "peak_mb": round(median("pushctl", "peak_mb")),
        "bytes_per_subscriber": round(median("pushctl", "bytes") / count),
        "subscribers": count,
        "rounds": options.rounds,
        "cores": os.cpu_count(),
        "took": round(time.time() - started, 1),
    }
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:22} {value}")


if __name__ == "__main__":
    main()
