"""
What kept figures cost the ingest: the same inbox drained with and without their triggers.

    ./run python -m benchmarks.ingest --people 4000 --rounds 5

Browsers subscribe, get a message, look at two things each, report that it was shown, and one in
fifteen a click. Each round drains the same lines into copies of one database, in turn as it
is and without the triggers that delete kept columns, pages and attributions. Figures were
asked for before: there is something to delete. Prints the CPU of a line of each kind
(the fastest of all rounds), and their ratio.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pushctl.inbox import Writer
from pushctl.jobs.figures import filters
from pushctl.jobs.figures.tables import breakdowns
from pushctl.jobs.ingest.drain import drain
from pushctl.model import InboxRecord
from pushctl.store import Store
from tests.support import NOON, database
from tests.support.posting import SECRET, Browser, Project, make_project

_NAMES = ("kept_%", "attribution_%")


def make(folder: Path, people: int) -> tuple[Project, Mapping[str, list[InboxRecord]]]:
    """Return a project whose people have a message each, and lines by their kind."""
    project = make_project(folder, database.create(folder / "pushctl.db"))
    browsers = [Browser(number, project.key) for number in range(2 * people)]
    old, new = browsers[:people], browsers[people:]
    project.drain(*(one.subscribe() for one in old))
    store = project.store
    campaign = store.campaigns.create(
        name="spring", template="spring", audience="", sources={}, options={}, now=NOON,
        expires_at=None,
    )  # fmt: skip
    ids = [
        row for (row,) in store.connection.execute("SELECT id FROM subscriptions ORDER BY id")
    ]
    store.deliveries.plan(campaign.id, ids, now=NOON, expires_after=None)
    sql = "UPDATE deliveries SET status = 'accepted', sent_at = ?, changed_at = ?"
    store.connection.execute(sql, (NOON, NOON))
    rows = [row for (row,) in store.connection.execute("SELECT id FROM deliveries ORDER BY id")]
    breakdowns.compare(store, project.config, filters.Filter(now=NOON))
    views = [{"name": "product_viewed", "properties": {"id": str(n)}} for n in range(2)]
    return project, {
        "events": [one.post("/v1/events", events=[view]) for one in old for view in views],
        "reports": [
            one.report(row, kind, at=NOON + 1000)
            for place, (one, row) in enumerate(zip(old, rows, strict=True))
            for kind in ("shown", *(["clicked"] if place % 15 == 0 else []))
        ],
        "subscriptions": [one.subscribe() for one in new],
    }


def measure(project: Project, lines: Sequence[InboxRecord], *, bare: bool) -> float:
    """Return the CPU seconds of a line, drained into a copy of the database."""
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "pushctl.db"
        shutil.copyfile(project.store.path, path)
        config = replace(project.config, database=path, inbox=Path(made) / "inbox")
        with Store(path) as store:
            if bare:
                _drop_triggers(store)
            writer = Writer(config.inbox)
            writer.append(lines)
            writer.close()
            began = time.process_time()
            found = drain(store, config, SECRET, NOON + 60_000)
            taken = time.process_time() - began
        if sum(found.applied.values()) < len(lines):
            raise SystemExit(f"not all lines were taken: {found}")
    return taken / len(lines)


def _drop_triggers(store: Store) -> None:
    sql = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE ?"
    for like in _NAMES:
        for (name,) in store.connection.execute(sql, (like,)).fetchall():
            store.connection.execute(f"DROP TRIGGER {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        project, kinds = make(Path(made), asked.people)
        project.store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        everything = [line for lines in kinds.values() for line in lines]
        for kind, lines in {**kinds, "all": everything}.items():
            with_, without = [], []
            for _ in range(asked.rounds):
                with_.append(measure(project, lines, bare=False))
                without.append(measure(project, lines, bare=True))
            one, two = min(with_) * 1e6, min(without) * 1e6
            print(
                f"{kind:14} {len(lines):7,} lines: {one:6.1f} us with, {two:6.1f} without, "
                f"ratio {one / two:.3f}",
                flush=True,
            )
        project.store.close()


if __name__ == "__main__":
    main()
