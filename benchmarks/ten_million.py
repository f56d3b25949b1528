"""
Ten million subscribers in one project: does the cost of each stay what it is at 100,000?

    ./run python benchmarks/ten_million.py --folder /var/tmp --json result.json

For each size a project is made whose subscribers are real-looking (benchmarks/crowd.py), then
measured by the product's own commands, each a process of its own: import, counting a segment,
a dry run and the plan of a campaign for everybody, an idle sweep, a sweep with 30,000 due
messages (to nginx on this machine), figures, check, backup. Printed are CPU seconds (of
workers too), wall seconds, the largest process's peak memory, and bytes on disk.

What grows with people is compared by the CPU that one of them costs, without what the command
costs for 1,000: starts and imports of modules would hide it at 100,000. What shall not grow
with them, the sweeps, is compared as a whole. Best of so many runs, where a run changes
nothing. Ten million need 50 GB of free disk and more than an hour; nothing of it stays, but
with --keep, which also goes on where an earlier run stopped, step by step. With --copies only
the first and the last 100,000 are imported, and SQL copies the others (benchmarks/copies.py):
the import is measured by those last ones, which come into the full database. With --fill, too,
nothing is measured: the copies are made, for a later run that goes on.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.crowd import SITES, write_people
from benchmarks.flat import SMALL, compare, show
from benchmarks.sink import FCM, HOST, Sink
from benchmarks.sweep import FAR, TRIGGER
from pushctl.store import Store

SIZES = (100_000, 1_000_000, 10_000_000)
DUE = 30_000
IMPORTED = 100_000  # with --copies
RUNS = 3  # of what changes nothing, up to a million
DISK_BYTES = 5_000  # a subscriber: file, database, its log and a copy for the backup
BARE_BYTES = 2_500  # without the backup
SEGMENTS = """[segments]
turkish_readers = "tag('Newsletter') and country = 'TR' and seen within 3650d"
buyers = "tag('Product 7') or tag('Product 11')"
"""
TEXTS = {"en": "Sale, {}", "tr": "Indirim, {}", "ar": "تخفيضات {}"}


ACCEPTED = "SELECT count(*) FROM deliveries WHERE enrolment_id > 0 AND status = 'accepted'"
Result = TypeVar("Result")


class Step(NamedTuple):
    name: str
    words: tuple[str, ...]
    repeats: bool = True  # it changes nothing that a second run would miss


SEND = ("send", "--everyone", "--template", "sale")
COUNT = Step("segments count", ("segments", "count", "turkish_readers"))
FIGURES = (
    Step("stats, first", ("stats",), False),
    Step("stats", ("stats",)),
    Step("stats subscribers, first", ("stats", "subscribers"), False),
    Step("stats subscribers", ("stats", "subscribers")),
    Step("stats subscribers by country", ("stats", "subscribers", "--by", "country"), False),
    Step("cohorts", ("stats", "subscribers", "--show", "cohorts"), False),
    Step("stats campaigns", ("stats", "campaigns")),
    Step("stats segments", ("stats", "segments")),
    Step("check", ("check",)),
)
PLANS = (
    Step("plan a campaign", (*SEND, "--at", "tomorrow 23:00", "--name", "all", "--yes"), False),
    Step("idle sweep, planned", ("sweep",)),
    Step("stats, planned", ("stats",), False),
    Step("stats campaigns, planned", ("stats", "campaigns"), False),
    Step("check, planned", ("check",)),
    Step("send --dry-run", (*SEND, "--again", "--dry-run")),
)


class Used(NamedTuple):
    """What a process took: seconds, and MB of the largest of its processes."""

    wall: float
    cpu: float
    peak_mb: float
    said: str = ""


class Project:
    """A project of *count* people in *folder*, filled by the product's own import."""

    def __init__(self, folder: Path, sink: Sink, count: int, *, copies: bool) -> None:
        self.folder, self.count = folder / "project", count
        self.lines = min(count, IMPORTED) if copies else count  # imported while it is measured
        self._notes = folder / "steps.json"  # what an earlier run has measured
        self.found: dict[str, Used] = {}
        self.bytes: dict[str, int] = {}
        if not self._notes.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            self._init()
        else:
            known = json.loads(self._notes.read_text())
            self.found = {name: Used(**used) for name, used in known["steps"].items()}
            self.bytes = known["bytes"]
        self._connect(sink)
        if "import" not in self.found:
            self._copy(folder / "people.jsonl")

    def run(self, *words: str, codes: Sequence[int] = (0,)) -> Used:
        command = [sys.executable, "-m", "pushctl", "--project", str(self.folder), *words]
        with tempfile.TemporaryFile("w+") as out:
            began = time.monotonic()
            process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except BaseException:
                process.terminate()
                process.wait()
                raise
            wall = time.monotonic() - began
            out.seek(0)
            said = out.read()
        if os.waitstatus_to_exitcode(status) not in codes:
            raise SystemExit(f"pushctl {' '.join(words)} failed: {said[-2000:]}")
        return Used(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said)

    def measure(
        self, name: str, *words: str, runs: int = 1, codes: Sequence[int] = (0,)
    ) -> None:
        """Note the cheapest run, with the largest memory of all, once."""
        if name in self.found:
            return
        done = [self.run(*words, codes=codes) for _ in range(runs)]
        best = min(done, key=lambda one: one.cpu)
        self.note(name, best._replace(peak_mb=max(one.peak_mb for one in done)))

    def take(self, step: Step, runs: int) -> None:
        # A check that finds something to say has measured as much.
        codes = (0, 3) if step.words == ("check",) else (0,)
        self.measure(step.name, *step.words, runs=runs if step.repeats else 1, codes=codes)

    def note(self, name: str, used: Used) -> None:
        self.found[name] = used._replace(said="")
        self._save()
        tell(
            f"{self.count:>10,}  {name:29} {used.cpu:9.2f} s CPU {used.wall:9.2f} s "
            f"{used.peak_mb:5.0f} MB"
        )

    def _save(self) -> None:
        steps = {name: one._asdict() for name, one in self.found.items()}
        self._notes.write_text(json.dumps({"steps": steps, "bytes": self.bytes}))

    def measure_bytes(self, name: str) -> None:
        if name not in self.bytes:
            apart(self._checkpoint)
            self.bytes[name] = (self.folder / "pushctl.db").stat().st_size

    def _checkpoint(self) -> None:
        with Store(self.folder / "pushctl.db") as store:
            store.checkpoint()

    def _init(self) -> None:
        sites = [f"--site={name}={origin}" for name, origin in SITES.items()]
        self.run("init", str(self.folder), "--contact=mailto:bench@shop.example", *sites)
        settings = self.folder / "pushctl.toml"
        settings.write_text(settings.read_text().replace("[segments]\n", SEGMENTS) + TRIGGER)
        template = self.folder / "templates" / "sale"
        template.mkdir()
        (template / "message.toml").write_text('url = "https://shop.example/sale"\n')
        for language, title in TEXTS.items():
            title = title.format("{{ attributes.first_name or 'you' }}")
            (template / f"{language}.toml").write_text(f'title = "{title}"\nbody = "20 %."\n')

    def _connect(self, sink: Sink) -> None:
        """Have this run's sink take the messages."""
        settings = self.folder / "pushctl.toml"
        hosts = "".join(f'"{host}" = "127.0.0.1:{sink.port}"\n' for host in (HOST, FCM))
        text = settings.read_text().split("[push.loopback]\n")[0]
        text += f'[push.loopback]\nca = "{sink.ca}"\n[push.loopback.hosts]\n{hosts}'
        settings.write_text(text)

    def _copy(self, file: Path) -> None:
        """Have all but the last lines there, by copies; once."""
        if self.lines < self.count and "copied" not in self.bytes:
            self._write(file, self.lines)
            self.run("subscribers", "import", str(file))
            program = str(Path(__file__).with_name("copies.py"))
            command = [sys.executable, program, str(self.folder / "pushctl.db")]
            subprocess.run([*command, str(self.count - self.lines)], check=True)
            file.unlink()
            self.measure_bytes("copied")
            self._save()

    def import_lines(self, file: Path) -> None:
        """Measure the import of the last lines."""
        if "import" in self.found:
            return
        self._write(file, self.lines, self.count - self.lines)
        self.measure("import", "subscribers", "import", str(file))
        file.unlink()
        there = apart(self._count, "SELECT count(*) FROM subscriptions")
        if there != self.count:
            raise SystemExit(f"{there:,} of {self.count:,} came in")

    def _count(self, sql: str) -> int:
        with Store(self.folder / "pushctl.db") as store:
            found: int = store.connection.execute(sql).fetchone()[0]
        return found

    def _write(self, file: Path, count: int, first: int = 0) -> None:
        write_people(file, count, lambda n: progress("written", n, count), first)

    def sweep(self) -> None:
        """Measure a sweep without work, and one with 30,000 messages due."""
        self.measure("first sweep", "sweep")
        if "idle sweep" not in self.found:
            self.run("sweep")  # the sink may be another one
            self.measure("idle sweep", "sweep", runs=5)
        if "30,000 due" not in self.found:
            due = min(DUE, self.count)
            apart(self._enrol, due)
            self.run("sweep")
            apart(self._arm, due)
            self.note("30,000 due", self._send(due))

    def _send(self, due: int) -> Used:
        """Sweep until all that is *due* is accepted: one ends after 40 s, the next goes on."""
        before, runs = apart(self._count, ACCEPTED), []
        while apart(self._count, ACCEPTED) - before < due:
            runs.append(self.run("sweep"))
            if len(runs) > 20:
                raise SystemExit(f"not all were sent: {runs[-1].said}")
        wall, cpu = sum(one.wall for one in runs), sum(one.cpu for one in runs)
        return Used(wall, cpu, max(one.peak_mb for one in runs))

    def _enrol(self, due: int) -> None:
        """Have a tenth of the people wait for a reminder, by SQL."""
        context = {"event": {}, "value": 20, "cart": {"names": ["Lamp"], "count": 1}}
        sql = """
            INSERT OR IGNORE INTO enrolments (trigger, subscription_id, occurrence, state,
                                              entered_at, next_at, context, changed_at)
            SELECT 'basket', id, 'event:' || id, 'active', :now, :far, :context, :now
              FROM subscriptions ORDER BY id LIMIT :count
        """
        now = time.time_ns() // 1_000_000
        values = {"now": now, "far": now + FAR, "context": json.dumps(context)}
        with Store(self.folder / "pushctl.db") as store, store.write() as connection:
            connection.execute(sql, values | {"count": max(due, self.count // 10)})

    def _arm(self, due: int) -> None:
        """Make reminders due, of people all over the table."""
        sql = """
            UPDATE enrolments SET entered_at = :at, next_at = :now
             WHERE id IN (SELECT id FROM enrolments WHERE id % :each = 0 LIMIT :due)
        """
        now = time.time_ns() // 1_000_000
        each = max(due, self.count // 10) // due
        with Store(self.folder / "pushctl.db") as store, store.write() as connection:
            values = {"at": now - 240_000, "now": now, "each": each, "due": due}
            changed = connection.execute(sql, values).rowcount
        if changed != due:
            raise SystemExit(f"{changed:,} reminders are due instead of {due:,}")


def measure(
    folder: Path, sink: Sink, count: int, options: argparse.Namespace
) -> dict[str, object]:
    """Return what each step took with *count* people, and their bytes on disk."""
    project = Project(folder, sink, count, copies=options.copies)
    if options.fill:
        return {}
    project.import_lines(folder / "people.jsonl")
    project.measure_bytes("imported")
    runs = RUNS if count <= 1_000_000 else 1
    project.take(COUNT, runs)
    project.sweep()
    for step in FIGURES:
        project.take(step, runs)
    project.measure_bytes("before")
    for step in PLANS:
        project.take(step, runs)
        project.measure_bytes("planned")
    if not options.no_backup:
        file = folder / "backup.tar.gz"
        project.measure("backup", "backup", str(file), "--plain")
        file.unlink(missing_ok=True)
    return {
        "imported": project.lines,
        "bytes": project.bytes["imported"],
        "planned_bytes": project.bytes["planned"] - project.bytes["before"],
        "steps": {name: used._asdict() for name, used in project.found.items()},
    }


def apart(work: Callable[..., Result], *arguments: object) -> Result:
    """Do it in a process of its own: what this one starts is said to have had its memory."""
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        return pool.submit(work, *arguments).result()


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def progress(what: str, done: int, count: int) -> None:
    if sys.stderr.isatty() or done % 1_000_000 == 0:
        end = "\r" if sys.stderr.isatty() and done < count else "\n"
        print(f"{count:>10,}  {done:,} {what}", end=end, file=sys.stderr, flush=True)


def check_room(folder: Path, options: argparse.Namespace) -> None:
    largest, free = max(options.sizes), shutil.disk_usage(folder).free
    each = BARE_BYTES if options.no_backup else DISK_BYTES
    there = sum(it.stat().st_size for it in folder.glob("*/project/pushctl.db*"))
    needed = largest * each - there
    if needed > free:
        raise SystemExit(
            f"{folder} has {free / 1e9:.0f} GB free, and {largest:,} subscribers need about "
            f"{needed / 1e9:.0f} GB. Name another one: --folder"
        )


def measure_all(
    folder: Path, options: argparse.Namespace, save: Callable[[dict], None]
) -> dict[int, dict]:
    """Measure each size in a folder of its own."""
    found: dict[int, dict] = {}
    with Sink() as sink:
        for size in (SMALL, *sorted(options.sizes)):
            own = folder / str(size)
            own.mkdir(exist_ok=True)
            found[size] = measure(own, sink, size, options)
            if not options.fill:
                found[size]["load"] = os.getloadavg()
                save(found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="NUMBER")
    parser.add_argument("--no-backup", action="store_true", help="leave the backup out")
    parser.add_argument("--copies", action="store_true", help="import only 200,000 of them")
    parser.add_argument("--fill", action="store_true", help="with --keep: only copy them")
    parser.add_argument("--json", type=Path, help="write all to this file, size by size")
    parser.add_argument("--keep", type=Path, help="a folder whose projects stay, and go on")
    options = parser.parse_args()
    if options.keep is not None:
        options.keep.mkdir(exist_ok=True)
    check_room(options.keep or options.folder, options)
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def save(found: dict[int, dict]) -> None:
        if options.json is not None:
            rows = compare(found) if len(found) > 1 else []
            options.json.write_text(json.dumps({"sizes": found, "rows": rows}, indent=1))

    try:
        if options.keep is not None:
            found = measure_all(options.keep, options, save)
        else:
            # It goes afterwards, also after Ctrl-C.
            with tempfile.TemporaryDirectory(
                prefix="pushctl-crowd-", dir=options.folder
            ) as scratch:
                found = measure_all(Path(scratch), options, save)
    except KeyboardInterrupt:
        raise SystemExit("stopped") from None
    if not options.fill:
        show(found)


if __name__ == "__main__":
    main()
