"""
What two variants cost before a broadcast goes out: plan, rehearsal, freezing, in CPU seconds.

    python benchmarks/variants.py [--people 300000] [--signed 0.5]

The same people and template, plain and as a test, in turn. *signed* of them have an alias, and
two devices each. Sending itself does the same for both.
"""

import argparse
import json
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from pushctl.jobs.campaigns import broadcast
from pushctl.jobs.campaigns.draft import Draft
from pushctl.jobs.campaigns.rehearsal import rehearse
from pushctl.rules.tokens import endpoint_hash
from pushctl.store import Store
from tests.support import NOON, auth, p256dh, sending


def fill(store: Store, people: int, signed: float, key: str) -> None:
    site = store.sites.sync({"shop": "https://shop.example"})["shop"]
    sql = """
        INSERT INTO subscriptions (public_id, site_id, endpoint, endpoint_hash, p256dh, auth,
                                   key_id, state_at, language, subscribed_at, last_seen_at,
                                   alias, alias_trusted)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'en', ?, ?, ?, ?)
    """
    with store.write() as connection:
        for number in range(people):
            address = f"https://fcm.googleapis.com/wp/{number:08}"
            known = number < people * signed
            connection.execute(sql, (
                secrets.token_urlsafe(16), site, address, endpoint_hash(address),
                p256dh(number % 50), auth(number % 50), key, NOON, NOON, NOON,
                f"customer {number // 2}" if known else None, known,
            ))  # fmt: skip


def measure(field: sending.Field, **wish: object) -> dict[str, float]:
    draft = Draft(everyone=True, template="sale", again=True, **wish)  # type: ignore[arg-type]
    figures, began = {}, time.process_time()

    def lap(name: str) -> None:
        nonlocal began
        figures[name] = round(time.process_time() - began, 2)
        began = time.process_time()

    made = broadcast.plan(field.store, field.config, draft, NOON)
    lap("plan")
    made = rehearse(field.store, field.config, made, NOON)
    lap("rehearse")
    broadcast.freeze(field.store, made, NOON)
    lap("freeze")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--people", type=int, default=300_000)
    parser.add_argument("--signed", type=float, default=0.5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        field = sending.field(Path(folder))
        text = 'title = "Sale now"\nbody = "Everything must go"\n'
        (field.config.templates / "sale/en.b.toml").write_text(text)
        fill(field.store, asked.people, asked.signed, field.key)
        for _ in range(2):
            for name, wish in {
                "plain": {"variants": "a"},
                "two variants": {"variants": "a,b"},
                "test share": {"variants": "a,b", "test_share": "20%"},
            }.items():
                print(name, json.dumps(measure(field, **wish)), flush=True)
        field.store.close()
    print(f"on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
