"""
People buy while reminders are being sent: is anybody reminded a second after buying?

    python tests/faults/bought_meanwhile.py --people 4000 --json
    python tests/faults/bought_meanwhile.py --people 4000 --watch

A sweep sends everybody's reminder to a push service that takes its time. Meanwhile people
buy, one after the other, at a real receiver; each purchase is signed as their browser would.
Late is a reminder whose body came in more than a second after the receiver's answer to the
purchase of that person; *saved* are those who bought in time and got none, *second* those of
them that bought on a second device. Up to 2,000 reminders are sent by the sweep's own
process, more by several. With --watch it is `sweep --watch` that sends, drains and decides
at the same time.
"""

import argparse
import http.client
import json
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pushctl.demo.pushservice import PushService
from pushctl.rules import tokens
from pushctl.store.events import Event
from tests.faults import kill_sweep
from tests.support import MINUTE, auth, receiving, sending

GOAL = '[triggers.basket]\ngoal = { event = "purchase", within = "24h" }\n'
TRIGGER = kill_sweep.TRIGGER.replace("[triggers.basket]\n", GOAL)
ALLOWED = 1.0  # seconds after an acknowledged purchase


class Scene(kill_sweep.Scene):
    """Every tenth person has a second device, known by a signed alias."""

    trigger = TRIGGER

    def leave_baskets(self, count: int) -> None:
        rows = self.field.people(count, tag=None, now=sending.soon() - 4 * MINUTE)
        self.second = self.field.people(
            count // 10, tag=None, first=count, now=sending.soon() - 4 * MINUTE
        )
        self.rows, at = rows, sending.soon() - 4 * MINUTE
        with self.field.store.write() as connection:
            for number, row in enumerate(self.second):
                sql = "UPDATE subscriptions SET alias = ?, alias_trusted = 1 WHERE id IN (?, ?)"
                connection.execute(sql, (f"person-{number}", row, rows[number]))
        self.field.store.events.add(
            Event(row, "cart_updated", at, at + 4 * MINUTE, {"items": [{"id": "a"}]}, f"{row}")
            for row in rows
        )
        self.addresses = dict(
            self.field.store.connection.execute("SELECT id, endpoint FROM subscriptions")
        )

    def is_sending(self) -> bool:
        counts = self.statuses()
        return counts["planned"] + counts["sending"] > 0

    def buy(self, connection: http.client.HTTPConnection, person: int) -> float:
        """Buy as person number *person*; return when the receiver had acknowledged it."""
        has_second = person < len(self.second)
        row = self.second[person] if has_second else self.rows[person]
        number = len(self.rows) + person if has_second else person
        event = {"id": f"p{person}", "name": "purchase", "at": sending.soon(), "properties": {}}
        body = json.dumps({"endpoint": self.addresses[row], "events": [event]}).encode()
        signed = tokens.sign_request(auth(number % 50), "/v1/events", int(time.time()), body)
        heads = {"Origin": receiving.ORIGIN, "X-Pushctl-Signature": signed}
        connection.request(
            "POST", "/v1/events", body, heads | {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 204, answer.status
        return time.monotonic()


def run(
    people: int, buyers: int, seconds: float, seed: int, *, watch: bool = False
) -> dict[str, object]:
    """Have *buyers* of *people* buy within *seconds*, while a sweep reminds them."""
    chance = random.Random(seed)
    script = [{"delay": [0.1, min(1.0, seconds / 4)]}]
    with tempfile.TemporaryDirectory() as folder, PushService(checks=False) as service:
        service.play(script, seed)
        scene = Scene(Path(folder), service)
        scene.leave_baskets(people)
        with receiving.running(scene.folder) as port:
            bought = _buy_while_sending(scene, port, chance, buyers, seconds, watch)
        figures = _count(scene, bought)
        scene.field.store.close()
        return figures | {"people": people, "seed": seed}


def _buy_while_sending(
    scene: Scene, port: int, chance: random.Random, buyers: int, seconds: float, watch: bool
) -> dict[int, float]:
    """Return when each buyer's purchase was acknowledged."""
    # Half of them are those whose turn comes late.
    chosen = chance.sample(range(len(scene.rows)), buyers)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    sweep, bought = scene.sweep(*(("--watch",) if watch else ())), {}
    try:
        while not scene.service.receipts() and sweep.poll() is None:
            time.sleep(0.005)
        began = time.monotonic()
        for count, person in enumerate(chosen):
            if sweep.poll() is not None or (watch and not scene.is_sending()):
                break
            time.sleep(max(0.0, began + seconds * count / buyers - time.monotonic()))
            bought[person] = scene.buy(connection, person)
        while watch and scene.is_sending():
            time.sleep(0.1)
        if watch:
            sweep.terminate()
        assert sweep.wait(300) in (0, 5)
    finally:
        sweep.kill()
        connection.close()
    return bought


def _count(scene: Scene, bought: dict[int, float]) -> dict[str, object]:
    reminded = {one.endpoint: one.at for one in scene.service.receipts()}
    times = {person: reminded.get(scene.addresses[scene.rows[person]]) for person in bought}
    after = [at - bought[person] for person, at in times.items() if at is not None]
    skipped = dict(
        scene.field.store.connection.execute(
            "SELECT reason, count(*) FROM deliveries WHERE status = 'skipped' GROUP BY 1"
        )
    )
    counts = scene.statuses()
    return {
        "bought": len(bought),
        "late": sum(one > ALLOWED for one in after),
        "worst_s": round(max(after, default=0.0), 3),
        "saved": sum(at is None for at in times.values()),
        "second": sum(at is None for one, at in times.items() if one < len(scene.second)),
        "skipped": skipped,
        "accepted": counts["accepted"],
        "others": counts.total() - counts["accepted"] - counts["skipped"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=4000)
    parser.add_argument("--buyers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--watch", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = run(given.people, given.buyers, given.seconds, given.seed, watch=given.watch)
    print(json.dumps(figures) if given.json else figures)
    return 0 if figures["saved"] and not figures["late"] else 1


if __name__ == "__main__":
    sys.exit(main())
