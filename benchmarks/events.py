"""
How fast events come in from a file.

    ./run python benchmarks/events.py --events 1000000 --people 200000 --seed 1

Makes people with signed aliases and a file of JSON lines: each event has an alias, a name,
a time of the last year, three properties and no id; one in ten is a purchase with an order
number, one in twenty names nobody who is known. Then ``events import`` in fresh processes:
dry, for good, once more, and a sweep's first stage over what came in. Seconds, CPU seconds,
and the process's peak memory.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

NOW = 1_777_363_200_000
YEAR = 365 * 86_400_000

PEOPLE = """
import sys
from pathlib import Path
from pushctl.rules import tokens
from pushctl.store import Store
from pushctl.store.imports import Row
with Store(Path(sys.argv[1]) / "pushctl.db", create=True) as store:
    site = store.sites.sync({"shop": "https://shop.example"})["shop"]
    for start in range(0, int(sys.argv[2]), 10_000):
        rows = []
        for n in range(start, start + 10_000):
            end = f"https://fcm.googleapis.com/fcm/send/{n}"
            rows.append(Row(tokens.endpoint_hash(end), end, b"\\4" * 65, b"a" * 16, site, "k",
                            None, f"customer-{n}", True, *[None] * 10, ()))
        store.imports.upsert(rows, 1)
"""

IMPORT = """
import json, resource, sys, time
from pathlib import Path
from pushctl.config import Config, Site
from pushctl import output
from pushctl.jobs.subscribers import event_imports
from pushctl.store import Store
folder, file, now = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
config = Config(
    file=folder / "pushctl.toml", contact="mailto:a@b.example",
    sites={"shop": Site("shop", "https://shop.example", currency="EUR")},
    database=folder / "pushctl.db", inbox=folder / "inbox", templates=folder / "t",
    keys=folder / "keys", journal=folder / "j",
)
start = time.perf_counter()
with Store(config.database) as store:
    if sys.argv[4] == "sweep":
        from pushctl.jobs.triggers import enrol, load_facts
        from pushctl.jobs.triggers.types import Run
        settings = load_facts.load_settings(config, store)
        taken = enrol.take_events(Run(store, settings, now), lambda: False)
        said = {"taken": taken}
    else:
        with output.progress("Importing") as bar:
            one = event_imports.import_file(
                store, config, file, now, bar, dry_run=sys.argv[4] == "dry")
        said = {"new": one.new, "known": one.known, "unknown": one.unknown,
                "people": one.people, "orders": one.orders, "refused": one.refused}
seconds = time.perf_counter() - start
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": round(seconds, 1),
                  "cpu": round(usage.ru_utime + usage.ru_stime, 1),
                  "peak_mb": usage.ru_maxrss // 1024, **said}))
"""


def write_events(file: Path, count: int, people: int, seed: int) -> None:
    chance = random.Random(seed)
    with file.open("w", encoding="utf-8") as lines:
        for number in range(count):
            one = chance.randrange(people + people // 20)
            told = {"alias": f"customer-{one}", "at": NOW - chance.randrange(YEAR)}
            if number % 10 == 0:
                told |= {"event": "purchase", "order": f"R{number}", "total": "49.90",
                         "currency": "EUR"}  # fmt: skip
            else:
                told |= {"event": "product_viewed", "product": f"sku-{number % 5000}",
                         "price": 19.9, "line": "lamps"}  # fmt: skip
            lines.write(f"{json.dumps(told)}\n")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--events", type=int, default=100_000)
    asked.add_argument("--people", type=int, default=20_000)
    asked.add_argument("--seed", type=int, default=1)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "events.jsonl"
        write_events(file, given.events, given.people, given.seed)
        run(PEOPLE, name, str(given.people))
        print(f"seed {given.seed}, {given.events:,} events, {given.people:,} people")
        # Swept once before, as any project is: the events are new to the next sweep.
        run(IMPORT, name, str(file), str(NOW), "sweep")
        for what in ("dry", "import", "import", "sweep"):
            print(f"{what:7}", run(IMPORT, name, str(file), str(NOW), what), end="", flush=True)


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


if __name__ == "__main__":
    main()
