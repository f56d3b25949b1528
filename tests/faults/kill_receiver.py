"""
Kill the receiver under load, again and again: is anything missing that it acknowledged?

    python tests/faults/kill_receiver.py --kills 20 --json

Clients in processes of their own post events and write down each that was answered
with 204; every fourth is a shop's server and posts 50 events at once to the API (202), again
under the same Idempotency-Key where no answer came. After the last kill the inbox is read:
every one of them must stand in it (G3). What was written without an answer reaching anybody
is allowed; the lines of one Idempotency-Key must all have one id.
"""

import argparse
import contextlib
import http.client
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pushctl import apikeys, inbox
from pushctl.model import InboxRecord
from pushctl.rules import tokens
from tests.support import auth
from tests.support import receiving as r

PATH, API = "/v1/events", "/v1/server/events"
UNBOUNDED = {
    "unproved": r.UNBOUNDED,
    "api": {"requests_per_minute": 0, "events_per_second": 0},
}


Request = tuple[str, bytes, dict[str, str], list[str]]  # path, body, headers, ids of events


def client(port: int, number: int, secret: str, results: Connection) -> None:
    """Post until told to stop; send back the ids of all that were acknowledged."""
    acknowledged: list[str] = []
    connection: http.client.HTTPConnection | None = None
    made: Request | None = None
    while not results.poll():
        if made is None or number % 4 != 3:  # what a page sends is made anew
            made = make_batch(secret) if number % 4 == 3 else make_event(number)
        path, body, headers, ids = made
        try:
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            response.read()
            if response.status in (202, 204):
                acknowledged += ids
                made = None
        except (OSError, http.client.HTTPException):
            if connection is not None:
                connection.close()
            connection = None  # killed under us: the next one may live
            if results.poll(0.02):
                break
    results.send(acknowledged)


def make_event(number: int) -> Request:
    """Return a page's request, with one event."""
    fields = r.events(number, name="cart_updated", total=49.5)
    body = json.dumps(fields).encode()
    signature = tokens.sign_request(auth(number), PATH, int(time.time()), body)
    headers = {
        "Origin": r.ORIGIN,
        "Content-Type": "application/json",
        "X-Pushctl-Signature": signature,
    }
    return PATH, body, headers, [fields["events"][0]["id"]]


def make_batch(secret: str) -> Request:
    """Return a server's request, with 50 events."""
    name = tokens.encode(os.urandom(12))
    ids = [f"{name}-{number}" for number in range(50)]
    items = [{"alias": "customer-7", "name": "visited", "id": one} for one in ids]
    headers = {
        "Authorization": f"Bearer {secret}",
        "Content-Type": "application/json",
        "Idempotency-Key": name,
    }
    return API, json.dumps({"items": items}).encode(), headers, ids


def kill_often(folder: Path, kills: int, clients: int, seed: int) -> dict[str, Any]:
    """Return the figures of *kills* kills under *clients* clients."""
    chance = random.Random(seed)
    _, secret = apikeys.create(folder / "keys", "shop", ["events"], "shop", 1)
    port = r.free_port()
    process = r.start(folder, port, **UNBOUNDED)
    # Forked before anything else runs here; each client is told to stop by its pipe.
    context = multiprocessing.get_context("fork")
    pipes, workers = [], []
    for number in range(clients):
        ours, theirs = context.Pipe()
        worker = context.Process(
            target=client, args=(port, number, secret, theirs), daemon=True
        )
        worker.start()
        pipes.append(ours)
        workers.append(worker)
    begun = time.monotonic()
    for _ in range(kills):
        time.sleep(chance.uniform(0.05, 0.4))  # a kill at any moment, not when it suits us
        process.kill()
        process.wait()
        process = r.start(folder, port, **UNBOUNDED)
    for pipe in pipes:
        pipe.send("stop")
    acknowledged = [name for pipe in pipes for name in pipe.recv()]
    for worker in workers:
        worker.join()
    seconds = time.monotonic() - begun
    r.stop(process)
    return {"kills": kills, "seconds": round(seconds, 1), **_compare(folder, acknowledged)}


def _compare(folder: Path, acknowledged: Sequence[str]) -> dict[str, int]:
    found: set[str] = set()
    requests: dict[str, set[str]] = {}  # by the first event: the ids of its requests
    records = torn = 0
    for entry in inbox.read(folder / "inbox", {}):
        if isinstance(entry.item, InboxRecord):
            body = json.loads(entry.item.body)
            events = body.get("items" if entry.item.path == API else "events", [])
            records += len(events)
            found |= {one["id"] for one in events}
            if entry.item.path == API:
                requests.setdefault(events[0]["id"], set()).add(body["request"])
        elif isinstance(entry.item, inbox.BadLine):
            torn += 1
    return {
        "acknowledged": len(acknowledged),
        "in_inbox": records,
        "missing": len(set(acknowledged) - found),
        "with_two_ids": sum(len(names) > 1 for names in requests.values()),
        "torn_lines": torn,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        figures = kill_often(folder, given.kills, given.clients, given.seed)
    figures["seed"] = given.seed
    if given.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name:>14} {value}" for name, value in figures.items()))
    return 1 if figures["missing"] or figures["with_two_ids"] else 0


if __name__ == "__main__":
    sys.exit(main())
