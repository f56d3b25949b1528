"""
Many senders take promo codes of one pool and are killed: is a code given twice, or lost?

    python tests/faults/promo_codes.py --senders 50 --kills 100 --json

Each sender is a process, `pushctl campaigns resume`, of a campaign of its own to the same
people, half of whom share an alias with another device; all campaigns take their codes from
one pool. At random moments a sender gets a SIGKILL and is started again. A push service
reads what arrives: the code, its campaign and its receiver.

A code is given twice where two persons, or two campaigns of one, read it or are bound to it;
it is lost where the pool has it neither free nor bound to a message nor set aside.
"""

import argparse
import json
import queue
import random
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pushctl.demo.pushservice import PushService
from pushctl.demo.pushservice.exchange import Message
from pushctl.model import CampaignStatus
from pushctl.push import vapid
from tests.support import program, sending
from tests.support.pushservice import decrypt
from tests.support.running import Running

PATIENCE = 600.0  # seconds for all of it


@dataclass
class Figures:
    seed: int
    senders: int
    people: int
    kills: int = 0
    codes: int = 0
    bound: int = 0
    messages: int = 0  # that the push service read
    twice: int = 0
    lost: int = 0
    changed: int = 0  # persons who read two codes of one campaign
    without: int = 0  # messages that went out without a code


def run(folder: Path, senders: int, people: int, kills: int, seed: int) -> Figures:
    """Send, kill and count; raises AssertionError where it never comes to an end."""
    chance, figures = random.Random(seed), Figures(seed, senders, people)
    with PushService(folder / "service") as service:
        service.play([{"delay": [0.002, 0.03]}])
        arrived = service.deliveries()
        field = _make_project(folder / "project", service, figures)
        names = [
            field.freeze(sending.soon(), template="code", promo="pool", name=f"c{one}").name
            for one in range(senders)
        ]
        _send(field, names, chance, kills, figures)
        _count(field, arrived, figures)
        field.store.close()
    return figures


def _make_project(folder: Path, service: PushService, figures: Figures) -> sending.Field:
    field = sending.field(folder, service)
    sending.template(folder, "code", title="{{ promo }}", body="{{ campaign.name }}")
    sending.lead_to(folder, service)
    public = vapid.load(field.config.keys)[field.key].public
    rows = field.subscribed(service, "fcm", public, count=figures.people)
    for number, row in enumerate(rows[: len(rows) // 2]):
        field.store.subscriptions.set_alias(row, f"alias-{number // 2}", trusted=True)
    pool = field.store.promo_codes.create("pool", 0, sending.soon())
    persons = field.store.promo_codes.count_people(rows)
    figures.codes = persons * figures.senders + 10
    field.store.promo_codes.add(pool.id, (f"code{it:06}" for it in range(figures.codes)))
    return field


def _send(
    field: sending.Field, names: list[str], chance: random.Random, kills: int, figures: Figures
) -> None:
    environment = program.environment({})
    folder, until = field.config.folder, time.monotonic() + PATIENCE

    def start(name: str) -> Running:
        return Running(["campaigns", "resume", name], environment, cwd=folder)

    running = {name: start(name) for name in names}
    while running:
        assert time.monotonic() < until, "it never comes to an end"
        if figures.kills < kills:
            victim = running[chance.choice(sorted(running))]
            if victim.poll() is None:
                victim.kill()
                figures.kills += 1
        for name in [name for name, one in running.items() if one.poll() is not None]:
            if field.store.campaigns.get(name).status is CampaignStatus.FINISHED:
                del running[name]
            else:
                running[name] = start(name)
        # Forked senders are at work within some hundredths of a second.
        time.sleep(chance.uniform(0.0, 0.05))


def _count(
    field: sending.Field, arrived: "queue.SimpleQueue[Message]", figures: Figures
) -> None:
    connection = field.store.connection
    person = dict(
        connection.execute("SELECT id, coalesce(alias, id) FROM subscriptions").fetchall()
    )
    # Person and campaign that each code belongs to, by the ledger and by what arrived.
    owners: dict[str, set[tuple[str, str]]] = defaultdict(set)
    read: dict[tuple[str, str], set[str]] = defaultdict(set)
    sql = """
        SELECT k.code, b.subscription_id, c.name FROM promo_bindings AS b
          JOIN promo_codes AS k ON k.id = b.code_id JOIN deliveries AS d ON d.id = b.delivery_id
          JOIN campaigns AS c ON c.id = d.campaign_id
    """
    for code, row, campaign in connection.execute(sql):
        owners[code].add((str(person[row]), campaign))
    rows = connection.execute("SELECT endpoint, id FROM subscriptions ORDER BY id").fetchall()
    numbers = {endpoint: (number, row) for number, (endpoint, row) in enumerate(rows)}
    while not arrived.empty():
        message = arrived.get()
        number, row = numbers[message.endpoint]
        told = json.loads(decrypt(message.body, number))["notification"]
        who = str(person[row]), told["body"]
        owners[told["title"]].add(who)
        read[who].add(told["title"])
        figures.messages += 1
    figures.twice = sum(len(one) > 1 for one in owners.values())
    figures.changed = sum(len(one) > 1 for one in read.values())
    counts = field.store.promo_codes.count_states(1)
    figures.bound = counts["bound"]
    kept = "SELECT count(DISTINCT code_id) FROM promo_bindings"
    figures.lost = figures.codes - counts["free"] - counts["set_aside"]
    figures.lost -= connection.execute(kept).fetchone()[0]
    sql = """
        SELECT count(*) FROM deliveries WHERE status IN ('accepted', 'in_doubt', 'gone')
           AND id NOT IN (SELECT delivery_id FROM promo_bindings)
    """
    figures.without = connection.execute(sql).fetchone()[0]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    options.add_argument("--senders", type=int, default=50)
    options.add_argument("--people", type=int, default=200)
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    print(f"seed {given.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), given.senders, given.people, given.kills, given.seed)
    print(json.dumps(asdict(found)) if given.json else found)
    sys.exit(1 if found.twice or found.lost or found.changed or found.without else 0)


if __name__ == "__main__":
    main()
