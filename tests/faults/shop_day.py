"""
A shop's day: is anybody reminded after buying, and does every order add up?

    python -m tests.faults.shop_day --carts 10000 --seed 1

People leave baskets, some buy: on the page, or where 2Checkout, Shopify, WooCommerce or the
shop's own server tell of it, late, twice, out of order, from other devices, in five
currencies, with refunds, cancelled, unpaid and test orders (``tests/support/shop_stories``).
All of it goes to a real receiver as signed requests; every few minutes a real sweep with the
shipped triggers of abandoned baskets sends to a push service. Receiver, sweeps and push
service go by one clock that leaps from minute to minute (``tests/support/clocked``).

What is checked is computed from the stories alone. *late*: reminders that came in more than
a second after the receiver's answer to a purchase of that person. *twice*: reminders that a
person got twice. *silent*: people who bought nothing, and were neither reminded nor in the
control group. *wrong_orders*, *wrong_owners*, *wrong_sums*: orders, subscribers and totals of a
currency that are not as they should be. *leaks*: files of the project that name a buyer.
"""

import argparse
import hashlib
import json
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import http_ece

from pushctl.demo.pushservice import PushService
from pushctl.store import Store
from tests.support import HOUR, MINUTE, SECOND, auth, browser_key, clocked
from tests.support import shop_stories as stories
from tests.support.shop_scene import Scene
from tests.support.shop_stories import Buyer, Device, Telling

THREADS = 6
ALLOWED = 1.0  # seconds after an acknowledged purchase
LATE = 3  # hours after the last basket


@dataclass
class Reminder:
    buyer: int
    title: str
    at: float  # seconds since 1970


@dataclass
class Day:
    """What was seen from outside: answers of the receiver, messages at the push service."""

    bought: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    named: dict[int, float] = field(default_factory=dict)  # when a page's identify was answered
    reminders: list[Reminder] = field(default_factory=list)
    requests: int = 0
    sweeps: int = 0


# --- the day -------------------------------------------------------------------------------


def play(scene: Scene, buyers: Sequence[Buyer], hours: float, every: int, seed: int) -> Day:
    """Let the day pass, and what comes late for 3 hours; return what was seen of it."""
    chance, day = random.Random(seed), Day()
    end = stories.MORNING + int((hours + LATE) * HOUR)
    minutes: dict[int, list[Telling]] = defaultdict(list)
    for buyer in buyers:
        for device in buyer.devices:
            scene.endpoints[device] = scene.service.subscribe("mozilla", scene.key)
        for telling in stories.tell_all(buyer, end - HOUR, chance):
            minutes[telling.due].append(telling)
    last = max(end, *minutes)
    with ThreadPoolExecutor(THREADS) as pool:
        watch = _Watch(scene, day, chance)
        # The project was made by the machine's own clock.
        scene.run("sweep", "--accept-clock")
        for now in range(stories.MORNING, last + every + 1, MINUTE):
            scene.clock.set(now)
            _tell_minute(scene, minutes.get(now, ()), day, pool)
            watch.report()
            if (now - stories.MORNING) % every == 0:
                # Whoever bought until now did so more than a second before.
                scene.clock.set(int(scene.clock.now() * SECOND) + 2 * SECOND)
                scene.run("sweep")
                day.sweeps += 1
                watch.read()
    # What came last, of people who bought long ago.
    scene.clock.set(last + HOUR)
    scene.run("sweep")
    watch.read()
    return day


def _tell_minute(
    scene: Scene, tellings: Sequence[Telling], day: Day, pool: ThreadPoolExecutor
) -> None:
    """Send a minute's requests; those of one person one after the other."""
    lots: list[list[Telling]] = [[] for _ in range(THREADS)]
    for one in sorted(tellings, key=lambda it: (it.kind != "/v1/subscribe", it.at)):
        lots[one.buyer.number % THREADS].append(one)

    def tell(lot: Sequence[Telling]) -> None:
        for one in lot:
            at = scene.tell(one)
            if one.says in stories.BOUGHT and one.buyer.is_named:
                day.bought[one.buyer.number].append(at)
            if one.kind == "/v1/identify":
                day.named[one.buyer.number] = at

    for done in [pool.submit(tell, lot) for lot in lots if lot]:
        done.result()
    day.requests += len(tellings)


class _Watch:
    """Reads what came in at the push service, as the browsers do; they show most of it."""

    def __init__(self, scene: Scene, day: Day, chance: random.Random) -> None:
        self._scene, self._day, self._chance = scene, day, chance
        self._devices = {endpoint: one for one, endpoint in scene.endpoints.items()}
        self._read, self._tokens = 0, list[str]()
        scene.service.delivered()

    def read(self) -> None:
        receipts = self._scene.service.receipts(self._read)
        bodies = {
            (one.endpoint, hashlib.sha256(one.body).digest()): one.body
            for one in self._scene.service.delivered(self._read)
        }
        assert len(receipts) == len(bodies)
        self._read += len(receipts)
        at = {one.endpoint: self._scene.clock.at(one.at) for one in receipts}
        for (endpoint, _), body in bodies.items():
            device = self._devices[endpoint]
            told = _decrypt(device, body)
            reminder = Reminder(device.buyer, told["title"], at[endpoint])
            self._day.reminders.append(reminder)
            if self._chance.random() < 0.7:
                self._tokens.append(told["data"]["pushctl"])

    def report(self) -> None:
        for token in self._tokens:
            self._scene.report(token)
        self._tokens.clear()


def _decrypt(device: Device, body: bytes) -> dict[str, Any]:
    key, secret = browser_key(device.number % 200), auth(device.number)
    plain = http_ece.decrypt(body, private_key=key, auth_secret=secret, version="aes128gcm")
    told: dict[str, Any] = json.loads(plain)["notification"]
    return told


# --- what should be ------------------------------------------------------------------------


def check(scene: Scene, buyers: Sequence[Buyer], day: Day) -> dict[str, list[Any]]:
    """Return what is wrong, by kind."""
    with Store(scene.folder / "pushctl.db") as store:
        rows = store.connection.execute(
            "SELECT number, o.state, minor, exponent, currency, refunded_minor, test, "
            "endpoint, unmatched FROM orders o LEFT JOIN subscriptions s "
            "ON s.id = o.subscription_id"
        ).fetchall()
        held = store.connection.execute(
            "SELECT endpoint FROM enrolments e JOIN subscriptions s "
            "ON s.id = e.subscription_id WHERE e.state = 'holdout'"
        ).fetchall()
    devices = {endpoint: one for one, endpoint in scene.endpoints.items()}
    orders, owners = _check_orders(buyers, rows, devices)
    late, twice = _check_reminders(buyers, day)
    control = {devices[one].buyer for (one,) in held}
    return {
        "late": late,
        "twice": twice,
        "silent": _find_silent(buyers, day, control),
        "wrong_orders": orders,
        "wrong_owners": owners,
        "wrong_sums": _check_sums(scene, buyers),
        "leaks": _find_leaks(scene.folder),
    }


def _when_bought(buyer: Buyer, day: Day) -> list[float]:
    """Return the times at which a purchase of a person was acknowledged and known as theirs."""
    times = day.bought.get(buyer.number, [])
    if buyer.order and not (buyer.order.by_page or "cart" in buyer.order.clues):
        return [max(one, day.named.get(buyer.number, one)) for one in times]
    return times


def _check_reminders(buyers: Sequence[Buyer], day: Day) -> tuple[list[Any], list[Any]]:
    late = []
    for one in day.reminders:
        times = _when_bought(buyers[one.buyer], day)
        if times and one.at - min(times) > ALLOWED:
            late.append((one, one.at - min(times), buyers[one.buyer]))
    return late, list(_find_twice(buyers, day))


def _find_twice(buyers: Sequence[Buyer], day: Day) -> Iterator[tuple[Reminder, Buyer]]:
    before: dict[tuple[int, str], float] = {}
    for one in day.reminders:
        earlier = before.get((one.buyer, one.title))
        before[one.buyer, one.title] = one.at
        buyer = buyers[one.buyer]
        # An order that was not paid in time is a new beginning: both triggers end with the
        # same template.
        failed = (stories.find_failure(buyer) or 0) / SECOND
        if earlier is not None and not earlier < failed < one.at:
            yield one, buyer


def _find_silent(buyers: Sequence[Buyer], day: Day, control: set[int]) -> list[Any]:
    reminded = {one.buyer for one in day.reminders}
    return [
        one
        for one in buyers
        if one.devices and not (one.order and one.is_named)
        if one.number not in reminded and one.number not in control
    ]


def _check_orders(
    buyers: Sequence[Buyer], rows: Sequence[tuple[Any, ...]], devices: Mapping[str, Device]
) -> tuple[list[Any], list[Any]]:
    expected = {one.order.number: one for one in buyers if one.order}
    wrong: list[Any] = [
        number for number, count in Counter(row[0] for row in rows).items() if count > 1
    ]
    wrong += expected.keys() ^ {row[0] for row in rows}
    owners = []
    for number, state, minor, exponent, currency, back, test, endpoint, why in rows:
        buyer = expected[number]
        order = buyer.order
        assert order
        true = (order.state, order.minor, stories.CURRENCIES[order.currency], order.currency)
        told = (state, minor, exponent, currency)
        if told != true or (back or 0, bool(test)) != (order.given_back, order.fate == "test"):
            wrong.append((told, back, test, buyer))
        mine = endpoint is not None and devices[endpoint].buyer == buyer.number and not why
        if not (mine if buyer.is_named else endpoint is None and why):
            owners.append((endpoint, why, buyer))
    return wrong, owners


def _check_sums(scene: Scene, buyers: Sequence[Buyer]) -> list[Any]:
    """Compare what was paid and not given back, by currency, with what `orders list` has."""
    true: Counter[str] = Counter()
    for one in buyers:
        order = one.order
        if order and order.fate != "test" and order.state in stories.BOUGHT:
            true[order.currency] += order.minor - order.given_back
    told: Counter[str] = Counter()
    for row in json.loads(scene.run("orders", "list", "--json")):
        if row["state"] in stories.BOUGHT and not row["test"]:
            told[row["currency"]] += row["minor"] - row["refunded_minor"]
    return [(it, true[it], told[it]) for it in true.keys() | told if true[it] != told[it]]


def _find_leaks(folder: Path) -> list[str]:
    found = []
    for file in sorted(folder.rglob("*")):
        if file.is_file() and b"canary" in file.read_bytes().lower():
            found.append(str(file.relative_to(folder)))
    return found


def run(carts: int, seed: int, *, hours: float = 9.0, every: int = 5) -> dict[str, Any]:
    """Let *carts* be left within *hours*, with a sweep every so many minutes."""
    span = int(hours * HOUR)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clock = clocked.Clock(folder / "clock", stories.MORNING - MINUTE)
        service = stack.enter_context(PushService(folder / "push", clock=clock.now))
        scene = Scene(folder / "project", service, clock)
        buyers = stories.make_buyers(carts, span, random.Random(seed))
        with scene.receiving():
            day = play(scene, buyers, hours, every * MINUTE, seed)
        wrong = check(scene, buyers, day)
        if b"canary" in (folder / "receiver.log").read_bytes().lower():
            wrong["leaks"].append("receiver.log")
        return {"wrong": wrong, **_count(buyers, day), "seed": seed}


def _count(buyers: Sequence[Buyer], day: Day) -> dict[str, int]:
    reminded = {one.buyer for one in day.reminders}
    return {
        "carts": sum(bool(one.devices) for one in buyers),
        "orders": sum(one.order is not None for one in buyers),
        "unmatched": sum(one.order is not None and not one.is_named for one in buyers),
        "requests": day.requests,
        "sweeps": day.sweeps,
        "reminders": len(day.reminders),
        "reminded": len(reminded),
        "bought_and_not_reminded": len(day.bought.keys() - reminded),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--carts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--hours", type=float, default=9.0)
    parser.add_argument("--every", type=int, default=5, help="minutes between sweeps")
    given = parser.parse_args()
    figures = run(given.carts, given.seed, hours=given.hours, every=given.every)
    wrong = figures.pop("wrong")
    for kind, several in wrong.items():
        for one in several[:3]:
            print(f"{kind}: {one}", file=sys.stderr)
    print(json.dumps(figures | {kind: len(several) for kind, several in wrong.items()}))
    return 1 if any(wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
