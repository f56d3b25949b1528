"""
What a message of the server API costs: processor time of each stage, and what it leaves.

    python benchmarks/messages.py --messages 10000 --json

As many order confirmations, each for another person, are taken in, planned, sent over TLS to
nginx on this machine, and their results published. Prints microseconds of processor time a
message, bytes of database and of results a message, and how many campaigns that made.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.sink import Sink
from benchmarks.sweep import Base
from pushctl import config as configs
from pushctl.config import Config
from pushctl.inbox import Writer
from pushctl.jobs.campaigns import api_messages
from pushctl.jobs.delivery import deliver
from pushctl.jobs.ingest.drain import drain
from pushctl.model import InboxRecord
from pushctl.rules.web import request_ids
from pushctl.store import Store
from tests.support import sending

KEY = bytes(32)


def measure(count: int) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="pushctl-messages-"))
    try:
        with Sink() as sink:
            base = Base(folder, sink, count)
            sending.template(
                base.folder, "shipped", title="Order {{ values.order }}", body="It has left"
            )
            config = configs.load(base.folder / "pushctl.toml", {})
            with Store(config.database) as store:
                return {"messages": count, **_run(store, config, count)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(store: Store, config: Config, count: int) -> dict[str, object]:
    rows = [row for (row,) in store.connection.execute("SELECT id FROM subscriptions")]
    with store.write():
        for number, row in enumerate(rows):
            store.subscriptions.set_alias(row, f"customer-{number}", trusted=True)
    store.checkpoint()
    before = config.database.stat().st_size
    _write(config, count)
    figures: dict[str, object] = {}
    stages = {
        "taken": lambda: drain(store, config, config.secret(), sending.soon()),
        "planned": lambda: api_messages.work_off(store, config, sending.soon()),
        "sent": lambda: list(deliver.run_due(store, config, sending.soon())),
        "told": lambda: api_messages.work_off(store, config, sending.soon() + 600_000),
    }
    for name, stage in stages.items():
        began = time.process_time()
        stage()
        figures[f"{name}_us"] = round((time.process_time() - began) / count * 1e6)
    store.checkpoint()
    figures["database_bytes"] = round((config.database.stat().st_size - before) / count)
    results = sum(it.stat().st_size for it in config.status.iterdir())
    figures["result_bytes"] = round(results / count, 1)
    figures["campaigns"] = len(store.campaigns.list_newest())
    sql = "SELECT state, count(*) FROM messages GROUP BY 1"
    return figures | {"states": dict(store.connection.execute(sql))}


def _write(config: Config, count: int) -> None:
    """Write the messages to the inbox, as the receiver does."""
    writer, now = Writer(config.inbox), sending.soon()
    for number in range(count):
        wanted = {
            "to": {"alias": f"customer-{number}"}, "template": "shipped",
            "values": {"order": f"{100_000 + number}"}, "transactional": True,
        }  # fmt: skip
        name = request_ids.make(KEY, now, number.to_bytes(7, "big"))
        body = {"request": name, "key": "abcdefgh", "scopes": [], "message": wanted}
        record = InboxRecord(f"m{number}", now, "/v1/messages", "shop", json.dumps(body))
        writer.append([record])
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measure(given.messages)
    print(json.dumps(figures) if given.json else figures)


if __name__ == "__main__":
    main()
