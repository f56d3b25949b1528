"""
Backups under load, restored again and again: is anything sent twice, early, or unasked?

    ./run python -m tests.proofs.restores --restores 100 --seed 7

A project is at work: sweeps and imports run one after the other, browsers subscribe and leave
baskets behind, campaigns are planned for the next seconds. Meanwhile `pushctl backup` runs;
the work goes on for a while after it, so the backup lacks what was sent since. Then all is
killed, in the middle of it every other time. The backup is restored into a new folder, with
the former one named half of the time. A sweep there must send nothing. After `pushctl release`
the new folder is the project, and the next round begins.

Everybody is to get one message in all, so a second body that the push service read for an
endpoint is a duplicate; so is a second run of a step's program for a visitor, or a promo code
that two of them got. Early is a message before its basket or campaign was due. Lost is
somebody whose subscription was on disk before the backup began, and who is not restored.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pushctl import config as configs
from pushctl.demo.pushservice import PushService
from pushctl.errors import BusyError
from pushctl.inbox import Writer
from pushctl.model import InboxRecord
from pushctl.push import vapid
from pushctl.rules.tokens import endpoint_hash
from pushctl.store import Store
from tests.support import MINUTE, SECOND, backups, forked, posting, program, project, sending
from tests.support.rows import by_endpoint_hash

TRIGGER = """
[triggers.basket]
on    = "cart_updated"
tag   = "Abandoned basket 1"
steps = [{ after = "3m", template = "one", max_late = "12h" }]

[triggers.lead]
on    = "lead_given"
steps = [{ after = "3m", exec = ["TOOL"], promo = "gift", max_late = "12h" }]
"""
# It writes what it got, each call into a file of its own.
TOOL = """#!/bin/sh
cat > "$(mktemp CALLS/XXXXXXXXXX)"
"""
LEADS = 0.2  # of visitors
CODES = 3_000  # of promo codes that each round adds: a release sets many aside
PATIENCE = 300.0  # seconds for a command, and for the calm at the end
CAMPAIGN = 6  # people of one


@dataclass
class Figures:
    seed: int
    restores: int = 0
    with_former: int = 0
    people: int = 0
    messages: int = 0
    unasked: int = 0  # sent before release
    duplicates: int = 0
    early: int = 0
    calls: int = 0  # of the program
    called_twice: int = 0
    codes_twice: int = 0  # given to two people
    lost: int = 0
    refused: int = 0  # sweeps that were to be refused, and were
    failed: list[str] = field(default_factory=list)  # commands that should not have

    @property
    def good(self) -> bool:
        twice = self.duplicates + self.called_twice + self.codes_twice
        wrong = self.unasked + twice + self.early + self.lost
        return not wrong and not self.failed and self.refused == self.restores


class World:
    """The project that is at work, wherever it is, and all that was promised to whom."""

    def __init__(self, folder: Path, service: PushService, seed: int) -> None:
        self.folder, self.service = folder / "project-0", service
        self.chance = random.Random(seed)
        self.figures = Figures(seed)
        self.due: dict[str, int] = {}  # endpoint -> not before, in milliseconds
        self.durable: list[str] = []  # endpoints whose lines are on disk
        self.calls = folder / "calls"
        self.calls.mkdir()
        tool = folder / "tool.sh"
        tool.write_text(TOOL.replace("CALLS", str(self.calls)))
        tool.chmod(0o700)
        made = sending.field(self.folder, service)
        sending.template(self.folder, "one", title="one", body="Your basket waits")
        project.add(self.folder, TRIGGER.replace("TOOL", str(tool)))
        sending.lead_to(self.folder, service)
        made.store.promo_codes.create("gift", 1, sending.soon())
        made.store.close()
        self._fill_pool(0)
        self._numbers, self._campaigns, self._read = 0, 0, 0
        self._work = threading.Event()
        self._lock = threading.Lock()
        self._running: set[int] = set()
        (folder / "key").write_text(backups.key_pair().identity)
        self.key = folder / "key"

    def _fill_pool(self, number: int) -> None:
        config = configs.load(self.folder / "pushctl.toml", {})
        with Store(config.database) as store:
            pool = store.promo_codes.get("gift")
            codes = [f"gift-{number}-{each}" for each in range(CODES)]
            store.promo_codes.add(pool.id, codes)

    # --- the load ------------------------------------------------------------------------

    def start(self) -> list[threading.Thread]:
        """Begin to work on the project: sweeps, imports, visitors, campaigns."""
        self._work.set()
        threads = [
            threading.Thread(target=self._repeat, args=(self._sweep, 0.02)),
            # A sweep that meets an import leaves its work to the next one.
            threading.Thread(target=self._repeat, args=(self._import, 1.0)),
            threading.Thread(target=self._visit, args=(self.chance.randrange(1 << 30),)),
        ]
        for each in threads:
            each.start()
        return threads

    def stop(self, threads: Sequence[threading.Thread], *, kill: bool) -> None:
        self._work.clear()
        if kill:
            with self._lock:
                for pid in self._running:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        for each in threads:
            each.join()

    def _repeat(self, work: Callable[[], None], pause: float) -> None:
        while self._work.is_set():
            work()
            time.sleep(pause)

    def _sweep(self) -> None:
        self._work_on(("sweep",), (0, 5, 75))

    def _import(self) -> None:
        self._work_on(("import",), (0, 75))

    def _work_on(self, words: Sequence[str], expected: Sequence[int]) -> None:
        """Run pushctl as a part of the load, which a kill may end."""
        if self._work.is_set():
            self._run(words, (*expected, -signal.SIGKILL))

    def _run(self, words: Sequence[str], expected: Sequence[int]) -> str:
        """Run pushctl in the project; return what it said, note what it should not answer."""
        with tempfile.TemporaryFile() as err, open(os.devnull) as nothing:
            streams = [nothing.fileno(), err.fileno(), err.fileno()]
            with self._lock:  # the server that forks answers one at a time
                process = forked.start(
                    words, streams, cwd=self.folder, environment=program.environment()
                )
                self._running.add(process.pid)
            code = process.wait(PATIENCE)
            with self._lock:
                self._running.discard(process.pid)
            err.seek(0)
            said = err.read().decode("utf-8", "replace")
        if code not in expected:
            self.figures.failed.append(f"{words}: {code} {said[:500]}")
        return said

    def _visit(self, seed: int) -> None:
        """Let people subscribe and leave baskets, by the inbox; plan campaigns by the way."""
        chance = random.Random(seed)
        config = configs.load(self.folder / "pushctl.toml", {})
        public = vapid.load_public(config.keys)
        writer = Writer(config.inbox)
        try:
            while self._work.is_set():
                browser, records = self._make_visit(public, chance)
                writer.append(records)
                self.durable.append(browser.endpoint)
                if chance.random() < 0.15:
                    with suppress(BusyError):  # a machine with much to do
                        self._plan(chance)
                time.sleep(chance.uniform(0.0, 0.08))
        finally:
            writer.close()

    def _make_visit(
        self, public: str, chance: random.Random
    ) -> tuple[posting.Browser, list[InboxRecord]]:
        self._numbers += 1
        browser = posting.Browser(self._numbers, public, keys=self._numbers % 50)
        now = sending.soon()
        at = now - 3 * MINUTE + chance.randrange(2 * SECOND)  # of the event
        if chance.random() < LEADS:
            event = {"name": "lead_given", "properties": {"number": self._numbers}}
        else:
            self.due[browser.endpoint] = at + 3 * MINUTE
            told = {"items": [{"id": "lamp", "name": "Lamp", "price": 20}]}
            event = {"name": "cart_updated", "properties": told}
        event |= {"at": at, "id": f"event-{self._numbers}"}
        return browser, [
            browser.subscribe(at=now),
            browser.post("/v1/events", at=now, events=[event]),
        ]

    def _plan(self, chance: random.Random) -> None:
        """Plan a campaign for people of its own, due in a moment."""
        self._campaigns += 1
        config = configs.load(self.folder / "pushctl.toml", {})
        with Store(config.database) as store:
            here = sending.Field(config, store, next(iter(vapid.load(config.keys))))
            first, now = 1_000_000 + self._campaigns * CAMPAIGN, sending.soon()
            name = f"c{self._campaigns}"
            here.people(CAMPAIGN, tag=name, first=first, now=now)
            due = now + chance.randrange(3 * SECOND)
            made = here.freeze(now, name=name, everyone=False, tags=[name], template="sale")
            with store.write() as connection:
                connection.execute(
                    "UPDATE deliveries SET next_attempt_at = ? WHERE campaign_id = ?",
                    (due, made.id),
                )
        for number in range(first, first + CAMPAIGN):
            self.due[f"https://{sending.MOZILLA}/wpush/v2/{number:07}"] = due

    # --- a round -------------------------------------------------------------------------

    def go_round(self, number: int) -> None:
        """Work, back up, work on, end, restore, look, release."""
        threads = self.start()
        self._wait_for(self.chance.randrange(2, 20))
        known = list(self.durable)
        backup = self.folder.parent / f"backup-{number}"
        recipient = ("--recipient", backups.key_pair().recipient)
        self._run(("backup", str(backup), *recipient), (0,))
        self._wait_for(self.chance.randrange(0, 20))
        self.stop(threads, kill=self.chance.random() < 0.5)
        self._look()
        former, new = self.folder, self.folder.parent / f"project-{number}"
        named = self.chance.random() < 0.5
        words = ["restore", str(backup), str(new), "--key", str(self.key)]
        self._run([*words, *(["--former", str(former)] if named else [])], (0,))
        self.folder = new
        self._try_to_send()
        self._run(("release", "--yes"), (0,))
        self._find_lost(known)
        self.durable = known  # who came later is in the former project alone, perhaps
        self._fill_pool(number)
        self.figures.restores += 1
        self.figures.with_former += named
        shutil.rmtree(former)
        backup.unlink()

    def _wait_for(self, messages: int) -> None:
        """Let the work go on until so many more messages were sent."""
        wanted = len(self.service.receipts()) + messages
        end = time.monotonic() + PATIENCE
        while len(self.service.receipts()) < wanted and time.monotonic() < end:
            time.sleep(0.01)

    def _try_to_send(self) -> None:
        """Sweep, and resume what is planned: nothing of that may send before release."""
        before = len(self.service.receipts()) + len(list(self.calls.iterdir()))
        self.figures.refused += "pushctl release" in self._run(("sweep",), (3,))
        after = len(self.service.receipts()) + len(list(self.calls.iterdir()))
        self.figures.unasked += after - before

    def _find_lost(self, known: Sequence[str]) -> None:
        config = configs.load(self.folder / "pushctl.toml", {})
        with Store(config.database) as store:
            now = sending.soon()
            for endpoint in known:
                found = by_endpoint_hash(store, endpoint_hash(endpoint), now)
                self.figures.lost += found is None

    def _look(self) -> None:
        """Judge what was sent since the last look."""
        offset = time.time() - time.monotonic()
        receipts = self.service.receipts()
        for one in receipts[self._read :]:
            self.figures.early += (one.at + offset) * 1000 < self.due[one.endpoint] - 50
        self._read = len(receipts)
        counts = Counter(one.endpoint for one in receipts)
        self.figures.duplicates = sum(count - 1 for count in counts.values())
        self.figures.messages = len(receipts)
        self.figures.people = self._numbers + self._campaigns * CAMPAIGN
        self._look_at_calls()

    def _look_at_calls(self) -> None:
        called: Counter[int] = Counter()
        codes: Counter[str] = Counter()
        for file in self.calls.iterdir():
            with suppress(json.JSONDecodeError):  # a kill may have come before its end
                data = json.loads(file.read_bytes())["data"]
                called[data["event"]["number"]] += 1
                codes[data["promo"]] += 1
        self.figures.calls = called.total()
        self.figures.called_twice = called.total() - len(called)
        self.figures.codes_twice = codes.total() - len(codes)

    def settle(self) -> None:
        """Sweep until what is left was sent."""
        self._work.set()
        last = max(self.due.values(), default=0)
        end, quiet = time.monotonic() + PATIENCE, 0
        while time.monotonic() < end and quiet < 3:
            before = len(self.service.receipts())
            self._sweep()
            over = sending.soon() > last and before == len(self.service.receipts())
            quiet = quiet + 1 if over else 0
        self._work.clear()
        self._look()


def run(restores: int, seed: int) -> Figures:
    forked.wait_long(PATIENCE)
    with tempfile.TemporaryDirectory() as folder, PushService(checks=False) as service:
        world = World(Path(folder), service, seed)
        for number in range(1, restores + 1):
            world.go_round(number)
        world.settle()
        return world.figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restores", type=int, default=100)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    given = parser.parse_args()
    figures = run(given.restores, given.seed)
    print(json.dumps(asdict(figures), indent=1))
    return 0 if figures.good else 1


if __name__ == "__main__":
    sys.exit(main())
