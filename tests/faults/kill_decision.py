"""
Kill the decision of a test: is it made once, and does nobody who waits stay behind?

    python tests/faults/kill_decision.py --kills 300 --people 3000 --json

Each decision is of a fresh copy of one database. Half of them get a SIGKILL at a random
moment, half before a random line of the decision's code. The test must then be undecided with
all others waiting, or decided with none of them. The next look decides what was not decided,
names the same winner, and changes nothing where it was.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pushctl.jobs.campaigns import experiments
from pushctl.model import InteractionKind
from pushctl.store import Store
from pushctl.store import experiments as stored
from pushctl.store.experiments import Experiment, State
from pushctl.store.interactions import Interaction
from pushctl.store.ledger_rows import FinishedRow
from tests.support import HOUR, NOON, killed, sending

TRACED = killed.files_of(experiments, stored)
DECIDED_AT = NOON + 4 * HOUR


def prepare(folder: Path, people: int) -> tuple[Path, Experiment]:
    """Return a database in which half of *people* wait for a test that b wins."""
    field = sending.field(folder)
    text = 'title = "Sale now"\nbody = "Everything must go"\n'
    (field.config.templates / "sale/en.b.toml").write_text(text)
    field.people(people)
    campaign = field.freeze(test_share="50%", decide_after="4h")
    rows, _ = field.store.deliveries.claim_fresh(campaign.id, 0, people, NOON)
    field.store.deliveries.finish((FinishedRow(row.id, "accepted") for row in rows), NOON)
    kind = InteractionKind.CLICKED
    for row in [row for row in rows if row.variant == "b"][::2]:
        field.store.interactions.add(Interaction(row.id, kind, None, NOON, f"{row.id}"))
    one = field.store.experiments.get(campaign.name)
    field.store.close()
    return field.config.database, one


def decide(path: Path, one: Experiment) -> None:
    with Store(path) as store:
        experiments.decide(store, one, DECIDED_AT)


def read_rows(store: Store) -> list[tuple[object, ...]]:
    sql = "SELECT id, status, variant, variant_probability, cause, next_attempt_at"
    return store.connection.execute(f"{sql} FROM deliveries ORDER BY id").fetchall()


def run(kills: int, people: int, seed: int) -> dict[str, object]:
    chance = random.Random(seed)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old, one = prepare(folder / "project", people)
        whole = killed.copy_database(old, folder / "whole" / "pushctl.db")
        began = time.monotonic()
        lines = killed.count_lines(lambda: decide(whole, one), TRACED)
        took = time.monotonic() - began
        with Store(whole) as store:
            expected = read_rows(store)
        for number in range(kills):
            path = killed.copy_database(old, folder / f"{number}" / "pushctl.db")

            def work(path: Path = path) -> None:
                decide(path, one)

            if number % 2:
                dead = killed.run(work, chance.randint(1, lines), TRACED)
            else:
                dead = killed.run_for(work, chance.uniform(0, 1.2 * took))
            found["killed"] += dead
            with Store(path) as store:
                state = store.experiments.get(one.name).state
                waiting = store.experiments.count_others(one.id)["waiting"]
                found[state] += 1
                found["torn"] += (state is State.DECIDED) != (waiting == 0)
                experiments.decide(store, one, DECIDED_AT)
                found["wrong"] += read_rows(store) != expected
            for left in path.parent.iterdir():
                left.unlink()
    names = ("killed", State.TESTING, State.DECIDED, "torn", "wrong")
    return {str(name): found[name] for name in names} | {"decisions": kills, "seed": seed}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--people", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    done = run(asked.kills, asked.people, asked.seed)
    print(json.dumps(done) if asked.json else "\n".join(f"{k} {v}" for k, v in done.items()))
    return 1 if done["torn"] or done["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
