"""
Kill an import and an inbox drain at random moments; nothing may be lost or done twice.

    ./run python tests/faults/kill_ingest.py --kills 200 --json

Import: a file of subscribers goes into one database, killed and begun again, until the
kills are used up; then it may end. Drain: browsers leave and come back in turn, and do
things, while drains of the growing inbox are killed. Every leaving and coming back is a
row of its own, so a line that is applied twice shows, whatever the keys of events hide.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pushctl import inbox  # noqa: E402
from pushctl.inbox import Writer  # noqa: E402
from pushctl.jobs.ingest import drain  # noqa: E402
from pushctl.jobs.subscribers import imports  # noqa: E402
from pushctl.rules.tokens import encode  # noqa: E402
from pushctl.store import Store  # noqa: E402
from tests import support  # noqa: E402
from tests.support import NOON, database  # noqa: E402
from tests.support.posting import (  # noqa: E402
    SECRET,
    Browser,
    Project,
    config_of,
    make_project,
)
from tests.support.running import PIPE, Running  # noqa: E402


def main_of_work() -> None:
    """Import a file, or drain: what is killed, in a process of its own."""
    folder, what, now = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    # Small batches: many commits to be killed between.
    drain.BATCH, imports.BATCH = 40, 300
    config = config_of(folder)
    with Store(config.database) as store:
        print("begun", flush=True)
        if what == "drain":
            drain.drain(store, config, SECRET, now)
        else:
            imports.import_file(store, config, Path(what), now, site="shop", secret=SECRET)


@dataclass
class Found:
    """What was wrong after all kills: nothing, if all is well."""

    kills: int = 0
    ends: int = 0  # runs that ended before their kill
    lost: int = 0
    twice: int = 0
    broken: list[str] = field(default_factory=list)


def work(folder: Path, what: str, now: int = NOON + 10**9) -> Running:
    process = Running(
        [str(folder), what, str(now)],
        os.environ,
        stdout=PIPE,
        cwd=ROOT,
        entry="tests.faults.kill_ingest:main_of_work",
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    return process


def kill(process: Running, after: float, found: Found) -> None:
    """Kill *process* after some seconds, unless it has ended well by then."""
    try:
        process.wait(after)
        found.ends += 1
        if process.returncode != 0:
            found.broken.append(f"a run ended with {process.returncode}")
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        found.kills += 1
    process.communicate()


def finish(folder: Path, what: str) -> float:
    """Let a run come to its end; return the seconds that it worked."""
    process = work(folder, what)
    start = time.monotonic()
    process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"{what} failed without being killed")
    return time.monotonic() - start


def examine(project: Project, found: Found) -> None:
    """Look at a database that was just left behind."""
    with Store(project.config.database) as store:
        for pragma in ("integrity_check", "foreign_key_check"):
            rows = store.connection.execute(f"PRAGMA {pragma}").fetchall()
            if rows not in ([], [("ok",)]):
                found.broken.append(f"{pragma}: {rows[:3]}")


@contextmanager
def fresh(scratch: Path, name: str) -> Iterator[Project]:
    folder = scratch / name
    folder.mkdir()
    with database.create(folder / "pushctl.db") as store:
        yield make_project(folder, store)


# --- import ------------------------------------------------------------------------------


def write_people(path: Path, count: int) -> None:
    keys = [encode(support.p256dh(number)) for number in range(64)]
    with path.open("w") as file:
        for number in range(count):
            row = {
                "endpoint": support.endpoint(number),
                "keys": {"p256dh": keys[number % 64], "auth": encode(support.auth(number))},
                "tags": ["News", f"Country {number % 7}", f"Product {number % 90}"],
            }
            file.write(json.dumps(row) + "\n")


def kill_imports(scratch: Path, kills: int, dice: random.Random, count: int) -> Found:
    found = Found()
    file = scratch / "people.jsonl"
    write_people(file, count)
    with fresh(scratch, "measure") as project:
        whole = finish(project.config.folder, str(file))
    with fresh(scratch, "import") as project:
        while found.kills < kills:
            process = work(project.config.folder, str(file))
            kill(process, dice.uniform(0, whole), found)
            examine(project, found)
            _whole_people(project, found)
        finish(project.config.folder, str(file))
        _whole_people(project, found)
        sql = "SELECT count(*), count(DISTINCT endpoint) FROM subscriptions"
        rows, distinct = project.store.connection.execute(sql).fetchone()
        found.lost += count - distinct
        found.twice += rows - distinct
    return found


def _whole_people(project: Project, found: Found) -> None:
    """Nobody is there by half: whoever has a row has the three tags too."""
    sql = """
        SELECT count(*) FROM subscriptions AS s WHERE 3 <> (
            SELECT count(*) FROM subscription_tags AS t WHERE t.subscription_id = s.id)
    """
    (halves,) = project.store.connection.execute(sql).fetchone()
    if halves:
        found.broken.append(f"{halves} people without their tags")


# --- drain -------------------------------------------------------------------------------


@dataclass
class Shop:
    """Browsers that post to a living receiver's inbox; remembers what was acknowledged."""

    project: Project
    writer: Writer
    browsers: list[Browser]
    sent: Counter[str] = field(default_factory=Counter)
    time: int = NOON

    def busy(self, rounds: int) -> None:
        """Let everybody leave, come back and do something *rounds* times."""
        for _ in range(rounds):
            self.time += 1_000  # a second signature within the same second is no change
            records = []
            for browser in self.browsers:
                event = {"id": f"e{self.time}", "name": "page_view"}
                records += [
                    browser.post("/v1/unsubscribe", at=self.time),
                    browser.subscribe(at=self.time, events=[event], chosen=True),
                    browser.post("/v1/events", at=self.time, events="not a list"),
                ]
            self.writer.append(records)
            self.sent["unsubscribed"] += len(self.browsers)
            self.sent["revived"] += len(self.browsers)
            self.sent["page_view"] += len(self.browsers)
            self.sent["quarantined"] += len(self.browsers)

    def counted(self) -> Counter[str]:
        """Return what the database and the quarantine hold of it."""
        execute = self.project.store.connection.execute
        counts: Counter[str] = Counter()
        counts.update(
            dict(execute("SELECT kind, count(*) FROM subscription_changes GROUP BY 1"))
        )
        sql = "SELECT name, count(*) FROM events WHERE name = 'page_view' GROUP BY 1"
        counts.update(dict(execute(sql)))
        aside = self.project.config.inbox / inbox.QUARANTINE
        counts["quarantined"] = sum(
            len(path.read_bytes().splitlines()) for path in aside.glob("*.jsonl")
        )
        return counts


def kill_drains(scratch: Path, kills: int, dice: random.Random, rounds: int) -> Found:
    found = Found()
    with fresh(scratch, "drain") as project:
        writer = Writer(project.config.inbox, max_segment_bytes=60_000)
        shop = Shop(project, writer, [Browser(n, project.key) for n in range(10)])
        writer.append([one.subscribe(at=NOON) for one in shop.browsers])
        finish(project.config.folder, "drain")
        shop.busy(rounds)
        whole = finish(project.config.folder, "drain")
        while found.kills < kills:
            shop.busy(rounds if found.kills % 4 == 0 else 1)
            process = work(project.config.folder, "drain")
            kill(process, dice.uniform(0, whole), found)
            examine(project, found)
        writer.close()
        finish(project.config.folder, "drain")
        counted = shop.counted()
        found.lost += (shop.sent - counted).total()
        found.twice += (counted - shop.sent).total()
        if left := inbox.list_segments(project.config.inbox):
            found.broken.append(f"{len(left)} drained segments are still there")
    return found


def run(kills: int, seed: int, people: int = 12_000, rounds: int = 40) -> dict[str, object]:
    """Kill *kills* imports and as many drains; return the figures."""
    dice = random.Random(seed)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        imports = kill_imports(Path(scratch), kills, dice, people)
        drains = kill_drains(Path(scratch), kills, dice, rounds)
    return {
        "kills": imports.kills + drains.kills,
        "lost": imports.lost + drains.lost,
        "twice": imports.twice + drains.twice,
        "broken": imports.broken + drains.broken,
        "import": {"kills": imports.kills, "people": people, "ended": imports.ends},
        "drain": {"kills": drains.kills, "ended": drains.ends},
        "seed": seed,
        "seconds": round(time.monotonic() - start, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--kills", type=int, default=20, help="of imports, and of drains")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = run(options.kills, options.seed)
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:10} {value}")
    raise SystemExit(0 if not (result["lost"] or result["twice"] or result["broken"]) else 1)


if __name__ == "__main__":
    main()
