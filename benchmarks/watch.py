"""
How long a message takes under `sweep --watch`, from the receiver's answer to the push service.

    python benchmarks/watch.py --subscribers 300000 --messages 100 --json

A person does something at a real receiver, and a transactional trigger answers at once. That
is measured three times: with nothing else to do, while the watch sends a broadcast to
everybody, and while a `send` beside it does. The broadcast goes to nginx, the messages to a push service
that notes when each body was complete. Prints seconds: {"quiet": {"p50", "p95", "max"}, ...},
and the watch's own processor time and largest memory.

    python benchmarks/watch.py --api --json

A server asks for each message instead (`POST /v1/messages`, to an alias, by a template with a
value), and two seconds after the last its result is read: "done" counts those that say so. Then once
more while an audience of everybody is frozen, which waits for a person.
"""  # noqa: E501

import argparse
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.sink import Sink
from benchmarks.sweep import Base
from pushctl import apikeys
from pushctl import config as configs
from pushctl.demo.pushservice import PushService
from pushctl.jobs.campaigns import broadcast
from pushctl.jobs.campaigns.draft import Draft
from pushctl.model import CampaignStatus
from pushctl.push import vapid
from pushctl.rules import tokens
from pushctl.store import Store
from tests.support import auth, receiving, sending
from tests.support.program import PROGRAM

HOST = sending.FCM
EACH = 0.25  # seconds between two messages
TRIGGER = """
[triggers.answer]
on            = "asked"
transactional = true
steps         = [{ after = "0s", template = "answer" }]
"""


class Scene:
    """A project with many subscribers, and *people* of them whose messages are timed."""

    def __init__(
        self, folder: Path, sink: Sink, service: PushService, count: int, people: int,
        *, api: bool = False,
    ):  # fmt: skip
        self.service, self.people = service, people
        self.base = Base(folder, sink, count)
        self.folder = self.base.folder
        file = self.folder / "pushctl.toml"
        lines = [f'"{HOST}" = "{service.loopback_hosts[HOST]}"', TRIGGER]
        # Both certificates: that of nginx comes first in the file.
        ca = folder / "both.pem"
        ca.write_bytes(Path(sink.ca).read_bytes() + Path(service.ca).read_bytes())
        text = file.read_text().replace(f'ca = "{sink.ca}"', f'ca = "{ca}"')
        file.write_text(text + "\n".join(lines))
        sending.template(self.folder, "answer", title="Answer", body="Here it is")
        sending.template(self.folder, "sale", title="Sale", body="Everything must go")
        self.config = configs.load(file, {})
        self.store = Store(self.config.database)
        (key,) = vapid.load(self.config.keys)
        field = sending.Field(self.config, self.store, key)
        self.rows = field.people(people, HOST, tag=None, now=sending.soon())
        self.asked = 0
        self.requests: list[str] = []
        self.secret = self._open_api() if api else None

    def _open_api(self) -> str:
        """Give the timed people aliases; return the secret of a key."""
        sending.template(
            self.folder, "shipped", title="Order {{ values.order }}", body="It has left"
        )
        for number, row in enumerate(self.rows):
            self.store.subscriptions.set_alias(row, f"customer-{number}", trusted=True)
        scopes = ("messages:person", "messages:audience", "read")
        keys, now = self.folder / "keys", sending.soon()
        return apikeys.create(keys, "server", scopes, "shop", now)[1]

    def start_watch(self) -> "subprocess.Popen[bytes]":
        return self._start("sweep", "--watch")

    def freeze(self) -> int:
        """Plan a broadcast to everybody, as `send --at` does; return its number."""
        draft = Draft(everyone=True, template="sale", again=True)
        now = sending.soon()
        made = broadcast.plan(self.store, self.config, draft, now)
        campaign = broadcast.freeze(self.store, made, now - 60_000)
        return campaign.id

    def start_send(self) -> "subprocess.Popen[bytes]":
        return self._start("send", "--template", "sale", "--everyone", "--again", "--yes")

    def _start(self, *words: str) -> "subprocess.Popen[bytes]":
        plain = {k: v for k, v in os.environ.items() if not k.startswith("PUSHCTL_")}
        return subprocess.Popen(
            [*PROGRAM, "--project", str(self.folder), *words],
            env=plain,
            stdout=subprocess.DEVNULL,
            stderr=sys.stderr,
        )

    def count_accepted(self, campaign: int) -> int:
        sql = "SELECT count(*) FROM deliveries WHERE campaign_id = ? AND status = 'accepted'"
        return int(self.store.connection.execute(sql, (campaign,)).fetchone()[0])

    def ask(self, connection: http.client.HTTPConnection) -> tuple[str, float]:
        """Have the next person do something; return their endpoint and when it was acknowledged."""  # noqa: E501
        number = self.asked % self.people
        self.asked += 1
        path = f"https://{HOST}/wp/{number:07}"
        if self.secret is not None:
            to = {"alias": f"customer-{number}"}
            values = {"order": f"{self.asked}"}
            wanted = {"to": to, "template": "shipped", "values": values, "transactional": True}
            self.requests.append(self.call(connection, "POST", "/v1/messages", wanted)["id"])
            return path, time.monotonic()
        event = {"id": f"a{self.asked}", "name": "asked", "at": sending.soon()}
        body = json.dumps({"endpoint": path, "events": [event]}).encode()
        signed = tokens.sign_request(auth(number % 50), "/v1/events", int(time.time()), body)
        heads = {"Origin": receiving.ORIGIN, "Content-Type": "application/json"}
        connection.request("POST", "/v1/events", body, heads | {"X-Pushctl-Signature": signed})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 204, answer.status
        return path, time.monotonic()

    def call(
        self, connection: http.client.HTTPConnection, method: str, path: str,
        wanted: object = None,
    ) -> dict[str, str]:  # fmt: skip
        """Call the server API; return its answer."""
        heads = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        body = None if wanted is None else json.dumps(wanted).encode()
        connection.request(method, path, body, heads)
        answer = connection.getresponse()
        found: dict[str, str] = json.loads(answer.read())
        assert answer.status in (200, 202), found
        return found

    def count_done(self, connection: http.client.HTTPConnection) -> int:
        """Return how many of the last messages are done by what the receiver tells."""
        time.sleep(2)
        asked, self.requests = self.requests, []
        found = [self.call(connection, "GET", f"/v1/messages/{one}") for one in asked]
        return sum(one["state"] == "done" for one in found)

    def freeze_audience(self, port: int) -> None:
        """Ask for a message to everybody: too many, so it waits for a person."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        wanted = {"to": {"audience": "everyone"}, "template": "sale"}
        self.call(connection, "POST", "/v1/messages", wanted)

    def measure(self, port: int, count: int, busy: Callable[[], bool]) -> dict[str, float]:
        """Time up to *count* messages for as long as the rest is *busy*."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        before, asked = len(self.service.receipts()), {}
        for _ in range(count):
            if not busy():
                break
            endpoint, at = self.ask(connection)
            asked[endpoint] = at
            time.sleep(EACH)
        deadline = time.monotonic() + 60
        while len(self.service.receipts(before)) < len(asked) and time.monotonic() < deadline:
            time.sleep(0.05)
        came: dict[str, float] = {}
        # The broadcast reaches these people, too, as its last ones: only the first counts.
        for one in self.service.receipts(before):
            if one.endpoint in asked and one.at >= asked[one.endpoint]:
                came.setdefault(one.endpoint, one.at - asked[one.endpoint])
        times = sorted(came.values())
        return {
            "messages": len(asked),
            "lost": len(asked) - len(times),
            "p50": round(times[len(times) // 2], 3),
            "p95": round(times[int(len(times) * 0.95)], 3),
            "max": round(times[-1], 3),
        } | ({} if self.secret is None else {"done": self.count_done(connection)})


def measure(subscribers: int, messages: int, *, api: bool = False) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="pushctl-watch-"))
    try:
        with Sink() as sink, PushService(checks=False) as service:
            people = 4 * messages
            scene = Scene(folder, sink, service, subscribers, people, api=api)
            with receiving.running(scene.folder) as port:
                return {"subscribers": subscribers, **_run(scene, port, messages)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(scene: Scene, port: int, messages: int) -> dict[str, object]:
    watch = scene.start_watch()
    try:
        time.sleep(5)
        figures: dict[str, object] = {"quiet": scene.measure(port, messages, lambda: True)}
        if scene.secret is not None:
            scene.freeze_audience(port)
            name = "beside a large audience"
            figures[name] = scene.measure(port, messages, lambda: True)
        own = scene.freeze()
        _await(lambda: scene.count_accepted(own) > 0)
        running = CampaignStatus.RUNNING
        figures["beside its own broadcast"] = scene.measure(
            port, messages, lambda: scene.store.campaigns.get_status(own) is running
        )
        _await(lambda: scene.store.campaigns.get_status(own) is not running)
        send = scene.start_send()
        _await(lambda: scene.count_accepted(_find_newest(scene.store)) > 0)
        figures["beside a send"] = scene.measure(port, messages, lambda: send.poll() is None)
        send.terminate()
        send.wait()
        watch.send_signal(signal.SIGTERM)
        _, status, usage = os.wait4(watch.pid, 0)
        cpu = usage.ru_utime + usage.ru_stime
        peak = round(usage.ru_maxrss / 1024, 1)
        return figures | {"code": status, "cpu_s": round(cpu, 1), "peak_mb": peak}
    finally:
        watch.kill()


def _find_newest(store: Store) -> int:
    sql = "SELECT max(id) FROM campaigns WHERE trigger IS NULL"
    return int(store.connection.execute(sql).fetchone()[0])


def _await(condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("it did not come about")
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=300_000)
    parser.add_argument("--messages", type=int, default=100)
    parser.add_argument("--api", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measure(given.subscribers, given.messages, api=given.api)
    print(json.dumps(figures) if given.json else figures)


if __name__ == "__main__":
    main()
