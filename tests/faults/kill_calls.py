"""
Kill what makes calls at random moments: a step's program runs once at most for each person, a
webhook is told of each event at least once, under one id.

    ./run python tests/faults/kill_calls.py --kills 200 --seed 1
"""

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pushctl.jobs.webhooks import channels, events, outbox  # noqa: E402
from pushctl.store import Store  # noqa: E402
from pushctl.store.events import ARRIVAL, Event  # noqa: E402
from tests.support import MINUTE, NOON, database, killed, shop, webhooks  # noqa: E402

SETTINGS = f"""
[triggers.hello]
on = "subscribed"
steps = [{{ after = "1m", exec = ["./sms.sh"], max_late = "5d" }}]
[[webhooks]]
name = "crm"
url = "{webhooks.URL}"
events = ["subscribed"]
"""
PROGRAM = '#!/bin/sh\nread line; echo "$line" > called-$$\n'
PEOPLE = 10  # for each kill
LONGEST = 0.12  # seconds until a kill: about what PEOPLE take


@dataclass
class Found:
    kills: int = 0
    people: int = 0
    twice: int = 0  # programs run again for somebody
    lost: int = 0  # people of whom no call and no doubt is known; events that nobody told
    renamed: int = 0  # events that came under two ids
    in_doubt: int = 0
    repeated: int = 0  # events that came again under their id, as they may


def run(kills: int, seed: int) -> Found:
    found, dice = Found(), random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, webhooks.receiving() as receiver:
        one = _make_shop(Path(folder), receiver.settings)
        now = NOON
        while found.kills < kills:
            now += 10 * MINUTE
            _arrive(one, found, now)
            one.store.close()
            seconds = dice.uniform(0, LONGEST)
            found.kills += killed.run_for(partial(_call, one, now), seconds)
            one.store = Store(one.config.database)
        _call(one, now + 10 * MINUTE)
        _call(one, now + 20 * MINUTE)
        _examine(one, receiver, found)
        one.store.close()
    return found


def _make_shop(folder: Path, settings: str) -> shop.Shop:
    (folder / "keys").mkdir()
    (folder / "keys/secret").write_bytes(bytes(32))
    (folder / "sms.sh").write_text(PROGRAM)
    (folder / "sms.sh").chmod(0o755)
    store = database.create(folder / "pushctl.db")
    store.sites.sync({"shop": "https://shop.example"})
    one = shop.Shop(folder, store, SETTINGS + settings)
    events.sync(store, one.config, NOON)
    return one


def _arrive(one: shop.Shop, found: Found, now: int) -> None:
    for _ in range(PEOPLE):
        who = one.person(at=now)
        event = Event(who, "subscribed", now, now, {}, f"{who}{ARRIVAL}")
        one.store.events.add([event])
    found.people += PEOPLE
    for at in (now, now + 2 * MINUTE):
        shop.decide_all(one.config, one.store, at)


def _call(one: shop.Shop, now: int) -> None:
    """Do what a sweep does once it has given back its lock."""
    with Store(one.config.database) as store:
        channels.run_due(store, one.config, now + 3 * MINUTE, 60.0)
        outbox.deliver(store, one.config, now + 3 * MINUTE, 60.0)


def _examine(one: shop.Shop, receiver: webhooks.Receiver, found: Found) -> None:
    # An empty one: killed before its program wrote. Its row is in doubt.
    texts = [file.read_text() for file in one.folder.glob("called-*")]
    called = Counter(json.loads(text)["id"] for text in texts if text)
    found.twice = sum(called.values()) - len(called)
    sql = "SELECT status, count(*) FROM deliveries GROUP BY status"
    states = dict(one.store.connection.execute(sql))
    found.in_doubt = states.get("in_doubt", 0)
    found.lost = found.people - sum(states.get(it, 0) for it in ("accepted", "in_doubt"))
    found.lost += max(0, states.get("accepted", 0) - len(called))
    told: dict[str, set[str]] = {}
    for got in receiver.got:
        told.setdefault(got.json()["data"]["subscriber"], set()).add(got.id)
    found.lost += found.people - len(told)
    found.renamed = sum(len(ids) - 1 for ids in told.values())
    found.repeated = len(receiver.got) - len(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    found = run(given.kills, given.seed)
    print(json.dumps({"seed": given.seed, **found.__dict__}))
    raise SystemExit(bool(found.twice or found.lost or found.renamed))


if __name__ == "__main__":
    main()
