"""
Upgrade a large database of before rows had numbers of their own: how long, is it sound?

    python benchmarks/upgrade.py --subscribers 300000 --events 5000000 --json

Everything is made by SQL: two enrolments, one message and one decision a subscriber. The
copy that the upgrade makes first is part of the time. ``--keep FOLDER`` leaves the files.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sqlite_utils import Database

from pushctl.store import Store
from pushctl.store.schema import migrations

_COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"
_ROWS = f"""
    INSERT INTO sites (name, origin) VALUES ('shop', 'https://shop.example');
    INSERT INTO campaigns (name, status, template, audience, sources, created_at)
    VALUES ('basket/1', 'running', 't', 'x', '{{}}', 1);
    {_COUNT}
    INSERT INTO subscriptions (public_id, site_id, endpoint_hash, endpoint, p256dh, auth,
                               key_id, state_at, language, timezone, country, browser,
                               subscribed_at, last_seen_at)
    SELECT printf('%022d', i), 1, randomblob(16),
           'https://fcm.googleapis.com/fcm/send/' || hex(randomblob(70)), randomblob(65),
           randomblob(16), 'key', i, 'en', 'Europe/Berlin', 'DE', 'Chrome', i, i FROM n;
    {_COUNT}
    INSERT INTO enrolments (trigger, subscription_id, occurrence, state, entered_at, context,
                            changed_at)
    SELECT iif(i % 2, 'basket', 'welcome'), (i + 1) / 2, 'event:' || i, 'finished', i,
           '{{"cart": {{"items": [{{"id": "a", "name": "Lamp", "price": 20}}]}}}}', i
      FROM (SELECT i FROM n UNION ALL SELECT i + :count FROM n);
    INSERT INTO decisions (trigger, subscription_id, enrolment_id, kind, at, reason)
    SELECT trigger, subscription_id, id, 'entered', entered_at, 'cart_updated'
      FROM enrolments WHERE id % 2;
    INSERT INTO deliveries (campaign_id, subscription_id, enrolment_id, status, changed_at)
    SELECT 1, subscription_id, id, 'accepted', entered_at FROM enrolments WHERE id % 2;
"""
_EVENTS = f"""
    {_COUNT}
    INSERT INTO events (subscription_id, name, at, received_at, properties, dedupe_key)
    SELECT 1 + i % :people, iif(i % 7, 'page_view', 'cart_updated'), i, i,
           '{{"items": [{{"id": "lamp", "name": "Lamp", "price": 20, "quantity": 1}}]}}',
           (1 + i % :people) || ':' || hex(randomblob(16)) FROM n;
"""


def fill(path: Path, subscribers: int, events: int) -> None:
    """Make the database as the version before wrote it, of about 1 GB for the defaults."""
    with closing(Database(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA cache_size = -262144")
        migrations.apply(database, stop_before="m007_numbers")
        with database.atomic():
            for statement in _ROWS.split(";\n"):
                if statement.strip():
                    database.execute(statement, {"count": subscribers})
            values = {"count": events, "people": subscribers}
            database.execute(_EVENTS.strip().rstrip(";"), values)
            database.execute("INSERT INTO meta VALUES ('sweep.events', :count)", values)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def measure(path: Path) -> dict[str, float | str]:
    size = path.stat().st_size
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    with Store(path) as store:
        seconds = time.monotonic() - began
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
        log = os.path.getsize(f"{path}-wal")
        checks = {
            name: store.connection.execute(f"PRAGMA {name}").fetchall()
            for name in ("integrity_check", "foreign_key_check")
        }
    good = checks == {"integrity_check": [("ok",)], "foreign_key_check": []}
    return {
        "database_mb": round(size / 1e6),
        "log_mb": round(log / 1e6, 1),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_mb": round(used.ru_maxrss / 1024),
        "checks": "ok" if good else str(checks)[:500],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=300_000)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = (given.keep or Path(folder)) / "pushctl.db"
        if not path.exists():
            fill(path, given.subscribers, given.events)
        figures = measure(path)
    print(json.dumps(figures) if given.json else figures)
    return 0 if figures["checks"] == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
