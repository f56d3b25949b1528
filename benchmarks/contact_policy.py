"""
What the contact policy costs a broadcast: judging all its receivers, in CPU seconds.

    ./run python benchmarks/contact_policy.py [--people 300000] [--messages 17] [--silent 0.05]

Everybody had so many messages, one each five days. The share *silent* has shown none since the
first four, a twentieth never reported anything, a fifth shows each third one, all others show
every one. The goal is at most 2 s with all limits on; who is silent costs the most.
"""

import argparse
import json
import secrets
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from pushctl import config as configs
from pushctl.jobs.subscribers.contact_policy import Judge
from pushctl.model import Millis
from pushctl.rules.tokens import endpoint_hash
from pushctl.store import Store
from tests.support import DAY, NOON, auth, p256dh, sending

EVERY: Millis = 5 * DAY
LIMITS = {
    "quiet": '[quiet]\nhours = "21:00-08:00"\n',
    "cap": '[frequency]\nmessages = 3\nwithin = "7d"\n',
    "holdout": '[holdout]\nshare = 0.05\nname = "2026"\n',
    "sunset": '[sunset]\nafter = 12\nwithin = "90d"\n',
}
WAYS = {
    **{name: [name] for name in LIMITS},
    "the first three": ["quiet", "cap", "holdout"],
    "all": list(LIMITS),
}
# Whether somebody shows a message, by a number of theirs from 0 to 99 and the message's.
SHOWN = """
    CASE WHEN s.id % 100 < :silent THEN :message < 4
         WHEN s.id % 100 < :silent + 5 THEN 0
         WHEN s.id % 100 < :silent + 25 THEN :message % 3 = 0
         ELSE 1 END
"""


def fill(store: Store, people: int, messages: int, silent: float, key: str) -> None:
    """Write people and what they had; the last message went out a day ago."""
    site = store.sites.sync({"shop": "https://shop.example"})["shop"]
    first = NOON - DAY - (messages - 1) * EVERY
    subscribe = """
        INSERT INTO subscriptions (public_id, site_id, endpoint, endpoint_hash, p256dh, auth,
                                   key_id, state_at, language, timezone, subscribed_at,
                                   last_seen_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'en', ?, ?, ?)
    """
    zones = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", None)
    with store.write() as db:
        for number in range(people):
            address = f"https://fcm.googleapis.com/wp/{number:08}"
            db.execute(subscribe, (
                secrets.token_urlsafe(16), site, address, endpoint_hash(address),
                p256dh(number % 50), auth(number % 50), key, first - DAY, zones[number % 4],
                first - DAY, first - DAY,
            ))  # fmt: skip
    for message in range(messages):
        at = first + message * EVERY
        send(store, {"name": f"sale {message}", "message": message, "at": at, "silent": silent})


def send(store: Store, values: dict[str, float | str]) -> None:
    """Write a campaign that everybody got, as the ledger and the reports would have it."""
    with store.write() as db:
        db.execute(
            """
            INSERT INTO campaigns (name, template, audience, sources, status, created_at,
                                   finished_at)
            VALUES (:name, 'sale', 'everyone', '{}', 'finished', :at, :at)
            """,
            values,
        )
        db.execute(
            """
            INSERT INTO deliveries (campaign_id, subscription_id, status, changed_at, attempts)
            SELECT (SELECT id FROM campaigns WHERE name = :name), id, 'accepted', :at, 1
              FROM subscriptions ORDER BY id
            """,
            values,
        )
        db.execute(
            f"""
            INSERT INTO interactions (delivery_id, kind, at, dedupe_key)
            SELECT d.id, 'shown', :at, d.id || ':shown'
              FROM deliveries AS d JOIN subscriptions AS s ON s.id = d.subscription_id
             WHERE d.campaign_id = (SELECT id FROM campaigns WHERE name = :name) AND ({SHOWN})
            """,
            values,
        )
        # As a report of a message does.
        db.execute(f"UPDATE subscriptions AS s SET last_seen_at = :at WHERE {SHOWN}", values)


def measure(store: Store, folder: Path, names: list[str]) -> dict[str, float | int]:
    """Judge everybody by the limits *names*; return CPU seconds and who gets none or waits."""
    head = (
        'contact = "mailto:push@shop.example"\n[sites.shop]\norigin = "https://shop.example"\n'
    )
    file = folder / "limits.toml"
    file.write_text(head + "".join(LIMITS[name] for name in names))
    config = configs.load(file, {})
    receivers = store.recents.list_active()
    began = time.process_time()
    found = Judge(store, config, {}, NOON).judge(receivers)
    seconds = time.process_time() - began
    return {
        "cpu_seconds": round(seconds, 2),
        "without": len(found.without),
        "held": len(found.held),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--people", type=int, default=300_000)
    parser.add_argument("--messages", type=int, default=17)
    parser.add_argument("--silent", type=float, default=0.05)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        field = sending.field(Path(folder))
        fill(field.store, asked.people, asked.messages, 100 * asked.silent, field.key)
        table = {}
        for way, names in WAYS.items():
            runs = [measure(field.store, Path(folder), names) for _ in range(3)]
            table[way] = min(runs, key=lambda run: run["cpu_seconds"])
            if not asked.json:
                print(way, table[way], flush=True)
        field.store.close()
    if asked.json:
        print(json.dumps(table))


if __name__ == "__main__":
    main()
